/**
 * Directed schedules: adversaries built for one rule, where random ones need thousands of seeds to
 * find what it is for, or cannot. The seed decides the times; the oracle is the same.
 */
import { isCatgaError } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";
import { days } from "./days.ts";
import { Oracle, type Probe } from "./oracle.ts";
import { oneId, twoStores } from "./joining.ts";
import { oneTask } from "./leading.ts";

/** The names of the directed schedules. */
export const SCENE_NAMES = [
  "outage",
  "short leases",
  "late message",
  "late flip",
  "two lives",
  "old news",
  "come back",
  "two stores",
  "one id",
  "days",
  "one task",
] as const;
/** One of them. */
export type SceneName = (typeof SCENE_NAMES)[number];

const CANDIDATES = Array.from({ length: 64 }, (_, n) => `e${n}`);

/** Runs one; the rules it broke. */
export async function runDirected(name: SceneName, seed: number): Promise<readonly string[]> {
  if (name === "two stores") return twoStores(seed);
  if (name === "one id") return oneId(seed);
  if (name === "days") return days(seed);
  if (name === "one task") return oneTask(seed);
  const scene = new Scene(seed);
  await SCENES[name](scene);
  return scene.end();
}

/** What a directed schedule works with. */
class Scene {
  readonly oracle = new Oracle({
    mayAct: (name) => this.cluster.names.includes(name) && this.cluster.leaseHolds(name),
    mayForget: () => true,
  });
  readonly #probe = this.oracle.probe((...wait) => this.cluster.sleep(...wait));
  readonly #sent = new Map<string, number>();
  readonly #seed: number;
  #state: number;
  cluster!: TestCluster<readonly [Probe]>;

  constructor(seed: number) {
    this.#seed = seed;
    this.#state = seed * 7_919 + 1;
  }

