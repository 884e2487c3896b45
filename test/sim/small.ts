/**
 * Small clusters, exhausted: two nodes, one shard, one entity, two messages. What is on its way
 * comes in every order up to a depth, with at most one fault, and the oracle watches.
 *
 * Before the messages are sent some events come in their default order, few or many: so a handoff
 * meets them in each of its phases. A run without a death answers both messages; in the end all who
 * stay agree on an owner, and it serves.
 */
import { isCatgaError } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";
import { ChoiceWorld, type NodeFault, type Window } from "./choices.ts";
import { Explorer, TRIED } from "./explore.ts";
import { type Message, Oracle, type Probe } from "./oracle.ts";

interface Scenario {
  readonly name: string;
  /** In the order they start: the first owns the shard. */
  readonly nodes: readonly string[];
  /** What goes on when the messages are sent. */
  readonly during: "nothing" | "join" | "leave";
  /** Who sends the first and the second message. */
  readonly senders: readonly [string, string];
  /** Events that come before the messages, when every order of the next few is tried. */
  readonly skips: readonly number[];
}

/** What came of trying every order. */
export interface Exhausted {
  readonly scenario: string;
  /** Orders that were run to their end. */
  readonly orders: number;
  /** Orders that were given up: equal to another one. */
  readonly equal: number;
  readonly violation?: {
    readonly text: string;
    readonly skip: number;
    readonly choices: readonly string[];
  };
}

/** A handoff takes some twenty events: so every one of them is in some window. */
const STEPS = [0, 4, 8, 12, 16];

/**
 * The ring prefers n1, then n3: so n2 hands its shard over when n1 joins. A third node is the only
 * one that sends to both owners, n2 from n1 to n3; its orders are too many to try all.
 */
const SCENARIOS: readonly Scenario[] = [
  { name: "settled", nodes: ["n1", "n2"], during: "nothing", senders: ["n2", "n1"], skips: [0] },
  { name: "remote", nodes: ["n1", "n2"], during: "nothing", senders: ["n2", "n2"], skips: [0] },
  { name: "join", nodes: ["n2", "n1"], during: "join", senders: ["n1", "n2"], skips: STEPS },
  { name: "leave", nodes: ["n1", "n2"], during: "leave", senders: ["n2", "n2"], skips: STEPS },
  { name: "third", nodes: ["n1", "n2", "n3"], during: "leave", senders: ["n2", "n2"], skips: [] },
];

/** How much is tried. */
export interface Extent {
  /** Events whose order is open. */
  readonly depth: number;
  /** In how many places an order may differ from the default one. */
  readonly changesMax?: number;
}

/** What is tried if nobody says otherwise: every order of few events, and few changes of many. */
export const EXTENTS: readonly Extent[] = [{ depth: 6 }, { depth: 16, changesMax: 2 }];

const ENTITY = "e";
const TIMEOUT = { timeout: "5m" } as const;
const NETWORK = { delay: [0, 0] } as const;

type Opening = Pick<Window, "skip" | "depth" | "mayHold">;

/** Tries all small clusters to the same extent. */
export async function* exhaustAll(extent: Extent): AsyncGenerator<Exhausted> {
  const { changesMax } = extent;
  for (const scenario of SCENARIOS) {
    // Few changes reach far: there is no need to begin late.
    const skips = changesMax === undefined ? scenario.skips : [0];
    if (skips.length > 0) yield await exhaust({ ...scenario, skips }, extent);
  }
}

/** Tries every order; stops at the first violation. */
async function exhaust(scenario: Scenario, { depth, changesMax }: Extent): Promise<Exhausted> {
  const count = { scenario: scenario.name, orders: 0, equal: 0 };
  for (const skip of scenario.skips) {
    const explorer = new Explorer(changesMax);
    const mayHold = changesMax !== undefined;
    do {
      const violations = await new SmallRun(scenario, explorer).run({ skip, depth, mayHold });
      if (violations === undefined) count.equal++;
      else count.orders++;
      const text = violations?.[0];
      if (text !== undefined) {
        return { ...count, violation: { text, skip, choices: explorer.labels } };
      }
    } while (explorer.next());
  }
  return count;
}

