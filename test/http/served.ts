/** A cluster of one node with an edge on a free port, and entities that go wrong in every way. */
import { gateway, listen, type Problem } from "../../src/http/index.ts";
import {
  Cluster,
  command,
  defineEntity,
  type Logger,
  query,
  type Schema,
} from "../../src/index.ts";

/** Says no to everything. */
const never: Schema<{ readonly n: number }> = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: () => ({ issues: [{ message: "is wrong", path: ["n"] }] }),
  },
};

/** Where `wait` waits; serves once. */
export const gate = {
  entered: Promise.withResolvers<void>(),
  opened: Promise.withResolvers<void>(),
};

/** Behaves. */
export const Account = defineEntity("account", {
  messages: {
    deposit: command<{ amount: number }, number>(),
    close: command(),
    balance: query<void, number>(),
    echo: query<{ readonly [field: string]: unknown }, object>(),
  },
  state: (id) => ({ id, balance: 0 }),
  handlers: {
    deposit: (ctx, { amount }) => (ctx.state.balance += amount),
    close: (ctx) => {
      ctx.state.balance = -1;
    },
    balance: (ctx) => ctx.state.balance,
    echo: (ctx, message) => ({ ...message, id: ctx.id }),
  },
});

/** Fails. */
export const Trouble = defineEntity("trouble", {
  messages: {
    crash: command(),
    leak: query<void, unknown>(),
    burst: query<void, string>(),
    hang: command<void>({ timeout: 50 }),
    wait: command(),
    strict: command({ input: never }),
    loose: query<void, { readonly n: number }>({ reply: never }),
  },
  state: () => ({}),
  mailboxCapacity: 1,
  handlers: {
    crash() {
      throw new Error("the password is hunter2");
    },
    leak: () => ({ hunter2: () => 1 }),
    burst: () => "x".repeat(2_000_000),
    hang: () => new Promise<void>(() => {}),
    wait() {
      gate.entered.resolve();
      return gate.opened.promise;
    },
    strict() {},
    loose: () => ({ n: 1 }),
  },
});

/** Never lives. */
export const Stillborn = defineEntity("stillborn", {
  messages: { ping: query<void, number>() },
  state: () => ({}),
  activated() {
    throw new Error("the password is hunter2");
  },
  handlers: { ping: () => 1 },
});

/** Lives on the node, and is not exposed. */
export const Hidden = defineEntity("hidden", {
  messages: { ping: query<void, number>() },
  state: () => ({}),
  handlers: { ping: () => 1 },
});

/** What the tests hold in their hands. */
export type Served = Awaited<ReturnType<typeof serve>>;

/** Starts everything; `log` hears the edge. */
export async function serve(log?: Logger) {
  const entities = [Account, Trouble, Stillborn, Hidden] as const;
  const cluster = await Cluster.start({ transport: "memory", entities });
  const expose = [Account, Trouble, Stillborn];
  const app = gateway(cluster, log === undefined ? { expose } : { expose, log });
  const { url, port, close } = await listen(app, { port: 0 });
  return {
    cluster,
    port,
    /** Asks for a path. */
    ask: (path: string, init?: RequestInit) => fetch(url + path, init),
    /** Posts a value as JSON. */
    post: (path: string, body: unknown, headers: Record<string, string> = {}) =>
      fetch(url + path, {
        method: "POST",
        headers: { "Content-Type": "application/json", ...headers },
        body: typeof body === "string" ? body : JSON.stringify(body),
      }),
    async stop() {
      await close();
      // One handler never ends.
      await cluster.stop({ deadline: 100 });
    },
  };
}

/** The problem that an answer carries, with the media type it must have. */
export async function problemOf(response: Response): Promise<Problem> {
  const type = response.headers.get("Content-Type");
  if (type !== "application/problem+json") throw new Error(`not a problem: ${type}`);
  return (await response.json()) as Problem;
}

/** The status and the code of an answer that is a problem. */
export async function refusalOf(response: Response): Promise<readonly [number, string]> {
  return [response.status, (await problemOf(response)).code];
}
