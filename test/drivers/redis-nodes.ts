/** Nodes that meet at a Redis server, and witness every turn of their entities. */
import { ok } from "node:assert/strict";
import {
  Cluster,
  type ClusterOf,
  type ClusterOptions,
  command,
  defineEntity,
  isCatgaError,
  type Logger,
  type Transport,
} from "../../src/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { uniqueName } from "./port.ts";

interface Turn {
  readonly id: string;
  readonly fence: string;
  readonly count: number;
}

/** All turns of this process, in the order in which they ran. */
const turns: Turn[] = [];

/** Counts, and says under which ownership. */
export const Witness = defineEntity("witness", {
  messages: { count: command<{}, { count: number; node: string }>() },
  state: () => ({ count: 0 }),
  handlers: {
    count: ({ state, id, node, fence }) => {
      turns.push({ id, fence, count: ++state.count });
      return { count: state.count, node };
    },
  },
});

/** A node that hosts {@link Witness}. */
export type WitnessNode = ClusterOf<typeof Witness>;

/** Where nodes meet. */
export interface Place {
  readonly transport: Transport;
  readonly name: string;
}

const started: WitnessNode[] = [];

/** Stops all nodes; each file that starts some calls it after each test. */
export async function stopAll(): Promise<void> {
  await Promise.all(started.splice(0).map((node) => node.stop({ deadline: "2s" })));
  turns.length = 0;
}

/** A place where no other test meets. */
export function placeAt(transport: Transport): Place {
  return { transport, name: uniqueName("redis") };
}

/** Starts a node that is stopped after the test. */
export async function join(
  place: Place,
  nodeId: string,
  more: Omit<ClusterOptions<[]>, "entities"> = {},
): Promise<WitnessNode> {
  const options = { ...place, ...more, nodeId, shardCount: 32 };
  const node = await Cluster.start({ ...options, entities: [Witness] });
  started.push(node);
  return node;
}

/** Counts each of `ids` once, trying again as long as nothing ran; resolves to the counts. */
export async function countAll(node: WitnessNode, ids: readonly string[]): Promise<number[]> {
  return Promise.all(ids.map((id) => countOne(node, id)));
}

async function countOne(node: WitnessNode, id: string): Promise<number> {
  for (;;) {
    try {
      const options = { timeout: "2s" } as const;
      return (await node.entity("witness", id).send({ type: "count" }, options)).count;
    } catch (error) {
      ok(isCatgaError(error), String(error));
      await new Promise<void>((resolve) => void setTimeout(resolve, 10));
    }
  }
}

/** Resolves when `node` sees so many nodes. */
export async function seesCount(node: WitnessNode, count: number): Promise<void> {
  await waitUntil(`${node.nodeId} sees ${count}`, () => node.nodes.length === count, {
    timeoutMs: 15_000,
    describe: () => node.nodes.map((each) => each.node),
  });
}

/** Resolves when each of `nodes` owns some of `ids`. */
export async function allOwn(nodes: readonly WitnessNode[], ids: readonly string[]): Promise<void> {
  const first = nodes[0]!;
  const owners = (): Set<unknown> =>
    new Set(ids.map((id) => first.owner("witness", id)?.node ?? null));
  const all = (): boolean => nodes.every(({ nodeId }) => owners().has(nodeId));
  await waitUntil("all own some", () => all() && owners().size === nodes.length, {
    describe: () => [...owners()],
  });
}

/** No copy of an entity had a turn after a later one had: their turns follow their fences. */
export function neverTwoCopies(): void {
  const last = new Map<string, Turn>();
  for (const turn of turns) {
    const before = last.get(turn.id);
    const isSame = before?.fence === turn.fence;
    ok(before === undefined || before.fence <= turn.fence, JSON.stringify([before, turn]));
    ok(!isSame || turn.count === before.count + 1, JSON.stringify([before, turn]));
    last.set(turn.id, turn);
  }
}

/** A logger that keeps what it is told. */
export function keepingLog(): Logger & { readonly lines: string[] } {
  const lines: string[] = [];
  const keep = (_fields: object, message: string): void => void lines.push(message);
  return { lines, debug: keep, info: keep, warn: keep, error: keep };
}
