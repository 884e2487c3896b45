/** A node that sends messages with names of their own, and writes down what became of each. */
import { setTimeout as wait } from "node:timers/promises";
import { CatgaError, Cluster, type ClusterOf } from "../../src/index.ts";
import type { Executed, NodeOutcome } from "../../src/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import type { Definition, Reply } from "./handled.ts";
import type { Place } from "./rig.ts";

/** Longer than anything that is done to a cluster here takes to be over. */
const RECOVERY_TIMEOUT_MS = 60_000;

/** Messages of one kind, one after the other. */
export interface LaneSpec {
  readonly of: Definition;
  /** So many at the same time. @default 2 */
  readonly lanes?: number;
  /** How long the handler takes. @default 0 */
  readonly ms?: number;
  /** @default send */
  readonly how?: "send" | "broadcast" | "send twice";
  /** @default what the cluster has */
  readonly retries?: number;
}

/** A message, and what became of it. */
export interface Sent {
  readonly by: string;
  readonly id: string;
  readonly type: string;
  readonly kind: "query" | "command";
  readonly isBroadcast: boolean;
  readonly beganMs: number;
  /** What its handler takes does not count. */
  readonly waitedMs: number;
  readonly outcomes: readonly NodeOutcome<Reply>[];
  readonly failure: { readonly code: string; readonly executed: Executed } | undefined;
}

/** What a sender was told of a circuit. */
export interface Circuit {
  readonly by: string;
  readonly node: string;
  readonly message: string;
  readonly what: "opened" | "closed";
}

/** See the file's header. */
export class Sender {
  readonly name: string;
  readonly sent: Sent[] = [];
  readonly circuits: Circuit[] = [];
  /** Messages that have not ended, by their ids. */
  readonly open = new Map<string, Definition>();
  /** Nodes that this one saw die. */
  readonly failed: string[] = [];
  readonly cluster: ClusterOf<never>;
  readonly #lanes: Promise<void>[] = [];
  /** How often each lane was answered. */
  readonly #answered: number[] = [];
  readonly #state = { isLoading: true };
  #ids = 0;

  private constructor(cluster: ClusterOf<never>) {
    this.cluster = cluster;
    this.name = cluster.nodeId;
    cluster.on("node-left", ({ node, reason }) => {
      if (reason === "failed") this.failed.push(node);
    });
    for (const what of ["opened", "closed"] as const) {
      cluster.on(`circuit-${what}`, ({ node, message = "" }) => {
        this.circuits.push({ by: this.name, what, node, message });
      });
    }
  }

  /** Joins. */
  static async start(place: Place): Promise<Sender> {
    return new Sender(await Cluster.start({ ...place, heartbeat: "normal" }));
  }

  /** Sends without end; resolves when every lane was answered. */
  async load(specs: readonly LaneSpec[]): Promise<void> {
    for (const spec of specs) {
      for (let n = 0; n < (spec.lanes ?? 2); n++) {
        const at = this.#answered.push(0) - 1;
        this.#lanes.push(this.#lane(spec, at));
      }
    }
    await this.allAnswered();
  }

  /** Sends one; resolves when it has ended, one way or another. */
  async send({ of, how = "send", ms = 0, retries }: LaneSpec, at = 0): Promise<Sent> {
    const { type, kind } = of;
    const id = `${this.name}-${at}-${++this.#ids}`;
    const isBroadcast = how === "broadcast";
    const message = of({ id, lane: `${this.name}-${at}`, ms });
    const options = retries === undefined ? {} : { retries };
    const once = async (): Promise<readonly NodeOutcome<Reply>[]> => {
      if (isBroadcast) return this.cluster.broadcast(message, options);
      const reply = await this.cluster.send(message, options);
      return [{ node: reply.node, ok: true, reply }];
    };
    const beganMs = performance.now();
    this.open.set(id, of);
    let failure: Sent["failure"];
    let outcomes: readonly NodeOutcome<Reply>[] = [];
    try {
      outcomes = await once();
      // Whoever is not sure sends it again, and is told what the first one came to.
      if (how === "send twice") outcomes = [...outcomes, ...(await once())];
    } catch (error) {
      const isKnown = error instanceof CatgaError;
      const { code, executed }: NonNullable<Sent["failure"]> = isKnown
        ? error
        : { code: String(error), executed: "maybe" };
      failure = { code, executed };
    }
    this.open.delete(id);
    const waitedMs = performance.now() - beganMs - ms;
    const sent: Sent = {
      by: this.name,
      id,
      type,
      kind,
      isBroadcast,
      beganMs,
      waitedMs,
      outcomes,
      failure,
    };
    this.sent.push(sent);
    return sent;
  }

  /** Resolves when every lane has been answered since. */
  async allAnswered(): Promise<void> {
    const before = [...this.#answered];
    const silent = (): number[] => {
      return before.flatMap((times, at) => (this.#answered[at]! > times ? [] : at));
    };
    await waitUntil("every lane is answered", () => silent().length === 0, {
      timeoutMs: RECOVERY_TIMEOUT_MS,
      describe: () => ({ by: this.name, silent: silent(), last: this.sent.slice(-3) }),
    });
  }

  /** Resolves when this node sees just `others`, all circuits are closed, and all is answered. */
  async recovered(others: readonly string[]): Promise<void> {
    const wanted = others.toSorted().join();
    const seen = (): string => this.#seen().join();
    const limit = { timeoutMs: RECOVERY_TIMEOUT_MS };
    await waitUntil(`there are ${wanted}`, () => seen() === wanted, { ...limit, describe: seen });
    const open = (): string[] => openCircuits(this.circuits);
    await waitUntil("all circuits are closed", () => open().length === 0, {
      ...limit,
      describe: open,
    });
    await this.allAnswered();
  }

  /** Ends the load; every call has settled. */
  async finish(): Promise<void> {
    this.#state.isLoading = false;
    await Promise.all(this.#lanes);
  }

  /** {@link finish}, and leaves. Twice is fine. */
  async stop(): Promise<void> {
    await this.finish();
    await this.cluster.stop({ deadline: "2s" });
  }

  #seen(): string[] {
    return this.cluster.nodes.map(({ node }) => node).toSorted();
  }

  async #lane(spec: LaneSpec, at: number): Promise<void> {
    while (this.#state.isLoading) {
      const { failure } = await this.send(spec, at);
      if (failure === undefined) this.#answered[at]!++;
      await wait(10);
    }
  }
}

/** Circuits that were opened and not closed since, by their senders' names. */
export function openCircuits(circuits: readonly Circuit[]): string[] {
  const open = new Set<string>();
  for (const { by, node, message, what } of circuits) {
    const name = `${message} to ${node} at ${by}`;
    if (what === "opened") open.add(name);
    else open.delete(name);
  }
  return [...open];
}
