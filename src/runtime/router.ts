/**
 * Brings a message to its entity: here by one look-up, elsewhere by a channel. This is the hot path.
 *
 * A local message takes the short way only when the shard accepts and nothing that this node sent
 * before is still on its way to the shard: so the order of one sender's messages holds when the
 * shard comes home while some of them travel.
 */
import { CatgaError } from "../base/errors.ts";
import type { Hash } from "../base/hash.ts";
import type { Logger } from "../base/logger.ts";
import type { TimerWheel } from "../base/timer-wheel.ts";
import type { View } from "../ownership/view.ts";
import { decodeValue } from "../protocol/codec.ts";
import { encodeTarget } from "../protocol/frame.ts";
import { checkEntityId, entityKey } from "../protocol/ids.ts";
import type { Activation, Work } from "./activation.ts";
import type { MessageSpec } from "./definition.ts";
import type { EntityHost } from "./entity-host.ts";
import { HomeboundWork, LocalCall, LocalTell } from "./local-call.ts";
import type { Mesh } from "./mesh.ts";
import type { OwnedShard } from "./owned-shard.ts";
import { type Calls, RemoteCall } from "./remote-call.ts";
import { copyPayload, encodePayload } from "./reply.ts";
import type { Shards } from "./shards.ts";

/** What the router needs of the node around it. */
export interface RouterServices {
  readonly hosts: ReadonlyMap<string, EntityHost>;
  readonly shards: () => Shards | undefined;
  readonly view: View;
  readonly mesh: Mesh;
  readonly calls: Calls;
  readonly wheel: TimerWheel;
  readonly log: Logger;
  readonly hash: Hash;
  readonly shardCount: number;
  /** Why no call is taken, once the node stops. */
  readonly refusal: () => CatgaError | undefined;
}

/** A message as its reference hands it over. */
export interface Sending {
  readonly entity: string;
  readonly id: string;
  readonly type: string;
  readonly message: unknown;
  readonly oneWay: boolean;
  /** Milliseconds from now, but never later than `boundMs` of the clock. */
  readonly timeoutMs: number;
  readonly boundMs: number;
  readonly signal: AbortSignal | undefined;
}

const ACCEPTED: Promise<unknown> = Promise.resolve();

/** See the file's header. */
export class Router {
  readonly #services: RouterServices;
  readonly #seeds = new Map<string, number>();

  constructor(services: RouterServices) {
    this.#services = services;
  }

  /** The shard of an entity: two types spread the same ids over different shards. */
  shardOf(entity: string, id: string): number {
    const { hash, shardCount } = this.#services;
    let seed = this.#seeds.get(entity);
    if (seed === undefined) this.#seeds.set(entity, (seed = hash(entity)));
    return hash(id, seed) % shardCount;
  }

  /** The deadline that a message of an entity type hosted here was declared with. */
  timeoutMs(entity: string, type: string): number | undefined {
    return this.#services.hosts.get(entity)?.definition.messages.get(type)?.timeoutMs;
  }

  /** Sends; resolves to the answer, or for a one-way message to nothing once it is accepted. */
  send(sending: Sending): Promise<unknown> {
    const refusal = this.#services.refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    const host = this.#services.hosts.get(sending.entity);
    try {
      const activation = host?.activations.get(sending.id);
      if (host === undefined) return this.#sendAway(sending);
      if (activation !== undefined && isOpen(activation.shard)) {
        return this.#sendHere(host, activation, sending);
      }
      return this.#sendSomewhere(host, sending);
    } catch (error) {
      if (error instanceof CatgaError) return Promise.reject(error);
      throw error;
    }
  }

  /** Runs a message here whose shard came to this node while it waited. */
  deliverHere(call: RemoteCall): void {
    const [entity, idJson] = splitTarget(call.target);
    const id = JSON.parse(idJson) as string;
    const host = this.#services.hosts.get(entity)!;
    const spec = host.definition.messages.get(call.subject.message);
    if (spec === undefined) {
      const details = { entity, message: call.subject.message };
      return call.fail(new CatgaError("UNKNOWN_MESSAGE", details));
    }
    this.redeliver(host, id, new HomeboundWork(call, spec, decodeValue(call.body)));
    if (call.oneWay) call.accepted("");
  }

