/** What is sent and makes no sense is refused, and balancers and nodes that make none are known. */
import { afterEach, describe, expect, test } from "bun:test";
import { memory } from "../../src/drivers/memory/index.ts";
import {
  Cluster,
  type ClusterOf,
  type ClusterOptions,
  defineCommand,
  defineEvent,
  defineQuery,
  handler,
  type Handler,
} from "../../src/index.ts";
import type { Driver } from "../../src/ports/driver.ts";
import type { Change } from "../../src/protocol/ledger.ts";
import type { SessionRecord } from "../../src/protocol/records.ts";
import { failureOf, sees, stopAll, stopped } from "../drivers/nodes.ts";
import { uniqueName } from "../drivers/port.ts";

afterEach(stopAll);

type Node = ClusterOf<never>;

/** A node of a new cluster. */
function alone(...handlers: readonly Handler[]): Promise<Node> {
  const name = uniqueName("refusals");
  return stopped<Node>(Cluster.start({ transport: "memory", name, shardCount: 16, handlers }));
}

/** One of the ways to send. */
function call(node: Node, how: "send" | "tell" | "broadcast"): Node["send"] {
  return any(node[how]);
}

const any = (value: unknown): never => value as never;

describe("what is sent", () => {
  const Plain = defineQuery<{ value?: unknown }, unknown>("refused.sent");
  const Heard = defineEvent<{ id: string }>("refused.heard");

  test("may be a plain object, and must be a message that somebody defined", async () => {
    const node = await alone(handler(Plain, ({ value }) => value ?? "ok"));
    const send = (message: unknown): Promise<unknown> => failureOf(node.send(any(message)));
    expect(await node.send({ type: "refused.sent" })).toBe("ok");
    for (const how of ["send", "tell", "broadcast"] as const) {
      for (const message of [null, undefined, "refused.sent", 7, {}, { type: 7 }]) {
        const failure = await failureOf(call(node, how)(any(message)));
        expect(failure).toBeInstanceOf(TypeError);
      }
      const unknown = await failureOf(call(node, how)(any({ type: "no" })));
      expect(unknown).toMatchObject({ code: "NO_HANDLER", executed: "no" });
    }
    expect(await send(Heard({ id: "1" }))).toBeInstanceOf(TypeError);
    expect(await send({ type: "refused.heard" })).toMatchObject({
      message: 'Cannot send "refused.heard": publish an event',
    });
  });

  test("must be plain data, with options that make sense; a refusal is a rejection", async () => {
    const node = await alone(handler(Plain, () => "ok"));
    for (const value of [() => 1, new Map(), 1n, new Date(0)]) {
      for (const how of ["send", "tell", "broadcast"] as const) {
        const failure = await failureOf(call(node, how)(Plain({ value })));
        expect(failure).toMatchObject({ code: "PAYLOAD_NOT_ENCODABLE", executed: "no" });
      }
    }
    const large = await failureOf(node.broadcast(Plain({ value: "x".repeat(2_000_000) })));
    expect(large).toMatchObject({ code: "TOO_LARGE" });
    for (const options of [{ retries: -1 }, { retries: 1.5 }, { timeout: "60sec" }]) {
      for (const how of ["send", "tell", "broadcast"] as const) {
        const failure = await failureOf(call(node, how)(Plain({}), any(options)));
        expect(failure).toBeInstanceOf(Error);
      }
    }
  });

  test("keeps the route of the definition that built it", async () => {
    const name = "refused.routes";
    const Failing = defineQuery<void, string>(name, { route: any({ strategy: "broadcast" }) });
    const Near = defineQuery<void, string>(name, {
      route: { strategy: "localFirst", fallback: "fail" },
    });
    const node = await alone(handler(Near, () => "here"));
    const other = await alone();
    expect(await node.send(Failing())).toBe("here");
    expect(await node.send(Near())).toBe("here");
    const reasons = [Failing(), Near()].map((message) => failureOf(other.send(message)));
    expect(await Promise.all(reasons)).toMatchObject([
      { message: expect.stringContaining("no node that lives") },
      { message: expect.stringContaining("this node has none") },
    ]);
  });

  test("as a message made of another one is what its definition says", async () => {
    const Other = defineQuery<{ value?: unknown }, unknown>("refused.other");
    const node = await alone(
      handler(Plain, (message, ctx) => ctx.send(Other(message))),
      handler(Other, () => "the other"),
    );
    expect(await node.send(Plain({ value: 1 }))).toBe("the other");
  });
});

