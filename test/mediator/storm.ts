/**
 * Messages with a name of their own in bad weather: nodes that are killed, stopped, cut off, leave
 * and join while others send, in simulated time; and a judge of what became of each message.
 */
import {
  type CatgaError,
  type ClusterOf,
  defineCommand,
  defineQuery,
  handler,
  isCatgaError,
} from "../../src/index.ts";
import { type Network, TestCluster } from "../../src/testing/index.ts";

/** What happens next; nodes are counted among those that there are, without the first. */
export type Step =
  | { readonly kind: "send"; readonly from: number; readonly count: number }
  | { readonly kind: "kill" | "leave" | "pause" | "cut"; readonly node: number }
  | { readonly kind: "resume" | "heal" }
  | { readonly kind: "join"; readonly handles: boolean }
  /** Of messages, or of news of the nodes. */
  | { readonly kind: "network" | "authority"; readonly network: Network }
  | { readonly kind: "wait"; readonly ms: number };

/** A storm. */
export interface Storm {
  readonly seed: number;
  /** Which nodes have handlers, beside the first, which has them and suffers nothing. */
  readonly handles: readonly boolean[];
  readonly steps: readonly Step[];
}

/** What became of a message. */
interface Sent {
  readonly what: string;
  readonly id: string;
  readonly from: string;
  readonly isOneWay: boolean;
  outcome?: "answered" | CatgaError;
}

const KEYS = 3;
/** Longer than any call takes. */
const CALM_MS = 30_000;

interface Numbered {
  readonly id: string;
  readonly key: string;
  readonly ms: number;
}

const Read = defineQuery<Numbered, string>("storm.read");
const Near = defineQuery<Numbered, string>("storm.near", { route: { strategy: "localFirst" } });
const ReadKeyed = defineQuery<Numbered, string>("storm.read-keyed", {
  route: { strategy: "consistentHash", key: "key" },
});
const Write = defineCommand<Numbered, string>("storm.write");
const Loaded = defineCommand<Numbered, string>("storm.loaded", {
  route: { strategy: "leastConnections" },
  concurrency: 2,
});
const Once = defineCommand<Numbered, string>("storm.once", {
  idempotency: { key: "id", window: "10m" },
});
const InOrder = defineCommand<Numbered, string>("storm.in-order", {
  route: { strategy: "consistentHash", key: "key" },
});
const MESSAGES = [Read, Near, ReadKeyed, Write, Loaded, Once, InOrder];

/** See the file's header. */
export class Weather {
  readonly #cluster: TestCluster<readonly []>;
  readonly #sent: Sent[] = [];
  readonly #calls: Promise<void>[] = [];
  readonly #runs: { readonly id: string; readonly key: string }[] = [];
  /** What an observer heard of the circuits of a node and a message. */
  readonly #circuits = new Map<string, string[]>();
  /** Nodes that a fault has met: their own calls may have ended with them. */
  readonly #struck = new Set<string>();
  #paused: string[] = [];
  readonly #leaving = new Map<string, Promise<void>>();
  #joined: number;
  /** What has happened; to a node that is cut off nobody can tell whether it lives. */
  readonly #faults = new Set<string>();
  #number = 0;

  private constructor(cluster: TestCluster<readonly []>, storm: Storm) {
    this.#cluster = cluster;
    this.#joined = storm.handles.length + 1;
  }

  /** What the judge has to say of `storm`: nothing, if all is well. */
  static async run(storm: Storm): Promise<string[]> {
    const cluster = await TestCluster.start({ nodes: 0, seed: storm.seed, shardCount: 16 });
    const weather = new Weather(cluster, storm);
    for (const [n, handles] of [true, ...storm.handles].entries()) {
      await weather.#join(`n${n + 1}`, handles);
    }
    await cluster.advance("2s");
    for (const step of storm.steps) await weather.#step(step);
    await weather.#calm();
    const verdict = weather.#judge();
    await cluster[Symbol.asyncDispose]();
    return verdict;
  }

