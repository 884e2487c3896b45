/**
 * Where the time of a request went: an order asks the stock, which lives on the other node and is
 * stored. Both nodes hand their spans to the same exporter here, which prints them as a tree; in a
 * cluster they go wherever your OpenTelemetry SDK sends them.
 *
 * `npx bun examples/17-traces.ts` prints:
 *
 *     checkout
 *       call order/place on a
 *         turn order/place on a
 *           call stock/take on a
 *             link stock/take on a
 *               load stock/take on b
 *               turn stock/take on b
 *                 write stock/take on b
 */
import { context } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Cluster, command, defineEntity } from "../src/index.ts";
import { openTelemetry } from "../src/otel/index.ts";
import { sqlite } from "../src/drivers/sqlite/index.ts";

// What an SDK for Node.js, or its loader, sets up in a program.
const exporter = new InMemorySpanExporter();
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());

const Stock = defineEntity("stock", {
  messages: { take: command<{ pieces: number }, number>() },
  state: () => ({ left: 10 }),
  persistence: "write-through",
  handlers: { take: ({ state }, { pieces }) => (state.left -= pieces) },
});
const Order = defineEntity("order", {
  messages: { place: command<{ sku: string; pieces: number }, string>() },
  state: () => ({}),
  handlers: {
    place: async (ctx, { sku, pieces }) => {
      const left = await ctx.entity(Stock, sku).send({ type: "take", pieces });
      return `${left} left`;
    },
  },
});

const name = `traces-${process.pid}`;
const file = join(tmpdir(), `${name}.db`);
const tracing = openTelemetry({ provider });
const common = { name, entities: [Order, Stock], store: sqlite({ file }), tracing } as const;
const a = await Cluster.start({ ...common, nodeId: "a" });
const b = await Cluster.start({ ...common, nodeId: "b" });

// An order that lives here, and a product that lives there, as soon as b has its share.
const ids = Array.from({ length: 100 }, (_, n) => `${n}`);
const on = (entity: string, node: string): string | undefined =>
  ids.find((id) => a.owner(entity, id)?.node === node);
const isMoving = (): boolean => [a, b].some((node) => node.plan({}).moves.length > 0);
while (on("stock", "b") === undefined || isMoving()) await delay(10);
const [order, sku] = [on("order", "a")!, on("stock", "b")!];

await provider.getTracer("shop").startActiveSpan("checkout", async (span) => {
  await a.entity(Order, order).send({ type: "place", sku, pieces: 3 });
  span.end();
});
await Promise.all([a.stop(), b.stop()]);
rmSync(file, { force: true });

const startOf = ({ startTime: [seconds, nanos] }: ReadableSpan): number => seconds * 1e9 + nanos;
const spans = exporter.getFinishedSpans().toSorted((one, two) => startOf(one) - startOf(two));
function print(parent: string | undefined, indent: string): void {
  for (const span of spans.filter(isBelow(parent))) {
    const { name: what, attributes } = span;
    const node = attributes["catga.node"];
    console.log(indent + what + (node === undefined ? "" : ` on ${String(node)}`));
    print(span.spanContext().spanId, `${indent}  `);
  }
}
function isBelow(parent: string | undefined) {
  return (span: ReadableSpan): boolean => span.parentSpanContext?.spanId === parent;
}
print(undefined, "");
