/**
 * Messages from other nodes, at the door of the mailboxes: is the shard here, is the message the
 * next of its channel, does its entity know it? What is refused for good is answered and consumes
 * its number; what belongs elsewhere, or comes too early, is redirected and does not.
 */
import { CatgaError } from "../base/errors.ts";
import { HOLD_MS } from "../base/limits.ts";
import { admit, isStale } from "../ownership/channel.ts";
import type { MessageItem } from "../protocol/frame.ts";
import { shardKey } from "../protocol/records.ts";
import type { EntityHost } from "./entity-host.ts";
import { answerFailure, InboundWork, typeOf } from "./inbound-work.ts";
import type { LocalDelivery } from "./local-delivery.ts";
import type { NodeContext } from "./node-context.ts";
import type { Peer } from "./peer.ts";
import type { Shards } from "./shards.ts";

/** See the file's header. */
export class Inbound {
  readonly #context: NodeContext;
  readonly #shards: Shards;
  readonly #hosts: ReadonlyMap<string, EntityHost>;

  constructor(shards: Shards, { hosts }: LocalDelivery) {
    this.#context = shards.context;
    this.#shards = shards;
    this.#hosts = hosts;
  }

  /** Deals with one message, which came in frame number `frame`. */
  receive(peer: Peer, frame: number, item: MessageItem): void {
    const host = this.#hosts.get(item.entity);
    const shard = host && this.#shards.serving(item.shard);
    if (host === undefined || shard === undefined || isStale(item.epoch, shard.cleanSince)) {
      return this.#redirect(peer, item, frame);
    }
    const counter = shard.counter(peer.incarnation, item.channel);
    const admission = counter === undefined ? "duplicate" : admit(counter.last, item.sequence);
    if (admission === "gap") return this.#redirect(peer, item, frame);
    if (counter === undefined || admission === "duplicate") return;
    counter.last = item.sequence;
    const { entity, call, message } = item;
    const type = typeOf(message);
    const spec = host.definition.messages.get(type);
    if (spec === undefined) {
      const unknown = new CatgaError("UNKNOWN_MESSAGE", { entity, message: type });
      return answerFailure(peer, call, unknown);
    }
    const { nowMs } = this.#context.slices;
    host.deliver(item.id, shard, new InboundWork(peer, item, { spec, nowMs }));
  }

  #redirect(peer: Peer, item: MessageItem, frame: number): void {
    const { shard, channel, sequence, entity } = item;
    const { view } = this.#context;
    const group = view.groupOf(entity) ?? entity;
    const entry = view.entry(shardKey(group, shard));
    const message = { group, shard, channel, sequence, frame };
    peer.outbox().notes.push({ kind: "redirect", ...message, retryMs: HOLD_MS, entry });
  }
}
