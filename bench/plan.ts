/** The parts of the bench and the processes each consists of, in the order they run. */

/** A process to run: a file of `bench` and what it is told. */
export interface Case {
  readonly file: string;
  readonly args: readonly string[];
}

/** A part, as it is named on the command line. */
export type Part = keyof typeof PLAN;

const PLAN = {
  codec: [{ file: "cases/codec.ts", args: [] }],
  local: [
    ...["send", "tell", "send-async", "query", "sync-floor"].map((name) => ({
      file: "cases/local.ts",
      args: [name],
    })),
    { file: "cases/local-counted.ts", args: [] },
  ],
  tracing: [{ file: "cases/tracing.ts", args: [] }],
  metrics: [{ file: "cases/metrics.ts", args: [] }],
  cache: [{ file: "cases/cache.ts", args: [] }],
  mediator: [
    ...["send", "guarded", "keyed", "cached"].map((name) => ({
      file: "cases/mediator-local.ts",
      args: [name],
    })),
    { file: "cases/mediator-nats.ts", args: [] },
    { file: "cases/mediator-broadcast.ts", args: [] },
  ],
  embedded: [{ file: "cases/embedded.ts", args: [] }],
  nats: overBroker("nats"),
  redis: overBroker("redis"),
  edge: ["local", "nats"].map((where) => ({ file: "cases/edge.ts", args: [where] })),
  memory: [
    { file: "cases/memory-idle.ts", args: ["embedded"] },
    { file: "cases/memory-entities.ts", args: [] },
  ],
  start: [{ file: "cases/start.ts", args: ["embedded"] }],
  handoff: [{ file: "cases/handoff.ts", args: [] }],
  balance: [{ file: "cases/balance.ts", args: [] }],
  state: [
    { file: "cases/store.ts", args: [] },
    ...["sqlite", "nats", "redis"].flatMap((store) =>
      ["writes", "load", "reminders"].map((name) => ({
        file: `cases/state-${name}.ts`,
        args: [store],
      })),
    ),
    { file: "cases/state-memory.ts", args: [] },
    ...["nats", "redis"].map((broker) => ({ file: "cases/state-scans.ts", args: [broker] })),
  ],
  streams: [{ file: "cases/streams.ts", args: [] }],
  scale: [
    { file: "cases/ring.ts", args: [] },
    { file: "cases/scale.ts", args: [] },
  ],
} satisfies Readonly<Record<string, readonly Case[]>>;

function overBroker(kind: "nats" | "redis"): readonly Case[] {
  const cases = ["broker-send", "start", "broker-gap", "memory-idle", "broker-scale"];
  return cases.map((name) => ({ file: `cases/${name}.ts`, args: [kind] }));
}

/** All parts. */
export const PARTS = Object.keys(PLAN) as Part[];

/** What `part` consists of. */
export function casesOf(part: Part): readonly Case[] {
  return PLAN[part];
}

/** True for the name of a part. */
export function isPart(name: string): name is Part {
  return Object.hasOwn(PLAN, name);
}
