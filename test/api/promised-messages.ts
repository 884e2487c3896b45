/**
 * What must compile and what must not of messages with a name of their own, as `promised-types.ts`
 * has it for entities. Nothing here is ever run.
 */
import {
  type CallOptions,
  Cluster,
  type ClusterOf,
  command,
  defineCommand,
  defineContract,
  defineEntity,
  defineEvent,
  defineQuery,
  handler,
  invalidate,
  type KeyOf,
  type NodeLoad,
  query,
  type Route,
  type Schema,
} from "../../src/index.ts";

interface Order {
  readonly id: string;
  readonly total: number;
}

declare const okSchema: Schema<{ ok: true }>;
declare const orderSchema: Schema<{ orderId: string; note: string }>;

/** An entity that messages are bound to, and that sends some. */
export const Account = defineEntity("account", {
  messages: { deposit: command<{ account: string; amount: number }, number>() },
  state: () => ({ balance: 0 }),
  handlers: {
    async deposit(ctx, { account, amount }) {
      const order: Order = await ctx.send(GetOrder({ orderId: account }), { timeout: "1s" });
      ctx.state.balance += amount;
      return ctx.state.balance + order.total;
    },
  },
});

/** An event, with a key and without. */
export const OrderPaid = defineEvent<{ orderId: string }>("orders.paid", { key: "orderId" });
/** An event that carries nothing. */
export const Closed = defineEvent("shop.closed");
/** A command with a key, which runs once. */
export const PlaceOrder = defineCommand<
  { orderId: string; lines: readonly { sku: string; n: number }[] },
  { accepted: boolean }
>("orders.place", {
  route: { strategy: "consistentHash", key: (m) => m.orderId },
  idempotency: { key: "orderId", window: "10m" },
  fallback: (m) => ({ accepted: m.lines.length > 0 }),
  concurrency: 10,
  timeout: "5s",
});
/** A query whose answers are kept. */
export const GetOrder = defineQuery<{ orderId: string; lang?: string }, Order>("orders.get", {
  route: { strategy: "consistentHash", key: "orderId" },
  cache: {
    ttl: 60_000,
    key: "orderId",
    scope: "cluster",
    staleWhileRevalidate: "1s",
    invalidatedBy: [PlaceOrder, invalidate(OrderPaid, "orderId"), invalidate(OrderPaid, keyOf)],
  },
});
/** A query of all nodes. */
export const Ping = defineQuery<void, { at: number }>("ops.ping", {
  route: { strategy: "broadcast", quorum: "majority" },
});
/** The same with a schema: payload and reply come from it. */
export const NoteOrder = defineCommand("orders.note", {
  input: orderSchema,
  reply: okSchema,
  route: { strategy: "consistentHash", key: (m) => m.orderId },
});
/** A message of an entity. */
export const Deposit = defineCommand<{ account: string; amount: number }, number>("deposit", {
  route: { strategy: "entity", entity: Account, key: "account" },
});
/** Neither payload nor reply. */
export const Tick = defineCommand("tick");
/** A numeric key. */
export const Numbered = defineCommand<{ n: number; big: bigint }>("numbered", {
  route: { strategy: "consistentHash", key: "n" },
  idempotency: { key: "big", window: 1_000 },
});
/** Chosen by a function. */
export const Chosen = defineQuery<void, string>("chosen", {
  route: { strategy: "custom", balancer: (candidates) => candidates[0] as NodeLoad },
});
/** By every strategy that takes nothing. */
export const routes: readonly Route<{ id: string }>[] = [
  { strategy: "roundRobin" },
  { strategy: "random" },
  { strategy: "leastConnections" },
  { strategy: "leastLoad" },
  { strategy: "localFirst" },
  { strategy: "localFirst", fallback: "roundRobin" },
  { strategy: "localFirst", fallback: "leastLoad" },
  { strategy: "localFirst", fallback: "fail" },
  { strategy: "broadcast" },
  { strategy: "broadcast", quorum: 2 },
];
/** Keys as users may keep them. */
export const keys: readonly KeyOf<{ id: string; n: number; list: string[] }>[] = ["id", "n", keyOf];

function keyOf(): string {
  return "always";
}

