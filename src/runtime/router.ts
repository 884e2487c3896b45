/**
 * The entities of this node, and how messages come to them: from its own callers, from other nodes,
 * with entities that move here. What is for an entity elsewhere leaves by a channel.
 *
 * A local message takes the short way, one look-up, only when the shard accepts and nothing that
 * this node sent before is still on its way to the shard: so the order of one sender's messages
 * holds when the shard comes home while some of them travel. This is the hot path.
 */
import { CatgaError } from "../base/errors.ts";
import { isWhole } from "../base/shape.ts";
import { admit, isStale } from "../ownership/channel.ts";
import { type MessageItem, readExtras } from "../protocol/frame.ts";
import type { Row } from "../protocol/note.ts";
import type { Activation } from "./activation.ts";
import { checkChain, copyPayload, type Sending, type Subject, unknownMessage } from "./call.ts";
import type { MessageKind } from "./definition.ts";
import { EntityHost } from "./entity-host.ts";
import { Handlers } from "./handlers.ts";
import type { NodeContext } from "./node-context.ts";
import type { OwnedShard } from "./owned-shard.ts";
import { type Packet, packetsOf } from "./packet.ts";
import type { Peer } from "./peer.ts";
import type { RemoteCall } from "./remote-call.ts";
import type { Exits, RefRequest } from "./turn-context.ts";
import { answerFailure, callAway, InboundWork, LocalCall, LocalTell, typeOf } from "./work.ts";

const ACCEPTED: Promise<unknown> = Promise.resolve();

/** What leads from a turn back to the door. */
export interface Ways {
  refTo(router: Router, request: RefRequest): unknown;
  send: Exits["send"];
}

/** See the file's header. */
export class Router {
  readonly context: NodeContext;
  readonly hosts: ReadonlyMap<string, EntityHost>;
  /** Of messages that belong to no entity. */
  readonly handlers: Handlers;
  readonly exits: Exits;

  constructor(context: NodeContext, exits: Exits) {
    this.context = context;
    this.exits = exits;
    const { entities } = context.options;
    this.handlers = new Handlers(context, exits);
    this.hosts = new Map(entities.map((each) => [each.name, new EntityHost(each, context, exits)]));
  }

  /** Sends; resolves to the answer, or for a one-way message to nothing once it is accepted. */
  send(sending: Sending): Promise<unknown> {
    const { refusal } = this.context;
    if (refusal !== undefined) return Promise.reject(refusal);
    const host = this.hosts.get(sending.entity);
    const cache = host?.hotCache;
    if (cache === undefined) return this.#send(sending, host);
    return cache.send(sending, (query) => this.#send(query, host));
  }

  #send(sending: Sending, host: EntityHost | undefined): Promise<unknown> {
    try {
      if (sending.chain !== undefined) checkChain(sending, sending.chain);
      if (host === undefined) return this.#sendAway(sending);
      let activation = host.activations.get(sending.id);
      if (activation === undefined || !isOpen(activation.shard)) {
        activation = this.#activate(host, sending);
        if (activation === undefined) return this.#sendAway(sending);
      }
      return this.#sendHere(activation, sending, host);
    } catch (error) {
      if (error instanceof CatgaError) return Promise.reject(error);
      throw error;
    }
  }

  /** True while something waits for an answer, here or because a handler of this node runs. */
  get isBusy(): boolean {
    return this.context.calls.size + this.context.inFlight.count > 0;
  }

  /** What the message does, if this node hosts its entity type. */
  kindOf({ entity, type }: Subject): MessageKind | undefined {
    return this.hosts.get(entity)?.definition.messages.get(type)?.kind;
  }

