/** One entity type at this node: its activations, and what they need of the house. */
import { CatgaError, describeError } from "../base/errors.ts";
import { entityKey } from "../protocol/ids.ts";
import { Activation, type ActivationHost } from "./activation.ts";
import type { EntityDefinition, PassivationReason } from "./definition.ts";
import type { NodeContext } from "./node-context.ts";
import type { OwnedShard } from "./owned-shard.ts";
import type { Packet } from "./packet.ts";
import type { Exits } from "./turn-context.ts";
import type { Work } from "./work.ts";

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
    let activation = this.activations.get(id);
    if (activation !== undefined) return activation;
    try {
      activation = new Activation(id, this, { shard, state });
    } catch (error) {
      const details = { entity: this.keyOf(id), ...describeError(error) };
      throw new CatgaError("ACTIVATION_FAILED", details, { cause: error });
    }
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
      const refusal = this.activate(id, shard).post(work);
      if (refusal !== undefined) work.fail(refusal);
    } catch (error) {
      if (!(error instanceof CatgaError)) throw error;
      work.fail(error);
    }
  }

  /** Tells turns that run to give up; returns their entities. */
  abortRunning(): string[] {
    const running = [...this.activations.values()].filter(({ isQuiet }) => !isQuiet);
    for (const activation of running) activation.abort();
    return running.map(({ id }) => this.keyOf(id));
  }

  /** The node closes: nothing here is waited for any more. */
  abandon(): void {
    for (const activation of this.activations.values()) activation.abort();
  }
}
