/** Who may join an embedded cluster, and what those are told who may not. */
import { afterEach, describe, expect, test } from "bun:test";
import type { Socket } from "node:net";
import { PROTOCOL } from "../../src/base/limits.ts";
import { Cluster, command, defineEntity, type ErrorCode } from "../../src/index.ts";
import { Counter, type Meeting, meeting, sees, serves, start, stopAll } from "./nodes.ts";
import { uniqueName } from "./port.ts";
import { foreignServer, frameOf, RawConnection } from "./raw.ts";

afterEach(stopAll);

async function refusal(starting: Promise<unknown>): Promise<unknown> {
  const outcome = await starting.then(
    () => "it joined",
    (error: unknown) => error,
  );
  const { code, details } = outcome as { code?: ErrorCode; details?: unknown };
  return code === undefined ? outcome : { code, details };
}

function addressOf({ port }: Meeting): string {
  return `127.0.0.1:${port}`;
}

describe("a node that joins", () => {
  test("with another secret is refused with WRONG_SECRET, and the others go on", async () => {
    const at = await meeting();
    const first = await start(at, { nodeId: "first" });
    expect(await refusal(start(at, { secret: "another" }))).toEqual({
      code: "WRONG_SECRET",
      details: { address: addressOf(at) },
    });
    await sees(first, ["first"]);
    await serves(first);
  });

  test("a cluster of another name on the same port is refused with CLUSTER_MISMATCH", async () => {
    const at = await meeting();
    const first = await start(at, { nodeId: "first" });
    expect(await refusal(start(at, { name: "another" }))).toEqual({
      code: "CLUSTER_MISMATCH",
      details: { ours: "another", theirs: at.options.name, address: addressOf(at) },
    });
    await serves(first);
  });

  test("as a live node is refused with NODE_ID_TAKEN until that one has left", async () => {
    const at = await meeting();
    const first = await start(at, { nodeId: "first" });
    const taken = { code: "NODE_ID_TAKEN", details: { node: "twin" } };
    const twin = await start(at, { nodeId: "twin" });
    expect(await refusal(start(at, { nodeId: "twin" }))).toEqual(taken);
    await sees(first, ["first", "twin"]);
    await twin.stop();
    await start(at, { nodeId: "twin" });
    await sees(first, ["first", "twin"]);
  });

  test("at the same moment as its twins wins, or they do", async () => {
    const at = await meeting();
    const first = await start(at, { nodeId: "first" });
    const outcomes = await Promise.all([1, 2, 3].map(() => refusal(start(at, { nodeId: "twin" }))));
    const taken = { code: "NODE_ID_TAKEN", details: { node: "twin" } };
    expect(outcomes.filter((outcome) => outcome === "it joined")).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome !== "it joined")).toEqual([taken, taken]);
    await sees(first, ["first", "twin"]);
    await serves(first);
  });

  test("with another number of shards is refused with SETTINGS_DIFFER", async () => {
    const at = await meeting();
    await start(at);
    expect(await refusal(start(at, { shardCount: 64 }))).toEqual({
      code: "SETTINGS_DIFFER",
      details: { setting: "shardCount", ours: 64, theirs: 32 },
    });
  });

  test("with entities that overlap is refused with ENTITY_SETS_DIFFER", async () => {
    const at = await meeting();
    const first = await start(at, { nodeId: "first" });
    const other = { messages: { ping: command() }, state: () => null, handlers: { ping() {} } };
    const entities = [Counter, defineEntity("other", other)];
    const starting = Cluster.start({ ...at.options, shardCount: 32, entities });
    expect(await refusal(starting)).toEqual({
      code: "ENTITY_SETS_DIFFER",
      details: { ours: "counter, other", theirs: "counter" },
    });
    await sees(first, ["first"]);
    await serves(first);
  });

  test("with entities of its own serves them to the others, and is served by them", async () => {
    const at = await meeting();
    const first = await start(at, { nodeId: "first" });
    const Other = defineEntity("other", {
      messages: { ping: command<{}, string>() },
      state: () => null,
      handlers: { ping: ({ node }) => node },
    });
    await using second = await Cluster.start({
      ...at.options,
      shardCount: 32,
      nodeId: "second",
      entities: [Other],
    });
    expect(await first.entity(Other, "1").send({ type: "ping" })).toBe("second");
    expect(await second.entity(Counter, "1").send({ type: "count" })).toMatchObject({ count: 1 });
  });
});

