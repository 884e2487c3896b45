/**
 * Which processes of this user may be nodes of a cluster: a file for each, written before the node
 * says its first word to a hub. A hub that is new asks it whom it has to hear before it opens, and
 * so never starts a second authority beside nodes that live on from the last one. A file holds the
 * id of the process, and how long it may act without a word from a hub.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

/** See the file's header. */
export class Register {
  readonly #folder: string;
  readonly #self: string;
  readonly #leaseMs: number;

  constructor(folder: string, self: string, leaseMs: number) {
    this.#folder = folder;
    this.#self = self;
    this.#leaseMs = leaseMs;
  }

  /** Says that this node may know something. */
  enter(): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    writeFileSync(join(this.#folder, this.#self), `${process.pid} ${this.#leaseMs}`, {
      mode: 0o600,
    });
  }

  /** This node, or another one, knows nothing any more. */
  leave(incarnation: string = this.#self): void {
    rmSync(join(this.#folder, incarnation), { force: true });
  }

  /** The other nodes whose process runs, with their leases; what dead ones left is cleared away. */
  others(): Map<string, number> {
    const others = new Map<string, number>();
    for (const name of readdirSync(this.#folder)) {
      if (name === this.#self) continue;
      const [pid, leaseMs = this.#leaseMs] = numbersOf(join(this.#folder, name));
      if (isRunning(pid)) others.set(name, leaseMs);
      else this.leave(name);
    }
    return others;
  }
}

function numbersOf(path: string): number[] {
  try {
    return readFileSync(path, "utf8").split(" ").map(Number);
  } catch {
    return []; // It has just left.
  }
}

function isRunning(pid = Number.NaN): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Not allowed to signal it: then it is there.
    return (error as { code?: string }).code === "EPERM";
  }
}
