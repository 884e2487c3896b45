/** What was written behind `catga`, and what it means. */
import { parseArgs } from "node:util";
import { environmentVariable } from "../base/runtime.ts";
import type { OnConflict } from "../backup/index.ts";

/** How the command is used, shown where it was not. */
export const USAGE = `catga export --store <store> [--name <cluster>] > shop.jsonl
catga import --store <store> [--name <cluster>] [--on-conflict refuse|skip|overwrite] < shop.jsonl
catga stored --store <store> [--name <cluster>] <entity> <id>

  --store        nats://…, tls://…, redis://…, rediss://… or a file of SQLite; else CLUSTER_STORE
  --name         of the cluster; else CLUSTER_NAME, else "catga"
  --prefix       of the cluster at its broker, else "catga"
  --shard-count  only for a store that is made now
  --on-conflict  what becomes of entities that are there: refuse counts them as failures (exit 3),
                 skip leaves them, overwrite replaces them
  --json         results and errors as lines of JSON`;

/** What is to be done. */
export interface Order {
  readonly command: "export" | "import" | "stored";
  readonly store: string;
  readonly name: string;
  readonly prefix: string | undefined;
  readonly shardCount: number | undefined;
  readonly onConflict: OnConflict;
  readonly isJson: boolean;
  /** Of `stored`. */
  readonly entity: string;
  readonly id: string;
}

const TEXT = { type: "string" } as const;
const OPTIONS = {
  store: TEXT,
  name: TEXT,
  prefix: TEXT,
  "shard-count": TEXT,
  "on-conflict": TEXT,
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

/**
 * The order that `words` are, or `help`.
 *
 * @throws {TypeError} that says what is wrong
 */
export function orderOf(words: readonly string[]): Order | "help" {
  const { values, positionals } = parseArgs({
    args: [...words],
    options: OPTIONS,
    allowPositionals: true,
  });
  const [command, entity = "", id = "", ...more] = positionals;
  if (values.help === true || command === undefined) return "help";
  if (command !== "export" && command !== "import" && command !== "stored") {
    throw new TypeError(`Cannot run "${command}": there is no such command`);
  }
  if ((command === "stored") !== (id !== "") || more.length > 0) {
    throw new TypeError(`Cannot run "${positionals.join(" ")}": write as below`);
  }
  const store = values.store ?? environmentVariable("CLUSTER_STORE");
  if (store === undefined) throw new TypeError(`Cannot ${command}: no store is named`);
  const name = values.name ?? environmentVariable("CLUSTER_NAME") ?? "catga";
  const count = values["shard-count"];
  return {
    command,
    store,
    name,
    entity,
    id,
    prefix: values.prefix,
    shardCount: count === undefined ? undefined : Number(count),
    // The import says itself what it does not know.
    onConflict: (values["on-conflict"] ?? "refuse") as OnConflict,
    isJson: values.json === true,
  };
}
