/**
 * One schedule of the simulator: real nodes under load while they join, leave, die, pause and are
 * cut off, all decided by a seed, and an oracle that knows what must never be.
 *
 * Planned schedules only change the membership, over a network that loses, doubles and reorders:
 * every message is answered exactly once and in order. Chaos does everything else too: then a call
 * may end in an error, but no message runs twice, none runs out of order, no entity has two turns
 * on nodes that may both act, and whatever was answered has run. A rollback is chaos in which the
 * authority loses records that it had acknowledged: that ends every node, and others join.
 */
import { isCatgaError } from "../../src/index.ts";
import { type Backup, TestCluster } from "../../src/testing/index.ts";
import { Oracle, type Probe } from "./oracle.ts";

/** What kind of faults a schedule has. */
export type Kind = "planned" | "chaos" | "rollback";

/** How a schedule ended. */
export interface Outcome {
  readonly kind: Kind;
  readonly seed: number;
  readonly violations: readonly string[];
  readonly sent: number;
  readonly answered: number;
  /** Calls that ended in an error, by its code. */
  readonly errors: Readonly<Record<string, number>>;
}

const ENTITIES = 6;
const ROUNDS = 14;
const SHARDS = 8;
const CLOCK_RATES = [0.995, 1, 1.005];

/** Longer than all faults of a schedule together. */
const TIMEOUT = { timeout: "5m" } as const;

/** Runs one schedule. */
export async function runSchedule(kind: Kind, seed: number): Promise<Outcome> {
  const schedule = new Schedule(kind, seed);
  return schedule.run();
}

class Schedule {
  readonly #kind: Kind;
  readonly #seed: number;
  readonly #errors: Record<string, number> = {};
  readonly #oracle: Oracle;
  /** The authority as it stood at the beginning of each round, and before the first. */
  readonly #backups: Backup[] = [[]];
  readonly #sent = new Map<string, number>();
  #answered = 0;
  #state: number;
  #cluster!: TestCluster<readonly [Probe]>;
  #joined = 3;
  readonly #leaving = new Set<string>();
  readonly #stops: Promise<void>[] = [];
  readonly #deaths = new Map<string, () => void>();
  readonly #gones = new Map<string, Promise<void>>();
  #undo: { readonly atMs: number; readonly run: () => void }[] = [];

