/** The SQLite store: one file for the processes of one machine. */
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { checkRuntime, environmentVariable, runtimeOf } from "../../base/runtime.ts";
import type { StoreDriver } from "../../ports/store.ts";
import type { Synchronous } from "./order.ts";

/** See each option; all have defaults. */
export interface SqliteOptions {
  /**
   * The database. Processes of one machine may share it; a file system of the network cannot hold
   * it. Beside it stand a log and an index of it, which belong to it: `-wal` and `-shm`.
   *
   * @default `$XDG_STATE_HOME` or `~/.local/state`, and in it `catga/<cluster>.db`
   */
  readonly file?: string;
  /**
   * What a write waits for. Both survive that all processes are killed at any instant, and neither
   * leaves a damaged file after a loss of power. `full`: the write is on the disk, as far as the
   * disk tells the truth. `normal`: it is with the operating system; a loss of power, or of the
   * system, may take what was acknowledged in the last seconds or, when little is written, minutes.
   *
   * @default "full"
   */
  readonly synchronous?: Synchronous;
}

const OPTIONS: readonly string[] = ["file", "synchronous"] satisfies (keyof SqliteOptions)[];

/** What SQLite takes for something else than a path. */
const NO_PATH = /^(?:|:memory:|file:.*)$/;

/** The first ones with `node:sqlite`, on Node.js without a flag. */
const MINIMA = { node: "22.13", bun: "1.4", deno: "2.2" };

/**
 * Keeps entities in a file. The work is done by a thread, so that neither the disk nor other
 * processes hold up the node; the thread costs some 5 to 20 MB of memory.
 *
 * @throws {TypeError} for an unknown option or value
 */
export function sqlite(options: SqliteOptions = {}): StoreDriver {
  const extra = Object.keys(options).find((option) => !OPTIONS.includes(option));
  if (extra !== undefined) throw new TypeError(`Cannot use SQLite: no option "${extra}"`);
  const { file, synchronous = "full" } = options;
  const isPath = file === undefined || (typeof file === "string" && !NO_PATH.test(file));
  if (!isPath) {
    throw new TypeError(`Cannot use file ${JSON.stringify(file)}: write a path`);
  }
  if (!["full", "normal"].includes(synchronous)) {
    const written = JSON.stringify(synchronous);
    throw new TypeError(`Cannot use synchronous ${written}: write "full" or "normal"`);
  }
  return {
    name: "sqlite",
    async open({ cluster, shardCount, clock }) {
      checkRuntime(runtimeOf(), MINIMA, "the SQLite store");
      const { ThreadStore } = await import("./store.ts");
      const path = resolve(file ?? defaultFile(cluster));
      return ThreadStore.open({ file: path, cluster, shardCount, synchronous }, clock);
    },
  };
}

function defaultFile(cluster: string): string {
  const folder = environmentVariable("XDG_STATE_HOME") ?? join(homedir(), ".local", "state");
  return join(folder, "catga", `${cluster}.db`);
}
