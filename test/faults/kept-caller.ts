/** The node that calls entities which are kept; it may end and come back, and so do its lanes. */
import { setTimeout as wait } from "node:timers/promises";
import { Cluster, type ClusterOf, isCatgaError, type Messages } from "../../src/index.ts";
import type { Target } from "../../src/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import type { Place } from "./rig.ts";

/** Shorter than what happens to a cluster, so that calls are given up on, too. */
const CALL_TIMEOUT = "3s";
/** Longer than anything that is done to a cluster here takes to be over. */
const RECOVERY_TIMEOUT_MS = 60_000;
/** For so long one call is tried again. */
const INSIST_MS = 60_000;
const PACE_MS = 30;
/** See {@link inLanes}. */
const TOGETHER = 50;

/** What a call may end with while nodes, brokers and stores come and go. */
const EXPECTED: ReadonlySet<string> = new Set([
  ..."CALL_TIMEOUT CLUSTER_STOPPED OUTCOME_UNKNOWN STORE_UNAVAILABLE UNAVAILABLE".split(" "),
  // Of a transfer, one of whose calls ended with one of these.
  "HANDLER_FAILED",
]);

/** One thing after the other; tells whether an entity has answered. */
export type Step = () => Promise<boolean>;

/** See the file's header. */
export class KeptCaller {
  /** How often calls ended with which code. */
  readonly codes = new Map<string, number>();
  /** Nodes that this one saw die. */
  readonly failed = new Set<string>();
  readonly #place: Place;
  readonly #steps: readonly Step[];
  readonly #answered: number[];
  readonly #state = { isLoading: true };
  readonly #lanes: Promise<void>[] = [];
  #cluster: ClusterOf<never> | undefined;

  private constructor(place: Place, steps: (caller: KeptCaller) => readonly Step[]) {
    this.#place = place;
    this.#steps = steps(this);
    this.#answered = this.#steps.map(() => 0);
  }

  /** Joins, and begins to go through `steps`, all at the same time. */
  static async start(
    place: Place,
    steps: (caller: KeptCaller) => readonly Step[],
  ): Promise<KeptCaller> {
    const caller = new KeptCaller(place, steps);
    await caller.join();
    caller.#lanes.push(...caller.#steps.map((step, at) => caller.#lane(step, at)));
    return caller;
  }

  /** Calls that failed and should not have, by their code. */
  get unexpected(): string[] {
    return [...this.codes].flatMap(([code, times]) =>
      EXPECTED.has(code) ? [] : `${times} calls failed with ${code}`,
    );
  }

  /** Joins, again after {@link leave}. */
  async join(): Promise<void> {
    const cluster = await Cluster.start({ ...this.#place, heartbeat: "normal" });
    cluster.on("node-left", ({ node, reason }) => {
      if (reason === "failed") this.failed.add(node);
    });
    this.#cluster = cluster;
  }

  /** Leaves; what was asked ends, what comes next waits until it has joined anew. */
  async leave(): Promise<void> {
    const cluster = this.#cluster;
    this.#cluster = undefined;
    await cluster?.stop({ deadline: "1s" });
  }

  /** The entity's answer. */
  async ask<T>(target: Target<Messages>, id: string, message: object): Promise<T> {
    await waitUntil("the caller has joined", () => this.#cluster !== undefined, {
      timeoutMs: RECOVERY_TIMEOUT_MS,
    });
    try {
      const entity = this.#cluster!.entity(target, id);
      return (await entity.send(message as never, { timeout: CALL_TIMEOUT })) as T;
    } catch (error) {
      const code = isCatgaError(error) ? error.code : String(error);
      this.codes.set(code, (this.codes.get(code) ?? 0) + 1);
      throw error;
    }
  }

  /** The same, asked as often as it takes. */
  async insist<T>(target: Target<Messages>, id: string, message: object): Promise<T> {
    const endMs = performance.now() + INSIST_MS;
    for (;;) {
      try {
        return await this.ask<T>(target, id, message);
      } catch (error) {
        if (performance.now() > endMs) throw error;
        await wait(PACE_MS);
      }
    }
  }

  /** Resolves when every lane has been answered since. */
  async recovered(): Promise<void> {
    const before = [...this.#answered];
    const silent = (): number[] => {
      return before.flatMap((times, at) => (this.#answered[at]! > times ? [] : at));
    };
    await waitUntil("every lane is answered", () => silent().length === 0, {
      timeoutMs: RECOVERY_TIMEOUT_MS,
      describe: () => ({ silent: silent(), codes: [...this.codes] }),
    });
  }

  /** Ends the lanes and leaves. Twice is fine. */
  async stop(): Promise<void> {
    await this.finish();
    await this.leave();
  }

  /** Ends the lanes; every call has settled. */
  async finish(): Promise<void> {
    this.#state.isLoading = false;
    await Promise.all(this.#lanes);
  }

  async #lane(step: Step, at: number): Promise<void> {
    while (this.#state.isLoading) {
      if (await step()) this.#answered[at]!++;
      await wait(PACE_MS);
    }
  }
}

/** Does something with each of many, a few at the same time. */
export async function inLanes<T>(
  all: readonly T[],
  run: (each: T, n: number) => Promise<void>,
): Promise<void> {
  // One iterator for all lanes: each takes the next one that nobody has taken.
  const entries = all.entries();
  const lane = async (): Promise<void> => {
    for (const [n, each] of entries) await run(each, n);
  };
  await Promise.all(Array.from({ length: TOGETHER }, lane));
}