const handlers = [
  handler(PlaceOrder, async (m, ctx) => {
    ctx.log.info({ lines: m.lines.length, at: ctx.node }, "place");
    if (ctx.signal.aborted) return { accepted: false };
    await ctx.entity(Account, m.orderId).send({ type: "deposit", account: "1", amount: 1 });
    return { accepted: m.lines.length > 0 };
  }),
  handler(GetOrder, (m) => ({ id: m.orderId, total: 1 })),
  handler(Ping, () => ({ at: 1 })),
  handler(NoteOrder, (m) => ({ ok: m.note.trim() !== "" || true })),
  handler(Tick, () => {}),
  handler(OrderPaid, async (m) => void m.orderId),
];

/** What compiles. */
export async function positive(options: CallOptions): Promise<void> {
  const cluster = await Cluster.start({
    transport: "memory",
    entities: [Account],
    handlers,
    failover: { maxRetries: 3, retryDelay: "50ms", circuitBreakerThreshold: 5 },
  });
  const { accepted } = await cluster.send(PlaceOrder({ orderId: "o1", lines: [] }), options);
  const order: Order = await cluster.send(GetOrder({ orderId: "o1" }), { retries: 2 });
  const pongs = await cluster.broadcast(Ping());
  for (const pong of pongs) {
    const what: string | number = pong.ok ? pong.reply.at : pong.code;
    await use([what, pong.node]);
  }
  const done: { ok: true } = await cluster.send(NoteOrder({ orderId: "o1", note: "x" }));
  const balance: number = await cluster.send(Deposit({ account: "1", amount: 1 }));
  const nothing: void = await cluster.tell(Tick());
  const plain: unknown = await cluster.send({ type: "orders.get", orderId: "o1" });
  await use([accepted, order, done, balance, nothing, plain, GetOrder.type, Ping.kind]);
  await cluster.publish(OrderPaid({ orderId: "o1" }));
  const unsubscribe: () => void = cluster.subscribe(OrderPaid, (m) => void m.orderId.length);
  unsubscribe();
  cluster.on("circuit-opened", ({ node, message }) => [node, message].join());
}

declare function use(values: readonly unknown[]): Promise<void>;
declare const cluster: ClusterOf<typeof Account>;

/** What does not: payloads and replies. */
export async function negativeCalls(): Promise<void> {
  // @ts-expect-error `type` is the tag and may not be a field
  defineCommand<{ type: string }>("x");
  // @ts-expect-error a payload is an object, so that it can grow
  defineCommand<string>("x");
  // @ts-expect-error the same for a query
  defineQuery<number, string>("x");
  // @ts-expect-error the same for an event
  defineEvent<string>("x");
  // @ts-expect-error the constructor checks too
  PlaceOrder({ orderId: 1, lines: [] });
  // @ts-expect-error a field is missing
  PlaceOrder({ orderId: "1" });
  // @ts-expect-error a payload where there is none
  Tick({ n: 1 });
  // @ts-expect-error none where there is one
  GetOrder();
  // @ts-expect-error a payload against the schema
  NoteOrder({ orderId: "1", note: 1 });
  // @ts-expect-error the reply of a routed message
  const placed: { accepted: string } = await cluster.send(PlaceOrder({ orderId: "o", lines: [] }));
  // @ts-expect-error a command without a reply answers with nothing
  const ticked: number = await cluster.send(Tick());
  // @ts-expect-error what was told is not answered
  const told: Order = await cluster.tell(GetOrder({ orderId: "o" }));
  // @ts-expect-error a node that failed has no reply
  const [at] = (await cluster.broadcast(Ping())).map((pong) => pong.reply);
  // @ts-expect-error a unit that does not exist
  await cluster.send(Tick(), { timeout: "60sec" });
  // @ts-expect-error a query is not published
  await cluster.publish(GetOrder({ orderId: "o" }));
  // @ts-expect-error a command is not subscribed to
  cluster.subscribe(Tick, () => {});
  // @ts-expect-error an unknown event
  cluster.on("circuit-broken", () => {});
  // @ts-expect-error no message
  await cluster.send({ orderId: "o" });
  await use([placed, ticked, told, at]);
}

