/** What a node of a fixed list makes of what it is told. */
import { afterEach, describe, expect, test } from "bun:test";
import { startNode } from "../../src/api/cluster.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { systemRandom } from "../../src/base/random.ts";
import { FixedAuthority } from "../../src/drivers/fixed/authority.ts";
import { readList } from "../../src/drivers/fixed/list.ts";
import { sessionKey, type SessionRecord } from "../../src/protocol/records.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { listOf, SECRET } from "./fixtures.ts";
import { Counter, sees, start, stopAll, stopped } from "./nodes.ts";

afterEach(stopAll);

const FAR = Number.MAX_SAFE_INTEGER;

/** The authority of the first of two nodes, the other of which does not run. */
async function alone(): Promise<{
  readonly authority: FixedAuthority;
  readonly other: string;
  readonly nodeId: string;
  readonly lost: Error[];
  readonly stateOf: (incarnation: string) => Promise<SessionRecord["state"] | undefined>;
}> {
  const { ids, options } = await listOf(2);
  const [nodeId = "", other = ""] = ids;
  const lost: Error[] = [];
  const states = new Map<string, SessionRecord["state"]>();
  const node = { nodeId, incarnation: `${nodeId}.1`, shardCount: 8, entities: ["counter"] };
  const world = { clock: systemClock, random: systemRandom, log: silentLogger, leaseMs: 3_000 };
  const context = { cluster: options.name, secret: SECRET, ...node, ...world, unsafe() {} };
  const authority = new FixedAuthority(context, readList(options.nodes));
  await authority.open({
    changed: (entries) => {
      for (const { key, value } of entries) states.set(key, (value as SessionRecord).state);
    },
    resynced: () => {},
    lost: (error) => lost.push(error),
  });
  const stateOf = async (incarnation: string): Promise<SessionRecord["state"] | undefined> =>
    states.get(sessionKey(incarnation));
  return { authority, other, nodeId, lost, stateOf };
}

function sessionOf(node: string): object {
  return { state: "up", node, address: "", group: "counter", weight: 1, leaseMs: 1, load: {} };
}

describe("a node of a fixed list", () => {
  test("ends when it hears of a later start of itself, and of no other node", async () => {
    const { authority, nodeId, other, lost } = await alone();
    expect(authority.told("x.1", { epochs: { [other]: FAR, stranger: FAR } })).toBe(true);
    expect(authority.told("x.1", { epochs: { [nodeId]: 1 } })).toBe(true);
    expect(lost).toEqual([]);
    expect(authority.told("x.1", { epochs: { [nodeId]: FAR } })).toBe(true);
    expect(lost).toMatchObject([{ code: "NODE_ID_TAKEN", details: { node: nodeId } }]);
    await authority.close();
  });

  test("believes the latest start of a node alone, whichever comes first", async () => {
    const { authority, other, stateOf } = await alone();
    const [first, second] = [`${other}.1`, `${other}.2`];
    authority.told(first, { session: sessionOf(other), epoch: 10 });
    expect(await stateOf(first)).toBe("up");
    authority.told(second, { session: sessionOf(other), epoch: 20 });
    expect([await stateOf(first), await stateOf(second)]).toEqual(["dead", "up"]);
    authority.told(first, { session: sessionOf(other), epoch: 10 });
    expect([await stateOf(first), await stateOf(second)]).toEqual(["dead", "up"]);
    await authority.close();
  });

  test("starts later than it ever did, though its wall clock was set back", async () => {
    const list = await listOf(2);
    const a = await start(list, { nodeId: list.ids[0]! });
    const options = { ...list.options, nodeId: list.ids[1]!, shardCount: 32, entities: [Counter] };
    const first = await stopped(startNode(options, { clock: systemClock, random: systemRandom }));
    await sees(a, list.ids);
    const id = Array.from({ length: 200 }, (_, n) => `id-${n}`).find(
      (each) => a.owner("counter", each)?.node === first.nodeId,
    )!;
    const { epoch } = a.owner("counter", id)!;
    await first.stop();
    const clock = { ...systemClock, wallMs: () => systemClock.wallMs() - 3_600_000 };
    await stopped(startNode(options, { clock, random: systemRandom }));
    await a.entity("counter", id).send({ type: "count" });
    expect(a.owner("counter", id)!.epoch).toBe(epoch + 1);
  });

  test("takes nobody for away because it was paused itself", async () => {
    const list = await listOf(2);
    // It lets hear of itself only now and then.
    await start(list, { nodeId: list.ids[1]!, heartbeat: "relaxed" });
    let aheadMs = 0;
    let ticks = 0;
    const clock = {
      ...systemClock,
      nowMs: () => systemClock.nowMs() + aheadMs,
      after: (ms: number, run: () => void) => {
        ticks++;
        return systemClock.after(ms, run);
      },
    };
    const options = { ...list.options, nodeId: list.ids[0]!, shardCount: 32, entities: [Counter] };
    const paused = await stopped(startNode(options, { clock, random: systemRandom }));
    await sees(paused, list.ids);
    let left = 0;
    paused.on("node-left", () => left++);
    for (let jump = 0; jump < 3; jump++) {
      aheadMs += 60_000;
      const before = ticks;
      await waitUntil("it has looked around", () => ticks > before + 8);
    }
    expect(left).toBe(0);
  });
});
