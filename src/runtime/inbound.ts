/**
 * Messages from other nodes, at the door of the mailboxes: is the shard here, is the message the
 * next of its channel, does its entity know it? What is refused for good is answered and consumes
 * its number; what belongs elsewhere, or comes too early, is redirected and does not.
 */
import { CatgaError } from "../base/errors.ts";
import { HOLD_MS } from "../base/limits.ts";
import { admit, isStale } from "../ownership/channel.ts";
import { decodeValue, encodeValue } from "../protocol/codec.ts";
import { encodeAnswer, encodeRedirect, type MessageItem } from "../protocol/frame.ts";
import { shardKey } from "../protocol/records.ts";
import { detailsOf, type Subject } from "./call.ts";
import type { MessageSpec } from "./definition.ts";
import { replyError } from "./encodable.ts";
import type { LocalDelivery, Place } from "./local-delivery.ts";
import type { NodeContext } from "./node-context.ts";
import type { Origin, Peer } from "./peer.ts";
import type { Shards } from "./shards.ts";
import type { Work } from "./work.ts";

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

  /** Deals with one message. */
  receive(from: Origin, item: MessageItem): void {
    const host = this.#local.hosts.get(item.entity);
    const shard = host && this.#shards.serving(item.shard);
    if (host === undefined || shard === undefined || isStale(item.epoch, shard.cleanSince)) {
      return this.#redirect(from, item, HOLD_MS);
    }
    const counter = shard.counter(from.peer.incarnation, item.channel);
    const admission = counter === undefined ? "duplicate" : admit(counter.last, item.sequence);
    if (admission === "gap") return this.#redirect(from, item, 0);
    if (counter === undefined || admission === "duplicate") return;
    counter.last = item.sequence;
    this.#accept(from.peer, item, { host, id: item.id, shard });
  }

  #accept(peer: Peer, item: MessageItem, place: Place): void {
    const { entity, call, oneWay, timeoutMs, body } = item;
    let message: unknown;
    try {
      message = decodeValue(body);
    } catch (error) {
      const reason = String(error);
      return answerFailure(peer, call, new CatgaError("MALFORMED", { what: "payload", reason }));
    }
    const type = String((message as { type?: unknown } | undefined)?.type);
    const spec = place.host.definition.messages.get(type);
    if (spec === undefined) {
      const unknown = new CatgaError("UNKNOWN_MESSAGE", { entity, message: type });
      return answerFailure(peer, call, unknown);
    }
    const nowMs = this.#context.clock.nowMs();
    const deadlineMs = oneWay ? Number.POSITIVE_INFINITY : nowMs + timeoutMs;
    this.#local.deliver(place, new InboundWork(peer, item, { spec, message, deadlineMs }));
  }

  #redirect({ peer, frame }: Origin, item: MessageItem, retryMs: number): void {
    const { shard, channel, sequence, entity } = item;
    const { view } = this.#context;
    const group = view.groupOf(entity) ?? entity;
    const entry = view.entry(shardKey(group, shard));
    const body = entry === undefined ? "" : JSON.stringify(entry);
    const redirect = { shard, channel, sequence, frame, retryMs, group, body };
    peer.add(encodeRedirect({ kind: "redirect", ...redirect }));
  }
}

function answerFailure(peer: Peer, call: number, { code, details }: CatgaError): void {
  peer.add(encodeAnswer({ kind: "failure", call, body: JSON.stringify({ code, details }) }));
}

/** A message of another node in a mailbox. */
class InboundWork implements Work {
  readonly spec: MessageSpec;
  readonly message: unknown;
  readonly deadlineMs: number;
  readonly #peer: Peer;
  readonly #item: MessageItem;

  constructor(peer: Peer, item: MessageItem, work: Pick<Work, "spec" | "message" | "deadlineMs">) {
    this.#peer = peer;
    this.#item = item;
    this.spec = work.spec;
    this.message = work.message;
    this.deadlineMs = work.deadlineMs;
  }

  begin(nowMs: number): boolean {
    if (nowMs < this.deadlineMs) return true;
    const { timeoutMs } = this.#item;
    const details = { ...detailsOf(this.#subject), timeoutMs, executed: "no" } as const;
    this.fail(new CatgaError("CALL_TIMEOUT", details));
    return false;
  }

  succeed(value: unknown): void {
    if (this.#item.oneWay) return;
    let body: string;
    try {
      body = encodeValue(value);
    } catch (error) {
      return this.fail(replyError(this.#subject, error));
    }
    this.#peer.add(encodeAnswer({ kind: "reply", call: this.#item.call, body }));
  }

  fail(error: CatgaError): void {
    answerFailure(this.#peer, this.#item.call, error);
  }

  get #subject(): Subject {
    const { entity, id } = this.#item;
    return { entity, id, type: this.spec.type };
  }
}
