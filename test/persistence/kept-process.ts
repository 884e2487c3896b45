/**
 * A node in a process of its own, on any runtime, whose lists are kept: `kept-process.ts
 * <settings>`. It says in lines of JSON what it does, and takes orders in such lines.
 *
 * With `lanes` it appends to lists of its own, one line after the other in each, and says every
 * answer. A `hold` keeps its event loop busy in the middle of a turn until a file is there.
 */
import { existsSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { nats } from "../../src/drivers/nats/index.ts";
import { redis } from "../../src/drivers/redis/index.ts";
import { sqlite } from "../../src/drivers/sqlite/index.ts";
import { Cluster, type ClusterOf, isCatgaError } from "../../src/index.ts";
import type { Store, StoreDriver } from "../../src/ports/store.ts";
import { listOf } from "./kept-list.ts";

/** What a process is told at its start. */
export interface Settings {
  readonly name: string;
  readonly nodeId: string;
  readonly transport: `tcp://${string}`;
  readonly secret: string;
  readonly store: Place;
  /** @default 0 */
  readonly lanes?: number;
}

/** Where lists are kept. */
export type Place =
  | { readonly kind: "sqlite"; readonly at: string }
  | { readonly kind: "nats"; readonly at: `nats://${string}` }
  | { readonly kind: "redis"; readonly at: `redis://${string}` };

/** An order: a line to be appended. */
export interface Append {
  readonly id: string;
  readonly line: string;
  readonly timeout: "500ms" | "10s";
}

/** What a process says. */
export type Said =
  | { readonly what: "ready" | "holding" }
  | { readonly what: "written"; readonly id: string; readonly ok: boolean }
  | { readonly what: "answered"; readonly id: string; readonly line: string; readonly at: number }
  | { readonly what: "failed"; readonly id: string; readonly code: string };

/** The driver of a place. */
export function driverOf({ kind, at }: Place): StoreDriver {
  if (kind === "sqlite") return sqlite({ file: at });
  return kind === "nats" ? nats(at) : redis(at);
}

if (import.meta.main) await main(JSON.parse(process.argv[2]!) as Settings);

async function main({ store, lanes = 0, ...place }: Settings): Promise<void> {
  const hold = (until: string): void => {
    say({ what: "holding" });
    while (!existsSync(until));
  };
  const List = listOf(hold);
  const cluster = await Cluster.start({
    ...place,
    shardCount: 32,
    heartbeat: "fast",
    store: watched(driverOf(store)),
    entities: [List],
  });
  say({ what: "ready" });
  for (let lane = 0; lane < lanes; lane++) repeat(cluster, `${place.nodeId}-${lane}`);
  const orders = createInterface({ input: process.stdin });
  for await (const line of orders) await append(cluster, JSON.parse(line) as Append);
}

/** Says what became of each write. */
function watched(driver: StoreDriver): StoreDriver {
  return {
    name: driver.name,
    async open(context) {
      const store = await driver.open(context);
      return {
        identity: store.identity,
        bytesMax: store.bytesMax,
        load: (key) => store.load(key),
        async write(writes): ReturnType<Store["write"]> {
          const results = await store.write(writes);
          for (const [i, { id }] of writes.entries()) {
            say({ what: "written", id, ok: results[i]!.ok });
          }
          return results;
        },
        due: (where, untilMs, limit) => store.due(where, untilMs, limit),
        page: (after) => store.page(after),
        close: () => store.close(),
      };
    },
  };
}

type Node = ClusterOf<ReturnType<typeof listOf>>;

function repeat(cluster: Node, id: string): void {
  let n = 0;
  const next = async (): Promise<void> => {
    for (;;) await append(cluster, { id, line: `${process.pid}.${n++}`, timeout: "10s" });
  };
  next().catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
  });
}

async function append(cluster: Node, { id, line, timeout }: Append): Promise<void> {
  try {
    const sent = cluster.entity("list", id).send({ type: "append", line }, { timeout });
    say({ what: "answered", id, line, at: (await sent) - 1 });
  } catch (error) {
    say({ what: "failed", id, code: isCatgaError(error) ? error.code : String(error) });
  }
}

function say(said: Said): void {
  process.stdout.write(`${JSON.stringify(said)}\n`);
}
