/** One request, however many nodes it crosses, is one tree. */
import { afterAll, afterEach, expect, test } from "bun:test";
import { trace } from "@opentelemetry/api";
import { gateway } from "../../src/http/index.ts";
import {
  Cluster,
  type ClusterOf,
  command,
  defineEntity,
  type Logger,
  query,
} from "../../src/index.ts";
import { memory } from "../../src/drivers/memory/index.ts";
import { openTelemetry } from "../../src/otel/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { failureOf } from "../drivers/nodes.ts";
import { Traces } from "./traces.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT = `00-${TRACE}-00f067aa0ba902b7-01`;

const lines: object[] = [];
const log: Logger = {
  debug() {},
  info: (fields) => void lines.push(fields),
  warn() {},
  error: (fields) => void lines.push(fields),
};

const Account = defineEntity("account", {
  messages: { credit: command<{ amount: number }, number>() },
  state: () => ({ balance: 0 }),
  persistence: "write-through",
  handlers: { credit: ({ state }, { amount }) => (state.balance += amount) },
});
const Transfer = defineEntity("transfer", {
  messages: {
    run: command<{ to: string; amount: number }, number>(),
    fail: command(),
    ask: query<void, string>(),
  },
  state: () => ({}),
  handlers: {
    async run(ctx, { to, amount }) {
      ctx.log.info({}, "a transfer runs");
      await Promise.resolve();
      return ctx.entity(Account, to).send({ type: "credit", amount });
    },
    fail() {
      throw new RangeError("there is none");
    },
    ask: () => trace.getActiveSpan()?.spanContext().spanId ?? "",
  },
});
const Entities = [Account, Transfer] as const;
type Node = ClusterOf<typeof Account | typeof Transfer>;

const traces = new Traces();
const started: ClusterOf<never>[] = [];

afterAll(() => traces.end());
afterEach(async () => {
  await Promise.all(started.splice(0).map((node) => node.stop()));
  traces.clear();
  lines.length = 0;
});

async function pair(more: object = {}): Promise<readonly [Node, Node]> {
  const common = { transport: memory(), log, tracing: traces.tracing, entities: Entities, ...more };
  const a = await Cluster.start({ ...common, nodeId: "a" });
  const b = await Cluster.start({ ...common, nodeId: "b" });
  started.push(a, b);
  await waitUntil("b owns its share", () => {
    const isSettled = [a, b].every((each) => each.plan({}).moves.length === 0);
    return isSettled && ownedBy(a, "transfer", "b") !== undefined;
  });
  return [a, b];
}

/** The first id of an entity type that lives on a node. */
function ownedBy(node: Node, name: string, on: string): string | undefined {
  const ids = Array.from({ length: 100 }, (_, n) => `${n}`);
  return ids.find((id) => node.owner(name, id)?.node === on);
}

test("a request to an entity elsewhere, which asks a stored one here, is one tree", async () => {
  const [a] = await pair();
  const [id, to] = [ownedBy(a, "transfer", "b"), ownedBy(a, "account", "a")];
  const edge = gateway(a, { expose: [Transfer] });
  const answer = await edge.request(`/entities/transfer/${id}/run`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      "X-Request-Id": "r-1",
      traceparent: PARENT,
      tracestate: "vendor=1",
    },
    body: JSON.stringify({ to, amount: 5 }),
  });
  expect([answer.status, await answer.json()]).toEqual([200, 5]);
  expect(traces.drawn).toEqual([
    "call transfer/run CLIENT on a",
    "  link transfer/run CLIENT on a",
    "    turn transfer/run SERVER on b",
    "      call account/credit CLIENT on b",
    "        link account/credit CLIENT on b",
    "          load account/credit CLIENT on a",
    "          turn account/credit SERVER on a",
    "            write account/credit CLIENT on a",
  ]);
  expect(new Set(traces.spans.map((span) => span.spanContext().traceId))).toEqual(new Set([TRACE]));
  const states = traces.spans.map((span) => span.spanContext().traceState?.get("vendor"));
  expect(new Set(states)).toEqual(new Set(["1"]));
  const call = traces.named("call transfer/run");
  expect(call.parentSpanContext?.spanId).toBe("00f067aa0ba902b7");
  expect(call.attributes).toEqual({
    "catga.node": "a",
    "catga.entity": "transfer",
    "catga.id": id!,
    "catga.message": "run",
    "catga.request_id": "r-1",
    "rpc.system.name": "catga",
    "rpc.method": "transfer/run",
  });
  const turn = traces.named("turn transfer/run").spanContext();
  const said = { traceId: TRACE, spanId: turn.spanId };
  expect(lines).toContainEqual(expect.objectContaining({ entity: "transfer", ...said }));
});

