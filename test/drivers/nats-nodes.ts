/** Nodes over NATS servers of one test, and what they saw; all are stopped after it. */
import { expect } from "bun:test";
import { nats } from "../../src/drivers/nats/index.ts";
import { Cluster, type ClusterOf, command, defineEntity } from "../../src/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { openBucket } from "./fixtures.ts";
import { NatsServer } from "./nats-server.ts";
import { uniqueName } from "./port.ts";

/** When each copy of an entity ran a turn: no two copies may do so at one time. */
export const lives = new Map<string, { copy: number; fence: string }[]>();
let copies = 0;

/** Counts, and knows which copy of itself it is. */
export const Counter = defineEntity("counter", {
  messages: { count: command<{ of?: string }, { count: number; copy: number; node: string }>() },
  state: () => ({ count: 0, copy: ++copies }),
  handlers: {
    count({ state, id, node, fence }) {
      const turns = lives.get(id) ?? [];
      lives.set(id, turns);
      turns.push({ copy: state.copy, fence });
      return { count: ++state.count, copy: state.copy, node };
    },
  },
});

/** A node that hosts {@link Counter}. */
export type CounterNode = ClusterOf<typeof Counter>;

const servers: NatsServer[] = [];
/** Nodes to stop after the test. */
export const nodes: CounterNode[] = [];

/** For `afterEach` of every file: a hook here would run for the first one that imports this. */
export async function stopAll(): Promise<void> {
  await Promise.all(nodes.splice(0).map((node) => node.stop({ deadline: "1s" })));
  await Promise.all(servers.splice(0).map((server) => server.stop()));
}

/** A server; `more` is configuration. */
export async function serve(more = ""): Promise<NatsServer> {
  const server = await NatsServer.start(more);
  servers.push(server);
  return server;
}

/** So many nodes of a new cluster, of which each owns something. */
export async function clusterAt(server: NatsServer, count: number): Promise<CounterNode[]> {
  const name = uniqueName("faults");
  await openBucket(nats(server.url), name);
  const started: CounterNode[] = [];
  while (started.length < count)
    started.push(await join(server.url, name, `n${started.length + 1}`));
  await allOwnSome(started);
  return started;
}

/** Resolves when all agree who owns what, and each of them owns something. */
export async function allOwnSome(all: readonly CounterNode[]): Promise<void> {
  await waitUntil("all own some", () => {
    const owners = all.map((node) => IDS.map((id) => node.owner("counter", id)?.node).join());
    return new Set(owners).size === 1 && new Set(owners[0]!.split(",")).size === all.length;
  });
}

/** One node. */
export async function join(
  url: `nats://${string}`,
  name: string,
  nodeId: string,
): Promise<CounterNode> {
  const where = { transport: url, name, nodeId, shardCount: 32 } as const;
  const node = await Cluster.start({ ...where, entities: [Counter] });
  nodes.push(node);
  return node;
}

/** Ids that would break out of subjects, if they came there. */
export const IDS = Array.from({ length: 40 }, (_, n) => `c${n} a.b > * \u{1f6eb}`);

/** One message to each of {@link IDS}. */
export async function countAll(node: CounterNode): Promise<{ count: number; copy: number }[]> {
  const timeout = "10s";
  return Promise.all(
    IDS.map((id) => node.entity("counter", id).send({ type: "count" }, { timeout, retries: 20 })),
  );
}

/** Sends from all nodes without a pause, whatever comes of it. */
export function loadOf(senders: readonly CounterNode[]): { end(): Promise<void> } {
  const state = { isOver: false };
  const running = senders.map(async (node) => {
    for (let n = 0; !state.isOver; n++) {
      const ref = node.entity("counter", IDS[n % IDS.length]!);
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

/** Fails when of some entity an older copy had a turn after a newer one. */
export function noCopyCameBack(): void {
  for (const turns of lives.values()) {
    const copiesInTurn = turns.map(({ copy }) => copy);
    expect(copiesInTurn).toEqual(copiesInTurn.toSorted((a, b) => a - b));
    const fences = turns.map(({ fence }) => fence);
    expect(fences).toEqual(fences.toSorted());
  }
}
