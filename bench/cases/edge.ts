/**
 * The edge: `edge.ts <local|nats>` posts messages through it to entities of this process, or to
 * those of another one over NATS, where this process hosts none. The floor is a bare Hono app
 * behind the same `listen` in this process, which reads the same body and answers the same.
 *
 * One process of its own asks both in turns over 64 connections: bodies and answers of about 90
 * bytes, 1,000 entities. Then half of what the edge could do, in an open loop.
 */
import process from "node:process";
import { Hono } from "hono";
import { runtimeOf } from "../../src/base/runtime.ts";
import { gateway, listen } from "../../src/http/index.ts";
import { Cluster } from "../../src/index.ts";
import { Broker } from "../broker.ts";
import { Child, startHelper } from "../child.ts";
import { atLeast, type Figure, rateFigure } from "../figure.ts";
import { contest, type Load } from "../measure/contest.ts";
import { effort } from "../measure/effort.ts";
import { median, percentile } from "../measure/statistics.ts";
import { say } from "../parent.ts";
import { newClusterName } from "../processes/cluster-name.ts";
import { Echo, EchoContract, type Payload } from "../processes/echo.ts";
import type { HttpLoad } from "../processes/http-load.ts";

const GOALS = { local: 0.6, nats: 0.4 } as const;
/** Of the open loop: seconds, for a hundredth of them must be many calls. */
const HALF_LOAD_ROUNDS = 5;
const HALF_LOAD_PART = 3;
const PATH = "/entities/echo/*/echo";

const where = process.argv[2] as keyof typeof GOALS;
const whole = effort();

const bare = new Hono().post("/entities/:name/:id/:type", async (c) => {
  const { from, to, amount, text } = await c.req.json<Payload>();
  return c.json({ from, to, amount, text });
});

await using broker = where === "nats" ? await Broker.start("nats") : undefined;
const name = newClusterName();
await using owner = broker && startHelper("processes/broker-owner.ts", broker.url, name);
await owner?.next();
await using cluster = await Cluster.start({
  ...(broker === undefined
    ? { transport: "memory", entities: [Echo] }
    : { transport: broker.url, name }),
  heartbeat: "normal",
});
await using edge = await listen(gateway(cluster, { expose: [EchoContract] }), { port: 0 });
await using floor = await listen(bare, { port: 0 });
// Bun's sockets cost least, whichever runtime answers.
await using caller = new Child({ runtime: "bun", file: "processes/http-load.ts" });

const outcome = await contest({ subject: loadOf(edge.port), floor: loadOf(floor.port) }, whole);
say(
  rateFigure(`edge POST, ${where}, ÷ bare Hono`, outcome, [
    atLeast(outcome.ratio, GOALS[where], "× floor"),
  ]),
);
await half(outcome.subject.opsPerSecond / 2);

function loadOf(port: number): Load {
  return async (count, latenciesMs) => {
    for (const latencyMs of await asked({ port, path: PATH, count })) latenciesMs.push(latencyMs);
  };
}

async function asked(load: HttpLoad): Promise<readonly number[]> {
  caller.tell(JSON.stringify(load));
  const { latenciesMs } = (await caller.next()) as { readonly latenciesMs: readonly number[] };
  return latenciesMs;
}

/** Says how slow the slowest hundredth is at `perSecond`, beside the floor at the same load. */
async function half(perSecond: number): Promise<void> {
  const count = Math.round((perSecond * whole.roundMs * HALF_LOAD_PART) / 1_000);
  const sides = [edge, floor].map(({ port }) => ({
    port,
    p50s: [] as number[],
    p99s: [] as number[],
  }));
  for (let round = 0; round <= HALF_LOAD_ROUNDS; round++) {
    for (const { port, p50s, p99s } of sides) {
      const latenciesMs = await asked({ port, path: PATH, count, perSecond });
      // The first round finds its pace.
      if (round === 0) continue;
      p50s.push(percentile(latenciesMs, 0.5) * 1_000);
      p99s.push(percentile(latenciesMs, 0.99) * 1_000);
    }
  }
  const [subject, beside] = sides.map(({ p50s, p99s }) => ({
    p50: median(p50s),
    p99: median(p99s),
  }));
  say({
    name: `edge POST, ${where}, ${Math.round(perSecond / 100) / 10}k/s (half), p99`,
    runtime: `${runtimeOf().name} ${runtimeOf().version}`,
    unit: "µs",
    ops: subject!.p99,
    p50Us: subject!.p50,
    p99Us: subject!.p99,
    n: count * HALF_LOAD_ROUNDS,
    floor: beside!.p99,
    ratio: median(sides[0]!.p99s.map((p99, i) => p99 / sides[1]!.p99s[i]!)),
    goals: [],
  } satisfies Figure);
}
