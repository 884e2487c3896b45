/** The node that only calls: a constant load of which every message is known. */
import { setTimeout as wait } from "node:timers/promises";
import { Cluster, type ClusterOf, type ClusterOptions, isCatgaError } from "../../src/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { ProbeContract } from "./probe.ts";

const LANES = 24;
/** Longer than anything that is done to a cluster here takes to be over. */
const RECOVERY_TIMEOUT_MS = 30_000;

/** A call that was not answered. */
export interface Failure {
  readonly id: string;
  readonly n: number;
  readonly code: string;
}

/** What the load met. */
export interface Load {
  /** Messages that were answered, by entity. */
  readonly answered: ReadonlyMap<string, ReadonlySet<number>>;
  readonly sent: number;
  readonly failures: readonly Failure[];
  /** The longest time that an entity was silent for its caller, in milliseconds. */
  readonly gapMs: number;
}

/** See the file's header. */
export class Caller {
  /** Nodes that this one saw die. */
  readonly failed: string[] = [];
  readonly #cluster: ClusterOf<never>;
  readonly #answered = new Map<string, Set<number>>();
  readonly #failures: Failure[] = [];
  readonly #lanes: Promise<void>[];
  readonly #state = { isLoading: true };
  #sent = 0;
  #gapMs = 0;

  private constructor(cluster: ClusterOf<never>) {
    this.#cluster = cluster;
    cluster.on("node-left", ({ node, reason }) => {
      if (reason === "failed") this.failed.push(node);
    });
    this.#lanes = Array.from({ length: LANES }, (_, lane) => this.#lane(`p${lane}`));
  }

  /** Joins, and begins to send. */
  static async start(options: Omit<ClusterOptions<[]>, "entities">): Promise<Caller> {
    return new Caller(await Cluster.start(options));
  }

  /** What was until now does not count for the longest gap. */
  forgetGaps(): void {
    this.#gapMs = 0;
  }

  /** Resolves when this node sees just `nodes`, and every entity has answered since. */
  async recovered(nodes: readonly string[]): Promise<void> {
    const wanted = [...nodes, this.#cluster.nodeId].toSorted().join();
    const seen = (): string => this.#seen().join();
    const limit = { timeoutMs: RECOVERY_TIMEOUT_MS };
    await waitUntil(`there are ${wanted}`, () => seen() === wanted, { ...limit, describe: seen });
    const before = [...this.#answered.values()].map(({ size }) => size);
    const silent = (): string[] => {
      return [...this.#answered].flatMap(([id, { size }], i) => (size > before[i]! ? [] : [id]));
    };
    const describe = (): unknown => ({ silent: silent(), failures: this.#failures });
    await waitUntil("every entity answers", () => silent().length === 0, { ...limit, describe });
  }

  /** Ends the load, and leaves; every call has settled. */
  async finish(): Promise<Load> {
    await this.stop();
    const [answered, failures] = [this.#answered, this.#failures];
    return { answered, sent: this.#sent, failures, gapMs: Math.round(this.#gapMs) };
  }

  /** {@link finish} without a word. Twice is fine. */
  async stop(): Promise<void> {
    this.#state.isLoading = false;
    await Promise.all(this.#lanes);
    await this.#cluster.stop({ deadline: "2s" });
  }

  #seen(): string[] {
    return this.#cluster.nodes.map(({ node }) => node).toSorted();
  }

  /** One message after the other to an entity of its own. */
  async #lane(id: string): Promise<void> {
    const answered = new Set<number>();
    this.#answered.set(id, answered);
    let answeredMs = performance.now();
    for (let n = 1; this.#state.isLoading; n++) {
      const ms = n % 5 === 0 ? 5 : 0;
      this.#sent++;
      try {
        const probe = this.#cluster.entity(ProbeContract, id);
        await probe.send({ type: "add", n, ms }, { timeout: "20s" });
        const nowMs = performance.now();
        this.#gapMs = Math.max(this.#gapMs, nowMs - answeredMs);
        answeredMs = nowMs;
        answered.add(n);
      } catch (error) {
        const code = isCatgaError(error) ? error.code : String(error);
        this.#failures.push({ id, n, code });
      }
      await wait(2);
    }
  }
}
