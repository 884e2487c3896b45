/** Which spans there are, of what kind, and what each is below: in simulated time. */
import { afterAll, afterEach, describe, expect, test } from "bun:test";
import {
  CatgaError,
  command,
  defineCommand,
  defineEntity,
  defineEvent,
  defineQuery,
  handler,
  type Middleware,
  query,
  Rejection,
} from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";
import { draw, Traces } from "./traces.ts";

const Told = defineEvent<{ id: string }>("story.told", { key: "id" });
const Place = defineCommand<{ order: string }, string>("orders.place", {
  route: { strategy: "consistentHash", key: "order" },
});
const Price = defineQuery<{ sku: string }, number>("catalogue.price");
const Count = defineQuery<void, number>("catalogue.count", { route: { strategy: "broadcast" } });

/** What the turn of `wait` waits for. */
let gate = Promise.withResolvers<void>();
/** So many handlers are not reached. */
let refusals = 0;
const refusing: Middleware = async (_, next) => {
  if (refusals-- > 0) throw new CatgaError("OVERLOADED", { what: "the test", limit: 1 });
  return next();
};

const Book = defineEntity("book", {
  messages: {
    write: command<void, number>(),
    later: command(),
    remind: command(),
    wait: command(),
    deny: command(),
    read: query<void, number>(),
    tell: command(),
    "story.told": Told,
  },
  state: () => ({ pages: 0 }),
  persistence: "write-behind",
  activated: (ctx) => ctx.log.info({}, "opened"),
  handlers: {
    write: ({ state }) => ++state.pages,
    later: (ctx) => void ctx.after(50, { type: "write" }),
    remind: (ctx) => ctx.remind("page", { in: 50 }, { type: "write" }),
    wait: () => gate.promise,
    deny() {
      throw new Rejection("CLOSED");
    },
    read: ({ state }) => state.pages,
    tell: (ctx) => ctx.publish(Told({ id: "0" })),
    "story.told": ({ state }) => void state.pages++,
  },
});

/** Is not stored. */
const Note = defineEntity("note", {
  messages: { wait: command(), read: command<void, number>() },
  state: () => ({}),
  handlers: { wait: () => gate.promise, read: () => 1 },
});

const traces = new Traces();
const handlers = [
  handler(Place, ({ order }) => order),
  handler(Price, async ({ sku }, ctx) => {
    await ctx.entity(Book, sku).tell({ type: "write" });
    return 1;
  }),
  handler(Count, () => 1),
];
const options = { entities: [Book, Note], handlers, tracing: traces.tracing } as const;
type Books = TestCluster<readonly [typeof Book, typeof Note]>;

afterAll(() => traces.end());
afterEach(() => {
  traces.clear();
  refusals = 0;
  gate = Promise.withResolvers();
});

/** The first book that lives on a node, when each has some. */
async function bookOn(cluster: Books, node: string): Promise<string> {
  await cluster.advance("5s");
  const ids = Array.from({ length: 100 }, (_, n) => `${n}`);
  return ids.find((id) => cluster.node("n1").owner("book", id)?.node === node)!;
}

