/**
 * All streams and channels of this node: who is reached how, and what arrives for whom.
 *
 * Everything that is sent during one burst of work leaves together at its end, one frame for each
 * node; that is where the throughput across processes comes from.
 */
import type { Clock } from "../base/clock.ts";
import type { TimerWheel } from "../base/timer-wheel.ts";
import type { View } from "../ownership/view.ts";
import type { Link, LinkListener } from "../ports/link.ts";
import { decodeFrame, decodeItem, type MessageItem, type RedirectItem } from "../protocol/frame.ts";
import type { Entry } from "../protocol/ledger.ts";
import { Channel, type ChannelServices, type Route } from "./channel.ts";
import { Peer, type PeerServices } from "./peer.ts";
import type { Calls, RemoteCall } from "./remote-call.ts";

/** What the mesh needs of the node around it. */
export interface MeshServices {
  readonly self: string;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly link: Link;
  readonly view: View;
  readonly calls: Calls;
  readonly generation: () => number;
  /** A message for an entity of this node; `false` when it makes no sense. */
  readonly message: (peer: Peer, frame: number, item: MessageItem) => boolean;
  /** A message of the handoff protocol; `false` when it makes no sense. */
  readonly control: (peer: Peer, body: string) => boolean;
  readonly deliverHere: (call: RemoteCall) => void;
  /** True when this node, which owns the shard, accepts messages for it. */
  readonly isServing: (group: string, shard: number) => boolean;
  readonly acceptedHere: (shard: number, channel: number) => number;
  /** Takes in a record that another node knows. */
  readonly learn: (entry: Entry) => void;
}

/** See the file's header. */
export class Mesh implements LinkListener {
  readonly #services: MeshServices;
  readonly #peers = new Map<string, Peer>();
  readonly #channels = new Map<string, Channel[]>();
  readonly #starved = new Map<Peer, Set<Channel>>();
  #burst: (() => void)[] = [];
  readonly #peerServices: PeerServices;
  readonly #channelServices: ChannelServices;

  constructor(services: MeshServices) {
    this.#services = services;
    const { clock, wheel, link, generation, deliverHere, acceptedHere } = services;
    this.#peerServices = {
      wheel,
      generation,
      atEndOfBurst: (run) => this.#atEndOfBurst(run),
      send: (to, frame) => link.send(to, frame),
      receive: (peer, frame, head, body) => this.#item(peer, frame, head, body),
      roomAgain: (peer) => this.#roomAgain(peer),
    };
    this.#channelServices = {
      deliverHere,
      acceptedHere,
      nowMs: () => clock.nowMs(),
      route: (group, shard) => this.route(group, shard),
      later: (delayMs, run) => void clock.after(delayMs, run),
      waitForRoom: (channel, peer) => this.#waitForRoom(channel, peer),
    };
  }

  /** The channel to a shard. */
  channel(group: string, shard: number): Channel {
    let channels = this.#channels.get(group);
    if (channels === undefined) this.#channels.set(group, (channels = []));
    return (channels[shard] ??= new Channel(group, shard, this.#channelServices));
  }

  /** The channel to a shard if there ever was one. */
  knownChannel(group: string, shard: number): Channel | undefined {
    return this.#channels.get(group)?.[shard];
  }

  /** Where messages to a shard go at this moment. */
  route(group: string, shard: number): Route {
    const { view, self } = this.#services;
    const owned = view.shard(group, shard);
    const owner = owned?.record.owner;
    if (owned === undefined || owner === null || owner === undefined) return { kind: "nowhere" };
    if (owner === self) {
      return this.#services.isServing(group, shard) ? { kind: "here", owned } : { kind: "nowhere" };
    }
    if (!view.isAlive(owner)) return { kind: "nowhere" };
    return { kind: "elsewhere", peer: this.peer(owner), owned };
  }

  /** The stream to a node. */
  peer(incarnation: string): Peer {
    let peer = this.#peers.get(incarnation);
    const address = this.#services.view.sessions.get(incarnation)?.record.address ?? "";
    if (peer === undefined) {
      peer = new Peer(incarnation, address, this.#peerServices);
      this.#peers.set(incarnation, peer);
    }
    // A frame may come before the news of its sender's session, and then without an address.
    if (peer.address === "") peer.address = address;
    return peer;
  }

  /** True when every stream has delivered what it was given. */
  get isIdle(): boolean {
    for (const peer of this.#peers.values()) if (!peer.isIdle) return false;
    return true;
  }

  /** The session of `incarnation` is over: nothing it sends counts any more. */
  forget(incarnation: string): void {
    this.#services.link.forget(incarnation);
    this.#services.calls.lost(incarnation);
    const peer = this.#peers.get(incarnation);
    if (peer === undefined) return;
    this.#peers.delete(incarnation);
    this.#starved.delete(peer);
    peer.close();
    for (const channel of this.#allChannels()) channel.lost(peer);
  }

  /** The owner of a shard changed. */
  moved(group: string, shard: number): void {
    this.knownChannel(group, shard)?.pump();
  }

  /** Owners changed in bulk. */
  pumpAll(): void {
    for (const channel of this.#allChannels()) channel.pump();
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
    const { self, generation, view } = this.#services;
    const state = view.sessions.get(from)?.record.state;
    // Not malformed, but of another life of the cluster or of its sender: dropped without an answer.
    if (frame.to !== self || frame.generation !== generation()) return true;
    if (state === "dead" || state === "left") return true;
    return this.peer(from).receive(frame);
  }

  #item(peer: Peer, frame: number, head: string, body: string): boolean {
    const item = decodeItem(head, body);
    switch (item?.kind) {
      case "message":
        return this.#services.message(peer, frame, item);
      case "reply":
      case "failure":
        return this.#services.calls.answered(item);
      case "redirect":
        return this.#redirected(peer, item);
      case "control":
        return this.#services.control(peer, item.body);
      default:
        return false;
    }
  }

  #redirected(peer: Peer, item: RedirectItem): boolean {
    if (item.body !== "") {
      try {
        this.#services.learn(JSON.parse(item.body) as Entry);
      } catch {
        return false; // No JSON: malformed.
      }
    }
    this.knownChannel(item.group, item.shard)?.redirected(item, peer);
    return true;
  }

  *#allChannels(): Iterable<Channel> {
    for (const channels of this.#channels.values()) {
      for (const channel of channels) if (channel !== undefined) yield channel;
    }
  }

  #waitForRoom(channel: Channel, peer: Peer): void {
    let waiting = this.#starved.get(peer);
    if (waiting === undefined) this.#starved.set(peer, (waiting = new Set()));
    waiting.add(channel);
  }

  #roomAgain(peer: Peer): void {
    const waiting = this.#starved.get(peer);
    if (waiting === undefined) return;
    this.#starved.delete(peer);
    for (const channel of waiting) channel.pump();
  }

  #atEndOfBurst(run: () => void): void {
    this.#burst.push(run);
    if (this.#burst.length === 1) this.#services.clock.yield(() => this.#endBurst());
  }

  #endBurst(): void {
    const burst = this.#burst;
    this.#burst = [];
    for (const run of burst) run();
  }
}
