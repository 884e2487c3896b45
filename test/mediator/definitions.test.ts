/** Messages, handlers and keys that make no sense are refused by name, and nothing is sent. */
import { afterEach, describe, expect, test } from "bun:test";
import {
  Cluster,
  type ClusterOf,
  command,
  defineCommand,
  defineEntity,
  defineEvent,
  defineQuery,
  handler,
  type Handler,
  type Message,
} from "../../src/index.ts";
import { failureOf, stopAll, stopped } from "../drivers/nodes.ts";
import { uniqueName } from "../drivers/port.ts";

afterEach(stopAll);

type Node = ClusterOf<never>;

/** A node of a new cluster. */
function alone(...handlers: readonly Handler[]): Promise<Node> {
  const name = uniqueName("refusals");
  return stopped<Node>(Cluster.start({ transport: "memory", name, shardCount: 16, handlers }));
}

const any = (value: unknown): never => value as never;
/** It has among its messages what the cases below define. */
const Own = { name: "own", messages: { "refused.message": command() } };
const Purse = defineEntity("purse", {
  messages: { "purse.put": command<{ purse: string }, number>() },
  state: () => null,
  handlers: { "purse.put": () => ran++ },
});
let ran = 0;

const once = (idempotency: unknown): object => ({ idempotency });
const route = (given: object): object => ({ route: given });

const start = (...handlers: unknown[]): Promise<unknown> =>
  failureOf(alone(...(handlers as Handler[])));

const run = (): number => ++ran;

describe("a message is not defined", () => {
  const hash = { strategy: "consistentHash" };
  const cases: readonly (readonly [what: string, options: object, says: RegExp])[] = [
    ["with an unknown option", { cahce: {} }, /no option "cahce".*route/],
    ["with an unknown strategy", route({ strategy: "consistantHash" }), /no strategy "consist.*"?/],
    ["without a strategy", route({}), /no strategy "undefined".*consistentHash, roundRobin/],
    ["with the name of a property", route({ strategy: "toString" }), /no strategy "toString"/],
    ["by a key that is missing", route(hash), /a key is the name of a field/],
    ["by an empty key", route({ ...hash, key: "" }), /a key is the name of a field/],
    ["by a key that is a list", route({ ...hash, key: ["a"] }), /a key is the name of a field/],
    ["with a key for nothing", route({ strategy: "roundRobin", key: "a" }), /no option "key"/],
    ["with a key for local first", route({ strategy: "localFirst", key: "a" }), /no option "key"/],
    ["without a balancer", route({ strategy: "custom" }), /balancer must be a function/],
    ["with half a quorum", route({ strategy: "broadcast", quorum: 0.5 }), /quorum must be/],
    ["with no quorum", route({ strategy: "broadcast", quorum: 0 }), /quorum must be/],
    ["with another quorum", route({ strategy: "broadcast", quorum: "most" }), /quorum must be/],
    ["with an odd fallback", route({ strategy: "localFirst", fallback: "no" }), /fallback must be/],
    ["for no entity", route({ strategy: "entity", key: "a" }), /route.entity must be an entity/],
    [
      "for an entity that does not have it",
      route({ strategy: "entity", entity: Purse, key: "purse" }),
      /route.entity must be an entity that has it/,
    ],
    ["with a route that is none", { route: "roundRobin" }, /no strategy "undefined"/],
    ["with a fallback that is none", { fallback: "later" }, /fallback must be a function/],
    ["with no concurrency", { concurrency: 0 }, /concurrency must be/],
    ["with a cache, for a command", { cache: { ttl: 1 } }, /no option "cache"/],
    ["with an idempotency that is none", once(true), /an option is no object/],
    ["with an idempotency that is null", once(null), /an option is no object/],
    [
      "with a window that no entity keeps",
      {
        ...once({ key: "a", window: "1h" }),
        ...route({ strategy: "entity", entity: Own, key: "a" }),
      },
      /an entity remembers keys for 10 minutes/,
    ],
    ["with an idempotency without a key", once({ window: "1m" }), /a key is the name of a field/],
    [
      "with an idempotency of all nodes",
      { ...once({ key: "a", window: "1m" }), ...route({ strategy: "broadcast" }) },
      /a broadcast has no idempotency/,
    ],
  ];
  test.each([...cases])("%s", (_, options, says) => {
    const define = (): unknown => defineCommand("refused.message", any(options));
    expect(define).toThrow(TypeError);
    expect(define).toThrow(/^Cannot define "refused.message": /);
    expect(define).toThrow(says);
  });

  test("with an invalidation made by hand, of a key that is no function", () => {
    const cache = {
      ttl: 1,
      key: "id",
      invalidatedBy: [{ by: defineEvent("refused.by"), key: "id" }],
    };
    const define = (): unknown =>
      defineQuery<{ id: string }, void>("refused.cached", any({ cache }));
    expect(define).toThrow(/invalidatedBy must list/);
  });

  test("under a name that is none, or with a time that is none", () => {
    for (const name of ["", "a b", "a/b", "ä", "x".repeat(300), undefined, 7]) {
      expect(() => defineCommand(any(name))).toThrow(TypeError);
    }
    expect(() => defineCommand("refused.time", any({ timeout: "60sec" }))).toThrow(/timeout/);
    const idempotency = { key: "a", window: "60sec" };
    expect(() => defineCommand("refused.time", any({ idempotency }))).toThrow(/window/);
    expect(() => defineQuery("refused.time", any({ cache: { ttl: "60sec" } }))).toThrow(/ttl/);
    expect(() => defineQuery("refused.query", any({ idempotency }))).toThrow(/"idempotency"/);
    expect(() => defineEvent("refused.event", any({ route: {} }))).toThrow(/"route"/);
  });
});

