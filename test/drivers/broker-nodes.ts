/** Nodes that meet at a broker, and witness every turn of their entities. */
import { ok } from "node:assert/strict";
import {
  Cluster,
  type ClusterOf,
  type ClusterOptions,
  command,
  defineEntity,
  type Logger,
} from "../../src/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { uniqueName } from "./port.ts";

/** A turn that ran: of which copy of its entity, under which ownership. */
interface Turn {
  readonly copy: number;
  readonly fence: string;
  readonly count: number;
}

/** All turns of this process, by entity, in the order in which they ran. */
const turns = new Map<string, Turn[]>();
let copies = 0;

/** Counts, and knows which copy of itself it is. */
export const Witness = defineEntity("witness", {
  messages: { count: command<{}, { count: number; copy: number; node: string }>() },
  state: () => ({ count: 0, copy: ++copies }),
  handlers: {
    count: ({ state, id, node, fence }) => {
      const { copy } = state;
      const all = turns.get(id) ?? [];
      turns.set(id, all);
      all.push({ copy, fence, count: ++state.count });
      return { count: state.count, copy, node };
    },
  },
});

/** A node that hosts {@link Witness}. */
export type WitnessNode = ClusterOf<typeof Witness>;

/** Where nodes meet. */
export interface Place {
  readonly transport: NonNullable<ClusterOptions<[]>["transport"]>;
  readonly name: string;
}

/** Ids that would break out of subjects, keys and channels, if they came there. */
export const IDS = Array.from({ length: 40 }, (_, n) => `w${n} {} a.b > * \u{1f6eb}`);

const started: ClusterOf<never>[] = [];

/** Stops all nodes: every file that starts some says `afterEach`. */
export async function stopAll(): Promise<void> {
  await Promise.all(started.splice(0).map((node) => node.stop({ deadline: "2s" })));
  forgetTurns();
}

/** What ran until now does not matter. */
export function forgetTurns(): void {
  turns.clear();
}

/** A place where no other test meets. */
export function placeAt(transport: Place["transport"]): Place {
  return { transport, name: uniqueName("broker") };
}

/** Has a node stopped after the test. */
export function adopt<T extends ClusterOf<never>>(node: T): T {
  started.push(node);
  return node;
}

/** Starts a node that is stopped after the test. */
export async function join(
  place: Place,
  nodeId: string,
  more: Omit<ClusterOptions<[]>, "entities"> = {},
): Promise<WitnessNode> {
  const options = { ...place, ...more, nodeId, shardCount: 32 };
  return adopt(await Cluster.start({ ...options, entities: [Witness] }));
}

/** Has each of `ids` count once, wherever it lives meanwhile; what they answer. */
export async function askAll(
  node: WitnessNode,
  ids: readonly string[] = IDS,
): Promise<{ count: number; copy: number }[]> {
  const options = { timeout: "2s", retries: 50 } as const;
  return Promise.all(ids.map((id) => node.entity("witness", id).send({ type: "count" }, options)));
}

/** {@link askAll}, and what they have counted. */
export async function countAll(node: WitnessNode, ids?: readonly string[]): Promise<number[]> {
  return (await askAll(node, ids)).map(({ count }) => count);
}

/** Sends from all nodes without a pause, whatever comes of it. */
export function loadOf(senders: readonly WitnessNode[]): { end(): Promise<void> } {
  const state = { isOver: false };
  const running = senders.map(async (node) => {
    for (let n = 0; !state.isOver; n++) {
      const ref = node.entity("witness", IDS[n % IDS.length]!);
      await ref.send({ type: "count" }, { timeout: 200 }).catch(() => {});
      if (n % 20 === 0) await new Promise<void>((resolve) => void setImmediate(resolve));
    }
  });
  return {
    async end() {
      state.isOver = true;
      await Promise.all(running);
    },
  };
}

/** Resolves when `node` sees so many nodes. */
export async function seesCount(node: WitnessNode, count: number): Promise<void> {
  await waitUntil(`${node.nodeId} sees ${count}`, () => node.nodes.length === count, {
    timeoutMs: 20_000,
    describe: () => node.nodes.map((each) => each.node),
  });
}

/** Resolves when all of `nodes` agree who owns what, and each of them owns some of `ids`. */
export async function allOwn(
  nodes: readonly WitnessNode[],
  ids: readonly string[] = IDS,
): Promise<void> {
  const views = (): string[] =>
    nodes.map((node) => ids.map((id) => node.owner("witness", id)?.node).join());
  await waitUntil(
    "all own some, and agree",
    () => {
      const [first = "", ...others] = views();
      const owners = new Set(first.split(","));
      const allOwnSome = nodes.every(({ nodeId }) => owners.has(nodeId));
      return allOwnSome && owners.size === nodes.length && others.every((each) => each === first);
    },
    { timeoutMs: 20_000, describe: views },
  );
}

/**
 * No copy of an entity had a turn after a later one had, or under an older ownership, and none has
 * forgotten or doubled what it did.
 */
export function neverTwoCopies(): void {
  for (const [id, all] of turns) {
    for (const [at, turn] of all.slice(1).entries()) {
      const before = all[at]!;
      const isFine = before.copy <= turn.copy && before.fence <= turn.fence;
      const follows = before.copy !== turn.copy || before.count + 1 === turn.count;
      ok(isFine && follows, `${id}: ${JSON.stringify([before, turn])}`);
    }
  }
}

/** A logger that keeps what it is told. */
export function keepingLog(): Logger & { readonly lines: string[] } {
  const lines: string[] = [];
  const keep = (_fields: object, message: string): void => void lines.push(message);
  return { lines, debug: keep, info: keep, warn: keep, error: keep };
}