  constructor(kind: Kind, seed: number) {
    this.#kind = kind;
    this.#seed = seed;
    this.#state = seed * 7_919 + 1;
    this.#oracle = new Oracle({
      mayAct: (name) => this.#cluster.names.includes(name) && this.#cluster.leaseHolds(name),
      mayForget: () => kind !== "planned",
    });
  }

  async run(): Promise<Outcome> {
    const entities = [this.#oracle.probe((...wait) => this.#cluster.sleep(...wait))] as const;
    const network = { drop: 0.03, duplicate: 0.03, delay: [0.2, 12] } as const;
    const options = { seed: this.#seed, entities, shardCount: SHARDS, network } as const;
    const heartbeat = this.#kind === "planned" ? "normal" : "fast";
    this.#cluster = await TestCluster.start({ ...options, heartbeat, nodes: 2 });
    const calls: Promise<void>[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await this.#fault();
      calls.push(...this.#load(entities[0]));
      await this.#cluster.advance(this.#upTo(120));
      const due = this.#undo.filter(({ atMs }) => atMs <= this.#cluster.nowMs);
      this.#undo = this.#undo.filter((each) => !due.includes(each));
      for (const { run } of due) run();
    }
    for (const name of this.#cluster.names) this.#cluster.resume(name);
    this.#cluster.heal();
    this.#cluster.network({});
    this.#cluster.authority({});
    // Of a life of the authority that is over nobody may be left.
    if (this.#kind === "rollback") await this.#cluster.join(`n${this.#joined++}`);
    await this.#cluster.run(Promise.all([...calls, ...this.#stops]));
    await this.#serves(entities[0]);
    await this.#cluster[Symbol.asyncDispose]();
    return {
      kind: this.#kind,
      seed: this.#seed,
      violations: this.#oracle.violations,
      sent: calls.length,
      answered: this.#answered,
      errors: this.#errors,
    };
  }

  /** When nothing fails any more, every entity is served (L1). */
  async #serves(probe: Probe): Promise<void> {
    await this.#cluster.advance("3s");
    for (const from of this.#stayers()) {
      for (let e = 0; e < ENTITIES; e++) {
        const entity = this.#cluster.node(from).entity(probe, `e${e}`);
        const answer = entity.send({ type: "add", from: "", n: 0, ms: 0 }, { timeout: "5s" });
        const outcome = await this.#cluster.run(answer.then(() => "", String));
        // A node that was declared dead takes no calls any more, and says so.
        if (outcome !== "" && !outcome.includes("session is over")) {
          this.#oracle.violate(`e${e} is not served to ${from} in the end: ${outcome}`);
        }
      }
    }
  }

  #load(probe: Probe): Promise<void>[] {
    return this.#stayers().flatMap((from) =>
      Array.from({ length: 4 }, async () => {
        const id = `e${Math.floor(this.#fraction() * ENTITIES)}`;
        const key = `${id} of ${from}`;
        const n = (this.#sent.get(key) ?? 0) + 1;
        this.#sent.set(key, n);
        const ms = this.#fraction() < 0.3 ? this.#upTo(80) : 0;
        const message = { type: "add", from, n, ms } as const;
        try {
          // A killed sender's calls never settle; nobody waits for them.
          const sending = this.#cluster.node(from).entity(probe, id).send(message, TIMEOUT);
          await Promise.race([sending, this.#gone(from)]);
          if (!this.#cluster.names.includes(from)) return;
          this.#answered++;
          this.#oracle.answered({ id, from, n });
        } catch (error) {
          const code = isCatgaError(error) ? error.code : String(error);
          this.#errors[code] = (this.#errors[code] ?? 0) + 1;
          if (this.#kind === "planned")
            this.#oracle.violate(`${key}: message ${n} failed with ${code}`);
        }
      }),
    );
  }

  #stayers(): string[] {
    return this.#cluster.names.filter((name) => !this.#leaving.has(name));
  }

  async #fault(): Promise<void> {
    const cluster = this.#cluster;
    const names = this.#stayers();
    const chance = this.#fraction();
    const name = names[Math.floor(this.#fraction() * names.length)]!;
    if (this.#kind === "rollback" && (await this.#rollBack())) return;
    if (chance < 0.25 && names.length < 4) {
      const clock = { rate: CLOCK_RATES[this.#joined % 3]!, offsetMs: this.#upTo(10_000) };
      // In chaos a session may be over before the node has joined.
      const joining = cluster.join(`n${this.#joined++}`, { clock });
      await (this.#kind === "planned" ? joining : joining.catch(() => {}));
    } else if (chance < 0.45 && names.length > 2) {
      this.#leave(name);
    } else if (this.#kind !== "planned") {
      this.#break(name);
    }
  }

  /** Now and then the authority goes back by some rounds, or to nothing; two nodes join then. */
  async #rollBack(): Promise<boolean> {
    this.#backups.push(this.#cluster.backup());
    if (this.#stayers().length > 0 && this.#fraction() > 0.15) return false;
    const rounds = Math.floor(this.#fraction() ** 2 * this.#backups.length);
    this.#cluster.restore(this.#backups.at(-1 - rounds));
    for (let n = 0; n < 2; n++) await this.#cluster.join(`n${this.#joined++}`).catch(() => {});
    // Of the nodes whose life is over some go on asking, as if they had not noticed.
    for (const name of this.#stayers()) {
      if (!this.#cluster.leaseHolds(name) && this.#fraction() < 0.6) this.#leaving.add(name);
    }
    return true;
  }

  /** Time goes on while the node leaves. */
  #leave(name: string): void {
    this.#leaving.add(name);
    this.#stops.push(this.#cluster.node(name).stop({ deadline: "1m" }));
  }

  #kill(name: string): void {
    this.#cluster.kill(name);
    this.#deaths.get(name)?.();
  }

  /** Resolves when `name` is killed. */
  #gone(name: string): Promise<void> {
    if (!this.#gones.has(name)) {
      this.#gones.set(name, new Promise((resolve) => this.#deaths.set(name, resolve)));
    }
    return this.#gones.get(name)!;
  }

  #later(ms: number, run: () => void): void {
    this.#undo.push({ atMs: this.#cluster.nowMs + ms, run });
  }

  #upTo(ms: number): number {
    return Math.ceil(this.#fraction() * ms);
  }

  /** Chance of its own, so that the load does not change with what the cluster does. */
  #fraction(): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return this.#state / 2 ** 32;
  }

  #break(name: string): void {
    const cluster = this.#cluster;
    const chance = this.#fraction();
    if (chance < 0.2 && this.#stayers().length > 1) return this.#kill(name);
    if (chance < 0.45) {
      cluster.pause(name);
      return this.#later(this.#upTo(2_500), () => cluster.resume(name));
    }
    if (chance < 0.6) {
      cluster.isolate(name);
      return this.#later(this.#upTo(2_500), () => cluster.heal());
    }
    if (chance < 0.75) {
      cluster.partition(
        [name],
        cluster.names.filter((other) => other !== name),
      );
      return this.#later(this.#upTo(1_500), () => cluster.heal());
    }
    if (chance < 0.85) return cluster.authority({ drop: 0.3, duplicate: 0.1, delay: [1, 100] });
    if (chance < 0.95) return cluster.network({ drop: 0.08, duplicate: 0.08, delay: [0.2, 500] });
    cluster.jumpWall(name, this.#upTo(4_000) - 2_000);
  }
}