let chosen: () => unknown;

describe("a custom balancer", () => {
  test("that throws or returns a stranger fails the call, and nobody is asked", async () => {
    const balancer = (): never => any(chosen());
    const route = { strategy: "custom", balancer } as const;
    const Chosen = defineQuery<void, number>("refused.chosen", { route });
    const Else = defineQuery<void, number>("refused.else", { route, fallback: () => -1 });
    let asked = 0;
    const node = await alone(
      handler(Chosen, () => ++asked),
      handler(Else, () => ++asked),
    );
    const wrong: readonly (() => unknown)[] = [
      () => {
        throw new RangeError("no idea");
      },
      () => undefined,
      () => null,
      () => ({}),
      () => ({ node: "stranger" }),
      async () => ({ node: node.nodeId }),
    ];
    for (const choose of wrong) {
      chosen = choose;
      const failed = { code: "BALANCER_FAILED", executed: "no" };
      expect(await failureOf(node.send(Chosen()))).toMatchObject(failed);
      expect(await failureOf(node.tell(Chosen()))).toMatchObject(failed);
      expect(await node.send(Else())).toBe(-1);
    }
    expect(asked).toBe(0);
    chosen = () => ({ node: node.nodeId });
    expect(await node.send(Chosen())).toBe(1);
  });
});

/** Nodes whose sessions list one message more than they handle, as an older one's may. */
function boastful(driver: Driver, type: string): Driver {
  return {
    name: driver.name,
    async connect(context) {
      const { authority, ...ports } = await driver.connect(context);
      return {
        ...ports,
        authority: {
          open: (listener) => authority.open(listener),
          casMany: (changes) => authority.casMany(changes.map((change) => boast(change, type))),
          close: () => authority.close(),
        },
      };
    },
  };
}

function boast(change: Change, type: string): Change {
  if (!change.key.startsWith("n.")) return change;
  const record = change.value as SessionRecord;
  return { ...change, value: { ...record, handlers: [...(record.handlers ?? []), type] } };
}

describe("a node that does not handle what it says it does", () => {
  test("is passed over, and named when there is no other", async () => {
    const Known = defineCommand<void, string>("refused.known");
    const name = uniqueName("refusals");
    const transport = memory();
    const start = (nodeId: string, more: ClusterOptions<[]>): Promise<Node> =>
      stopped<Node>(Cluster.start({ transport, name, shardCount: 16, ...more, nodeId }));
    const failover = { retryDelay: 1 };
    const caller = await start("caller", { failover });
    const old = await start("old", { transport: boastful(transport, "refused.known") });
    await sees(caller, ["caller", "old"]);
    const failure = await failureOf(caller.send(Known()));
    expect(failure).toMatchObject({ code: "NO_HANDLER", executed: "no" });
    expect(String(failure)).toContain(`"${old.nodeId}"`);
    expect(await failureOf(caller.tell(Known()))).toMatchObject({ code: "NO_HANDLER" });
    await start("new", { handlers: [handler(Known, () => "new")] });
    await sees(caller, ["caller", "new", "old"]);
    for (let n = 0; n < 6; n++) expect(await caller.send(Known())).toBe("new");
    const answers = await caller.broadcast(Known());
    expect(answers).toContainEqual({ node: "old", ok: false, code: "NO_HANDLER" });
    expect(answers).toContainEqual({ node: "new", ok: true, reply: "new" });
  });
});
