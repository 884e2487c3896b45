/**
 * The messages of the fault tests that any node may handle. A handler writes down that it runs
 * before it does anything: whoever is killed in it has run it.
 */
import { appendFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { defineCommand, defineQuery, type Handler, handler } from "../../src/index.ts";
import type { HandlerContext } from "../../src/index.ts";

/** What every message carries. */
export interface Body {
  /** No other message has it, but one that is sent twice on purpose. */
  readonly id: string;
  /** Whose messages stay in order, where the route has a key. */
  readonly lane: string;
  /** So long its handler takes on a node that is well. */
  readonly ms: number;
}

/** What every message is answered with: who ran it, as which of its runs. */
export interface Reply {
  readonly id: string;
  readonly node: string;
  readonly run: number;
}

/** A handler that ran, as its node wrote it down. */
export interface Run extends Reply {
  readonly type: string;
}

/** How long handlers of a node take, compared with a node that is well. */
export interface Pace {
  factor: number;
}

const lane = { strategy: "consistentHash", key: "lane" } as const;

/** Queries, each by another route. */
export const Ask = {
  roundRobin: defineQuery<Body, Reply>("ask.roundRobin"),
  random: defineQuery<Body, Reply>("ask.random", { route: { strategy: "random" } }),
  leastConnections: defineQuery<Body, Reply>("ask.leastConnections", {
    route: { strategy: "leastConnections" },
  }),
  leastLoad: defineQuery<Body, Reply>("ask.leastLoad", { route: { strategy: "leastLoad" } }),
  consistentHash: defineQuery<Body, Reply>("ask.consistentHash", { route: lane }),
  /** Its callers have no patience. */
  short: defineQuery<Body, Reply>("ask.short", { timeout: "300ms" }),
  /** A node runs two at once. */
  narrow: defineQuery<Body, Reply>("ask.narrow", { concurrency: 2 }),
};

/** Commands, each by another route. */
export const Do = {
  roundRobin: defineCommand<Body, Reply>("do.roundRobin"),
  leastConnections: defineCommand<Body, Reply>("do.leastConnections", {
    route: { strategy: "leastConnections" },
  }),
  leastLoad: defineCommand<Body, Reply>("do.leastLoad", { route: { strategy: "leastLoad" } }),
  consistentHash: defineCommand<Body, Reply>("do.consistentHash", { route: lane }),
  once: defineCommand<Body, Reply>("do.once", { idempotency: { key: "id", window: "10m" } }),
};

/** Messages for all nodes. */
export const Vote = {
  majority: defineQuery<Body, Reply>("vote.majority", {
    route: { strategy: "broadcast", quorum: "majority" },
  }),
  all: defineQuery<Body, Reply>("vote.all", { route: { strategy: "broadcast" } }),
};

/** Any of them. */
export type Definition = (typeof Ask)["roundRobin"] | (typeof Do)["roundRobin"];

/** Handlers of all of them, whose runs go to `log`. */
export function createHandlers(log: string, pace: Pace): Handler[] {
  let run = 0;
  const handle = async (type: string, { id, ms }: Body, { node }: HandlerContext) => {
    const reply: Reply = { id, node, run: ++run };
    appendFileSync(log, `${JSON.stringify({ ...reply, type } satisfies Run)}\n`);
    if (ms > 0) await wait(ms * pace.factor);
    return reply;
  };
  const all: readonly Definition[] = [Ask, Do, Vote].flatMap((each) => Object.values(each));
  return all.map((each) =>
    each.kind === "query"
      ? handler(each, (message, context) => handle(each.type, message, context))
      : handler(each, (message, context) => handle(each.type, message, context)),
  );
}
