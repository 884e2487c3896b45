/** A node to throw bytes at: where its ports are, and what a frame for it looks like. */
import { systemClock } from "../../src/base/clock.ts";
import { hash } from "../../src/base/hash.ts";
import { embedded } from "../../src/drivers/embedded/index.ts";
import { Cluster } from "../../src/index.ts";
import type { SessionRecord } from "../../src/protocol/records.ts";
import { connectPorts, SECRET } from "./fixtures.ts";
import { Counter, type CounterNode, type Meeting, meeting, serves } from "./nodes.ts";
import { type Introduction, RawConnection } from "./raw.ts";

/** The items of a frame by their kind; what is left out is empty. */
export type Lists = Partial<Record<"messages" | "replies" | "done" | "notes" | "asks", unknown>>;

const SHARD_COUNT = 32;

type Settings = Meeting["options"] & {
  readonly shardCount: number;
  readonly entities: readonly [typeof Counter];
};

/** See the file's header; it owns every shard. */
export class Target {
  readonly node: CounterNode;
  readonly cluster: string;
  readonly incarnation: string;
  readonly generation: number;
  readonly ports: { readonly hub: number; readonly link: number };
  readonly #settings: Settings;

  private constructor(
    node: CounterNode,
    ports: Target["ports"],
    known: Pick<Target, "incarnation" | "generation"> & { readonly settings: Settings },
  ) {
    this.node = node;
    this.ports = ports;
    this.#settings = known.settings;
    this.cluster = known.settings.name;
    this.incarnation = known.incarnation;
    this.generation = known.generation;
  }

  static async start(): Promise<Target> {
    const { port: hub, options } = await meeting();
    const { name: cluster } = options;
    const settings: Settings = { ...options, shardCount: SHARD_COUNT, entities: [Counter] };
    const node = await Cluster.start({ ...settings, nodeId: "target" });
    const { authority } = await connectPorts(embedded({ port: hub }), cluster);
    const snapshot = await authority.open({ changed() {}, resynced() {}, lost() {} });
    const session = snapshot.entries.find(({ key }) => key.startsWith("n."))!;
    const link = Number((session.value as SessionRecord).address.split(":")[1]);
    await authority.close();
    const { generation } = snapshot;
    const incarnation = session.key.slice(2);
    return new Target(node, { hub, link }, { settings, incarnation, generation });
  }

  /** A caller that nobody has seen before, and that knows the secret. */
  caller(purpose: Introduction["purpose"]): Introduction {
    const incarnation = `raw.${purpose}.${systemClock.nowMs()}`;
    return { cluster: this.cluster, secret: SECRET, purpose, incarnation };
  }

  /** A connection of such a caller. */
  introduced(purpose: Introduction["purpose"]): Promise<RawConnection> {
    const port = purpose === "link" ? this.ports.link : this.ports.hub;
    return RawConnection.introduced(port, this.caller(purpose));
  }

  /** Callers that acknowledge nothing are not waited for. */
  stop(): Promise<void> {
    return this.node.stop({ deadline: "1s" });
  }

  /** A frame for the node's link. */
  items(lists: Lists, number: number = 1): string {
    const { messages, replies, done, notes, asks } = lists;
    const all = [messages, replies, done, notes, asks].map((each) => each ?? []);
    return JSON.stringify([this.generation, number, 0, this.incarnation, all]);
  }

  /** A message that the node will answer, as call 77. */
  async message(id: string): Promise<unknown[]> {
    const shard = hash(id, hash("counter")) % SHARD_COUNT;
    return [shard, 1, 0, 1, 77, 5_000, "counter", id, { type: "count" }, 0];
  }

  /** Resolves when such a message in frame `number` was answered over `connection`. */
  async answers(connection: RawConnection, number: number, id: string): Promise<void> {
    connection.send(this.items({ messages: await this.message(id) }, number));
    await connection.says('[77,{"count":1');
    connection.close();
  }

  /** Another node joins, is served, and leaves. */
  async welcomes(): Promise<void> {
    const late = await Cluster.start({ ...this.#settings, nodeId: "late" });
    await serves(late);
    await late.stop();
  }
}