describe("a span", () => {
  test("of a message that nobody waits for is that of a producer, and of a consumer", async () => {
    await using cluster: Books = await TestCluster.start({ ...options, nodes: 1 });
    await cluster.run(cluster.node("n1").entity(Book, "1").tell({ type: "write" }));
    await cluster.advance("5s");
    expect(traces.drawn).toEqual([
      "call book/write PRODUCER on n1",
      "  load book/write CLIENT on n1",
      "  turn book/write CONSUMER on n1",
      "    write book/write CLIENT on n1",
      "hook book/hook INTERNAL on n1",
    ]);
  });

  test("shows that a message has waited for its turn", async () => {
    await using cluster: Books = await TestCluster.start({ ...options, nodes: 1 });
    const book = cluster.node("n1").entity(Book, "1");
    await cluster.run(book.send({ type: "read" }));
    traces.clear();
    const [waits, reads] = [book.send({ type: "wait" }), book.send({ type: "read" })];
    await cluster.advance("1s");
    gate.resolve();
    await cluster.run(Promise.all([waits, reads]));
    expect(traces.drawn.filter((line) => line.includes("read"))).toEqual([
      "call book/read CLIENT on n1",
      "  queue book/read INTERNAL on n1",
      "  turn book/read SERVER on n1",
    ]);
  });

  test("of a command under a key is below the call that came first", async () => {
    await using cluster: Books = await TestCluster.start({ ...options, nodes: 1 });
    const book = cluster.node("n1").entity(Book, "1");
    const write = (): Promise<number> => book.send({ type: "write" }, { idempotencyKey: "one" });
    expect(await cluster.run(write())).toBe(1);
    expect(await cluster.run(write())).toBe(1);
    expect(traces.drawn.filter((line) => / (?:call|turn) /.test(` ${line}`))).toEqual([
      "call book/write CLIENT on n1",
      "  turn book/write SERVER on n1",
      "call book/write CLIENT on n1",
    ]);
  });

  test("of a turn that says no has the code, and has not failed", async () => {
    await using cluster: Books = await TestCluster.start({ ...options, nodes: 1 });
    const denied = cluster.node("n1").entity(Book, "1").send({ type: "deny" });
    await cluster.run(denied.catch(() => {}));
    expect(traces.drawn.filter((line) => line.includes("deny"))).toEqual([
      "call book/deny CLIENT on n1",
      "  load book/deny CLIENT on n1",
      "  turn book/deny SERVER on n1",
    ]);
    expect(traces.named("turn book/deny").attributes["error.type"]).toBe("REJECTED");
  });

  test.each(["later", "remind"] as const)(
    "of what an entity is sent by %s begins a trace",
    async (type) => {
      await using cluster: Books = await TestCluster.start({ ...options, nodes: 1 });
      await cluster.run(cluster.node("n1").entity(Book, "1").send({ type }));
      await cluster.advance("5s");
      expect(traces.drawn).toContain("turn book/write CONSUMER on n1");
      expect(traces.drawn).toContain("  write book/write CLIENT on n1");
    },
  );
});

describe("tries of a call", () => {
  test("to an entity stand beside each other", async () => {
    await using cluster: Books = await TestCluster.start({
      ...options,
      nodes: 2,
      middleware: [refusing],
    });
    const id = await bookOn(cluster, "n2");
    refusals = 2;
    const book = cluster.node("n1").entity(Book, id);
    expect(await cluster.run(book.send({ type: "read" }, { retries: 3 }))).toBe(0);
    const refused = "failed: OVERLOADED";
    expect(traces.drawn.filter((line) => !line.startsWith("hook"))).toEqual([
      "call book/read CLIENT on n1",
      `  link book/read CLIENT on n1 ${refused}`,
      "    load book/read CLIENT on n2",
      `    turn book/read SERVER on n2 ${refused}`,
      `  retry book/read INTERNAL on n1 ${refused}`,
      `    link book/read CLIENT on n1 ${refused}`,
      `      turn book/read SERVER on n2 ${refused}`,
      "  retry book/read INTERNAL on n1",
      "    link book/read CLIENT on n1",
      "      turn book/read SERVER on n2",
    ]);
  });

  test("to a handler go to the other node", async () => {
    await using cluster: Books = await TestCluster.start({
      ...options,
      nodes: 2,
      middleware: [refusing],
    });
    refusals = 1;
    const sku = await bookOn(cluster, "n1");
    expect(await cluster.run(cluster.node("n1").send(Price({ sku })))).toBe(1);
    await cluster.advance("1s");
    const kinds = traces.drawn.map((line) => line.trim().split(" ", 2).join(" "));
    expect(kinds.filter((line) => /price/.test(line)).toSorted()).toEqual([
      "call catalogue.price",
      "link catalogue.price",
      "retry catalogue.price",
      "turn catalogue.price",
      "turn catalogue.price",
    ]);
    // What the handler sends is below its turn.
    const [tree] = traces.trees;
    expect(traces.trees.filter(({ span }) => !span.name.startsWith("hook"))).toEqual([tree!]);
    expect(traces.named("call book/write").parentSpanContext?.traceId).toBe(
      tree!.span.spanContext().traceId,
    );
  });
});

