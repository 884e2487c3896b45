/**
 * Cached queries in simulated time, while nodes ask, handle, command, pause, die, come back and
 * join: nobody is told what is older than a command of its own, or than the stated bound.
 */
import { expect, test } from "bun:test";
import {
  defineCommand,
  defineQuery,
  type Handler,
  handler,
  type HandlerContext,
  invalidate,
} from "../../src/index.ts";
import { HEARTBEATS } from "../../src/base/limits.ts";
import { TestCluster } from "../../src/testing/index.ts";
import { World } from "../../src/testing/world.ts";
import { Staleness } from "./staleness.ts";

type Nodes = TestCluster<readonly []>;
interface Item {
  readonly id: string;
}
interface Answer {
  readonly version: number;
}

const LEASE_MS = HEARTBEATS.fast.timeoutMs;
/** The slowest message of a calm network, and a burst of work at either end. */
const CALM = { delay: [1, 20] } as const;
const CALM_LATE_MS = 25;
const KEYS = ["lamp", "chair", "table"];
const STEPS = 150;
const JOINS = 3;

const Change = defineCommand<Item & { ms: number }, Answer>("stale.change");
const ChangeAny = defineCommand<Item & { ms: number }, Answer>("stale.change-any");
const ChangeKeyed = defineCommand<Item & { ms: number }, Answer>("stale.change-keyed", {
  route: { strategy: "consistentHash", key: "id" },
});
const CHANGES = [Change, ChangeAny, ChangeKeyed];
const invalidatedBy = [invalidate(Change, "id"), ChangeAny, invalidate(ChangeKeyed, "id")];
const ttl = "1h";
const QUERIES = {
  local: defineQuery<Item, Answer>("stale.local", { cache: { ttl, key: "id", invalidatedBy } }),
  payload: defineQuery<Item, Answer>("stale.payload", { cache: { ttl, invalidatedBy } }),
  keyed: defineQuery<Item, Answer>("stale.keyed", {
    route: { strategy: "consistentHash", key: "id" },
    cache: { ttl, key: "id", invalidatedBy },
  }),
  shared: defineQuery<Item, Answer>("stale.shared", {
    cache: { ttl, key: "id", scope: "cluster", invalidatedBy },
  }),
  "shared payload": defineQuery<Item, Answer>("stale.shared-payload", {
    cache: { ttl, scope: "cluster", invalidatedBy },
  }),
} as const;
type QueryName = keyof typeof QUERIES;

/** One schedule. */
class Run {
  readonly checker: Staleness;
  readonly #query: QueryName;
  readonly #chance: World;
  /** Where there are few, what was missed shows for longer. */
  readonly #commandShare: number;
  readonly #paused = new Set<string>();
  #cluster!: Nodes;
  #joined = 4;

  constructor(seed: number, query: QueryName, lateMs: number) {
    this.checker = new Staleness(lateMs);
    this.#query = query;
    this.#chance = new World(seed + 1_000);
    this.#commandShare = [0.01, 0.03, 0.12][seed % 3]!;
  }

