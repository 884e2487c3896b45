/**
 * The node processes of the demo together: started as one cluster, asked as one, stopped as one.
 */
import { randomBytes } from "node:crypto";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Owners, Portion, Questions, Ready } from "./lines.ts";
import { NodeProcess } from "./node-process.ts";
import { type DemoOptions, runtimeOf } from "./options.ts";
import { noTally, type Tally } from "./replay.ts";

/** Hears what nodes write to their stderr, line by line. */
export type StderrListener = (node: string, line: string) => void;

/** How the ring stands. */
export interface Settlement {
  /** Whether all nodes agree, and all of them own some; if not, time ran out. */
  readonly isSettled: boolean;
  readonly owners: Owners;
  readonly tookMs: number;
}

const HOST = "127.0.0.1";
const SETTLE_MS_MAX = 10_000;
const POLL_MS = 60;
/** How many looks have to show the same owners: at a broker a move has pauses. */
const SAME_LOOKS = { embedded: 1, broker: 8 };

/** See the file's header. */
export class Fleet {
  /** Rejects when a node cannot start, or ends although nobody asked it to. */
  readonly broken: Promise<never>;
  /** The name of the cluster. */
  readonly name: string;
  readonly #break: (reason: Error) => void;
  readonly #options: DemoOptions;
  readonly #wrote: StderrListener;
  readonly #nodes: NodeProcess[] = [];
  readonly #tallies = new Map<string, Tally>();
  #progress = (_tally: Tally): void => {};
  /** Of all replays that are over. */
  #done = noTally();
  #isStopping = false;

  constructor(options: DemoOptions, wrote: StderrListener) {
    const { promise, reject } = Promise.withResolvers<never>();
    this.broken = promise;
    this.#break = reject;
    this.#options = options;
    // At a broker there may be other demos, of other machines, and what is left of earlier ones.
    const { port, transport } = options;
    this.name = `flights-${transport === undefined ? port : randomBytes(4).toString("hex")}`;
    this.#wrote = wrote;
  }

  /** Starts all nodes; resolves when all of them serve. */
  async start(): Promise<readonly Ready[]> {
    const { nodes, port } = this.#options;
    // One more than there are at first: that one joins later.
    for (let index = 0; index <= nodes; index++) await checkIsFree(port + index);
    if (this.#isStopping) throw new Error("Cannot start: the demo is being stopped");
    return Promise.all(Array.from({ length: nodes }, () => this.join()));
  }

  /** Starts one more node; resolves when it serves. */
  join(): Promise<Ready> {
    const { port, transport } = this.#options;
    const index = this.#nodes.length;
    const plan = { cluster: this.name, node: `node-${index + 1}`, port: port + index };
    const node = new NodeProcess(
      { plan, transport, runtime: runtimeOf(this.#options, index) },
      {
        wrote: this.#wrote,
        progress: (name, tally) => this.#progressed(name, tally),
        failed: (reason) => this.#break(new Error(reason)),
      },
    );
    this.#nodes.push(node);
    return node.ready;
  }

  /** The nodes that serve. */
  get serving(): readonly NodeProcess[] {
    return this.#nodes.filter((node) => node.isServing);
  }

  /** The node of this name. */
  node(name: string): NodeProcess | undefined {
    return this.#nodes.find((node) => node.name === name);
  }

  /** Waits until all nodes name the same owners, look after look, and every node is among them. */
  async settle(airports: readonly string[]): Promise<Settlement> {
    const startMs = performance.now();
    const sameLooks =
      this.#options.transport === undefined ? SAME_LOOKS.embedded : SAME_LOOKS.broker;
    let before = "";
    let same = 0;
    for (let tookMs = 0; ; await delay(POLL_MS)) {
      const views = await this.#askAll("owners", () => ({ airports }));
      const [owners = []] = views;
      const now = JSON.stringify(owners);
      const isWhole = new Set(owners).size === views.length && !owners.includes(null);
      const agree = isWhole && views.every((view) => JSON.stringify(view) === now);
      const lookMs = performance.now() - startMs;
      same = agree && now === before ? same + 1 : 0;
      if (same === 0) tookMs = lookMs;
      if (same === sameLooks || lookMs > SETTLE_MS_MAX) {
        return { isSettled: same === sameLooks, owners, tookMs };
      }
      before = agree ? now : "";
    }
  }

  /** What became of all messages so far. */
  get tally(): Tally {
    return this.#done;
  }

  /** Hears of every replay, of all nodes together, while it goes on. */
  onProgress(progress: (tally: Tally) => void): void {
    this.#progress = progress;
  }

  /**
   * Replays some flights, each node its share. What a node that dies meanwhile was to send nobody
   * knows; it is not in the tally.
   */
  async replay(flights: Omit<Portion, "part" | "parts">): Promise<Tally> {
    const nodes = this.serving;
    const parts = nodes.length;
    const shares = nodes.map(async (node, part) => {
      try {
        return await node.ask("replay", { ...flights, part, parts });
      } catch (error) {
        if (node.isServing) throw error;
        return noTally();
      }
    });
    this.#done = sum([this.#done, ...(await Promise.all(shares))]);
    this.#tallies.clear();
    return this.#done;
  }

  /** What the airports counted, asked from one node, wherever they live. */
  totals(airports: readonly string[]): Promise<Questions["totals"]["answer"]> {
    return this.serving[0]!.ask("totals", { airports });
  }

  /** Who owns the airports, as one node knows it. */
  owners(airports: readonly string[]): Promise<Owners> {
    return this.serving[0]!.ask("owners", { airports });
  }

  /** Has all nodes leave; resolves when no process is left. Twice is once. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#progress = () => {};
    await Promise.all(this.#nodes.map((node) => node.stop()));
  }

  /** For those who cannot wait. */
  kill(): void {
    for (const node of this.#nodes) node.kill();
  }

  #askAll<Q extends keyof Questions>(
    question: Q,
    ask: (index: number) => Questions[Q]["ask"],
  ): Promise<Questions[Q]["answer"][]> {
    return Promise.all(this.serving.map((node, index) => node.ask(question, ask(index))));
  }

  #progressed(name: string, tally: Tally): void {
    this.#tallies.set(name, tally);
    this.#progress(sum([this.#done, ...this.#tallies.values()]));
  }
}

function sum(tallies: readonly Tally[]): Tally {
  return tallies.reduce(
    (all, each) => ({
      sent: all.sent + each.sent,
      answered: all.answered + each.answered,
      retried: all.retried + each.retried,
      unknown: all.unknown + each.unknown,
      failed: all.failed + each.failed,
      reason: all.reason ?? each.reason,
    }),
    noTally(),
  );
}

/** Better said before three processes have started than by one of them. */
async function checkIsFree(port: number): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: Error & { readonly code?: string }) => {
      const reason = error.code === "EADDRINUSE" ? "it is taken" : error.message;
      reject(new Error(`Cannot use port ${port}: ${reason}; choose another one with --port`));
    });
    server.listen({ port, host: HOST }, resolve);
  });
  await new Promise((resolve) => server.close(resolve));
}
