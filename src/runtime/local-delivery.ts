/** The entities of this node, and what comes to them from elsewhere than its own callers. */
import { CatgaError } from "../base/errors.ts";
import type { Row } from "../protocol/note.ts";
import type { MessageSpec, Work } from "./definition.ts";
import { EntityHost } from "./entity-host.ts";
import { workOf } from "./inbound-work.ts";
import { LocalTell } from "./local-call.ts";
import type { NodeContext } from "./node-context.ts";
import type { OwnedShard } from "./owned-shard.ts";
import { type Packet, packetsOf } from "./packet.ts";
import type { RemoteCall } from "./remote-call.ts";
import { type Exits, startTimer } from "./turn-context.ts";

/** See the file's header. */
export class LocalDelivery {
  readonly hosts: ReadonlyMap<string, EntityHost>;
  readonly #context: NodeContext;

  constructor(context: NodeContext, exits: Exits) {
    this.#context = context;
    const { entities } = context.options;
    this.hosts = new Map(entities.map((each) => [each.name, new EntityHost(each, context, exits)]));
  }

  /** A message that waited to leave this node, and whose shard has come here. */
  comeHome(call: RemoteCall, shard: OwnedShard): void {
    const { entity, id, type } = call.subject;
    const host = this.hosts.get(entity)!;
    const spec = host.definition.messages.get(type);
    if (spec === undefined) {
      return call.fail(new CatgaError("UNKNOWN_MESSAGE", { entity, message: type }));
    }
    if (!call.oneWay) return host.deliver(id, shard, homebound(call, spec));
    const { message } = call;
    host.deliver(id, shard, new LocalTell(call.subject, { spec, message }, this.#context.log));
    call.succeed(undefined);
  }

  /** Entities of a transfer, checked: `undefined` for rows that make no sense. */
  unpack(rows: readonly Row[]): Packet[] | undefined {
    const { nowMs } = this.#context.wheel;
    const packets = packetsOf(rows, nowMs, (row, entity, id) => {
      const host = this.hosts.get(entity);
      return host && workOf(row, { host, id, nowMs });
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

/** A call that was meant for another node, for a mailbox of this one. */
function homebound(call: RemoteCall, spec: MessageSpec): Work {
  const { message, deadlineMs, dedup } = call;
  return {
    spec,
    message,
    dedup,
    oneWay: false,
    deadlineMs,
    begin() {
      call.executed = "maybe";
      return !call.isSettled;
    },
    succeed: (value) => call.succeed(value),
    fail: (error) => call.fail(error),
    depart: () => call,
  };
}
