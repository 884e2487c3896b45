/**
 * One node of a mixed cluster, told what to do by lines of JSON, which it answers by lines of JSON:
 * `member.ts <node id> <where> <cluster name>`, where they meet being a port, or the list of all
 * nodes. It ends when its input does.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { Cluster, command, defineEntity, query } from "../../src/index.ts";

/** What a member is asked. */
export type Order =
  | { readonly kind: "view" }
  | { readonly kind: "owners"; readonly ids: readonly string[] }
  /** Sends `count` messages to each of `ids`, all at once. */
  | { readonly kind: "send"; readonly ids: readonly string[]; readonly count: number }
  | { readonly kind: "logs"; readonly ids: readonly string[] }
  | { readonly kind: "stop" };

const [nodeId = "", where = "", name = ""] = process.argv.slice(2);
const nodes = where.split(",");

const Ledger = defineEntity("ledger", {
  messages: {
    write: command<{ from: string; n: number; text: string }, { at: string; lines: number }>(),
    read: query<{}, readonly string[]>(),
  },
  state: (): string[] => [],
  handlers: {
    write: async ({ state, node }, { from, n, text }) => {
      // Every third one takes its time, so that turns are not only those of one stack.
      if (n % 3 === 0) await Promise.resolve();
      return { at: node, lines: state.push(`${from}/${n}/${text}`) };
    },
    read: ({ state }) => state,
  },
});

const cluster = await Cluster.start({
  ...(where.includes("/") ? { nodes } : { transport: `tcp://127.0.0.1:${Number(where)}` }),
  name,
  nodeId,
  secret: "a secret of tests",
  heartbeat: "normal",
  shardCount: 64,
  entities: [Ledger],
});
answer({ runtime: cluster.nodes.find(({ node }) => node === nodeId)?.runtime });

for await (const line of createInterface({ input: process.stdin })) {
  answer(await carryOut(JSON.parse(line) as Order));
}
await cluster.stop();
process.exit(0);

function answer(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

async function carryOut(order: Order): Promise<unknown> {
  switch (order.kind) {
    case "view":
      return cluster.nodes.map(({ node, runtime }) => ({ node, runtime }));
    case "owners":
      return order.ids.map((id) => cluster.owner("ledger", id)?.node ?? null);
    case "send":
      return sendAll(order.ids, order.count);
    case "logs":
      return Promise.all(
        order.ids.map((id) => cluster.entity("ledger", id).send({ type: "read" })),
      );
    case "stop":
      await cluster.stop();
      return "stopped";
  }
}

/** By entity: who answered, and how many lines it had each time. */
async function sendAll(ids: readonly string[], count: number): Promise<unknown> {
  const answers = await Promise.all(
    ids.map((id) =>
      Promise.all(
        Array.from({ length: count }, (_, n) =>
          cluster
            .entity("ledger", id)
            .send({ type: "write", from: nodeId, n, text: `Zürich 東京 🛫 ${"x".repeat(n % 50)}` }),
        ),
      ),
    ),
  );
  return answers.map((each) => ({
    at: [...new Set(each.map(({ at }) => at))],
    lines: each.map(({ lines }) => lines),
  }));
}
