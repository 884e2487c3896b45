/**
 * Brings a message to its entity: here by one look-up, elsewhere by a channel. This is the hot
 * path.
 *
 * A local message takes the short way only when the shard accepts and nothing that this node sent
 * before is still on its way to the shard: so the order of one sender's messages holds when the
 * shard comes home while some of them travel.
 */
import { CatgaError } from "../base/errors.ts";
import type { Activation } from "./activation.ts";
import { copyPayload, type Sending, type Subject, unknownMessage } from "./call.ts";
import type { MessageKind } from "./definition.ts";
import type { EntityHost } from "./local-delivery.ts";
import type { Mesh } from "./mesh.ts";
import type { NodeContext } from "./node-context.ts";
import type { OwnedShard } from "./owned-shard.ts";
import { RemoteCall } from "./remote-call.ts";
import { LocalCall, LocalTell } from "./work.ts";

const ACCEPTED: Promise<unknown> = Promise.resolve();

/** See the file's header. */
export class Router {
  readonly context: NodeContext;
  readonly #mesh: Mesh;

  constructor(mesh: Mesh) {
    this.context = mesh.context;
    this.#mesh = mesh;
  }

  /** Sends; resolves to the answer, or for a one-way message to nothing once it is accepted. */
  send(sending: Sending): Promise<unknown> {
    const { refusal } = this.context;
    if (refusal !== undefined) return Promise.reject(refusal);
    const host = this.#mesh.parts.local.hosts.get(sending.entity);
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

  /** What the message does, if this node hosts its entity type. */
  kindOf({ entity, type }: Subject): MessageKind | undefined {
    return this.#mesh.parts.local.hosts.get(entity)?.definition.messages.get(type)?.kind;
  }

  /** To an entity type of this node, wherever the entity itself lives. */
  #sendSomewhere(host: EntityHost, sending: Sending): Promise<unknown> {
    const number = this.context.shardOf(sending.entity, sending.id);
    const shard = this.#mesh.parts.shards.serving(number);
    if (!host.definition.messages.has(sending.type)) throw unknownMessage(sending);
    if (shard === undefined || !isOpen(shard)) return this.#sendAway(sending);
    return this.#sendHere(host, host.activate(sending.id, shard), sending);
  }

  #sendHere(host: EntityHost, activation: Activation, sending: Sending): Promise<unknown> {
    const spec = host.definition.messages.get(sending.type);
    if (spec === undefined) throw unknownMessage(sending);
    const message = copyPayload(sending, sending.message);
    if (sending.oneWay) {
      const tell = new LocalTell(sending, { spec, message }, this.context.log);
      const refusal = activation.post(tell);
      if (refusal !== undefined) throw refusal;
      return this.context.slices.pause() ?? ACCEPTED;
    }
    const call = new LocalCall(sending, { spec, message }, this.context.wheel);
    if (sending.signal !== undefined) call.cancelWith(sending.signal);
    const refusal = activation.post(call);
    if (refusal !== undefined) call.fail(refusal);
    call.wait();
    return call.promise();
  }

  /** To whoever owns the shard, now or soon. */
  #sendAway(sending: Sending): Promise<unknown> {
    const { entity, signal } = sending;
    const group = this.context.view.groupOf(entity);
    if (group === undefined) throw new CatgaError("UNKNOWN_ENTITY", { entity });
    const shard = this.context.shardOf(entity, sending.id);
    const call = new RemoteCall(sending, copyPayload(sending, sending.message), this.context.calls);
    if (signal !== undefined) call.cancelWith(signal);
    this.#mesh.channel(group, shard).push(call);
    return call.promise();
  }
}

function isOpen(shard: OwnedShard): boolean {
  return shard.accepting && (shard.outbound === undefined || shard.outbound.isIdle);
}