describe("a message with its own name", () => {
  test("and a key is a turn of nobody's entity, on the node of its key", async () => {
    await using cluster: Books = await TestCluster.start({ ...options, nodes: 1 });
    expect(await cluster.run(cluster.node("n1").send(Place({ order: "7" })))).toBe("7");
    expect(traces.drawn).toEqual([
      "call orders.place CLIENT on n1",
      "  turn orders.place SERVER on n1",
    ]);
    const { attributes } = traces.named("turn orders.place");
    expect([attributes["catga.entity"], attributes["catga.id"]]).toEqual([undefined, "7"]);
  });

  test("that goes to all is one tree", async () => {
    await using cluster: Books = await TestCluster.start({ ...options, nodes: 2 });
    await cluster.run(cluster.node("n1").broadcast(Count()));
    expect(traces.drawn.map((line) => line.trimEnd())).toEqual([
      "call catalogue.count CLIENT on n1",
      ...traces.drawn.slice(1),
    ]);
    expect(traces.drawn.slice(1).toSorted()).toEqual([
      "    turn catalogue.count SERVER on n2",
      "  link catalogue.count CLIENT on n1",
      "  turn catalogue.count SERVER on n1",
    ]);
  });
});

test("an event carries its trace to entities and listeners, here and elsewhere", async () => {
  await using cluster: Books = await TestCluster.start({ ...options, nodes: 2 });
  for (const name of cluster.names) {
    cluster.node(name).subscribe(Told, () => Promise.resolve());
  }
  await cluster.advance("1s");
  const id = await bookOn(cluster, "n1");
  await cluster.run(cluster.node("n1").entity(Book, id).send({ type: "tell" }));
  await cluster.advance("1s");
  const tree = traces.trees.find(({ span }) => span.name === "call book/tell")!;
  const own = traces.spans.filter(
    (span) => span.spanContext().traceId === tree.span.spanContext().traceId,
  );
  const publish = traces.named("publish story.told");
  expect(publish.parentSpanContext?.spanId).toBe(
    traces.named("turn book/tell").spanContext().spanId,
  );
  const heard = own.filter(({ name }) => name === "turn story.told");
  const nodes = heard.map(({ attributes }) => attributes["catga.node"]);
  expect(new Set(nodes)).toEqual(new Set(["n1", "n2"]));
  for (const { parentSpanContext } of heard) {
    expect(parentSpanContext?.spanId).toBe(publish.spanContext().spanId);
  }
  expect(own.map(({ name }) => name)).toContain("turn book/story.told");
});

test("a message that waits moves with its entity, and stays in its trace", async () => {
  await using cluster: Books = await TestCluster.start({ ...options, nodes: 1 });
  const caller = await cluster.join("caller", { entities: [], handlers: [] });
  const notes = Array.from({ length: 24 }, (_, n) => caller.entity(Note, `${n}`));
  const waits = notes.map((note) => note.send({ type: "wait" }));
  await cluster.advance("100ms");
  const reads = notes.map((note) => note.send({ type: "read" }));
  await cluster.advance("100ms");
  await cluster.join("n2");
  await cluster.advance("80ms");
  // The shards are sealed and wait; now the turns end.
  gate.resolve();
  await cluster.run(Promise.all([...waits, ...reads]));
  const moved = traces.trees
    .filter(({ span }) => span.name === "call note/read")
    .map((tree) => draw(tree).filter((line) => !line.includes("load")))
    .filter((lines) => lines.at(-1)?.endsWith("n2"));
  expect(moved.length).toBeGreaterThan(0);
  for (const lines of moved) {
    expect(lines.filter((line) => !line.includes("queue note/read INTERNAL on n2"))).toEqual([
      "call note/read CLIENT on caller",
      "  link note/read CLIENT on caller",
      "    queue note/read INTERNAL on n1",
      "    turn note/read SERVER on n2",
    ]);
  }
});
