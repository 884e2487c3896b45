/**
 * One schedule of the simulator: real nodes under load while they join, leave, die, pause and are
 * cut off, all decided by a seed.
 *
 * Planned schedules only change the membership, over a network that loses, doubles and reorders:
 * every message is answered exactly once and in order. Chaos does everything else too: then a call
 * may end in an error, but nothing may happen that the oracle forbids. A rollback is chaos in which
 * the authority loses records that it had acknowledged, too: every node ends, and comes back.
 */
import { isCatgaError } from "../../src/index.ts";
import { type Backup, TestCluster } from "../../src/testing/index.ts";
import { Oracle, type Probe } from "./oracle.ts";
import {
  DrawnPlan,
  ENTITIES,
  type Fault,
  type Kind,
  type Load,
  NODES,
  type Part,
  type Plan,
  ReplayedPlan,
  type Round,
} from "./plan.ts";

/** How a schedule ended. */
export interface Outcome {
  readonly kind: Kind;
  readonly seed: number;
  readonly violations: readonly string[];
  readonly sent: number;
  readonly answered: number;
  /** Calls that ended in an error, by its code. */
  readonly errors: Readonly<Record<string, number>>;
  /** What happened. */
  readonly rounds: readonly Round[];
}

const SHARDS = 8;

/** Longer than all faults of a schedule together. */
const TIMEOUT = { timeout: "5m" } as const;

/** Runs one schedule. */
export function runSchedule(kind: Kind, seed: number): Promise<Outcome> {
  return new Schedule(seed, kind, new DrawnPlan(kind, seed)).run();
}

/** Runs a part of the schedule that had `rounds`. */
export function replaySchedule({ kind, seed, rounds }: Outcome, part: Part): Promise<Outcome> {
  return new Schedule(seed, kind, new ReplayedPlan(rounds, part)).run();
}