describe("a port that somebody else holds", () => {
  const strangers: readonly [what: string, meet: (socket: Socket) => void][] = [
    ["talks", (socket) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n")],
    ["talks in frames", (socket) => socket.write(frameOf("hello"))],
    ["talks in JSON", (socket) => socket.write(frameOf('{"hello":1}'))],
    ["talks in other JSON", (socket) => socket.write(frameOf("null"))],
    ["claims no protocol", (socket) => socket.write(frameOf('{"catga":true,"protocol":"1"}'))],
    ["hangs up", (socket) => void socket.end()],
    ["is silent", () => {}],
  ];
  test.each([...strangers])("and that %s is refused with PORT_TAKEN, soon", async (_, meet) => {
    const at = await meeting();
    const close = await foreignServer(at.port, meet);
    expect(await refusal(start(at))).toMatchObject({
      code: "PORT_TAKEN",
      details: { address: addressOf(at) },
    });
    await close();
  });

  test("by a node of another protocol is refused with PROTOCOL_MISMATCH", async () => {
    const at = await meeting();
    const { name } = at.options;
    const greeting = { catga: true, protocol: PROTOCOL + 1, cluster: name, nonce: "n" };
    const close = await foreignServer(at.port, (socket) => {
      socket.write(frameOf(JSON.stringify(greeting)));
    });
    expect(await refusal(start(at))).toEqual({
      code: "PROTOCOL_MISMATCH",
      details: { ours: PROTOCOL, theirs: PROTOCOL + 1, address: addressOf(at) },
    });
    await close();
  });

  test("by a node that cannot prove the secret is refused with WRONG_SECRET", async () => {
    const at = await meeting();
    const { name } = at.options;
    const close = await foreignServer(at.port, (socket) => {
      socket.write(
        frameOf(JSON.stringify({ catga: true, protocol: PROTOCOL, cluster: name, nonce: "n" })),
      );
      socket.once("data", () => socket.write(frameOf('{"proof":"none"}')));
    });
    expect(await refusal(start(at))).toMatchObject({ code: "WRONG_SECRET" });
    await close();
  });
});

test("a caller of another protocol is turned away by the hub", async () => {
  const at = await meeting();
  const node = await start(at);
  const caller = new RawConnection(at.port);
  expect(JSON.parse(await caller.frame())).toMatchObject({
    catga: true,
    protocol: PROTOCOL,
    cluster: at.options.name,
  });
  const { name: cluster } = at.options;
  const hello = { protocol: PROTOCOL + 1, cluster, purpose: "link", incarnation: "i", nonce: "n" };
  caller.write(frameOf(JSON.stringify({ ...hello, proof: "p" })));
  await caller.closed("a caller of another protocol");
  await serves(node);
});

test("two clusters of different names on one machine never meet", async () => {
  const names = [uniqueName("alone"), uniqueName("alone")];
  const clusters = await Promise.all(
    names.map((name) => Cluster.start({ name, nodeId: name, secret: "same", entities: [Counter] })),
  );
  for (const cluster of clusters) {
    await sees(cluster, [cluster.nodeId]);
    const answer = await cluster.entity("counter", "shared").send({ type: "count" });
    expect(answer).toEqual({ count: 1, node: cluster.nodeId });
  }
  await Promise.all(clusters.map((cluster) => cluster.stop()));
});
