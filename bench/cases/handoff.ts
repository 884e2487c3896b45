/**
 * What callers notice of a move: 100,000 live entities on two nodes, a third joins and a third of
 * the shards goes to it. The time is from the first to the last shard with a new owner, as a node
 * that only calls hears of them; the blackout of a shard is the longest call to an entity in it
 * that began before and ended after its move, one call at a time. There is no floor.
 */
import { Cluster } from "../../src/index.ts";
import { startHelper } from "../child.ts";
import { tookFigure } from "../figure.ts";
import { effort } from "../measure/effort.ts";
import { percentile } from "../measure/statistics.ts";
import { say } from "../parent.ts";
import { newClusterName, useOwnSecretFolder } from "../processes/cluster-name.ts";
import { EchoContract, payload } from "../processes/echo.ts";

const MOVE_GOAL_MS = 500;
const BLACKOUT_GOAL_MS = 50;
const ENTITIES = 100_000;
const IN_FLIGHT = 256;
const QUIET_MS = 400;

useOwnSecretFolder();
const { processes } = effort();

interface Move {
  readonly tookMs: number;
  readonly blackoutsMs: readonly number[];
}

/** One cluster, one join. */
async function measureMove(): Promise<Move> {
  const clusterName = newClusterName();
  await using first = startHelper("processes/member.ts", clusterName, "owner");
  await first.next();
  await using second = startHelper("processes/member.ts", clusterName, "owner");
  await second.next();
  await using caller = await Cluster.start({ name: clusterName, heartbeat: "normal" });
  const moved = new Map<number, number>();
  caller.on("shard-rebalanced", ({ shard }) => moved.set(shard, performance.now()));
  await quiet(moved);
  await call(
    caller,
    Array.from({ length: ENTITIES }, (_, n) => `e${n}`),
  );
  moved.clear();
  const probes = oneOfEachShard(caller);
  const state = { isMoving: true };
  const longest = new Map<number, number>();
  const watching = [...probes].map(async ([shard, id]) => {
    for (let n = 0; state.isMoving; n++) {
      const beganMs = performance.now();
      await caller.entity(EchoContract, id).send(payload(n));
      const tookMs = performance.now() - beganMs;
      const movedMs = moved.get(shard) ?? Number.NEGATIVE_INFINITY;
      if (beganMs <= movedMs) longest.set(shard, Math.max(longest.get(shard) ?? 0, tookMs));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  });
  await using third = startHelper("processes/member.ts", clusterName, "owner");
  await third.next();
  await quiet(moved);
  state.isMoving = false;
  await Promise.all(watching);
  const times = [...moved.values()];
  return {
    tookMs: Math.max(...times) - Math.min(...times),
    blackoutsMs: [...longest.values()],
  };
}

/** Resolves when no shard has moved for a while, and some have. */
async function quiet(moved: ReadonlyMap<number, number>): Promise<void> {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const lastMs = Math.max(...moved.values());
    if (moved.size > 0 && performance.now() - lastMs > QUIET_MS) return;
  }
}

async function call(caller: Sender, ids: readonly string[]): Promise<void> {
  const rest = ids.values();
  const lane = async (): Promise<void> => {
    for (const id of rest) await caller.entity(EchoContract, id).send(payload(0));
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
}

type Sender = Pick<Awaited<ReturnType<typeof Cluster.start>>, "entity" | "owner">;

/** An entity of every fourth shard: more would measure the load of the probes. */
function oneOfEachShard(caller: Sender): Map<number, string> {
  const probes = new Map<number, string>();
  for (let n = 0; n < ENTITIES / 10; n++) {
    const { shard } = caller.owner("echo", `e${n}`)!;
    if (shard % 16 === 0) probes.set(shard, `e${n}`);
  }
  return probes;
}

const moves: Move[] = [];
for (let i = 0; i < processes; i++) moves.push(await measureMove());
const tookMs = moves.map((move) => move.tookMs);
const blackoutsMs = moves.map((move) => percentile(move.blackoutsMs, 0.99));
say(tookFigure("100,000 entities, a third of the shards moves", tookMs, MOVE_GOAL_MS));
say(tookFigure("blackout of a shard that moves, p99", blackoutsMs, BLACKOUT_GOAL_MS));
