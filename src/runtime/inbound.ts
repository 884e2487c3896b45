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
import { entityKey } from "../protocol/ids.ts";
import type { Entry } from "../protocol/ledger.ts";
import type { Work } from "./activation.ts";
import type { MessageSpec } from "./definition.ts";
import type { EntityHost } from "./entity-host.ts";
import type { OwnedShard } from "./owned-shard.ts";
import type { Peer } from "./peer.ts";
import { encodeReply } from "./reply.ts";

/** What the door needs of the node around it. */
export interface InboundServices {
  readonly hosts: ReadonlyMap<string, EntityHost>;
  readonly nowMs: () => number;
  /** The shard, if this node may serve it at this moment. */
  readonly servingShard: (number: number) => OwnedShard | undefined;
  /** The record of a shard of `entity`'s group, and the group, as this node knows them. */
  readonly knownRecord: (entity: string, shard: number) => Known;
}

/** Where a message belongs, as far as this node knows. */
export interface Known {
  readonly group: string;
  readonly entry: Entry | undefined;
}

/** See the file's header. */
export class Inbound {
  readonly #services: InboundServices;

  constructor(services: InboundServices) {
    this.#services = services;
  }

  /** Deals with one message; `false` when it makes no sense. */
  receive(peer: Peer, frame: number, item: MessageItem): boolean {
    const host = this.#services.hosts.get(item.entity);
    const shard = host && this.#services.servingShard(item.shard);
    if (host === undefined || shard === undefined || isStale(item.epoch, shard.cleanSince)) {
      this.#redirect(peer, frame, item, HOLD_MS);
      return true;
    }
    const counter = shard.counter(peer.incarnation, item.channel);
    if (counter === undefined) return true;
    const admission = admit(counter.last, item.sequence);
    if (admission === "gap") this.#redirect(peer, frame, item, 0);
    if (admission !== "accept") return true;
    counter.last = item.sequence;
    this.#accept(peer, item, host, shard);
    return true;
  }

  #accept(peer: Peer, item: MessageItem, host: EntityHost, shard: OwnedShard): void {
    const work = this.#open(peer, item, host);
    if (work === undefined) return;
    try {
      const posted = host.activate(item.id, shard).post(work);
      if (posted === "full") {
        const { mailboxCapacity: capacity } = host.definition;
        work.fail(new CatgaError("MAILBOX_FULL", { entity: host.keyOf(item.id), capacity }));
      }
    } catch (error) {
      if (!(error instanceof CatgaError)) throw error;
      work.fail(error);
    }
  }

  #open(peer: Peer, item: MessageItem, host: EntityHost): InboundWork | undefined {
    let message: unknown;
    try {
      message = decodeValue(item.body);
    } catch (error) {
      const reason = (error as Error).message;
      answerFailure(peer, item.call, new CatgaError("MALFORMED", { what: "payload", reason }));
      return undefined;
    }
    const type = (message as { type?: unknown } | undefined)?.type;
    const spec = host.definition.messages.get(String(type));
    if (spec === undefined) {
      const details = { entity: item.entity, message: String(type) };
      answerFailure(peer, item.call, new CatgaError("UNKNOWN_MESSAGE", details));
      return undefined;
    }
    const { oneWay, timeoutMs } = item;
    const deadlineMs = oneWay ? Number.POSITIVE_INFINITY : this.#services.nowMs() + timeoutMs;
    return new InboundWork(peer, item, { spec, message, deadlineMs });
  }

  #redirect(peer: Peer, frame: number, item: MessageItem, retryMs: number): void {
    const { shard, channel, sequence } = item;
    const { group, entry } = this.#services.knownRecord(item.entity, shard);
    const body = entry === undefined ? "" : JSON.stringify(entry);
    const redirect = { shard, channel, sequence, frame, retryMs, group, body };
    peer.add(encodeRedirect({ kind: "redirect", ...redirect }));
  }
}

function answerFailure(peer: Peer, call: number, error: CatgaError): void {
  const { code, details } = error;
  peer.add(encodeAnswer({ kind: "failure", call, body: encodeValue({ code, details }) as string }));
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
    const entity = entityKey(this.#item.entity, this.#item.id);
    const { type: message } = this.spec;
    const { timeoutMs } = this.#item;
    this.fail(new CatgaError("CALL_TIMEOUT", { entity, message, timeoutMs, executed: "no" }));
    return false;
  }

  succeed(value: unknown): void {
    if (this.#item.oneWay) return;
    const entity = entityKey(this.#item.entity, this.#item.id);
    const reply = encodeReply(value, { entity, message: this.spec.type });
    if (typeof reply !== "string") return this.fail(reply);
    this.#peer.add(encodeAnswer({ kind: "reply", call: this.#item.call, body: reply }));
  }

  fail(error: CatgaError): void {
    answerFailure(this.#peer, this.#item.call, error);
  }
}
