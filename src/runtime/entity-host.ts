/** One entity type at this node: its activations, and what they need of the house. */
import { CatgaError, describeError } from "../base/errors.ts";
import { entityKey } from "../protocol/ids.ts";
import { Activation, type ActivationHost, type Origin } from "./activation.ts";
import type { EntityDefinition, PassivationReason, Work } from "./definition.ts";
import type { NodeContext } from "./node-context.ts";
import type { OwnedShard } from "./owned-shard.ts";
import type { Packet } from "./packet.ts";
import type { Exits } from "./turn-context.ts";

/** See the file's header. */
export class EntityHost implements ActivationHost {
  readonly definition: EntityDefinition;
  readonly activations: Map<string, Activation> = new Map();
  readonly context: NodeContext;
  readonly exits: Exits;

  constructor(definition: EntityDefinition, context: NodeContext, exits: Exits) {
    this.definition = definition;
    this.context = context;
    this.exits = exits;
  }

  fenceOf({ epoch }: OwnedShard): string {
    return `${padded(this.context.generation)}.${padded(epoch)}`;
  }

  /** The entity in errors and logs: `account/42`. */
  keyOf(id: string): string {
    return entityKey(this.definition.name, id);
  }

  /**
   * The activation of `id`, made if there is none. The caller has checked that this node owns
   * `shard`. With `state` it goes on where it ended elsewhere.
   *
   * @throws {CatgaError} ACTIVATION_FAILED when the state factory throws.
   */
  activate(id: string, shard: OwnedShard, state?: Packet["state"]): Activation {
    const known = this.activations.get(id);
    if (known !== undefined) return known;
    const activation = this.#create(id, { shard, state });
    this.activations.set(id, activation);
    shard.activations.add(activation);
    this.context.events.emit("entity-activated", { name: this.definition.name, id });
    activation.open();
    return activation;
  }

  /** The activation is over. */
  forget(activation: Activation, reason: PassivationReason): void {
    const { name } = this.definition;
    this.context.events.emit("entity-passivated", { name, id: activation.id, reason });
    if (this.activations.get(activation.id) === activation) this.activations.delete(activation.id);
    activation.shard.activations.delete(activation);
    activation.shard.changed();
  }

  /** Brings messages that outlived their activation to whoever owns the entity now, or soon. */
  redeliver(id: string, shard: OwnedShard, works: readonly Work[]): void {
    if (shard.accepting) {
      for (const work of works) this.deliver(id, shard, work);
      return;
    }
    // The others came from nodes that will learn that this one has lost the shard.
    const own = works.filter((work) => "depart" in work);
    if (own.length > 0) this.exits.sendAgain(this.definition.name, id, own);
  }

  /** Brings `work` to its mailbox, or fails it. */
  deliver(id: string, shard: OwnedShard, work: Work): void {
    try {
      if (this.activate(id, shard).post(work) === "full") work.fail(this.mailboxFull(id));
    } catch (error) {
      if (!(error instanceof CatgaError)) throw error;
      work.fail(error);
    }
  }

  /** The error for one message too many. */
  mailboxFull(id: string): CatgaError {
    const { mailboxCapacity: capacity } = this.definition;
    return new CatgaError("MAILBOX_FULL", { entity: this.keyOf(id), capacity });
  }

  /** The node closes: nothing here is waited for any more. */
  abandon(): void {
    for (const activation of this.activations.values()) activation.abort();
  }

  #create(id: string, origin: Origin): Activation {
    try {
      return new Activation(id, this, origin);
    } catch (error) {
      const details = { entity: this.keyOf(id), ...describeError(error) };
      throw new CatgaError("ACTIVATION_FAILED", details, { cause: error });
    }
  }
}

function padded(number: number): string {
  return String(number).padStart(16, "0");
}
