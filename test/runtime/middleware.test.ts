/** Middleware around the handlers of entities: in which order it runs, and what it may break. */
import { afterEach, describe, expect, test } from "bun:test";
import { memory } from "../../src/drivers/memory/index.ts";
import {
  CatgaError,
  Cluster,
  type ClusterOf,
  command,
  defineEntity,
  type Middleware,
  query,
  type Schema,
} from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";
import { failureOf, stopAll, stopped } from "../drivers/nodes.ts";

afterEach(stopAll);

/** A payload, or a reply, whose field `n` is a number. */
const numbered: Schema<{ n: number }> = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: (value) =>
      typeof (value as { n?: unknown }).n === "number"
        ? { value }
        : { issues: [{ message: "n must be a number" }] },
  },
};

const said: string[] = [];
const noting =
  (name: string): Middleware =>
  async ({ target, type, id }, next) => {
    said.push(`${name} before ${target}/${id} ${type}`);
    try {
      return await next();
    } finally {
      said.push(`${name} after`);
    }
  };

const broken: Middleware = () => {
  throw new Error("broken");
};
const twice: Middleware = async (_, next) => [await next(), await next()];
const hasty: Middleware = async ({ type }, next) => {
  if (type !== "slow") return next();
  next().catch(() => {});
  return -1;
};

function tallyWith(middleware: readonly Middleware[] = []) {
  return defineEntity("tally", {
    messages: {
      add: command({ input: numbered, reply: numbered }),
      slow: command<{ turn: number }, number>(),
      fail: command(),
      get: query<void, number>(),
      later: command(),
    },
    state: () => ({ n: 0 }),
    middleware,
    handlers: {
      add(ctx, { n }) {
        said.push("the handler");
        ctx.state.n += n;
        return { n: ctx.state.n };
      },
      async slow(ctx, { turn }) {
        said.push(`turn ${turn} begins`);
        for (let n = 0; n < 20; n++) await Promise.resolve();
        said.push(`turn ${turn} ends`);
        return ctx.state.n;
      },
      fail() {
        throw new Error("the handler's own");
      },
      get: (ctx) => ctx.state.n,
      later(ctx) {
        ctx.after(1, { type: "add", n: 5 });
      },
    },
  });
}
type Tally = ReturnType<typeof tallyWith>;

async function start(ofEntity: Middleware[], ofCluster: Middleware[] = []) {
  said.length = 0;
  const entities = [tallyWith(ofEntity)] as const;
  const options = { transport: memory(), middleware: ofCluster, entities };
  const cluster: ClusterOf<Tally> = await stopped(Cluster.start(options));
  return cluster.entity("tally", "a");
}

