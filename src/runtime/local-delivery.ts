/** Brings messages to the mailboxes of this node, whoever sent them. */
import { CatgaError } from "../base/errors.ts";
import type { MessageSpec, Work } from "./definition.ts";
import { EntityHost } from "./entity-host.ts";
import type { NodeContext } from "./node-context.ts";
import type { OwnedShard } from "./owned-shard.ts";
import type { RemoteCall } from "./remote-call.ts";
import type { Shards } from "./shards.ts";
import type { Exits } from "./turn-context.ts";

/** An entity of this node, in a shard that it serves. */
export interface Place {
  readonly host: EntityHost;
  readonly id: string;
  readonly shard: OwnedShard;
}

/** See the file's header. */
export class LocalDelivery {
  readonly hosts: ReadonlyMap<string, EntityHost>;
  readonly #context: NodeContext;
  readonly #shards: Shards;

  constructor(context: NodeContext, shards: Shards, refTo: Exits["refTo"]) {
    this.#context = context;
    this.#shards = shards;
    const redeliver: Exits["redeliver"] = (...work) => this.redeliver(...work);
    const exits = { refTo, redeliver };
    const { entities } = context.options;
    this.hosts = new Map(entities.map((each) => [each.name, new EntityHost(each, context, exits)]));
  }

  /** Brings `work` to its mailbox, or fails it. */
  deliver({ host, id, shard }: Place, work: Work): void {
    try {
      if (host.activate(id, shard).post(work) === "full") work.fail(host.mailboxFull(id));
    } catch (error) {
      if (!(error instanceof CatgaError)) throw error;
      work.fail(error);
    }
  }

  /** The same for a message whose activation ended before its turn came. */
  redeliver(entity: string, id: string, work: Work): void {
    const host = this.hosts.get(entity)!;
    const shard = this.#shards.serving(this.#context.shardOf(entity, id));
    if (shard !== undefined) return this.deliver({ host, id, shard }, work);
    work.fail(new CatgaError("UNAVAILABLE", { reason: "its shard is moving" }));
  }

  /** The same for a message that waited to leave this node, and whose shard has come here. */
  comeHome(call: RemoteCall): void {
    const { entity, id, type } = call.subject;
    const host = this.hosts.get(entity)!;
    const spec = host.definition.messages.get(type);
    if (spec === undefined) {
      return call.fail(new CatgaError("UNKNOWN_MESSAGE", { entity, message: type }));
    }
    this.redeliver(entity, id, homebound(call, spec));
    if (call.oneWay) call.succeed(undefined);
  }
}

/** A call that was meant for another node, for a mailbox of this one. */
function homebound(call: RemoteCall, spec: MessageSpec): Work {
  const { message, oneWay } = call;
  return {
    spec,
    message,
    oneWay,
    deadlineMs: oneWay ? Number.POSITIVE_INFINITY : call.deadlineMs,
    begin() {
      call.executed = "maybe";
      return oneWay || !call.isSettled;
    },
    succeed: (value) => call.succeed(value),
    fail: (error) => call.fail(error),
  };
}
