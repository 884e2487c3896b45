/**
 * What one join and one crash cost a cluster of 10, 30 and 100 nodes: in frames, compare-and-sets
 * at the authority, and records that its feed carries to all nodes. Real nodes in simulated
 * time, with a thousand idle entities; counts, not times, and the same in every run. Renewals of
 * sessions are counted apart, and that nothing else goes on in a cluster at rest is checked. The
 * floor of the compare-and-sets is one for each shard that changes its owner.
 */
import { TestCluster, type Traffic } from "../../src/testing/index.ts";
import { countFigure } from "../figure.ts";
import { effort } from "../measure/effort.ts";
import { say } from "../parent.ts";
import { Echo, payload } from "../processes/echo.ts";

const ENTITIES = 1_000;
const STEP_MS = 10;
/** Longer than any move takes: a lapse of a lease, a settled view, and what is tried again. */
const WAIT_MS_MAX = 30_000;
/** What nobody does in this time, nobody does. */
const REST_MS = 2_000;

const SIZES = [
  { nodes: 10, shardCount: 1_024 },
  { nodes: 30, shardCount: 1_024 },
  { nodes: 100, shardCount: 4_096 },
] as const;

type Size = (typeof SIZES)[number];
type Echoes = TestCluster<readonly [typeof Echo]>;

/** Lets time pass until `node` knows of `count` nodes and sees every shard where it should be. */
async function settle(cluster: Echoes, count: number): Promise<void> {
  const node = cluster.node("n1");
  const untilMs = cluster.nowMs + WAIT_MS_MAX;
  while (node.nodes.length !== count || node.plan({}).moves.length > 0) {
    if (cluster.nowMs > untilMs) throw new Error(`Cannot go on: ${count} nodes do not settle`);
    await cluster.advance(STEP_MS);
  }
}

/** Does something to a cluster at rest, and waits until it is at rest again: what that cost. */
async function costOf(cluster: Echoes, change: () => Promise<unknown>): Promise<Traffic> {
  const before = cluster.traffic;
  await change();
  await cluster.advance(REST_MS);
  const after = cluster.traffic;
  const difference = (key: keyof Traffic): number => after[key] - before[key];
  return {
    frames: difference("frames"),
    frameBytes: difference("frameBytes"),
    renewals: difference("renewals"),
    compareAndSets: difference("compareAndSets"),
    requests: difference("requests"),
    news: difference("news"),
    renewalNews: difference("renewalNews"),
    snapshotRecords: difference("snapshotRecords"),
  };
}

function tell(what: string, cost: Traffic, moved: number): void {
  const { frames, frameBytes, compareAndSets, requests, news, snapshotRecords } = cost;
  say(countFigure(`${what}: frames`, { unit: "frames", ops: frames, n: moved }));
  say(countFigure(`${what}: their bytes`, { unit: "bytes", ops: frameBytes, n: moved }));
  const writes = { unit: "writes", ops: compareAndSets, n: moved, floor: moved } as const;
  say(countFigure(`${what}: compare-and-sets`, writes));
  say(countFigure(`${what}: their requests`, { unit: "requests", ops: requests, n: moved }));
  say(countFigure(`${what}: feed`, { unit: "records", ops: news, n: moved }));
  if (snapshotRecords === 0) return;
  say(countFigure(`${what}: snapshot`, { unit: "records", ops: snapshotRecords, n: moved }));
}

async function measure({ nodes, shardCount }: Size): Promise<void> {
  const size = `${nodes} nodes`;
  const cluster = await TestCluster.start({ nodes, shardCount, entities: [Echo] });
  await settle(cluster, nodes);
  const first = cluster.node("n1");
  const calls = Array.from({ length: ENTITIES }, (_, n) =>
    first.entity(Echo, `e${n}`).send(payload(n)),
  );
  await cluster.run(Promise.all(calls));
  await cluster.advance(REST_MS);

  const { renewals, renewalNews, ...others } = await costOf(cluster, async () => {});
  const strays = Object.entries(others).filter(([, count]) => count > 0);
  if (strays.length > 0) throw new Error(`Cannot compare: ${size} at rest have ${strays.join()}`);
  const renewed = { unit: "/s", ops: (renewals * 1_000) / REST_MS, n: nodes } as const;
  say(countFigure(`${size} at rest: renewals`, renewed));
  // The request, its answer, and what the feed carries to all nodes.
  const messages = 2 + renewalNews / renewals;
  const each = { unit: "messages", ops: messages, n: nodes } as const;
  say(countFigure(`${size} at rest: per heartbeat`, each));

  const joining = first.plan({ join: [{ node: "joins" }] }).moves.length;
  const join = await costOf(cluster, async () => {
    await cluster.join("joins");
    await settle(cluster, nodes + 1);
  });
  tell(`${size}, one joins`, join, joining);

  const dying = first.plan({ leave: ["n2"] }).moves.length;
  const crash = await costOf(cluster, async () => {
    cluster.kill("n2");
    await settle(cluster, nodes);
  });
  tell(`${size} and 1, one dies`, crash, dying);
  // They need not hand over to each other until the last of them is gone.
  for (const name of cluster.names) cluster.kill(name);
}

const { simulatedNodes } = effort();
for (const size of SIZES) if (size.nodes <= simulatedNodes) await measure(size);
