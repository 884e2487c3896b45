/**
 * What readers of cached answers may be told. Each key has a version, which every command raises
 * by one. The checker knows when the command of each version ended, and who was told so. Who sent
 * it may be told no older one from then on; all others none when the bound has passed.
 */

/** A command that runs. */
export interface Write {
  readonly key: string;
  readonly version: number;
  readonly node: string;
  /** When all others have to be told within the bound; never for a node without a lease. */
  endedMs: number;
}

/** A query that was sent. */
interface Read {
  readonly key: string;
  readonly node: string;
  readonly askedMs: number;
  /** What its node knew when it was sent. */
  readonly atLeast: number;
}

/** See the file's header. */
export class Staleness {
  readonly wrong: string[] = [];
  reads = 0;
  /** So long after a command ended, on a node with a lease, nobody is told what was before. */
  readonly #lateMs: number;
  readonly #writes: Write[] = [];
  readonly #versions = new Map<string, number>();
  /** By node and key, what it has been told of its own commands. */
  readonly #known = new Map<string, number>();

  constructor(lateMs: number) {
    this.#lateMs = lateMs;
  }

  /** What a handler of a query reads. */
  versionOf(key: string): number {
    return this.#versions.get(key) ?? 0;
  }

  /** A handler of a command writes. */
  write(key: string, node: string): Write {
    const version = this.versionOf(key) + 1;
    this.#versions.set(key, version);
    const write = { key, version, node, endedMs: Number.POSITIVE_INFINITY };
    this.#writes.push(write);
    return write;
  }

  /** The node died: whatever ran there has ended. */
  died(node: string, nowMs: number): void {
    for (const write of this.#writes) {
      if (write.node === node) write.endedMs = Math.min(write.endedMs, nowMs);
    }
  }

  /** A node was answered. */
  knows(node: string, key: string, version: number): void {
    const place = `${node} ${key}`;
    this.#known.set(place, Math.max(this.#known.get(place) ?? 0, version));
  }

  ask(node: string, key: string, nowMs: number): Read {
    return { key, node, askedMs: nowMs, atLeast: this.#known.get(`${node} ${key}`) ?? 0 };
  }

  /** A query was answered with `version`. */
  told(read: Read, version: number): void {
    const { key, node, askedMs, atLeast } = read;
    this.reads++;
    if (version < atLeast) {
      this.wrong.push(`${node} at ${askedMs}: ${key} is ${version}, it knew ${atLeast}`);
    }
    const late = this.#writes.find(
      (write) =>
        write.key === key && write.version > version && write.endedMs < askedMs - this.#lateMs,
    );
    if (late !== undefined) {
      const since = `${late.version} on ${late.node} ended at ${late.endedMs}`;
      this.wrong.push(`${node} at ${askedMs}: ${key} is ${version}, and ${since}`);
    }
  }
}