class Schedule {
  readonly #kind: Kind;
  readonly #seed: number;
  readonly #plan: Plan;
  readonly #oracle = new Oracle({
    mayAct: (node) => this.#mayAct(node),
    mayForget: () => this.#kind !== "planned",
  });
  readonly #probe: Probe;
  readonly #errors: Record<string, number> = {};
  readonly #sent = new Map<string, number>();
  #answered = 0;
  #cluster!: TestCluster<readonly [Probe]>;
  readonly #calls: Promise<void>[] = [];
  /** The authority as it stood at the beginning of each round, and before the first. */
  readonly #backups: Backup[] = [[]];
  readonly #leaving = new Set<string>();
  readonly #stops: Promise<void>[] = [];
  readonly #deaths = new Map<string, () => void>();
  readonly #gones = new Map<string, Promise<void>>();
  #undo: { readonly atMs: number; readonly run: () => void }[] = [];

  constructor(seed: number, kind: Kind, plan: Plan) {
    this.#seed = seed;
    this.#kind = kind;
    this.#plan = plan;
    this.#probe = this.#oracle.probe((node, ms) => this.#cluster.sleep(node, ms));
  }

  async run(): Promise<Outcome> {
    try {
      await this.#happen();
    } catch (error) {
      // The seed has to be told, whatever went wrong.
      this.#oracle.violate(String(error));
    }
    return {
      kind: this.#kind,
      seed: this.#seed,
      violations: this.#oracle.violations,
      sent: this.#calls.length,
      answered: this.#answered,
      errors: this.#errors,
      rounds: this.#plan.rounds,
    };
  }

  async #happen(): Promise<void> {
    const entities = [this.#probe] as const;
    const network = { drop: 0.03, duplicate: 0.03, delay: [0.2, 12] } as const;
    const options = { seed: this.#seed, entities, shardCount: SHARDS, network } as const;
    const heartbeat = this.#kind === "planned" ? "normal" : "fast";
    this.#cluster = await TestCluster.start({ ...options, heartbeat, nodes: NODES });
    while (this.#plan.next()) {
      if (this.#kind === "rollback") this.#backups.push(this.#cluster.backup());
      const fault = this.#plan.fault(this.#stayers());
      if (fault !== undefined) await this.#carryOut(fault);
      for (const load of this.#plan.load(this.#stayers())) this.#calls.push(this.#send(load));
      await this.#cluster.advance(this.#plan.pauseMs());
      const due = this.#undo.filter(({ atMs }) => atMs <= this.#cluster.nowMs);
      this.#undo = this.#undo.filter((each) => !due.includes(each));
      for (const { run } of due) run();
    }
    for (const name of this.#cluster.names) this.#cluster.resume(name);
    this.#cluster.heal();
    this.#cluster.network({});
    this.#cluster.authority({});
    await this.#cluster.run(Promise.all([...this.#calls, ...this.#stops]));
    await this.#serves();
    await this.#cluster[Symbol.asyncDispose]();
  }

  /** When nothing fails any more, every entity is served (L1). */
  async #serves(): Promise<void> {
    await this.#cluster.advance("3s");
    for (const from of this.#stayers()) {
      for (let e = 0; e < ENTITIES; e++) {
        const entity = this.#cluster.node(from).entity(this.#probe, `e${e}`);
        const message = { type: "add", from: "", n: 0, ms: 0 } as const;
        const answer = entity.send(message, { timeout: "5s", retries: 3 });
        const outcome = await this.#cluster.run(answer.then(() => "", String));
        if (outcome === "") continue;
        this.#oracle.violate(`e${e} is not served to ${from} in the end: ${outcome}`);
      }
    }
  }

  #mayAct(name: string): boolean {
    return this.#cluster.names.includes(name) && this.#cluster.leaseHolds(name);
  }

  async #send({ from, id, ms }: Load): Promise<void> {
    const key = `${id} of ${from}`;
    const n = (this.#sent.get(key) ?? 0) + 1;
    this.#sent.set(key, n);
    try {
      // A killed sender's calls never settle; nobody waits for them.
      const entity = this.#cluster.node(from).entity(this.#probe, id);
      const sending = entity.send({ type: "add", from, n, ms }, TIMEOUT);
      await Promise.race([sending, this.#gone(from)]);
      if (!this.#cluster.names.includes(from)) return;
      this.#answered++;
      this.#oracle.answered({ id, from, n });
    } catch (error) {
      const code = isCatgaError(error) ? error.code : String(error);
      this.#errors[code] = (this.#errors[code] ?? 0) + 1;
      if (this.#kind !== "planned") return;
      this.#oracle.violate(`${key}: message ${n} failed with ${code}`);
    }
  }

  #stayers(): string[] {
    return this.#cluster.names.filter((name) => !this.#leaving.has(name));
  }

  async #carryOut(fault: Fault): Promise<void> {
    const cluster = this.#cluster;
    switch (fault.kind) {
      case "join":
        return this.#join(fault);
      case "leave":
        return this.#leave(fault.name);
      case "kill":
        cluster.kill(fault.name);
        return this.#deaths.get(fault.name)?.();
      case "rollback":
        cluster.restore(this.#backups.at(-1 - fault.rounds));
        return cluster.advance(fault.ms);
      case "slow authority":
        return cluster.authority({ drop: 0.3, duplicate: 0.1, delay: [1, 100] });
      case "slow network":
        return cluster.network({ drop: 0.08, duplicate: 0.08, delay: [0.2, 500] });
      case "jump":
        return cluster.jumpWall(fault.name, fault.ms);
      default:
        return this.#suspend(fault);
    }
  }

  async #join({ name, rate, offsetMs }: Extract<Fault, { kind: "join" }>): Promise<void> {
    const joining = this.#cluster.join(name, { clock: { rate, offsetMs } });
    // In chaos a session may be over before the node has joined.
    await (this.#kind === "planned" ? joining : joining.catch(() => {}));
  }

  /** Time goes on while the node leaves. */
  #leave(name: string): void {
    this.#leaving.add(name);
    this.#stops.push(this.#cluster.node(name).stop({ deadline: "1m" }));
  }

  /** What ends after its time. */
  #suspend({ kind, name, ms }: Extract<Fault, { kind: "pause" | "isolate" | "partition" }>): void {
    const cluster = this.#cluster;
    const others = cluster.names.filter((other) => other !== name);
    if (kind === "pause") cluster.pause(name);
    else if (kind === "isolate") cluster.isolate(name);
    else cluster.partition([name], others);
    const run = kind === "pause" ? () => cluster.resume(name) : () => cluster.heal();
    this.#undo.push({ atMs: cluster.nowMs + ms, run });
  }

  /** Resolves when `name` is killed. */
  #gone(name: string): Promise<void> {
    if (!this.#gones.has(name)) {
      this.#gones.set(name, new Promise((resolve) => this.#deaths.set(name, resolve)));
    }
    return this.#gones.get(name)!;
  }
}