/** What does not: routes and keys. */
export function negativeRoutes(): void {
  defineCommand<{ orderId: string }>("x", {
    // @ts-expect-error no such field: did you mean "orderId"?
    route: { strategy: "consistentHash", key: "orderID" },
  });
  defineCommand<{ orderId: string }>("x", {
    // @ts-expect-error no such field, in a function
    route: { strategy: "consistentHash", key: (m) => m.orderID },
  });
  // @ts-expect-error a list is no key
  defineCommand<{ lines: string[] }>("x", { route: { strategy: "consistentHash", key: "lines" } });
  // @ts-expect-error an optional field is no key
  defineCommand<{ id?: string }>("x", { route: { strategy: "consistentHash", key: "id" } });
  // @ts-expect-error the key function may return nothing
  defineCommand<{ id?: string }>("x", { route: { strategy: "consistentHash", key: (m) => m.id } });
  // @ts-expect-error consistentHash needs a key
  defineCommand<{ orderId: string }>("x", { route: { strategy: "consistentHash" } });
  // @ts-expect-error roundRobin takes none
  defineCommand<{ orderId: string }>("x", { route: { strategy: "roundRobin", key: "orderId" } });
  // @ts-expect-error local first takes none
  defineCommand<{ id: string }>("x", { route: { strategy: "localFirst", key: "id" } });
  // @ts-expect-error no such strategy
  defineCommand<{ id: string }>("x", { route: { strategy: "consistantHash", key: "id" } });
  // @ts-expect-error a message without fields has no key
  defineCommand("x", { route: { strategy: "consistentHash", key: "orderId" } });
  defineCommand("x", {
    input: orderSchema,
    // @ts-expect-error the key is checked against the schema's type too
    route: { strategy: "consistentHash", key: "orderID" },
  });
  // @ts-expect-error no such quorum
  defineQuery<void, string>("x", { route: { strategy: "broadcast", quorum: "most" } });
  // @ts-expect-error no such fallback
  defineQuery<void, string>("x", { route: { strategy: "localFirst", fallback: "random" } });
  // @ts-expect-error a balancer is missing
  defineQuery<void, string>("x", { route: { strategy: "custom" } });
  // @ts-expect-error a balancer returns one of them
  defineQuery<void, string>("x", { route: { strategy: "custom", balancer: () => "n1" } });
  // @ts-expect-error an entity is missing
  defineQuery<{ id: string }, string>("x", { route: { strategy: "entity", key: "id" } });
  // @ts-expect-error no such field of an event
  defineEvent<{ id: string }>("x", { key: "ID" });
  // @ts-expect-error an idempotency key is one of the fields
  defineCommand<{ id: string }>("x", { idempotency: { key: "ID", window: 1 } });
  // @ts-expect-error an idempotency has a window
  defineCommand<{ id: string }>("x", { idempotency: { key: "id" } });
  // @ts-expect-error a query runs as often as it likes
  defineQuery<{ id: string }, string>("x", { idempotency: { key: "id", window: 1 } });
  // @ts-expect-error a fallback answers as the handler does
  defineQuery<{ id: string }, string>("x", { fallback: () => 1 });
}

/** What does not: caches. */
export function negativeCaches(): void {
  // @ts-expect-error only a query can be cached
  defineCommand<{ id: string }, number>("x", { cache: { ttl: 1 } });
  // @ts-expect-error a message, not its name
  defineQuery<{ id: string }, number>("x", { cache: { ttl: 1, invalidatedBy: ["orders.place"] } });
  // @ts-expect-error the field belongs to the other message
  invalidate(OrderPaid, "id");
  // @ts-expect-error a unit that does not exist
  defineQuery<{ id: string }, number>("x", { cache: { ttl: "60sec" } });
  // @ts-expect-error a key is a field
  defineQuery<{ id: string }, number>("x", { cache: { ttl: 1, key: "ID" } });
  // @ts-expect-error no such scope
  defineQuery<{ id: string }, number>("x", { cache: { ttl: 1, scope: "node" } });
}

/** What does not: handlers. */
export async function negativeHandlers(): Promise<void> {
  // @ts-expect-error a handler's answer
  handler(GetOrder, (m) => ({ id: m.orderId, total: "x" }));
  // @ts-expect-error an event is published, it has no answer to wait for
  handler(OrderPaid, () => 1);
  // @ts-expect-error no such field of the message
  handler(GetOrder, (m) => ({ id: m.ID, total: 1 }));
  // @ts-expect-error there is no state
  handler(Tick, (_, ctx) => ctx.state);
  // @ts-expect-error a message that has a name of its own, not one of an entity
  handler(query<void, string>(), () => "");
  // @ts-expect-error a message, not an entity
  handler(Account, () => {});
  // @ts-expect-error a handler is made by handler(…)
  await Cluster.start({ handlers: [PlaceOrder] });
  // @ts-expect-error no such option
  await Cluster.start({ failover: { retries: 3 } });
}

/** A contract may have messages with a name of their own among its messages. */
export const Shop = defineContract("shop", { note: NoteOrder });