  async #join(name: string, handles: boolean): Promise<void> {
    const run = async ({ id, key, ms }: Numbered, { node }: { node: string }): Promise<string> => {
      this.#runs.push({ id, key });
      if (ms > 0) await this.#cluster.sleep(node, ms);
      return id;
    };
    const handlers = handles ? MESSAGES.map((def) => handler(def, run)) : [];
    const failover = { circuitBreakerThreshold: 3, circuitHalfOpenAfter: 400 };
    const node = await this.#cluster.join(name, { handlers, failover });
    for (const event of ["circuit-opened", "circuit-closed"] as const) {
      node.on(event, (told) => {
        const circuit = `${name} of ${told.node} ${told.message}`;
        this.#circuits.set(circuit, [...(this.#circuits.get(circuit) ?? []), event]);
      });
    }
  }

  async #step(step: Step): Promise<void> {
    const cluster = this.#cluster;
    switch (step.kind) {
      case "send":
        return this.#send(step.from, step.count);
      case "resume":
        for (const name of this.#paused.splice(0)) cluster.resume(name);
        return;
      case "heal":
        return cluster.heal();
      case "join":
        return this.#join(`n${++this.#joined}`, step.handles);
      case "network":
      case "authority":
        return cluster[step.kind](step.network);
      case "wait":
        return cluster.advance(step.ms);
      default:
        return this.#strike(step.kind, step.node);
    }
  }

  #strike(kind: "kill" | "leave" | "pause" | "cut", at: number): void {
    const cluster = this.#cluster;
    const others = this.#active.filter((name) => name !== "n1");
    const name = others[at % Math.max(1, others.length)];
    if (name === undefined) return;
    this.#struck.add(name);
    this.#faults.add(kind);
    if (kind === "kill") cluster.kill(name);
    if (kind === "leave") this.#leaving.set(name, cluster.node(name).stop());
    if (kind === "cut") cluster.partition([name], cluster.names);
    if (kind !== "pause") return;
    this.#paused.push(name);
    cluster.pause(name);
  }

  /** Nodes that take calls. */
  get #active(): string[] {
    const { names } = this.#cluster;
    return names.filter((name) => !this.#paused.includes(name) && !this.#leaving.has(name));
  }

  #send(from: number, count: number): void {
    const name = this.#active[from % this.#active.length]!;
    const node = this.#cluster.node(name);
    for (let n = 0; n < count; n++) this.#sendOne(node, name, ++this.#number);
  }

  #sendOne(node: ClusterOf<never>, from: string, number: number): void {
    const def = MESSAGES[number % MESSAGES.length]!;
    const key = `${from}/${number % KEYS}`;
    const id = String(number);
    const isOneWay = number % 5 === 0 && def.kind === "command";
    const sent: Sent = { what: def.type, id, from, isOneWay };
    this.#sent.push(sent);
    const message = def({ id, key, ms: number % 4 === 0 ? (number * 7) % 50 : 0 });
    // Who tries again may overtake himself.
    const options = { timeout: "4s", ...(def === InOrder && { retries: 0 }) } as const;
    const call = isOneWay ? node.tell(message, options) : node.send(message, options);
    const done = call.then(
      () => void (sent.outcome = "answered"),
      (error: unknown) => {
        if (!isCatgaError(error)) throw error;
        sent.outcome = error;
      },
    );
    this.#calls.push(done);
  }

  async #calm(): Promise<void> {
    for (const name of this.#paused.splice(0)) this.#cluster.resume(name);
    this.#cluster.heal();
    this.#cluster.network({});
    this.#cluster.authority({});
    await this.#cluster.advance(CALM_MS);
    for (const name of this.#leaving.keys()) {
      if (this.#cluster.names.includes(name)) await this.#cluster.leave(name);
    }
  }

  #judge(): string[] {
    const found: string[] = [];
    const isPlanned = [...this.#faults].every((fault) => fault === "leave");
    const wasKilled = (from: string): boolean => !this.#cluster.names.includes(from);
    for (const sent of this.#sent) {
      const { what, id, from, outcome } = sent;
      const runs = this.#runs.filter((run) => run.id === id).length;
      const name = `${what} ${id} of ${from}`;
      if (outcome === undefined && !wasKilled(from)) found.push(`${name} was never answered`);
      if (what.includes("read") || what.includes("near")) {
        const mayFail = this.#struck.has(from) || (this.#faults.has("cut") && isLate(outcome));
        if (outcome !== "answered" && !mayFail) found.push(`${name} failed: ${String(outcome)}`);
        continue;
      }
      if (runs > 1) found.push(`${name} ran ${runs} times`);
      if (outcome === "answered" && runs === 0 && !sent.isOneWay) found.push(`${name} never ran`);
      const isFull = isCatgaError(outcome, "OVERLOADED") && what === Loaded.type;
      if (isPlanned && outcome !== "answered" && !this.#struck.has(from) && !isFull) {
        found.push(`${name} failed, though nobody did: ${String(outcome)}`);
      }
      const isRefused = isCatgaError(outcome) && outcome.executed === "no";
      if (isRefused && runs > 0) found.push(`${name} ran after ${outcome.code}`);
    }
    return [...found, ...this.#disorder(), ...this.#oddCircuits()];
  }

  /** Messages with one key, of one sender, that did not run in their order. */
  #disorder(): string[] {
    const ordered = new Set(
      this.#sent.filter(({ what }) => what === InOrder.type).map(({ id }) => id),
    );
    const last = new Map<string, number>();
    return this.#runs.flatMap(({ id, key }) => {
      if (!ordered.has(id)) return [];
      const before = last.get(key) ?? 0;
      last.set(key, Number(id));
      return before < Number(id) ? [] : [`${id} of ${key} ran after ${before}`];
    });
  }

  /** Circuits whose events do not take turns. */
  #oddCircuits(): string[] {
    return [...this.#circuits].flatMap(([circuit, events]) => {
      const isOdd = events.some((event, n) => event !== TURNS[n % 2]);
      return isOdd ? [`${circuit}: ${events.join()}`] : [];
    });
  }
}

const TURNS = ["circuit-opened", "circuit-closed"];

/** Of a node that cannot be heard, and is not dead, nobody can tell more. */
function isLate(outcome: Sent["outcome"]): boolean {
  return isCatgaError(outcome) && ["CALL_TIMEOUT", "UNAVAILABLE"].includes(outcome.code);
}
