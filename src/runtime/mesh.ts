/**
 * All streams and channels of this node: who is reached how, and what arrives for whom.
 *
 * Everything that is sent during one burst of work leaves together at its end, one frame for each
 * node; that is where the throughput across processes comes from.
 */
import { CatgaError } from "../base/errors.ts";
import { HOLD_MS } from "../base/limits.ts";
import { type ChannelCounter, isStale } from "../ownership/channel.ts";
import type { Link, LinkListener } from "../ports/link.ts";
import {
  decodeFrame,
  type Frame,
  itemsOf,
  type MessageItem,
  readItems,
} from "../protocol/frame.ts";
import { type Entry, isEntry } from "../protocol/ledger.ts";
import type { Note } from "../protocol/note.ts";
import { shardKey, type ShardRecord } from "../protocol/records.ts";
import { Channel, type ChannelOwner, type Route } from "./channel.ts";
import type { Interest } from "./interest.ts";
import type { NodeContext } from "./node-context.ts";
import { Peer, type PeerOwner } from "./peer.ts";
import { detailsOf, outcomeUnknown } from "./call.ts";
import type { RemoteCall } from "./remote-call.ts";
import type { Router } from "./router.ts";
import type { Shards } from "./shards.ts";
import type { WatchDesk } from "./watch-desk.ts";

/** What lies behind the streams. */
export interface MeshParts {
  readonly link: Link;
  readonly shards: Shards;
  readonly router: Router;
  readonly interest: Interest;
  readonly desk: WatchDesk;
  /** Takes in a record that another node knows. */
  readonly learn: (entry: Entry) => void;
}

/** See the file's header. */
export class Mesh implements LinkListener, PeerOwner, ChannelOwner {
  readonly context: NodeContext;
  readonly parts: MeshParts;
  readonly #peers = new Map<string, Peer>();
  readonly #channels = new Map<string, (Channel | undefined)[]>();
  /** What waits for the lease of this node goes on with it, like the turns that wait for it. */
  readonly #withLease = { resume: (): void => this.pumpAll() };
  #burst = new Set<Peer>();

  constructor(context: NodeContext, parts: MeshParts) {
    this.context = context;
    this.parts = parts;
    context.progress.watch({
      kind: "message",
      waits: () => this.#heads(),
      what: ({ subject }: RemoteCall) => {
        const { entity, message } = detailsOf(subject);
        return `${entity}: message "${message}" has waited for its owner to take it`;
      },
    });
  }

  /** The first messages of all channels, the oldest first. */
  #heads(): RemoteCall[] {
    const channels = [...this.#channels.values()].flat();
    const heads = channels.flatMap((channel) => channel?.head ?? []);
    return heads.sort((a, b) => a.sinceMs - b.sinceMs);
  }

  /** The channel to a shard. */
  channel(group: string, shard: number): Channel {
    let channels = this.#channels.get(group);
    if (channels === undefined) this.#channels.set(group, (channels = []));
    let channel = channels[shard];
    if (channel === undefined) {
      channels[shard] = channel = new Channel(group, shard, this);
      this.parts.shards.leaveBy(channel);
    }
    return channel;
  }

  /** The stream to a node. */
  peer(incarnation: string): Peer {
    let peer = this.#peers.get(incarnation);
    if (peer === undefined) this.#peers.set(incarnation, (peer = new Peer(incarnation, this)));
    return peer;
  }

  /** True when every stream has delivered what it was given. */
  get isIdle(): boolean {
    const { view } = this.context;
    return ![...this.#peers.values()].some(
      (peer) => !peer.isIdle && view.isAlive(peer.incarnation),
    );
  }