  /** Brings `work` to the entity's activation, which is a new one if the last has ended. */
  redeliver(host: EntityHost, id: string, work: Work): void {
    const shard = this.#services.shards()?.serving(this.shardOf(host.definition.name, id));
    if (shard === undefined) {
      return work.fail(new CatgaError("UNAVAILABLE", { reason: "its shard is moving" }));
    }
    try {
      if (host.activate(id, shard).post(work) === "full") work.fail(mailboxFull(host, id));
    } catch (error) {
      if (!(error instanceof CatgaError)) throw error;
      work.fail(error);
    }
  }

  /** To an entity type of this node, wherever the entity itself lives. */
  #sendSomewhere(host: EntityHost, sending: Sending): Promise<unknown> {
    checkEntityId(sending.id);
    const number = this.shardOf(sending.entity, sending.id);
    const shard = this.#services.shards()?.serving(number);
    if (shard === undefined || !isOpen(shard)) return this.#sendAway(sending);
    specOf(host, sending);
    return this.#sendHere(host, host.activate(sending.id, shard), sending);
  }

  #sendHere(host: EntityHost, activation: Activation, sending: Sending): Promise<unknown> {
    const spec = specOf(host, sending);
    const { timeoutMs, boundMs, signal } = sending;
    const entity = host.keyOf(sending.id);
    const copied = copyPayload(sending.message, { entity, message: sending.type });
    if (copied instanceof CatgaError) return Promise.reject(copied);
    const subject = { entity, message: sending.type, timeoutMs };
    const local = { subject, spec, message: copied.copy, boundMs };
    if (sending.oneWay) {
      const posted = activation.post(new LocalTell(local, this.#services.log));
      return posted === "full" ? Promise.reject(mailboxFull(host, sending.id)) : ACCEPTED;
    }
    const call = new LocalCall(local, this.#services.wheel);
    if (signal !== undefined) call.cancelWith(signal);
    if (activation.post(call) === "full") call.fail(mailboxFull(host, sending.id));
    call.wait();
    return call.promise();
  }

  /** To whoever owns the shard, now or soon. */
  #sendAway(sending: Sending): Promise<unknown> {
    const { view, wheel, calls, mesh } = this.#services;
    const { entity, id, type, timeoutMs, oneWay } = sending;
    checkEntityId(id);
    const group = view.groupOf(entity);
    if (group === undefined) throw new CatgaError("UNKNOWN_ENTITY", { entity });
    const key = entityKey(entity, id);
    const body = encodePayload(sending.message, { entity: key, message: type });
    if (body instanceof CatgaError) throw body;
    const deadlineMs = Math.min(sending.boundMs, wheel.nowMs + timeoutMs);
    const subject = { entity: key, message: type, timeoutMs };
    const posting = { target: encodeTarget(entity, id), body, oneWay, deadlineMs };
    const call = new RemoteCall(subject, posting, calls);
    if (sending.signal !== undefined) call.cancelWith(sending.signal);
    const number = this.shardOf(entity, id);
    const channel = mesh.channel(group, number);
    this.#services.shards()?.leaveBy(group, number, channel);
    channel.push(call);
    return call.promise();
  }
}

function isOpen(shard: OwnedShard): boolean {
  return shard.accepting && (shard.outbound === undefined || shard.outbound.isIdle);
}

function specOf(host: EntityHost, { entity, type }: Sending): MessageSpec {
  const spec = host.definition.messages.get(type);
  if (spec === undefined) throw new CatgaError("UNKNOWN_MESSAGE", { entity, message: type });
  return spec;
}

function mailboxFull(host: EntityHost, id: string): CatgaError {
  const { mailboxCapacity: capacity } = host.definition;
  return new CatgaError("MAILBOX_FULL", { entity: host.keyOf(id), capacity });
}

function splitTarget(target: string): [entity: string, idJson: string] {
  const comma = target.indexOf(",");
  return [target.slice(0, comma), target.slice(comma + 1)];
}
