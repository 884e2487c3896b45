/** The hub of an embedded cluster leaves, and another node takes its place. */
import { afterEach, describe, expect, test } from "bun:test";
import { embedded } from "../../src/drivers/embedded/index.ts";
import type { Snapshot } from "../../src/ports/authority.ts";
import type { Entry } from "../../src/protocol/ledger.ts";
import type { SessionRecord } from "../../src/protocol/records.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { connectPorts } from "./fixtures.ts";
import { type CounterNode, meeting, sees, serves, spread, start, stopAll } from "./nodes.ts";
import { isFree } from "./port.ts";

afterEach(stopAll);

describe("when the node with the hub stops", () => {
  test("calls between the others are answered, each once and in order", async () => {
    const at = await meeting();
    const hub = await start(at, { nodeId: "hub" });
    const others = [await start(at, { nodeId: "b" }), await start(at, { nodeId: "c" })];
    await spread([hub, ...others]);
    let isOver = false;
    const calling = others.map((node) => callUntil(node, () => isOver));
    await hub.stop();
    for (const node of others) {
      await sees(node, ["b", "c"]);
      await serves(node);
    }
    isOver = true;
    for (const counts of await Promise.all(calling)) {
      expect(counts).toEqual(counts.map((_, n) => n + 1));
    }
  });

  test("another node may join, and finds the same cluster", async () => {
    const at = await meeting();
    const hub = await start(at, { nodeId: "hub" });
    const b = await start(at, { nodeId: "b" });
    await spread([hub, b]);
    await hub.stop();
    await sees(b, ["b"]);
    const kept = await b.entity("counter", "kept").send({ type: "count" });
    expect(kept).toEqual({ count: 1, node: "b" });
    const c = await start(at, { nodeId: "c" });
    await sees(b, ["b", "c"]);
    const answer = await c.entity("counter", "kept").send({ type: "count" });
    expect(answer).toEqual({ count: 2, node: "b" });
  });

  test("a newcomer that takes the port before the others do finds the same cluster", async () => {
    const at = await meeting();
    const hub = await start(at, { nodeId: "hub" });
    const b = await start(at, { nodeId: "b" });
    await spread([hub, b]);
    const known = new Map<string, Entry>();
    const learn = (entries: readonly Entry[]): void => {
      for (const entry of entries) known.set(entry.key, entry);
    };
    const heartbeat = (): number => {
      const sessions = [...known.values()].map(({ value }) => value as Partial<SessionRecord>);
      const session = sessions.find(({ node, state }) => node === "b" && state === "up");
      return session?.heartbeat ?? -1;
    };
    const { authority } = await connectPorts(embedded({ port: at.port }), at.options.name);
    await hub.stop();
    // At once, so that this port is bound before the other node has heard of the end of the hub.
    const resynced = (snapshot: Snapshot): void => learn(snapshot.entries);
    learn((await authority.open({ changed: learn, resynced, lost() {} })).entries);
    try {
      await waitUntil("it knows the other node", () => heartbeat() >= 0, {
        describe: () => [...known.keys()],
      });
      const before = heartbeat();
      await waitUntil("the other node lives on", () => heartbeat() > before);
      await serves(b);
    } finally {
      await authority.close();
    }
  }, 15_000);

  test("one after the other, the last one goes on", async () => {
    const at = await meeting();
    const nodes: CounterNode[] = [];
    for (const nodeId of ["a", "b", "c", "d"]) nodes.push(await start(at, { nodeId }));
    await spread(nodes);
    const last = nodes.pop()!;
    for (const node of nodes) await node.stop();
    await sees(last, ["d"]);
    await serves(last);
  });

  test("together with all but one, that one goes on", async () => {
    const at = await meeting();
    const nodes: CounterNode[] = [];
    for (const nodeId of ["a", "b", "c", "d"]) nodes.push(await start(at, { nodeId }));
    await spread(nodes);
    const last = nodes.pop()!;
    await Promise.all(nodes.map((node) => node.stop()));
    await sees(last, ["d"]);
    await serves(last);
    await start(at, { nodeId: "e" });
    await sees(last, ["d", "e"]);
  });

  test("together with all others, the port is free and a new cluster can start", async () => {
    const at = await meeting();
    const nodes: CounterNode[] = [];
    for (const nodeId of ["a", "b", "c"]) nodes.push(await start(at, { nodeId }));
    await Promise.all(nodes.map((node) => node.stop()));
    await waitUntil("the port is free", () => isFree(at.port));
    const anew = await start(at, { nodeId: "anew" });
    await sees(anew, ["anew"]);
    await serves(anew);
    await anew.stop();
    await waitUntil("the port is free again", () => isFree(at.port));
  });
});

/** Sends to one entity, at another node that stays, one message after the other. */
async function callUntil(node: CounterNode, isOver: () => boolean): Promise<number[]> {
  const counts: number[] = [];
  const id = ownedByOthers(node);
  while (!isOver()) {
    counts.push((await node.entity("counter", id).send({ type: "count" })).count);
  }
  return counts;
}

function ownedByOthers(node: CounterNode): string {
  for (let n = 0; ; n++) {
    const id = `${node.nodeId}-${n}`;
    const owner = node.owner("counter", id)?.node;
    if (owner !== "hub" && owner !== node.nodeId) return id;
  }
}