  /** The session of `incarnation` is over: nothing it sends counts any more. */
  forget(incarnation: string): void {
    this.parts.link.forget(incarnation);
    this.context.calls.fail((call) => this.#lossOf(call, incarnation));
    this.#peers.get(incarnation)?.close();
    this.#peers.delete(incarnation);
    this.context.links.delete(incarnation);
    this.pumpAll();
  }

  /** Nothing is heard of `incarnation`, and nobody takes over what it has. */
  away(incarnation: string): void {
    this.context.calls.fail((call) => {
      if (call.lane === undefined) return this.#lossOfAsk(call, incarnation, "is away");
      return this.#recordOf(call)?.owner === incarnation
        ? outcomeUnknown(call, "the owner's node is away")
        : undefined;
    });
    this.pumpAll();
  }

  /** The owner of a shard changed. */
  moved(group: string, shard: number): void {
    this.#channels.get(group)?.[shard]?.pump();
  }

  /** Owners changed in bulk. */
  pumpAll(): void {
    for (const channels of this.#channels.values()) {
      for (const channel of channels) channel?.pump();
    }
  }

  /** Closes all streams. */
  close(): void {
    for (const peer of this.#peers.values()) peer.close();
  }

  connected(to: string): void {
    this.#peers.get(to)?.resend();
  }

  received(from: string, bytes: Uint8Array): boolean {
    const frame = decodeFrame(bytes);
    if (frame === undefined) return false;
    const { self, generation, view, clock } = this.context;
    // Not malformed, but of another life of the cluster or its sender: dropped without an answer.
    if (frame.to !== self || frame.generation !== generation) return true;
    if (view.isGone(from) || view.isForgotten(from, clock.wallMs())) return true;
    const peer = this.peer(from);
    peer.counts.framesIn++;
    peer.counts.bytesIn += bytes.length;
    return peer.receive(frame);
  }

  receiveItems(peer: Peer, frame: Frame): boolean {
    const { calls, slices } = this.context;
    slices.read();
    peer.counts.itemsIn += itemsOf(frame);
    return readItems(frame, {
      message: (item) => this.#receive(peer, item, frame.number),
      reply: (call, value) => calls.replied(call, value),
      note: (note) => this.#noted(peer, note),
      ask: (item) => this.parts.router.handlers.receive(peer, item),
    });
  }

  sendFrame(incarnation: string, frame: Uint8Array): void {
    // A frame may come before the news of its sender's session, and then without an address.
    const address = this.context.view.sessions.get(incarnation)?.record.address ?? "";
    this.parts.link.send({ incarnation, address }, frame);
  }

  flushSoon(peer: Peer): void {
    if (this.#burst.size === 0) this.context.clock.yield(() => this.#endBurst());
    this.#burst.add(peer);
  }

  route(group: string, shard: number): Route | undefined {
    const { view, self, slices } = this.context;
    const record = view.shard(group, shard)?.record;
    const owner = record?.owner ?? "";
    if (record === undefined) return undefined;
    if (owner === self) {
      if (this.parts.shards.serving(shard) !== undefined) return { to: "here", record };
      const { nowMs, leaseUntilMs } = slices;
      if (nowMs >= leaseUntilMs) slices.later(this.#withLease);
      return undefined;
    }
    const session = view.sessions.get(owner)?.record;
    if (session?.state === "away") return { away: session.node };
    return view.isAlive(owner) ? { to: this.peer(owner), record } : undefined;
  }

  deliverHere(call: RemoteCall, shard: number): void {
    this.parts.router.comeHome(call, this.parts.shards.at(shard));
  }

  counterHere(shard: number, channel: number): ChannelCounter | undefined {
    return this.parts.shards.at(shard).counter(this.context.self, channel);
  }

  /** Brings a message to its entity, or tells its sender what this node knows of the shard. */
  #receive(peer: Peer, item: MessageItem, frame: number): void {
    const { shard, channel, sequence, entity } = item;
    if (this.parts.router.receive(peer, item)) return;
    const { view } = this.context;
    const group = view.groupOf(entity) ?? entity;
    const entry = view.entry(shardKey(group, shard));
    const message = { group, shard, channel, sequence, frame };
    peer.outbox().notes.push({ kind: "redirect", ...message, retryMs: HOLD_MS, entry });
  }

  #noted(peer: Peer, note: Note): void {
    if (note.kind === "failure") return this.context.calls.failed(note);
    if (note.kind === "interest" || note.kind === "heard" || note.kind === "happened") {
      return this.parts.interest.noted(peer.incarnation, note);
    }
    if ("entity" in note) return this.parts.desk.noted(peer.incarnation, note);
    if (note.kind === "cancelled") return peer.awaited.get(note.call)?.abort();
    if (note.kind !== "redirect") return this.parts.shards.noted(peer.incarnation, note);
    if (isEntry(note.entry)) this.parts.learn(note.entry);
    this.#channels.get(note.group)?.[note.shard]?.redirected(note, peer);
  }

  /**
   * What had been accepted went with its shard, unless that died with `incarnation`. Of what
   * `incarnation` itself had accepted and given away before it died, nobody knows whether it had
   * run there, and its answer is lost. Who left had brought all answers home.
   */
  #lossOf(call: RemoteCall, incarnation: string): Error | undefined {
    if (call.lane === undefined) return this.#lossOfAsk(call, incarnation, "died");
    const record = this.#recordOf(call);
    if (!call.isAccepted || record === undefined) return undefined;
    const { sessions } = this.context.view;
    const hadIt = call.sentTo !== undefined && call.sentTo === this.#peers.get(incarnation);
    const isLost =
      record.owner === incarnation ||
      isStale(call.epoch, record.cleanSince) ||
      (hadIt && sessions.get(incarnation)?.record.state === "dead");
    return isLost ? outcomeUnknown(call, "the owner's node died") : undefined;
  }

  /** What was sent to a handler of that node, whose answer does not come. */
  #lossOfAsk(call: RemoteCall, incarnation: string, how: string): Error | undefined {
    if (call.sentTo === undefined || call.sentTo !== this.#peers.get(incarnation)) return undefined;
    const reason = `the node that had it ${how}`;
    // One that waited for room has not left this one.
    if (call.executed === "no") return new CatgaError("UNAVAILABLE", { reason });
    const session = this.context.view.sessions.get(incarnation)?.record;
    // What it had run was answered before it left, but nobody answers a one-way message.
    if (session?.state !== "left" || call.oneWay) return outcomeUnknown(call, reason);
    const left = `node "${session.node}" left before it had this one`;
    return new CatgaError("NO_HANDLER", { message: call.subject.type, reason: left });
  }

  /** The owner of the shard that a call was sent to. */
  #recordOf({ lane }: RemoteCall): ShardRecord | undefined {
    return lane && this.context.view.shard(lane.group, lane.shard)?.record;
  }

  #endBurst(): void {
    const burst = this.#burst;
    this.#burst = new Set();
    for (const peer of burst) peer.flush();
  }
}