describe("a node does not start", () => {
  const Twice = defineCommand("refused.twice");
  test("with two handlers of one message, whoever defined it", async () => {
    const again = defineCommand("refused.twice", { route: { strategy: "random" } });
    for (const other of [Twice, again]) {
      const failure = await start(...[Twice, other].map((def) => handler(def, () => {})));
      expect(failure).toBeInstanceOf(TypeError);
      expect(failure).toMatchObject({ message: 'Cannot handle "refused.twice" twice on one node' });
    }
  });

  test("with a handler that is none", async () => {
    for (const given of [{}, { def: Twice }, Twice, () => {}, null, undefined, "refused.twice"]) {
      expect(await start(given)).toBeInstanceOf(TypeError);
    }
    for (const def of [{}, "refused.twice", () => {}, null, undefined, command()]) {
      expect(() =>
        handler(
          any(def),
          any(() => {}),
        ),
      ).toThrow(TypeError);
    }
    expect(() => handler(Twice, any(undefined))).toThrow(/"refused.twice": no function/);
    const bound = { strategy: "entity", entity: Purse, key: "purse" } as const;
    const Put = defineCommand<{ purse: string }, number>("purse.put", { route: bound });
    expect(() => handler(Put, () => 1)).toThrow(/its route leads to an entity/);
  });
});

describe("a key", () => {
  const byField = { strategy: "consistentHash", key: "id" } as const;
  const Field = defineQuery<{ id: string }, number>("refused.field", { route: byField });
  const Computed = defineQuery<{ id: { text: string } }, number>("refused.computed", {
    route: { strategy: "consistentHash", key: ({ id }) => id.text },
  });
  const Once = defineCommand<{ id: string }, number>("refused.once", {
    idempotency: { key: "id", window: "1m" },
  });
  const Put = defineCommand<{ purse: string }, number>("purse.put", {
    route: { strategy: "entity", entity: Purse, key: "purse" },
  });
  const values = [undefined, null, {}, [], true, Number.NaN, Number.POSITIVE_INFINITY, Symbol("s")];
  const ids = ["", "x".repeat(257), "a\nb", "\u0000", "lone \ud800"];

  test("that is none is refused, and nothing is sent", async () => {
    ran = 0;
    const node = await alone(handler(Field, run), handler(Once, run), handler(Computed, run));
    const refuses = async (build: (value: never) => Message<object, unknown>): Promise<void> => {
      for (const [code, wrong] of [
        ["INVALID_KEY", values] as const,
        ["INVALID_ID", ids] as const,
      ]) {
        for (const value of wrong) {
          const message = build(any(value));
          const refused = { code, executed: "no" };
          expect(await failureOf(node.send(message))).toMatchObject(refused);
          expect(await failureOf(node.tell(message))).toMatchObject(refused);
        }
      }
    };
    await refuses((id) => Field({ id }));
    await refuses((id) => Once({ id }));
    await refuses((purse) => Put({ purse }));
    await refuses((text) => Computed({ id: { text } }));
    expect(ran).toBe(0);
    expect(await node.send(Field({ id: "ok" }))).toBe(1);
  });

  test("says which field or function it is of, and which fields there are", async () => {
    const node = await alone(handler(Field, run), handler(Computed, run));
    const [wrong, broken] = [{ ID: "1", lang: "de" }, {}].map((payload) => any(payload));
    expect(await failureOf(node.send(Field(any(wrong))))).toMatchObject({
      message:
        'Cannot route "refused.field": its key, of the field "id", is undefined; ' +
        "the message has ID,lang",
    });
    expect(await failureOf(node.send(Computed(any(broken))))).toMatchObject({
      code: "INVALID_KEY",
      message: expect.stringContaining("its key, of the function, threw TypeError: "),
    });
  });

  test("is a number as well, and an idempotency key is refused where none helps", async () => {
    const Plain = defineCommand<void, number>("refused.plain");
    const node = await alone(handler(Field, run), handler(Plain, run));
    for (const id of [0, -1.5, 1e21, "7"]) await node.send(Field(any({ id })));
    const options = { idempotencyKey: "k" };
    for (const sent of [node.send(Plain(), options), node.broadcast(Plain(), options)]) {
      const failure = await failureOf(sent);
      expect(failure).toBeInstanceOf(TypeError);
      expect(failure).toMatchObject({ message: expect.stringContaining('"refused.plain"') });
    }
    expect(await failureOf(node.broadcast(Field({ id: "1" })))).toBeInstanceOf(TypeError);
  });
});
