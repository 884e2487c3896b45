/**
 * What must compile and what must not: the promises of the public types, checked by `tsc` alone
 * (`npm run typecheck`). Each `@ts-expect-error` fails the check as soon as its mistake compiles.
 * Nothing here is ever run.
 */
import {
  Cluster,
  type ClusterOf,
  command,
  defineContract,
  defineEntity,
  query,
  type Schema,
} from "../../src/index.ts";

declare const okSchema: Schema<{ ok: true }>;
declare const lineSchema: Schema<{ sku: string; n: number }>;

/** An entity that talks to its own kind: the messages stand before the handlers. */
export const Account = defineEntity("account", {
  messages: {
    deposit: command<{ amount: number }, number>(),
    transfer: command<{ to: string; amount: number }, "ok" | "insufficient">(),
    balance: query<void, number>(),
    closeIfIdle: command(),
  },
  state: () => ({ balance: 0, log: [] as string[] }),
  idle: "10m",
  reentrant: true,
  handlers: {
    deposit(ctx, m) {
      ctx.state.balance += m.amount;
      return ctx.state.balance;
    },
    async transfer(ctx, m) {
      if (ctx.state.balance < m.amount) return "insufficient";
      ctx.state.balance -= m.amount;
      await ctx.peer(m.to).send({ type: "deposit", amount: m.amount });
      return "ok";
    },
    balance: (ctx) => ctx.state.balance,
    closeIfIdle(ctx) {
      if (ctx.state.balance === 0) ctx.passivate();
    },
  },
});

/** Members may carry schemas; the contract is what a client imports. */
export const CartContract = defineContract("cart", {
  add: command({ input: lineSchema, reply: okSchema }),
  total: query<{ currency: "EUR" | "USD" }, number>(),
});

/** The contract with its code. */
export const Cart = CartContract.implement({
  state: (id) => ({ owner: id, lines: new Map<string, number>() }),
  handlers: {
    add(ctx, m) {
      ctx.state.lines.set(m.sku, (ctx.state.lines.get(m.sku) ?? 0) + m.n);
      return { ok: true };
    },
    total: (ctx, m) => ctx.state.lines.size * (m.currency === "EUR" ? 1 : 1.1),
  },
});

/** A timer's message is one of the entity's own. */
export const Room = defineEntity("room", {
  messages: { join: command<{ user: string }>(), users: query<void, readonly string[]>() },
  state: (id) => ({ title: `Room ${id}`, users: new Set<string>() }),
  handlers: {
    join(ctx, m) {
      ctx.state.users.add(m.user);
      ctx.after("1h", { type: "join", user: "bot" });
    },
    users: (ctx) => [...ctx.state.users],
  },
});

/** What compiles. */
export async function positive(): Promise<void> {
  const cluster = await Cluster.start({ entities: [Account, Room, Cart] });
  await cluster.entity("account", "42").tell({ type: "deposit", amount: 10 });
  const balance: number = await cluster.entity(Account, "42").send({ type: "balance" });
  const account = cluster.entity("account", "42");
  const outcome: "ok" | "insufficient" = await account.send({
    type: "transfer",
    to: "7",
    amount: balance,
  });
  const cart = cluster.entity(CartContract, "42");
  const total: number = await cart.send({ type: "total", currency: "EUR" });
  const { ok }: { ok: true } = await cart.send({ type: "add", sku: "a", n: 1 });
  const room = cluster.entity("room", "lobby");
  const users: readonly string[] = await room.send({ type: "users" }, { timeout: "2s" });
  await use([outcome, total, ok, users]);
  await cluster.stop();
  const caller = await Cluster.start("tcp://127.0.0.1:20000");
  await caller.entity(Account, "1").tell({ type: "closeIfIdle" });
  await using _ = await Cluster.start();
}

declare function use(values: readonly unknown[]): Promise<void>;
declare const cluster: ClusterOf<typeof Account | typeof Room>;

/** What does not: names, payloads and replies. */
export async function negativeCalls(): Promise<void> {
  // @ts-expect-error no such entity
  cluster.entity("acount", "1");
  // @ts-expect-error no such message
  await cluster.entity("account", "1").tell({ type: "deposti", amount: 1 });
  // @ts-expect-error another entity's message
  await cluster.entity("room", "1").tell({ type: "deposit", amount: 1 });
  // @ts-expect-error a field is missing
  await cluster.entity("account", "1").tell({ type: "deposit" });
  // @ts-expect-error a field has another type
  await cluster.entity("account", "1").tell({ type: "deposit", amount: "10" });
  // @ts-expect-error a field that the message does not have
  await cluster.entity("account", "1").tell({ type: "deposit", amount: 1, amonut: 2 });
  // @ts-expect-error a payload where there is none
  await cluster.entity(Account, "1").send({ type: "closeIfIdle", amount: 1 });
  // @ts-expect-error `type` is the tag and may not be a field
  command<{ type: string }>();
  // @ts-expect-error a payload is an object, so that it can grow
  command<string>();
  // @ts-expect-error a member with a schema is checked in the same way
  await cluster.entity(CartContract, "1").tell({ type: "add", sku: "a", n: "1" });
  // @ts-expect-error balance answers with a number
  const text: string = await cluster.entity("account", "1").send({ type: "balance" });
  // @ts-expect-error a command without a reply answers with nothing
  const number: number = await cluster.entity("account", "1").send({ type: "closeIfIdle" });
  // @ts-expect-error an unknown scheme
  await Cluster.start({ transport: "kafka://localhost" });
  // @ts-expect-error an unknown option
  await Cluster.start({ transports: "memory" });
  // @ts-expect-error a unit that does not exist
  await cluster.entity("account", "1").send({ type: "balance" }, { timeout: "60sec" });
  await use([text, number]);
}

const state = (): { v: number } => ({ v: 0 });
const two = { get: query<void, number>(), set: command<{ v: number }>() };

/** What does not: definitions. Never called, so the mistakes in it never happen. */
export function negativeDefinitions(): void {
  // @ts-expect-error one handler is missing
  defineEntity("e", { messages: two, state, handlers: { get: (c) => c.state.v } });
  defineEntity("e", {
    messages: two,
    state,
    handlers: {
      // @ts-expect-error a wrong answer
      get: (c) => String(c.state.v),
      set(c, m) {
        c.state.v = m.v;
      },
    },
  });
  defineEntity("e", {
    messages: two,
    state,
    handlers: {
      // @ts-expect-error a query must not write
      get: (c) => (c.state.v = 1),
      set(c, m) {
        // @ts-expect-error no such field in the state
        c.state.w = m.v;
      },
    },
  });
  defineEntity("e", {
    messages: two,
    state,
    handlers: {
      get: (c) => c.state.v,
      set(c, m) {
        c.state.v = m.v;
      },
      // @ts-expect-error a handler nobody can reach
      unset() {},
    },
  });
  defineEntity("e", {
    messages: two,
    state,
    handlers: {
      get: (c) => c.state.v,
      async set(c, m) {
        // @ts-expect-error a timer for a message the entity does not have
        c.after("1m", { type: "sett", v: m.v });
        // @ts-expect-error a message to another entity of the same kind
        await c.peer("2").tell({ type: "set", w: 1 });
        // @ts-expect-error a message of another entity
        await c.entity(Room, "1").tell({ type: "deposit", amount: 1 });
      },
    },
  });
}
