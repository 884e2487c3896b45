/** What a user whose compiler says nothing gets wrong, and is told where he did. */
import { afterEach, describe, expect, test } from "bun:test";
import {
  Cluster,
  type ClusterOf,
  type ClusterOptions,
  command,
  defineCommand,
  defineEntity,
  defineEvent,
  defineQuery,
  handler,
  invalidate,
} from "../../src/index.ts";
import { failureOf, stopAll, stopped } from "../drivers/nodes.ts";
import { uniqueName } from "../drivers/port.ts";

afterEach(stopAll);

const any = (value: unknown): never => value as never;

function start(options: Partial<ClusterOptions<[]>> = {}): Promise<ClusterOf<never>> {
  const name = uniqueName("javascript");
  return stopped(Cluster.start({ transport: "memory", name, shardCount: 16, ...options }));
}

const Plain = defineQuery<void, string>("javascript.plain");
const Keyed = defineQuery<{ id: string }, string>("javascript.keyed", {
  route: { strategy: "consistentHash", key: "id" },
});

describe("a definition", () => {
  test("takes schemas that are schemas only", () => {
    for (const schema of [null, 5, {}, { "~standard": {} }]) {
      for (const option of ["input", "reply"]) {
        const refused = `Cannot use ${option}: it is no schema`;
        const options = { [option]: any(schema) };
        expect(() => defineCommand("javascript.schema", any(options))).toThrow(refused);
        expect(() => command(any(options))).toThrow(refused);
      }
    }
  });

  test("has a route that is an object, and is invalidated by what was defined", () => {
    expect(() => defineCommand("javascript.route", { route: any(null) })).toThrow("no object");
    for (const by of [undefined, null, {}, () => 1]) {
      expect(() => invalidate(any(by), any("id"))).toThrow("Cannot use that as a message");
    }
  });
});

describe("a node", () => {
  test("is started with lists, and with options of failover that there are", async () => {
    const refused: readonly [object, string][] = [
      [{ handlers: handler(Plain, () => "") }, "handlers must be a list"],
      [{ entities: 5 }, "entities must be a list"],
      [{ failover: { retries: 1 } }, 'no option "retries"'],
    ];
    for (const [options, why] of refused) {
      const failure = await failureOf(start(options));
      expect(failure).toBeInstanceOf(TypeError);
      expect(String(failure)).toContain(why);
    }
  });

  test("that has stopped says so, and not that nobody handles the message", async () => {
    const node = await start({ handlers: [handler(Plain, () => ""), handler(Keyed, () => "")] });
    const caller = await start();
    await Promise.all([node.stop(), caller.stop()]);
    const gone = { code: "CLUSTER_STOPPED", executed: "no" };
    for (const each of [node, caller]) {
      for (const message of [Plain(), Keyed({ id: "1" })]) {
        expect(await failureOf(each.send(message))).toMatchObject(gone);
        expect(await failureOf(each.tell(message))).toMatchObject(gone);
      }
      expect(await failureOf(each.broadcast(Plain()))).toMatchObject(gone);
    }
  });
});

describe("a call", () => {
  const Held = defineEntity("held", {
    messages: { open: command() },
    state: () => ({}),
    handlers: { open() {} },
  });

  test("takes what can tell that it aborts", async () => {
    const options = {
      entities: [Held],
      handlers: [handler(Plain, () => ""), handler(Keyed, () => "")],
    };
    const node = await start(any(options));
    const sends = [
      (given: object) => node.send(Plain(), given),
      (given: object) => node.send(Keyed({ id: "1" }), given),
      async (given: object) => node.entity(any(Held), "1").send(any({ type: "open" }), given),
    ];
    for (const send of sends) {
      for (const signal of [null, 5, {}, "abort"]) {
        expect(String(await failureOf(send({ signal })))).toContain("it is no AbortSignal");
      }
      expect(await failureOf(send({ signal: AbortSignal.timeout(60_000) }))).not.toBeInstanceOf(
        Error,
      );
    }
  });

  test("of a definition that was not called is told what to write", async () => {
    const node = await start({ handlers: [handler(Plain, () => "")] });
    expect(String(await failureOf(node.send(any(Plain))))).toContain("as Ping()");
    expect(String(await failureOf(node.publish(any(defineEvent("javascript.event")))))).toContain(
      "Cannot publish that",
    );
  });
});

test("a handler that failed with a CatgaError is told by its code", async () => {
  const Outer = defineCommand("javascript.outer");
  const node = await start({
    handlers: [handler(Outer, (_, ctx) => ctx.send(any(Plain())))],
  });
  expect(await failureOf(node.send(Outer()))).toMatchObject({
    code: "HANDLER_FAILED",
    executed: "yes",
    details: { name: "NO_HANDLER" },
  });
});
