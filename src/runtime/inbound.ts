/**
 * Messages from other nodes, at the door of the mailboxes: is the shard here, is the message the
 * next of its channel, does its entity know it? What is refused for good is answered and consumes
 * its number; what belongs elsewhere, or comes too early, is redirected and does not.
 */
import { CatgaError } from "../base/errors.ts";
import { ERROR_TEXT_CHARS_MAX, HOLD_MS } from "../base/limits.ts";
import { charsMaxOfLastCopy } from "../base/plain.ts";
import { admit, isStale } from "../ownership/channel.ts";
import type { MessageItem } from "../protocol/frame.ts";
import { shardKey } from "../protocol/records.ts";
import { detailsOf } from "./call.ts";
import type { MessageSpec, Work } from "./definition.ts";
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
  readonly #local: LocalDelivery;

  constructor(context: NodeContext, shards: Shards, local: LocalDelivery) {
    this.#context = context;
    this.#shards = shards;
    this.#local = local;
  }

  /** Deals with one message, which came in frame number `frame`. */
  receive(peer: Peer, frame: number, item: MessageItem): void {
    const host = this.#local.hosts.get(item.entity);
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
    const type = String((message as { type?: unknown } | null)?.type);
    const spec = place.host.definition.messages.get(type);
    if (spec === undefined) {
      const unknown = new CatgaError("UNKNOWN_MESSAGE", { entity, message: type });
      return answerFailure(peer, call, unknown);
    }
    const deadlineMs = leftMs < 0 ? Number.POSITIVE_INFINITY : this.#context.slices.nowMs + leftMs;
    this.#local.deliver(place, new InboundWork(peer, item, { spec, deadlineMs }));
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

function answerFailure(peer: Peer, call: number, { code, details }: CatgaError): void {
  peer.outbox(FAILURE_CHARS_MAX).failures.push({ call, code, details });
}

/** A message of another node in a mailbox. */
class InboundWork implements Work {
  readonly spec: MessageSpec;
  readonly message: unknown;
  readonly deadlineMs: number;
  readonly oneWay: boolean;
  readonly #peer: Peer;
  readonly #item: MessageItem;
  #hasBegun = false;

  constructor(peer: Peer, item: MessageItem, work: Pick<Work, "spec" | "deadlineMs">) {
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
