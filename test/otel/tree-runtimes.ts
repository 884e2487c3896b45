/**
 * One request over HTTP to an entity of another node, which asks one of the first node that is
 * stored, is one tree; for runtimes without a test framework.
 *
 *   node test/otel/tree-runtimes.ts
 *   deno run -A test/otel/tree-runtimes.ts
 *   bun test/otel/tree-runtimes.ts
 *
 * It prints one line and exits with 0, or fails.
 */
import { deepEqual } from "node:assert/strict";
import process from "node:process";
import { Hono } from "hono";
import { runtimeOf } from "../../src/base/runtime.ts";
import { memory } from "../../src/drivers/memory/index.ts";
import { gateway, listen } from "../../src/http/index.ts";
import { Cluster, command, defineEntity } from "../../src/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { Traces } from "./traces.ts";

const Account = defineEntity("account", {
  messages: { credit: command<{ amount: number }, number>() },
  state: () => ({ balance: 0 }),
  persistence: "write-through",
  handlers: { credit: async ({ state }, { amount }) => (state.balance += amount) },
});
const Transfer = defineEntity("transfer", {
  messages: { run: command<{ to: string; amount: number }, number>() },
  state: () => ({}),
  handlers: {
    async run(ctx, { to, amount }) {
      await new Promise((resolve) => void setImmediate(resolve));
      return ctx.entity(Account, to).send({ type: "credit", amount });
    },
  },
});

const traces = new Traces();
const { tracing } = traces;
const common = { transport: memory(), entities: [Account, Transfer], tracing } as const;
const a = await Cluster.start({ ...common, nodeId: "a" });
const b = await Cluster.start({ ...common, nodeId: "b" });
const ids = Array.from({ length: 100 }, (_, n) => `${n}`);
const on = (entity: string, node: string): string | undefined =>
  ids.find((id) => a.owner(entity, id)?.node === node);
const isSettled = (): boolean => [a, b].every((each) => each.plan({}).moves.length === 0);
await waitUntil("b owns its share", () => on("transfer", "b") !== undefined && isSettled());

const edge = new Hono().route("/", gateway(a, { expose: [Transfer] }));
const { url, close } = await listen(edge, { port: 0 });
const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const answer = await fetch(`${url}/entities/transfer/${on("transfer", "b")}/run`, {
  method: "POST",
  headers: {
    "Content-Type": "application/json",
    traceparent: `00-${traceId}-00f067aa0ba902b7-01`,
  },
  body: JSON.stringify({ to: on("account", "a"), amount: 5 }),
});
deepEqual([answer.status, await answer.json()], [200, 5]);
await close();
await Promise.all([a.stop(), b.stop()]);

deepEqual(traces.drawn, [
  "call transfer/run CLIENT on a",
  "  link transfer/run CLIENT on a",
  "    turn transfer/run SERVER on b",
  "      call account/credit CLIENT on b",
  "        link account/credit CLIENT on b",
  "          load account/credit CLIENT on a",
  "          turn account/credit SERVER on a",
  "            write account/credit CLIENT on a",
]);
deepEqual([...new Set(traces.spans.map((span) => span.spanContext().traceId))], [traceId]);
const { name, version } = runtimeOf();
console.log(`One tree on ${name} ${version}`);
process.exit(0);
