/**
 * A limit for each user at the edges of a cluster: an entity counts, so it holds whichever node is
 * asked. Each edge asks it before it lets a request in.
 *
 * `npx bun examples/18-rate-limit-at-the-edge.ts` prints:
 *
 *     ada, at two edges by turns: 200 200 200 429 429 429
 *     what she is told: try again in 60 seconds, code OVERLOADED
 *     bob: 200
 *     nobody: 401
 */
import process from "node:process";
import { Hono } from "hono";
import { bearer, gateway, listen } from "../src/http/index.ts";
import { Cluster, command, defineEntity, query } from "../src/index.ts";

/** Requests at once, and one more every so often. */
const CAPACITY = 3;
const REFILL_MS = 60_000;

const Limiter = defineEntity("limiter", {
  // The milliseconds to wait; 0 for who may go on.
  messages: { take: command<void, number>() },
  persistence: "none",
  state: () => ({ fullMs: 0 }),
  idle: CAPACITY * REFILL_MS,
  handlers: {
    take({ state }) {
      const nowMs = Date.now();
      const fullMs = Math.max(state.fullMs, nowMs) + REFILL_MS;
      const waitMs = fullMs - nowMs - CAPACITY * REFILL_MS;
      if (waitMs <= 0) state.fullMs = fullMs;
      return Math.max(0, waitMs);
    },
  },
});

const Clock = defineEntity("clock", {
  messages: { tick: query<void, string>() },
  state: () => ({}),
  handlers: { tick: () => "tock" },
});

const name = `edges-${process.pid}`;
const entities = [Limiter, Clock] as const;
// Tokens stand in the environment; these are for the example.
const auth = bearer({ ada: "a-token-of-ada-0123", bob: "a-token-of-bob-0123" });

/** A node with an edge; whoever it does not know costs no entity anything. */
async function serve(nodeId: string) {
  const cluster = await Cluster.start({ name, nodeId, entities });
  const app = new Hono();
  app.use("/entities/*", async (c, next) => {
    const who = await auth(c.req.raw);
    if (who === undefined) return next();
    const waitMs = await cluster.entity(Limiter, who.subject).send({ type: "take" });
    if (waitMs === 0) return next();
    c.header("Retry-After", String(Math.ceil(waitMs / 1_000)));
    return c.json({ code: "OVERLOADED", retryable: true }, 429);
  });
  // The limiter itself is not exposed: nobody outside empties the bucket of somebody else.
  app.route("/", gateway(cluster, { expose: [Clock], auth }));
  return { cluster, edge: await listen(app, { port: 0 }) };
}

const nodes = [await serve("left"), await serve("right")];
const ask = (node: number, token: string) =>
  fetch(`${nodes[node % 2]!.edge.url}/entities/clock/1/tick`, {
    headers: { Authorization: `Bearer ${token}` },
  });

const answers: Response[] = [];
for (let turn = 0; turn < 6; turn++) answers.push(await ask(turn, "a-token-of-ada-0123"));
console.log(`ada, at two edges by turns: ${answers.map(({ status }) => status).join(" ")}`);
const refused = answers.at(-1)!;
const { code } = (await refused.json()) as { code: string };
const seconds = refused.headers.get("Retry-After");
console.log(`what she is told: try again in ${seconds} seconds, code ${code}`);
console.log(`bob: ${(await ask(0, "a-token-of-bob-0123")).status}`);
console.log(`nobody: ${(await ask(0, "a-token-of-nobody-01")).status}`);

for (const { edge, cluster } of nodes) {
  await edge.close();
  await cluster.stop();
}