  /** The entity, if its shard is served here and the message may take the short way. */
  #activate(host: EntityHost, { entity, id, type }: Sending): Activation | undefined {
    const shard = this.exits.serving(this.context.shardOf(entity, id));
    if (!host.definition.messages.has(type)) throw unknownMessage({ entity, type });
    return shard !== undefined && isOpen(shard) ? host.activate(id, shard) : undefined;
  }

  #sendHere(activation: Activation, sending: Sending, host: EntityHost): Promise<unknown> {
    const spec = host.definition.messages.get(sending.type);
    if (spec === undefined) throw unknownMessage(sending);
    const message = copyPayload(sending, sending.message);
    const excess = host.admit(sending.id, spec);
    if (excess !== undefined) throw excess;
    if (sending.oneWay) {
      const tell = new LocalTell(sending, { spec, message }, this.context.log);
      const refusal = activation.post(tell);
      if (refusal !== undefined) throw refusal;
      return this.context.slices.pause() ?? ACCEPTED;
    }
    const call = new LocalCall(sending, { spec, message }, this.context.wheel);
    const { signal } = sending;
    if (signal?.aborted === true) call.cancelWith(signal);
    const refusal = activation.post(call);
    if (refusal !== undefined) call.fail(refusal);
    // Most are answered by now, and to listen would cost as much as they did.
    if (signal !== undefined && !call.isSettled) call.cancelWith(signal);
    call.wait();
    return call.promise();
  }

  /** To whoever owns the shard, now or soon. */
  #sendAway(sending: Sending): Promise<unknown> {
    const { entity, id, message } = sending;
    const group = this.context.view.groupOf(entity);
    if (group === undefined) throw new CatgaError("UNKNOWN_ENTITY", { entity });
    const channel = this.exits.channel(group, this.context.shardOf(entity, id));
    const call = callAway(sending, message, this.context.calls);
    channel.push(call);
    return call.promise();
  }

  /** Sends to a handler of another node. */
  ask(incarnation: string, sending: Sending): RemoteCall {
    if (this.context.refusal !== undefined) throw this.context.refusal;
    if (sending.chain !== undefined) checkChain(sending, sending.chain);
    const call = callAway(sending, sending.message, this.context.calls);
    this.exits.peerOf(incarnation).ask(call);
    return call;
  }

  /** The node closes: nothing here is waited for any more. */
  abandon(): void {
    for (const host of this.hosts.values()) host.abandon();
    this.handlers.abort();
  }

  /** Turns that have run for `sinceMs` keep this node from leaving: they are told to give up. */
  hurry(sinceMs: number): void {
    this.handlers.abort();
    for (const host of this.hosts.values()) {
      for (const entity of host.abortRunning()) {
        const what = `a turn of ${entity}, which keeps this node from leaving`;
        this.context.events.emit("stuck", { what, sinceMs });
      }
    }
  }

  /**
   * Takes in a message of another node, if its shard is served here and it is the next one of its
   * channel; `false` when it belongs elsewhere, or comes too early. What is refused for good is
   * answered and consumes its number.
   */
  receive(peer: Peer, item: MessageItem): boolean {
    const shard = this.exits.serving(item.shard);
    const host = this.hosts.get(item.entity);
    if (host === undefined || shard === undefined) return false;
    if (isStale(item.epoch, shard.cleanSince)) return false;
    const counter = shard.counter(peer.incarnation, item.channel);
    const admission = counter === undefined ? "duplicate" : admit(counter.last, item.sequence);
    if (counter === undefined || admission !== "accept") return admission === "duplicate";
    counter.last = item.sequence;
    const type = typeOf(item.message);
    const spec = host.definition.messages.get(type);
    const refusal = spec && host.admit(item.id, spec);
    if (spec === undefined || refusal !== undefined) {
      answerFailure(peer, item.call, refusal ?? unknownMessage({ ...item, type }));
    } else {
      const { nowMs } = this.context.slices;
      host.deliver(item.id, shard, new InboundWork(peer, item, { spec, nowMs }));
    }
    return true;
  }

  /** A message that waited to leave this node, and whose shard has come here. */
  comeHome(call: RemoteCall, shard: OwnedShard): void {
    const { entity, id, type } = call.subject;
    const host = this.hosts.get(entity)!;
    // What its entity does not know was refused before it could leave.
    const spec = (call.spec = host.definition.messages.get(type)!);
    if (!call.oneWay) return host.deliver(id, shard, call);
    const { message } = call;
    host.deliver(id, shard, new LocalTell(call.subject, { spec, message }, this.context.log));
    call.succeed(undefined);
  }

  /** Entities of a transfer, checked: `undefined` for rows that make no sense. */
  unpack(rows: readonly Row[]): Packet[] | undefined {
    const { nowMs } = this.context.wheel;
    const packets = packetsOf(rows, nowMs, (row, entity, id) => {
      const [, sender, call, leftMs, message, value] = row;
      const spec = this.hosts.get(entity)?.definition.messages.get(typeOf(message));
      if (typeof sender !== "string" || !isWhole(call) || typeof leftMs !== "number")
        return undefined;
      const extras = readExtras(value);
      if (spec === undefined || extras === "malformed") return undefined;
      const item = { call, leftMs, entity, id, message, ...extras };
      return new InboundWork(this.exits.peerOf(sender), item, { spec, nowMs });
    });
    return packets?.every(({ entity }) => this.hosts.has(entity)) ? packets : undefined;
  }

  /**
   * Lets entities of `shard` go on here, with what they brought. All of them are there before the
   * first message runs: it may be for another of them.
   */
  settle(shard: OwnedShard): void {
    const { packets } = shard;
    shard.packets = [];
    for (const packet of packets) {
      const { entity, id, state, stored, timers, answers, watched } = packet;
      if (watched !== undefined) this.exits.watched(shard, packet);
      if (state === undefined && stored === undefined) continue;
      const host = this.hosts.get(entity)!;
      // What other code has written is read from the store, which knows how.
      const isOurs = state && (stored === undefined || stored[1] === host.definition.version);
      const activation = host.activate(id, shard, isOurs ? packet : {});
      for (const answer of answers) activation.luggage.dedup.keep(answer);
      for (const timer of timers) activation.luggage.start(timer);
      if (!isOurs) continue;
      for (const each of packet.reminders) activation.luggage.remind(each);
    }
    for (const { entity, id, works } of packets) {
      for (const work of works) this.hosts.get(entity)!.deliver(id, shard, work);
    }
  }
}

function isOpen(shard: OwnedShard): boolean {
  return shard.accepting && (shard.outbound === undefined || shard.outbound.isIdle);
}
