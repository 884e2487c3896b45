/** Nodes of embedded clusters, with what a test does not care about, stopped after it. */
import {
  Cluster,
  type ClusterOf,
  type ClusterOptions,
  command,
  defineEntity,
} from "../../src/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { SECRET } from "./fixtures.ts";
import { freePort, uniqueName } from "./port.ts";

/** Counts its messages, and remembers who sent them. */
export const Counter = defineEntity("counter", {
  messages: { count: command<{ from?: string }, { count: number; node: string }>() },
  state: () => ({ count: 0 }),
  handlers: {
    count: ({ state, node }) => ({ count: ++state.count, node }),
  },
});

/** A node that hosts {@link Counter}. */
export type CounterNode = ClusterOf<typeof Counter>;

/** Where nodes meet. */
export interface Meeting {
  readonly port: number;
  readonly options: {
    readonly transport?: `tcp://${string}`;
    readonly nodes?: readonly string[];
    readonly name: string;
    readonly secret: string;
    readonly heartbeat: "normal";
  };
}

const started: ClusterOf<never>[] = [];

/** Stops the nodes that a test has started: every file that starts some says `afterEach`. */
export async function stopAll(): Promise<void> {
  await Promise.all(started.splice(0).map((node) => node.stop({ deadline: "2s" })));
}

/** A place where no other test meets. */
export async function meeting(): Promise<Meeting> {
  const port = await freePort();
  const transport = `tcp://127.0.0.1:${port}` as const;
  return {
    port,
    options: { transport, name: uniqueName("embedded"), secret: SECRET, heartbeat: "normal" },
  };
}

/** Starts a node that is stopped after the test. */
export function start(
  { options }: Pick<Meeting, "options">,
  more: Omit<ClusterOptions<[]>, "entities"> = {},
): Promise<CounterNode> {
  return stopped(Cluster.start({ shardCount: 32, ...options, ...more, entities: [Counter] }));
}

/** A node that is stopped after the test. */
export async function stopped<N extends ClusterOf<never>>(starting: Promise<N>): Promise<N> {
  const node = await starting;
  started.push(node);
  return node;
}

/** What `promise` fails with. */
export function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => `no failure, but ${String(value)}`,
    (error: unknown) => error,
  );
}

/** Resolves when `node` sees exactly the nodes `ids`. */
export async function sees(node: ClusterOf<never>, ids: readonly string[]): Promise<void> {
  const seen = (): string => node.nodes.map((each) => each.node).join();
  await waitUntil(`${node.nodeId} sees ${ids.join()}`, () => seen() === [...ids].sort().join(), {
    describe: seen,
  });
}

/** Resolves when each of `nodes` owns some of the entities, and all agree which. */
export async function spread(nodes: readonly CounterNode[]): Promise<void> {
  const ids = Array.from({ length: 200 }, (_, n) => `spread-${n}`);
  const ownersAt = (node: CounterNode): string[] =>
    ids.map((id) => node.owner("counter", id)?.node ?? "nobody");
  await waitUntil("all own some and agree", () => {
    const [first, ...others] = nodes.map(ownersAt);
    const owners = new Set(first);
    return owners.size === nodes.length && others.every((each) => each.join() === first!.join());
  });
}

/** Sends to so many entities from `node`; rejects when one of them does not answer. */
export async function serves(node: CounterNode, count = 50): Promise<void> {
  const ids = Array.from({ length: count }, (_, n) => `served-${n}`);
  await Promise.all(ids.map((id) => node.entity("counter", id).send({ type: "count" })));
}
