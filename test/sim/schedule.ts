/**
 * One schedule of the simulator: real nodes under load while they join, leave, die, pause and are
 * cut off, all decided by a seed, and an oracle that knows what must never be.
 *
 * Planned schedules only change the membership, over a network that loses, doubles and reorders:
 * every message is answered exactly once and in order. Chaos does everything else too: then a call
 * may end in an error, but no message runs twice, none runs out of order, no entity has two turns
 * on nodes that may both act, and whatever was answered has run.
 */
import { command, defineEntity, isCatgaError } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";

/** What kind of faults a schedule has. */
export type Kind = "planned" | "chaos";

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

interface Turn {
  readonly id: string;
  readonly node: string;
  /** How often the entity's state was changed, this turn included. */
  readonly version: number;
  readonly from: string;
  readonly n: number;
}

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
  readonly #violations: string[] = [];
  readonly #errors: Record<string, number> = {};
  /** Turns that run, by entity. */
  readonly #running = new Map<string, string>();
  /** What has run, by entity and sender: the numbers, in their order. */
  readonly #ran = new Map<string, number[]>();
  /** What ended while its node could not act. */
  readonly #held = new Map<string, string>();
  /** How often the state of each entity was changed. */
  readonly #versions = new Map<string, number>();
  readonly #sent = new Map<string, number>();
  #answered = 0;
  #state: number;
  #cluster!: TestCluster<readonly [ReturnType<Schedule["probe"]>]>;
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
  }

  async run(): Promise<Outcome> {
    const entities = [this.probe()] as const;
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
    await this.#cluster.run(Promise.all([...calls, ...this.#stops]));
    await this.#serves(entities[0]);
    await this.#cluster[Symbol.asyncDispose]();
    return {
      kind: this.#kind,
      seed: this.#seed,
      violations: this.#violations,
      sent: calls.length,
      answered: this.#answered,
      errors: this.#errors,
    };
  }

  /** When nothing fails any more, every entity is served (L1). */
  async #serves(probe: ReturnType<Schedule["probe"]>): Promise<void> {
    await this.#cluster.advance("3s");
    for (const from of this.#stayers()) {
      for (let e = 0; e < ENTITIES; e++) {
        const entity = this.#cluster.node(from).entity(probe, `e${e}`);
        const answer = entity.send({ type: "add", from: "", n: 0, ms: 0 }, { timeout: "5s" });
        const outcome = await this.#cluster.run(answer.then(() => "", String));
        // A node that was declared dead takes no calls any more, and says so.
        if (outcome !== "" && !outcome.includes("session is over")) {
          this.#violate(`e${e} is not served to ${from} in the end: ${outcome}`);
        }
      }
    }
  }

  /** The entity under test: it tells the oracle when its turns begin and end. */
  probe() {
    const begin = (...turn: Parameters<Schedule["begin"]>): void => this.begin(...turn);
    const end = (turn: Turn): void => this.#end(turn);
    const pause = (node: string, ms: number): Promise<void> => this.#cluster.sleep(node, ms);
    return defineEntity("probe", {
      messages: { add: command<{ from: string; n: number; ms: number }, number>() },
      state: () => ({ version: 0 }),
      handlers: {
        async add(ctx, { from, n, ms }) {
          begin(ctx.id, ctx.node, ctx.state.version);
          if (ms > 0) await pause(ctx.node, ms);
          const version = ++ctx.state.version;
          end({ id: ctx.id, node: ctx.node, version, from, n });
          return n;
        },
      },
    });
  }

  /** A turn begins, on a state of `version`. */
  begin(id: string, node: string, version: number): void {
    // A state that died with its owner begins anew; any other is the last one.
    if (version === 0) this.#versions.delete(id);
    const latest = this.#versions.get(id) ?? 0;
    if (version < latest) this.#violate(`${id}: state ${version} on ${node} after ${latest}`);
    const other = this.#running.get(id);
    if (other !== undefined && (other === node || this.#mayAct(other))) {
      this.#violate(`${id} has a turn on ${node} while one runs on ${other}`);
    }
    if (!this.#mayAct(node)) this.#violate(`${id} has a turn on ${node}, which may not act`);
    this.#running.set(id, node);
  }

  #end({ id, node, version, from, n }: Turn): void {
    if (this.#running.get(id) === node) this.#running.delete(id);
    if (from === "") return;
    const key = `${id} of ${from}`;
    // A turn that outlived its lease: nobody sees what it did, unless the lease is renewed after
    // all.
    if (!this.#mayAct(node)) return void this.#held.set(`${key} ${n}`, node);
    this.#versions.set(id, version);
    const ran = this.#ran.get(key) ?? [];
    this.#ran.set(key, ran);
    if (ran.includes(n)) this.#violate(`${key}: message ${n} ran twice`);
    else if (n < (ran.at(-1) ?? 0)) this.#violate(`${key}: message ${n} ran after ${ran.at(-1)}`);
    ran.push(n);
  }

  #mayAct(name: string): boolean {
    return this.#cluster.names.includes(name) && this.#cluster.leaseHolds(name);
  }

  #load(probe: ReturnType<Schedule["probe"]>): Promise<void>[] {
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
          const hasRun = this.#ran.get(key)?.includes(n) === true;
          const heldBy = this.#held.get(`${key} ${n}`);
          const wasHeld = heldBy !== undefined;
          if (heldBy === from && !this.#mayAct(from)) {
            this.#violate(`${key}: answer ${n} left ${from}, which may not act`);
          }
          if (!hasRun && !wasHeld) this.#violate(`${key}: message ${n} answered, not run`);
          if (hasRun && wasHeld) this.#violate(`${key}: message ${n} ran twice, once held back`);
        } catch (error) {
          const code = isCatgaError(error) ? error.code : String(error);
          this.#errors[code] = (this.#errors[code] ?? 0) + 1;
          if (this.#kind === "planned") this.#violate(`${key}: message ${n} failed with ${code}`);
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
    if (chance < 0.25 && names.length < 4) {
      const clock = { rate: CLOCK_RATES[this.#joined % 3]!, offsetMs: this.#upTo(10_000) };
      // In chaos a session may be over before the node has joined.
      const joining = cluster.join(`n${this.#joined++}`, { clock });
      await (this.#kind === "planned" ? joining : joining.catch(() => {}));
    } else if (chance < 0.45 && names.length > 2) {
      this.#leave(name);
    } else if (this.#kind === "chaos") {
      this.#break(name);
    }
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

  #violate(text: string): void {
    this.#violations.push(text);
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