describe("middleware", () => {
  test("runs the cluster's first, then the entity's, each in the order of its list", async () => {
    const tally = await start([noting("c"), noting("d")], [noting("a"), noting("b")]);
    expect(await tally.send({ type: "add", n: 2 })).toEqual({ n: 2 });
    expect(said).toEqual([
      ...["a", "b", "c", "d"].map((name) => `${name} before tally/a add`),
      "the handler",
      ...["d", "c", "b", "a"].map((name) => `${name} after`),
    ]);
  });

  test("that never calls next answers instead of the handler", async () => {
    const tally = await start([async ({ type }) => (type === "get" ? 7 : undefined)]);
    expect(await tally.send({ type: "add", n: 1 })).toEqual(undefined as never);
    expect(await tally.send({ type: "get" })).toBe(7);
    expect(said).toEqual([]);
  });

  test("may be no async function at all", async () => {
    const plain = ((call, next) => (call.type === "get" ? 7 : next())) as Middleware;
    const tally = await start([plain], [plain]);
    expect(await tally.send({ type: "get" })).toBe(7);
    expect(await tally.send({ type: "add", n: 1 })).toEqual({ n: 1 });
  });

  test("is told of the handler's signal", async () => {
    const signals: AbortSignal[] = [];
    const tally = await start([
      ({ signal }, next) => {
        signals.push(signal);
        return next();
      },
    ]);
    await tally.send({ type: "get" });
    expect(signals[0]!.aborted).toBe(false);
  });

  test("that throws is a handler that throws", async () => {
    for (const lists of [[[broken]], [[], [broken]], [[noting("c"), broken], [noting("a")]]]) {
      const tally = await start(lists[0]!, lists[1]);
      const failure = await failureOf(tally.send({ type: "get" }));
      expect(failure).toMatchObject({ code: "HANDLER_FAILED", details: { text: "broken" } });
    }
  });

  test("refuses with an error of its own as long as the handler has not run", async () => {
    const refusal = new CatgaError("OVERLOADED", { entity: "tally/a", what: "quota" } as never);
    const early = await start([() => Promise.reject(refusal)], [noting("a")]);
    expect(await failureOf(early.send({ type: "get" }))).toMatchObject({ code: "OVERLOADED" });
    const late = await start([(_, next) => next().then(() => Promise.reject(refusal))]);
    expect(await failureOf(late.send({ type: "get" }))).toMatchObject({ code: "HANDLER_FAILED" });
  });

  test("sees what a schema refuses, and lets it through as it is", async () => {
    const seen: unknown[] = [];
    const looking: Middleware = (_, next) =>
      next().catch((error: unknown) => {
        seen.push((error as CatgaError).code);
        throw error;
      });
    const tally = await start([looking], [looking]);
    const failure = await failureOf(tally.send({ type: "add", n: "1" } as never));
    expect(failure).toMatchObject({ code: "INVALID_PAYLOAD" });
    const thrown = await failureOf(tally.send({ type: "fail" }));
    expect(thrown).toMatchObject({
      code: "HANDLER_FAILED",
      details: { text: "the handler's own" },
    });
    expect(seen).toEqual(["INVALID_PAYLOAD", "INVALID_PAYLOAD", undefined, undefined]);
  });

  test("calls next once: the handler runs once, and the caller hears of the mistake", async () => {
    const tally = await start([twice]);
    const failure = await failureOf(tally.send({ type: "add", n: 1 }));
    expect(failure).toMatchObject({ code: "HANDLER_FAILED", details: { name: "TypeError" } });
    expect(said).toEqual(["the handler"]);
  });

  test("that does not wait for the handler does not end its turn", async () => {
    const tally = await start([hasty]);
    const turns = [1, 2].map((turn) => tally.send({ type: "slow", turn }));
    expect(await Promise.all(turns)).toEqual([-1, -1]);
    expect(said).toEqual(["turn 1 begins", "turn 1 ends", "turn 2 begins", "turn 2 ends"]);
  });

  test("cannot run the handler when it has answered", async () => {
    let late: (() => Promise<unknown>) | undefined;
    const tally = await start([async (_, next) => void (late = next)]);
    await tally.send({ type: "add", n: 1 });
    expect(late).toThrow(TypeError);
    expect(said).toEqual([]);
  });

  test("lets queries run beside each other", async () => {
    let running = 0;
    let most = 0;
    const counting: Middleware = async (_, next) => {
      most = Math.max(most, ++running);
      for (let n = 0; n < 5; n++) await Promise.resolve();
      running--;
      return next();
    };
    const tally = await start([counting]);
    await Promise.all(Array.from({ length: 4 }, () => tally.send({ type: "get" })));
    expect(most).toBe(4);
    most = 0;
    await Promise.all(Array.from({ length: 4 }, () => tally.send({ type: "add", n: 1 })));
    expect(most).toBe(1);
  });

  test("stands around messages of timers as well", async () => {
    said.length = 0;
    const entities = [tallyWith([noting("a")])] as const;
    await using cluster = await TestCluster.start({ nodes: 2, entities });
    const tally = cluster.node("n1").entity("tally", "a");
    await cluster.run(tally.send({ type: "later" }));
    await cluster.advance("1s");
    expect(said.filter((line) => line.includes("before"))).toEqual([
      "a before tally/a later",
      "a before tally/a add",
    ]);
  });

  test("is a list of functions", async () => {
    expect(() => tallyWith([{} as never])).toThrow('Cannot define "tally": middleware');
    expect(() => tallyWith((() => {}) as never)).toThrow(TypeError);
    const options = { transport: memory(), middleware: ["log"] as never };
    const failure = await failureOf(Cluster.start(options));
    expect(failure).toBeInstanceOf(TypeError);
  });
});