class SmallRun {
  readonly #scenario: Scenario;
  readonly #explorer: Explorer;
  readonly #world = new ChoiceWorld(1);
  readonly #oracle = new Oracle({
    mayAct: (node) => this.#mayAct(node),
    mayForget: () => this.#hasDied,
  });
  readonly #probe: Probe;
  #cluster!: TestCluster<readonly [Probe]>;
  #hasDied = false;
  readonly #calls: { readonly from: string; readonly done: Promise<void> }[] = [];
  readonly #sent = new Map<string, number>();
  /** Nodes that leave. */
  readonly #stops = new Map<string, Promise<void>>();

  constructor(scenario: Scenario, explorer: Explorer) {
    this.#scenario = scenario;
    this.#explorer = explorer;
    this.#probe = this.#oracle.probe((node, ms) => this.#cluster.sleep(node, ms));
  }

  /** What was violated; `undefined` for an order that is equal to one that was tried. */
  async run(opening: Opening): Promise<readonly string[] | undefined> {
    try {
      await this.#start();
      await this.#happen(opening);
      await this.#converges();
    } catch (error) {
      if (error === TRIED) return undefined;
      this.#oracle.violate(String(error));
    }
    return this.#oracle.violations;
  }

  async #start(): Promise<void> {
    const { nodes, during } = this.#scenario;
    const options = {
      nodes: 0,
      shardCount: 1,
      heartbeat: "normal",
      entities: [this.#probe],
      network: NETWORK,
    } as const;
    this.#cluster = await TestCluster.start(options, this.#world);
    this.#cluster.authority(NETWORK);
    for (const node of nodes) {
      await this.#cluster.advance("1s");
      await this.#cluster.join(node);
    }
    if (during === "join") return;
    await this.#cluster.advance("1s");
    if (during === "leave") this.#leave(nodes[0]!);
  }

  async #happen(opening: Opening): Promise<void> {
    const { nodes, during, senders } = this.#scenario;
    const first = nodes[0]!;
    const kill = (node: string): NodeFault => ({ kind: "kill", node, run: () => this.#kill(node) });
    const leave: NodeFault = { kind: "leave", node: first, run: () => this.#leave(first) };
    // Somebody has to be left.
    const faults = during === "leave" ? [kill(first)] : [...nodes.map(kill), leave];
    const begin = (): void => {
      for (const from of senders) this.#calls.push({ from, done: this.#send(from) });
    };
    const closed = new Promise<void>((end) => {
      this.#world.open({ ...opening, chooser: this.#explorer, begin, faults, end });
    });
    await this.#cluster.run(closed);
    // A killed sender's calls never settle; nobody waits for them.
    const calls = this.#calls.filter(({ from }) => this.#cluster.names.includes(from));
    await this.#cluster.run(Promise.all(calls.map(({ done }) => done)));
    await this.#cluster.run(Promise.all(this.#stops.values()));
  }

  async #send(from: string): Promise<void> {
    const message = { id: ENTITY, from, n: (this.#sent.get(from) ?? 0) + 1 };
    this.#sent.set(from, message.n);
    // The first turn lasts, so that something may come while it runs.
    const ms = this.#calls.length === 0 ? 1 : 0;
    try {
      const entity = this.#cluster.node(from).entity(this.#probe, ENTITY);
      await entity.send({ type: "add", from, n: message.n, ms }, TIMEOUT);
      if (this.#cluster.names.includes(from)) this.#oracle.answered(message);
    } catch (error) {
      this.#failed(message, error);
    }
  }

  /** Only who died leaves others in doubt; and who says that nothing ran must be right. */
  #failed(message: Message, error: unknown): void {
    const code = isCatgaError(error) ? error.code : String(error);
    const isTrue = this.#hasDied && code === "OUTCOME_UNKNOWN";
    if (!isTrue)
      this.#oracle.violate(`message ${message.n} of ${message.from} failed with ${code}`);
  }

  #kill(node: string): void {
    this.#hasDied = true;
    this.#world.looksAround = true;
    this.#stops.delete(node);
    this.#cluster.kill(node);
  }

  #leave(node: string): void {
    this.#stops.set(node, this.#cluster.node(node).stop({ deadline: "1m" }));
  }

  /** In the end all who stay agree on an owner, and it serves. */
  async #converges(): Promise<void> {
    await this.#cluster.advance(this.#hasDied ? "5s" : "1s");
    const stayers = this.#cluster.names.filter((name) => !this.#stops.has(name));
    const owners = new Set<string | undefined>();
    for (const from of stayers) {
      const node = this.#cluster.node(from);
      owners.add(node.owner("probe", ENTITY)?.node);
      const message = { type: "add", from: "", n: 0, ms: 0 } as const;
      const answer = node.entity(this.#probe, ENTITY).send(message, { timeout: "5s" });
      const outcome = await this.#cluster.run(answer.then(() => "", String));
      if (outcome !== "") this.#oracle.violate(`nothing is served to ${from}: ${outcome}`);
    }
    const [owner] = owners;
    if (owners.size === 1 && stayers.includes(owner ?? "")) return;
    this.#oracle.violate(`in the end the owner is ${[...owners].join(", or ")}`);
  }

  #mayAct(name: string): boolean {
    this.#world.looksAround = true;
    return this.#cluster.names.includes(name) && this.#cluster.leaseHolds(name);
  }
}