  async run(seed: number, hasFaults: boolean): Promise<void> {
    const options = { entities: [], nodes: 4, shardCount: 16, seed } as const;
    await using cluster = await TestCluster.start({ ...options, handlers: this.#handlers() });
    this.#cluster = cluster;
    // One that only asks.
    await cluster.join("asks", { handlers: [] });
    cluster.network(CALM);
    for (let n = 0; n < STEPS; n++) {
      for (let times = 0; times < 6; times++) this.#call(this.#pick(cluster.names));
      if (hasFaults && this.#isLucky(0.15)) await this.#fault(this.#pick(cluster.names));
      await cluster.advance(this.#chance.fraction() * (this.#isLucky(0.1) ? 600 : 30));
    }
    this.#heal();
    await cluster.advance("20s");
    for (const name of cluster.names) await this.#checkLast(name);
  }

  /** When all is well again, everybody is told what is. */
  async #checkLast(name: string): Promise<void> {
    for (const id of KEYS) {
      const ask = () =>
        this.#cluster.run(this.#cluster.node(name).send(QUERIES[this.#query]({ id })));
      for (const { version } of [await ask(), await ask()]) {
        const last = this.checker.versionOf(id);
        if (version !== last) this.checker.wrong.push(`${name}: ${id} stays ${version} of ${last}`);
      }
    }
  }

  #handlers(): Handler[] {
    const change = async ({ id, ms }: { id: string; ms: number }, { node }: HandlerContext) => {
      await this.#cluster.sleep(node, ms);
      const write = this.checker.write(id, node);
      await this.#cluster.sleep(node, ms);
      const { names } = this.#cluster;
      const mayTell = names.includes(node) && this.#cluster.leaseHolds(node);
      if (mayTell) write.endedMs = Math.min(write.endedMs, this.#cluster.nowMs);
      return { version: write.version };
    };
    const read = async ({ id }: Item, { node }: HandlerContext): Promise<Answer> => {
      const version = this.checker.versionOf(id);
      await this.#cluster.sleep(node, this.#chance.fraction() * 30);
      return { version };
    };
    return [
      ...CHANGES.map((def) => handler(def, change)),
      ...Object.values(QUERIES).map((def) => handler(def, read)),
    ];
  }

  #call(name: string): void {
    if (this.#paused.has(name)) return;
    const node = this.#cluster.node(name);
    const id = this.#pick(KEYS);
    if (this.#isLucky(this.#commandShare)) {
      const ms = this.#isLucky(0.2)
        ? this.#chance.fraction() * 1_500
        : this.#chance.fraction() * 10;
      const change = this.#pick(CHANGES)({ id, ms });
      const done = node.send(change).then(({ version }) => this.checker.knows(name, id, version));
      return void done.catch(() => {});
    }
    const read = this.checker.ask(name, id, this.#cluster.nowMs);
    const answer = node.send(QUERIES[this.#query]({ id }), { timeout: "2s" });
    answer.then(({ version }) => this.checker.told(read, version)).catch(() => {});
  }

  async #fault(name: string): Promise<void> {
    const cluster = this.#cluster;
    const lot = this.#chance.fraction();
    const others = cluster.names.filter((each) => each !== "asks");
    if (lot < 0.15) {
      const drop = this.#chance.fraction() * 0.4;
      cluster.network({ drop, duplicate: 0.2, delay: [0, this.#chance.fraction() * 200] });
    } else if (lot < 0.45) cluster.partition([name], [this.#pick(cluster.names)]);
    else if (lot < 0.52) this.#heal();
    else if (lot < 0.65) cluster.isolate(name);
    else if (lot < 0.8 && !this.#paused.has(name)) {
      cluster.pause(name);
      this.#paused.add(name);
    } else if (lot < 0.9 && others.includes(name) && others.length > 2) {
      this.#paused.delete(name);
      cluster.kill(name);
      this.checker.died(name, cluster.nowMs);
    } else if (lot >= 0.9 && this.#joined < 4 + JOINS) {
      this.#heal();
      const joined = `n${++this.#joined}`;
      await cluster.join(joined);
      this.#call(joined);
    }
  }

  #heal(): void {
    this.#cluster.heal();
    this.#cluster.network(CALM);
    for (const name of this.#paused) this.#cluster.resume(name);
    this.#paused.clear();
  }

  #isLucky(share: number): boolean {
    return this.#chance.fraction() < share;
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#chance.fraction() * from.length)]!;
  }
}

/** Other ones with `FIRST`. */
const FIRST = Number(process.env["FIRST"] ?? 1);
const SEEDS = Number(process.env["SEEDS"] ?? 20);
const NAMES = Object.keys(QUERIES) as QueryName[];

for (const name of NAMES) {
  const of = `for ${name} answers`;
  test(`with the network whole, a change is seen one message later: ${of}`, async () => {
    await checkAll(name, CALM_LATE_MS, false);
  }, 600_000);
  test(`whatever fails, nobody is told what is older than a lease: ${of}`, async () => {
    await checkAll(name, LEASE_MS, true);
  }, 600_000);
}

async function checkAll(name: QueryName, lateMs: number, hasFaults: boolean): Promise<void> {
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const run = new Run(seed, name, lateMs);
    await run.run(seed, hasFaults);
    expect({ seed, wrong: run.checker.wrong.slice(0, 3) }).toEqual({ seed, wrong: [] });
    expect(run.checker.reads).toBeGreaterThan(STEPS);
  }
}
