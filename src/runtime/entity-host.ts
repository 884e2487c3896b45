/** One entity type at this node: its activations, and what they need of the house. */
import { CatgaError, describeError } from "../base/errors.ts";
import { entityKey } from "../protocol/ids.ts";
import { Activation, type ActivationHost } from "./activation.ts";
import type { EntityDefinition } from "./definition.ts";
import type { NodeContext } from "./node-context.ts";
import type { OwnedShard } from "./owned-shard.ts";
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
   * `shard`.
   *
   * @throws {CatgaError} ACTIVATION_FAILED when the state factory throws.
   */
  activate(id: string, shard: OwnedShard): Activation {
    const known = this.activations.get(id);
    if (known !== undefined) return known;
    const activation = this.#create(id, shard);
    this.activations.set(id, activation);
    shard.activations.add(activation);
    activation.open();
    return activation;
  }

  /** The activation is over. */
  forget(activation: Activation): void {
    if (this.activations.get(activation.id) === activation) this.activations.delete(activation.id);
    activation.shard.forget(activation);
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

  #create(id: string, shard: OwnedShard): Activation {
    try {
      return new Activation(id, this, shard);
    } catch (error) {
      const details = { entity: this.keyOf(id), ...describeError(error) };
      throw new CatgaError("ACTIVATION_FAILED", details, { cause: error });
    }
  }
}

function padded(number: number): string {
  return String(number).padStart(16, "0");
}
