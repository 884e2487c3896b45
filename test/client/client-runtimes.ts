/**
 * A client against the edges of two nodes, over sockets; for runtimes without a test framework.
 *
 *   node test/client/client-runtimes.ts
 *   deno run -A test/client/client-runtimes.ts
 *   bun test/client/client-runtimes.ts
 *
 * It prints one line and exits with 0, or fails.
 */
import { deepEqual, equal, rejects } from "node:assert/strict";
import process from "node:process";
import { createClient, isClientError } from "../../src/client/index.ts";
import { gateway, listen } from "../../src/http/index.ts";
import {
  Cluster,
  command,
  defineCommand,
  defineEntity,
  defineQuery,
  handler,
  query,
  Rejection,
} from "../../src/index.ts";

const Account = defineEntity("account", {
  messages: {
    deposit: command<{ amount: number }, number>(),
    withdraw: command<{ amount: number }, number>(),
    close: command(),
    hang: command(),
    balance: query<void, number>(),
    echo: query<{ value: unknown }, unknown>(),
  },
  state: () => ({ balance: 0 }),
  handlers: {
    deposit: (ctx, { amount }) => (ctx.state.balance += amount),
    withdraw(ctx, { amount }) {
      if (amount > ctx.state.balance) throw new Rejection("INSUFFICIENT_FUNDS");
      return (ctx.state.balance -= amount);
    },
    close: () => {},
    hang: () => new Promise<void>(() => {}),
    balance: (ctx) => ctx.state.balance,
    echo: (_, { value }) => value,
  },
});
const Double = defineQuery<{ n: number }, number>("double");
const Note = defineCommand<{ text: string }>("note");
const Who = defineCommand<void, string>("who", { route: { strategy: "broadcast" } });

const notes: string[] = [];
const cluster = await Cluster.start({
  transport: "memory",
  entities: [Account],
  handlers: [
    handler(Double, ({ n }) => n * 2),
    handler(Note, ({ text }) => void notes.push(text)),
    handler(Who, (_, ctx) => ctx.node),
  ],
});
const auth = (request: Request): { subject: string } | undefined =>
  request.headers.get("Authorization") === "Bearer secret" ? { subject: "ada" } : undefined;
const expose = [Account, Double, Note, Who];
const edges = await Promise.all(
  [1, 2].map(() => listen(gateway(cluster, { expose, auth }), { port: 0 })),
);

const url = edges.map((edge) => edge.url);
const api = createClient({ url, token: () => "secret" });
const account = api.entity(Account, "a/b \u00e4%2F");
equal(await account.send({ type: "deposit", amount: 10 }), 10);
equal(await account.tell({ type: "deposit", amount: 10 }), undefined);
equal(await account.send({ type: "close" }), undefined);
equal(await account.send({ type: "balance" }), 20);
const value = { text: "\u00e4 \ud83d\ude00", list: [1, null, { deep: true }] };
deepEqual(await account.send({ type: "echo", value }), value);
equal(await account.send({ type: "echo", value: null }), null);
equal(await account.send({ type: "echo", value: "x".repeat(100_000) }), "x".repeat(100_000));

const keyed = { idempotencyKey: "k 1" };
equal(await account.send({ type: "deposit", amount: 5 }, keyed), 25);
equal(await account.send({ type: "deposit", amount: 5 }, keyed), 25);
equal(await account.send({ type: "deposit", amount: 5 }, { retries: 2 }), 30);

equal(await api.send(Double({ n: 4 })), 8);
await api.send(Note({ text: "a" }));
await api.tell(Note({ text: "b" }));
deepEqual(notes, ["a", "b"]);
const { nodeId: node } = cluster;
deepEqual(await api.broadcast(Who()), [{ node, ok: true, reply: node }]);

await fails(account.send({ type: "withdraw", amount: 99 }), "INSUFFICIENT_FUNDS", 409);
await fails(
  api.entity<typeof Account>("account", "\u0001").send({ type: "balance" }),
  "INVALID_ID",
  400,
);
await fails(createClient({ url, token: "wrong" }).send(Double({ n: 1 })), "UNAUTHENTICATED", 401);
await fails(account.send({ type: "hang" }, { timeout: 100 }), "CALL_TIMEOUT");
const signal = AbortSignal.timeout(1);
await fails(account.send({ type: "hang" }, { signal }), "CANCELLED");

// An edge that is gone is left for the other one, whichever a client begins with.
await edges[0]?.close();
const others = Array.from({ length: 8 }, () => createClient({ url, token: "secret" }));
deepEqual(await Promise.all(others.map((each) => each.send(Double({ n: 2 })))), Array(8).fill(4));
await edges[1]?.close();
await fails(api.send(Double({ n: 1 }), { retries: 1 }), "NETWORK_FAILED");
await cluster.stop({ deadline: 100 });

const { bun, deno, node: version } = process.versions as Record<string, string | undefined>;
const runtime = bun ? `Bun ${bun}` : deno ? `Deno ${deno}` : `Node.js ${version}`;
console.log(`The client calls on ${runtime}`);
process.exit(0);

function fails(promise: Promise<unknown>, code: string, status?: number): Promise<void> {
  return rejects(promise, (error) => {
    equal(isClientError(error) ? error.code : error, code);
    return isClientError(error) && error.status === status;
  });
}
