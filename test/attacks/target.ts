/**
 * What is attacked: a node with an edge, in a process of its own, on any runtime. It prints its
 * port as one line of JSON, and answers each line that it reads with what it is like, after
 * `collect` when all garbage is collected. It ends with its stdin.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { bearer, gateway, listen } from "../../src/http/index.ts";
import {
  Cluster,
  command,
  defineCommand,
  defineEntity,
  defineEvent,
  handler,
  query,
} from "../../src/index.ts";
import { APP, SECRET, STREAMS, TOKENS } from "./known.ts";

/** How a process is. */
export interface Figures {
  readonly heapBytes: number;
  readonly rssBytes: number;
  /** Commands that entities have run, and those of `vault` among them, which nobody may. */
  readonly ran: number;
  readonly ranForbidden: number;
  /** What a failing request may not change. */
  readonly isPolluted: boolean;
}

let ran = 0;
let ranForbidden = 0;

const Noise = defineEvent<{ text: string }>("noise");

const Account = defineEntity("account", {
  messages: {
    deposit: command<{ amount?: number }, number>(),
    balance: query<void, number>(),
    echo: query<{ readonly [field: string]: unknown }, object>(),
    crash: command(),
    deep: query<void, unknown>(),
    shout: query<void, void>(),
  },
  state: () => ({ balance: 0 }),
  handlers: {
    deposit(ctx, { amount = 1 }) {
      ran += 1;
      return (ctx.state.balance += amount);
    },
    balance: (ctx) => ctx.state.balance,
    echo: (ctx, message) => ({ ...message, id: ctx.id }),
    crash() {
      throw new Error(`the password is ${SECRET}`);
    },
    shout: (ctx) => ctx.publish(Noise({ text: "x".repeat(4_000) })),
    deep() {
      let value: unknown = 1;
      for (let level = 0; level < 100_000; level++) value = [value];
      return value;
    },
  },
});

/** Nobody who attacks may run it. */
function forbidden<const N extends string>(name: N) {
  return defineEntity(name, {
    messages: { open: command<void, string>() },
    state: () => ({}),
    handlers: {
      open() {
        ranForbidden += 1;
        return SECRET;
      },
    },
  });
}
const Vault = forbidden("vault");
/** Lives here, and is not exposed. */
const Hidden = forbidden("hidden");

const Greet = defineCommand<{ name?: string }, string>("greet");

const cluster = await Cluster.start({
  transport: "memory",
  entities: [Account, Vault, Hidden],
  handlers: [handler(Greet, ({ name }) => `Hello ${name}`)],
});
const app = gateway(cluster, {
  expose: [Account, Vault, Greet, Noise],
  auth: bearer(TOKENS),
  authorize: ({ subject }, { entity }) => entity !== "vault" || subject === "nobody",
  cors: { origins: [APP] },
  limits: { streamsMax: STREAMS, streamsPerIdentityMax: STREAMS },
});
const { port } = await listen(app, { port: 0 });
console.log(JSON.stringify({ port }));

for await (const line of createInterface({ input: process.stdin })) {
  if (line === "collect") collect();
  const { heapUsed, rss } = process.memoryUsage();
  const isPolluted = "polluted" in {};
  const figures: Figures = { heapBytes: heapUsed, rssBytes: rss, ran, ranForbidden, isPolluted };
  console.log(JSON.stringify(figures));
}
process.exit(0);

function collect(): void {
  const world = globalThis as { Bun?: { gc(isSync: boolean): void }; gc?: () => void };
  for (let round = 0; round < 3; round++) {
    world.Bun?.gc(true);
    world.gc?.();
  }
}
