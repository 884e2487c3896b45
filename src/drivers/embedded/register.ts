/**
 * Which processes of this user may be nodes of a cluster: a file for each, written before the node
 * says its first word to a hub. A hub that is new asks it whom it has to hear before it opens, and
 * so never starts a second authority beside nodes that live on from the last one.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

/** See the file's header. */
export class Register {
  readonly #folder: string;
  readonly #self: string;

  constructor(folder: string, self: string) {
    this.#folder = folder;
    this.#self = self;
  }

  /** Says that this node may know something. */
  enter(): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    writeFileSync(join(this.#folder, this.#self), `${process.pid}`, { mode: 0o600 });
  }

  /** This node, or another one, knows nothing any more. */
  leave(incarnation: string = this.#self): void {
    rmSync(join(this.#folder, incarnation), { force: true });
  }

  /** The other nodes whose process runs; what dead ones left is cleared away. */
  others(): string[] {
    return readdirSync(this.#folder).filter((name) => {
      if (name === this.#self) return false;
      const runs = isRunning(join(this.#folder, name));
      if (!runs) this.leave(name);
      return runs;
    });
  }
}

function isRunning(path: string): boolean {
  try {
    process.kill(Number(readFileSync(path, "utf8")), 0);
    return true;
  } catch (error) {
    // Not allowed to signal it: then it is there.
    return (error as { code?: string }).code === "EPERM";
  }
}
