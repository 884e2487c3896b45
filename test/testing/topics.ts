/** Clusters in simulated time whose nodes publish, listen and watch, as several tests use them. */
import type { NodeCluster } from "../../src/api/cluster.ts";
import { type AnyEntity, defineEvent } from "../../src/index.ts";
import type { Topics } from "../../src/runtime/topics.ts";
import { TestCluster, type TestOptions } from "../../src/testing/index.ts";

/** Says who published it, and as which one of its own. */
export const Said = defineEvent<{ from: string; n: number; text?: string }>("chat.said");

/** Starts nodes, without entities if nothing else is said; all have heard of each other. */
export async function start(options: TestOptions<readonly AnyEntity[]> = {}): Promise<Nodes> {
  const cluster = await TestCluster.start({ entities: [], ...options });
  await cluster.advance("50ms");
  return cluster;
}

/** Nodes of any entities. */
export type Nodes = TestCluster<readonly AnyEntity[]>;

/** What listens on the process of a node. */
export function topicsOf(cluster: Nodes, name: string): Topics {
  return (cluster.node(name) as unknown as NodeCluster).topics;
}

/** What a node hears of {@link Said} from now on, as `n1:3`. */
export function hearing(cluster: Nodes, name: string): string[] {
  const heard: string[] = [];
  cluster.node(name).subscribe(Said, ({ from, n }) => void heard.push(`${from}:${n}`));
  return heard;
}

/** What a watch of `type` was told: messages, and what has happened without one. */
export interface Watched {
  readonly messages: object[];
  hints: number;
  lost: number;
  readonly end: () => void;
}

/** Watches `type` at a node. */
export function watching(topics: Topics, type: string, wantsMessage: boolean = true): Watched {
  const messages: object[] = [];
  const end = topics.watch(type, {
    wantsMessage,
    heard(message) {
      if (message === undefined) watched.hints++;
      else messages.push(message);
    },
    lost: () => void watched.lost++,
  });
  const watched = { messages, hints: 0, lost: 0, end };
  return watched;
}

/** Publishes `count` of them from `name`, one after the other. */
export async function say(cluster: Nodes, name: string, count: number): Promise<void> {
  for (let n = 1; n <= count; n++) await cluster.node(name).publish(Said({ from: name, n }));
}
