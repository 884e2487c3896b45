/**
 * Messages from other nodes, at the door of the mailboxes: is the shard here, is the message the
 * next of its channel, does its entity know it? What is refused for good is answered and consumes
 * its number; what belongs elsewhere, or comes too early, is redirected and does not.
 */
import { CatgaError } from "../base/errors.ts";
import { ERROR_TEXT_CHARS_MAX, HOLD_MS } from "../base/limits.ts";
import { charsMaxOfLastCopy } from "../base/plain.ts";
import { admit, isStale } from "../ownership/channel.ts";
import { isWhole, type MessageItem } from "../protocol/frame.ts";
import { shardKey } from "../protocol/records.ts";
import { detailsOf } from "./call.ts";
import type { MessageSpec, Row, Work } from "./definition.ts";
import type { EntityHost } from "./entity-host.ts";
import type { LocalDelivery, Place } from "./local-delivery.ts";
import type { NodeContext } from "./node-context.ts";
import type { Peer } from "./peer.ts";
import type { Shards } from "./shards.ts";

/** What the texts of an error may add to a batch at most, in escaped JSON. */
const FAILURE_CHARS_MAX = 6 * 2 * ERROR_TEXT_CHARS_MAX;

/** See the file's header. */
export class Inbound {
  readonly #context: NodeContext;
  readonly #shards: Shards;
  readonly #hosts: ReadonlyMap<string, EntityHost>;
  readonly #peerOf: (incarnation: string) => Peer;

  constructor(shards: Shards, { hosts }: LocalDelivery, peerOf: (incarnation: string) => Peer) {
    this.#context = shards.context;
    this.#shards = shards;
    this.#hosts = hosts;
    this.#peerOf = peerOf;
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
    this.#accept(peer, item, { host, id: item.id, shard });
  }

  #accept(peer: Peer, item: MessageItem, place: Place): void {
    const { entity, call, leftMs, message } = item;
    const type = typeOf(message);
    const spec = place.host.definition.messages.get(type);
    if (spec === undefined) {
      const unknown = new CatgaError("UNKNOWN_MESSAGE", { entity, message: type });
      return answerFailure(peer, call, unknown);
    }
    const deadlineMs = leftMs < 0 ? Number.POSITIVE_INFINITY : this.#context.slices.nowMs + leftMs;
    place.host.deliver(place.id, place.shard, new InboundWork(peer, item, { spec, deadlineMs }));
  }

  /** A message that had been accepted elsewhere, and came with its entity. */
  readMessage(row: Row, host: EntityHost, id: string): Work | undefined {
    const [, sender, call, leftMs, message] = row;
    if (typeof sender !== "string" || !isWhole(call) || typeof leftMs !== "number")
      return undefined;
    const spec = host.definition.messages.get(typeOf(message));
    if (spec === undefined) return undefined;
    const item = { call, leftMs, entity: host.definition.name, id, message };
    const deadlineMs = leftMs < 0 ? Number.POSITIVE_INFINITY : this.#context.wheel.nowMs + leftMs;
    return new InboundWork(this.#peerOf(sender), item, { spec, deadlineMs });
  }

  #redirect(peer: Peer, item: MessageItem, frame: number): void {
    const { shard, channel, sequence, entity } = item;
    const { view } = this.#context;
    const group = view.groupOf(entity) ?? entity;
    const entry = view.entry(shardKey(group, shard));
    peer
      .outbox()
      .redirects.push({ group, shard, channel, sequence, frame, retryMs: HOLD_MS, entry });
  }
}

function typeOf(message: unknown): string {
  return String((message as { type?: unknown } | null)?.type);
}

function answerFailure(peer: Peer, call: number, { code, details }: CatgaError): void {
  peer.outbox(FAILURE_CHARS_MAX).failures.push({ call, code, details });
}

type Item = Pick<MessageItem, "call" | "leftMs" | "entity" | "id" | "message">;

/** A message of another node in a mailbox. */
class InboundWork implements Work {
  readonly spec: MessageSpec;
  readonly message: unknown;
  readonly deadlineMs: number;
  readonly oneWay: boolean;
  readonly #peer: Peer;
  readonly #item: Item;
  #hasBegun = false;

  constructor(peer: Peer, item: Item, work: Pick<Work, "spec" | "deadlineMs">) {
    this.#peer = peer;
    this.#item = item;
    this.spec = work.spec;
    this.message = item.message;
    this.deadlineMs = work.deadlineMs;
    this.oneWay = item.leftMs < 0;
  }

  begin(nowMs: number): boolean {
    this.#hasBegun = nowMs < this.deadlineMs;
    if (this.#hasBegun) return true;
    const { entity, id, leftMs: timeoutMs } = this.#item;
    const subject = { entity, id, type: this.spec.type };
    const details = { ...detailsOf(subject), timeoutMs, executed: "no" } as const;
    this.fail(new CatgaError("CALL_TIMEOUT", details));
    return false;
  }

  row(nowMs: number): Row {
    const leftMs = this.oneWay ? -1 : Math.max(0, this.deadlineMs - nowMs);
    return ["message", this.#peer.incarnation, this.#item.call, leftMs, this.message];
  }

  succeed(value: unknown): void {
    if (this.oneWay) return;
    this.#peer.outbox(charsMaxOfLastCopy()).addReply(this.#item.call, value);
  }

  fail(error: CatgaError): void {
    // A one-way message is answered at the door only; how it ended the activation has logged.
    if (this.oneWay && this.#hasBegun) return;
    answerFailure(this.#peer, this.#item.call, error);
  }
}