test("the span of the caller is the parent, whatever the request says", async () => {
  const [a] = await pair();
  const ref = a.entity(Transfer, ownedBy(a, "transfer", "a")!);
  const asked = await traces.within("page", () =>
    ref.send({ type: "ask" }, { trace: { traceparent: PARENT, attributes: { tenant: "7" } } }),
  );
  expect(traces.drawn).toEqual([
    "page INTERNAL",
    "  call transfer/ask CLIENT on a",
    "    turn transfer/ask SERVER on a",
  ]);
  expect(traces.named("call transfer/ask").attributes["tenant"]).toBe("7");
  // What a handler begins by itself is below its turn.
  expect(asked).toBe(traces.named("turn transfer/ask").spanContext().spanId);
});

test("what makes no sense in a header begins a trace of its own", async () => {
  const [a] = await pair();
  const edge = gateway(a, { expose: [Transfer] });
  const id = ownedBy(a, "transfer", "a");
  const wrong = [
    "",
    "nonsense",
    PARENT.toUpperCase(),
    PARENT.replace("4bf9", "zzzz"),
    PARENT.replace(TRACE, "0".repeat(32)),
    PARENT.replace("00f067aa0ba902b7", "0".repeat(16)),
    `ff${PARENT.slice(2)}`,
    `${PARENT}-more`,
    PARENT.slice(0, -1),
    "1".repeat(100_000),
  ];
  for (const traceparent of wrong) {
    const headers = { traceparent, tracestate: "\u00e9".repeat(9) };
    const answer = await edge.request(`/entities/transfer/${id}/ask`, { headers });
    expect(answer.status).toBe(200);
  }
  const calls = traces.spans.filter(({ name }) => name.startsWith("call"));
  expect(calls.map((span) => span.parentSpanContext)).toEqual(wrong.map(() => undefined));
  expect(new Set(calls.map((span) => span.spanContext().traceId)).size).toBe(wrong.length);
});

test("a failure is one of every span that it goes through", async () => {
  const [a] = await pair();
  const ref = a.entity(Transfer, ownedBy(a, "transfer", "b")!);
  expect(await failureOf(ref.send({ type: "fail" }))).toMatchObject({ code: "HANDLER_FAILED" });
  expect(traces.drawn).toEqual([
    "call transfer/fail CLIENT on a failed: HANDLER_FAILED",
    "  link transfer/fail CLIENT on a failed: HANDLER_FAILED",
    "    turn transfer/fail SERVER on b failed: HANDLER_FAILED",
  ]);
  const { traceId } = traces.named("turn transfer/fail").spanContext();
  expect(lines).toContainEqual(expect.objectContaining({ entity: expect.any(String), traceId }));
  const [thrown] = traces.named("turn transfer/fail").events;
  expect(thrown?.attributes?.["exception.type"]).toBe("RangeError");
});

test("a turn is the parent of what it sends where nobody knows what is active", async () => {
  traces.end();
  const [a] = await pair();
  const [id, to] = [ownedBy(a, "transfer", "a")!, ownedBy(a, "account", "a")!];
  await a.entity(Transfer, id).send({ type: "run", to, amount: 1 });
  traces.begin();
  expect(traces.drawn.slice(0, 3)).toEqual([
    "call transfer/run CLIENT on a",
    "  turn transfer/run SERVER on a",
    "    call account/credit CLIENT on a",
  ]);
});

test("tracing has to be what openTelemetry() returns", async () => {
  const starting = Cluster.start({ transport: "memory", tracing: openTelemetry as never });
  expect(await failureOf(starting)).toEqual(
    new TypeError('Cannot use tracing: write openTelemetry() of "catga/otel"'),
  );
});

test("100 requests at once are 100 trees", async () => {
  const [a, b] = await pair();
  const ids = Array.from({ length: 100 }, (_, n) => `${n}`);
  const send = (id: string): Promise<number> =>
    a.entity(Transfer, id).send({ type: "run", to: id, amount: 1 });
  await Promise.all(ids.map(send));
  expect(b.nodeId).toBe("b");
  expect(traces.trees.length).toBe(100);
  for (const { span } of traces.trees) {
    const own = traces.spans.filter((each) => idOf(each) === idOf(span));
    const names = own.map(({ name }) => name.split(" ")[0] ?? "").toSorted();
    const of = new Set(own.map(({ attributes }) => attributes["catga.id"]));
    expect(of).toEqual(new Set([span.attributes["catga.id"]]));
    expect(names.filter((name) => name !== "link" && name !== "queue")).toEqual([
      "call",
      "call",
      "load",
      "turn",
      "turn",
      "write",
    ]);
  }
});

function idOf(span: { spanContext(): { traceId: string } }): string {
  return span.spanContext().traceId;
}
