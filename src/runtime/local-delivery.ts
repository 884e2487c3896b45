/**
 * The entities of this node, and what comes to them from elsewhere than its own callers: messages
 * of other nodes, entities that move here, messages that had waited to leave this node.
 */
import { isWhole } from "../base/shape.ts";
import { admit, isStale } from "../ownership/channel.ts";
import { type MessageItem, readDedup } from "../protocol/frame.ts";
import type { Row } from "../protocol/note.ts";
import { unknownMessage } from "./call.ts";
import { EntityHost } from "./entity-host.ts";
import { answerFailure, InboundWork } from "./inbound-work.ts";
import { LocalTell } from "./local-call.ts";
import type { NodeContext } from "./node-context.ts";
import type { OwnedShard } from "./owned-shard.ts";
import { type Packet, packetsOf } from "./packet.ts";
import type { Peer } from "./peer.ts";
import type { RemoteCall } from "./remote-call.ts";
import { type Exits, startTimer } from "./turn-context.ts";
import { typeOf } from "./work.ts";

/** See the file's header. */
export class LocalDelivery {
  readonly hosts: ReadonlyMap<string, EntityHost>;
  readonly #context: NodeContext;
  readonly #exits: Exits;

  constructor(context: NodeContext, exits: Exits) {
    this.#context = context;
    this.#exits = exits;
    const { entities } = context.options;
    this.hosts = new Map(entities.map((each) => [each.name, new EntityHost(each, context, exits)]));
  }

  /** Turns that have run for `sinceMs` keep this node from leaving: they are told to give up. */
  hurry(sinceMs: number): void {
    for (const host of this.hosts.values()) {
      for (const entity of host.abortRunning()) {
        const what = `a turn of ${entity}, which keeps this node from leaving`;
        this.#context.events.emit("stuck", { what, sinceMs });
      }
    }
  }

  /**
   * Takes in a message of another node, if `shard` is served here and it is the next one of its
   * channel; `false` when it belongs elsewhere, or comes too early. What is refused for good is
   * answered and consumes its number.
   */
  receive(peer: Peer, item: MessageItem, shard: OwnedShard | undefined): boolean {
    const host = this.hosts.get(item.entity);
    if (host === undefined || shard === undefined) return false;
    if (isStale(item.epoch, shard.cleanSince)) return false;
    const counter = shard.counter(peer.incarnation, item.channel);
    const admission = counter === undefined ? "duplicate" : admit(counter.last, item.sequence);
    if (counter === undefined || admission !== "accept") return admission === "duplicate";
    counter.last = item.sequence;
    const type = typeOf(item.message);
    const spec = host.definition.messages.get(type);
    if (spec === undefined) {
      answerFailure(peer, item.call, unknownMessage({ entity: item.entity, type }));
    } else {
      const { nowMs } = this.#context.slices;
      host.deliver(item.id, shard, new InboundWork(peer, item, { spec, nowMs }));
    }
    return true;
  }

  /** A message that waited to leave this node, and whose shard has come here. */
  comeHome(call: RemoteCall, shard: OwnedShard): void {
    const { entity, id, type } = call.subject;
    const host = this.hosts.get(entity)!;
    const spec = host.definition.messages.get(type);
    if (spec === undefined) return call.fail(unknownMessage({ entity, type }));
    call.spec = spec;
    if (!call.oneWay) return host.deliver(id, shard, call);
    const { message } = call;
    host.deliver(id, shard, new LocalTell(call.subject, { spec, message }, this.#context.log));
    call.succeed(undefined);
  }

  /** Entities of a transfer, checked: `undefined` for rows that make no sense. */
  unpack(rows: readonly Row[]): Packet[] | undefined {
    const { nowMs } = this.#context.wheel;
    const packets = packetsOf(rows, nowMs, (row, entity, id) => {
      const [, sender, call, leftMs, message, key] = row;
      const spec = this.hosts.get(entity)?.definition.messages.get(typeOf(message));
      if (typeof sender !== "string" || !isWhole(call) || typeof leftMs !== "number")
        return undefined;
      const dedup = readDedup(key);
      if (spec === undefined || dedup === "malformed") return undefined;
      const item = { call, leftMs, entity, id, message, dedup };
      return new InboundWork(this.#exits.peerOf(sender), item, { spec, nowMs });
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
    for (const { entity, id, state, timers, answers } of packets) {
      if (state === undefined) continue;
      const activation = this.hosts.get(entity)!.activate(id, shard, state);
      for (const answer of answers) activation.luggage.dedup.keep(answer);
      for (const timer of timers) startTimer(activation, timer);
    }
    for (const { entity, id, works } of packets) {
      for (const work of works) this.hosts.get(entity)!.deliver(id, shard, work);
    }
  }
}