  /** Starts a cluster of so many nodes, and lets it settle. */
  async start(nodes: number): Promise<TestCluster<readonly [Probe]>> {
    const options = { seed: this.#seed, entities: [this.#probe], shardCount: 32 } as const;
    this.cluster = await TestCluster.start({ ...options, heartbeat: "fast", nodes });
    await this.cluster.advance("1s");
    return this.cluster;
  }

  /** From now on it is against the rules to declare somebody dead. */
  nobodyFails(): void {
    for (const name of this.cluster.names) {
      this.cluster.node(name).on("node-left", ({ node, reason }) => {
        if (reason === "failed") this.oracle.violate(`${node} was declared dead for an outage`);
      });
    }
  }

  /** An entity that lives on `from`, and that each of `changes` would move to its first node. */
  mover(from: string, ...changes: readonly { join: string[]; leave?: string[] }[]): string {
    const node = this.cluster.node(from);
    const shards = changes.map(({ join, leave = [] }) => {
      const { moves } = node.plan({ join: join.map((name) => ({ node: name })), leave });
      return new Set(moves.filter(({ to }) => to === join[0]).map(({ shard }) => shard));
    });
    const isMoved = (id: string): boolean => {
      const owner = node.owner("probe", id);
      return owner?.node === from && shards.every((each) => each.has(owner.shard));
    };
    return CANDIDATES.find(isMoved)!;
  }

  /** Sends the next message of `from` to an entity; the code of the error, or nothing. */
  async send(from: string, id: string, ms = 0): Promise<string | undefined> {
    const key = `${id} of ${from}`;
    const n = (this.#sent.get(key) ?? 0) + 1;
    this.#sent.set(key, n);
    try {
      const entity = this.cluster.node(from).entity(this.#probe, id);
      await entity.send({ type: "add", from, n, ms }, { timeout: "5s" });
      this.oracle.answered({ id, from, n });
      return undefined;
    } catch (error) {
      return isCatgaError(error) ? error.code : String(error);
    }
  }

  /** A whole number, chosen by the seed. */
  between(min: number, max: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return min + Math.floor((this.#state / 2 ** 32) * (max - min + 1));
  }

  async end(): Promise<readonly string[]> {
    await this.cluster[Symbol.asyncDispose]();
    return this.oracle.violations;
  }
}

const SCENES: Readonly<
  Record<
    Exclude<SceneName, "two stores" | "one id" | "days" | "one task">,
    (scene: Scene) => Promise<void>
  >
> = {
  outage,
  "short leases": shortLeases,
  "late message": lateMessage,
  "late flip": lateFlip,
  "two lives": twoLives,
  "old news": oldNews,
  "come back": comeBack,
};

/** L6: after an outage of the authority nobody is dead for not having been able to renew. */
async function outage(scene: Scene): Promise<void> {
  const cluster = await scene.start(3);
  scene.nobodyFails();
  cluster.isolate(...cluster.names);
  await cluster.advance(scene.between(1_000, 4_000));
  cluster.heal();
  await cluster.advance("3s");
}

/** L6: nor for a shorter lease than that of a node which still holds its own. */
async function shortLeases(scene: Scene): Promise<void> {
  const cluster = await scene.start(2);
  await cluster.join("n3", { heartbeat: "normal" });
  await cluster.advance(scene.between(1_000, 2_000));
  scene.nobodyFails();
  cluster.isolate(...cluster.names);
  await cluster.advance(scene.between(1_000, 2_000));
  cluster.heal();
  await cluster.advance("3s");
}

/**
 * M2: the first message of a channel leaves for n2 and is held up. Its shard goes to n3, so the
 * message does, and runs there. n3 dies, n2 claims the shard, knows nothing of the channel, and
 * then what was held up comes.
 */
async function lateMessage(scene: Scene): Promise<void> {
  const cluster = await scene.start(2);
  const id = scene.mover("n2", { join: ["n3"] });
  cluster.partition(["n1"], ["n2"]);
  const answer = scene.send("n1", id);
  await cluster.advance(scene.between(1, 300));
  await cluster.join("n3");
  const failed = await cluster.run(answer);
  if (failed !== undefined) scene.oracle.violate(`no answer from n3: ${failed}`);
  cluster.kill("n3");
  await cluster.advance("1500ms");
  cluster.heal();
  await cluster.advance("3s");
}

/**
 * O4: n1 stages its shards at n3, and the flips are held up on their way to the authority. n1 dies;
 * n3 throws away what was staged, and while its claims are under way the flips are carried out.
 */
async function lateFlip(scene: Scene): Promise<void> {
  const cluster = await scene.start(2);
  const id = scene.mover("n1", { join: ["n3"] });
  for (let n = 0; n < 3; n++) await cluster.run(scene.send("n2", id));
  await cluster.join("n3");
  const flipMs = scene.between(700, 1_000);
  cluster.authority({ delay: [flipMs, flipMs] });
  await cluster.advance(80);
  cluster.kill("n1");
  cluster.authority({ delay: [15, 25] });
  await cluster.advance("2s");
  const failed = await cluster.run(scene.send("n2", id));
  if (failed !== undefined)
    scene.oracle.violate(`${id} is not served after a late flip: ${failed}`);
}

/**
 * The authority forgets that n1 gave its shards to n3, and nothing else; n1 dies. In the new life
 * n4 claims what n1 still owns there, while n3 has its session and all reason to go on.
 */
async function twoLives(scene: Scene): Promise<void> {
  const cluster = await scene.start(2);
  const id = await loseFlips(scene, () => cluster.kill("n1"));
  cluster.authority({ delay: [1, 60] });
  const calls: Promise<unknown>[] = [];
  for (let round = 0; round < 15; round++) {
    for (const from of ["n3", "n4"]) calls.push(scene.send(from, id, 400));
    await cluster.advance(100);
  }
  await cluster.run(Promise.all(calls));
}

/**
 * The authority forgets the same, and n1, who knows of it, cannot hear that there is a new life: in
 * which n4 asks n1 for what n1 owns there, and must not believe what that one knows.
 */
async function oldNews(scene: Scene): Promise<void> {
  const cluster = await scene.start(2);
  const id = await loseFlips(scene, () => cluster.isolate("n1"));
  const early = scene.send("n4", id);
  await cluster.advance("3s");
  await cluster.run(early);
  const failed = await cluster.run(scene.send("n4", id));
  if (failed !== undefined) scene.oracle.violate(`${id} is not served to n4 in the end: ${failed}`);
}

/**
 * The authority forgets everything, nobody is new, and all want to be back: who hears of it first
 * finds nobody in the next life, and the others may act in the last one still.
 */
async function comeBack(scene: Scene): Promise<void> {
  const cluster = await scene.start(3);
  cluster.restore();
  const calls: Promise<unknown>[] = [];
  for (let round = 0; round < 20; round++) {
    for (const from of cluster.names) {
      for (const id of ["e0", "e1", "e2"]) calls.push(scene.send(from, id, 100));
    }
    await cluster.advance(scene.between(50, 100));
  }
  await cluster.run(Promise.all(calls));
  await cluster.advance("3s");
  for (const from of cluster.names) {
    const failed = await cluster.run(scene.send(from, "e0"));
    if (failed !== undefined) scene.oracle.violate(`${from} is not back in the end: ${failed}`);
  }
}

/** n3 has joined, and n4 in the next life; the result moved from n1 to n3, and may move to n4. */
async function loseFlips(scene: Scene, before: () => void): Promise<string> {
  const { cluster } = scene;
  const id = scene.mover("n1", { join: ["n3"] }, { join: ["n4", "n3"], leave: ["n1"] });
  await cluster.join("n3");
  const backup = cluster.backup();
  await cluster.advance(scene.between(100, 180));
  before();
  cluster.restore(backup);
  await cluster.join("n4");
  return id;
}
