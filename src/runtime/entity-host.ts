/** One entity type at this node: its activations, and what they need of the house. */
import type { Logger } from "../base/logger.ts";
import type { TimerWheel } from "../base/timer-wheel.ts";
import { CatgaError, describeError } from "../base/errors.ts";
import { entityKey } from "../protocol/ids.ts";
import { Activation, type Work } from "./activation.ts";
import type { EntityDefinition } from "./definition.ts";
import type { OwnedShard } from "./owned-shard.ts";
import type { Slices } from "./slices.ts";

/** What an activation needs of the node around it. */
export interface HostServices {
  readonly node: string;
  readonly slices: Slices;
  /** Short deadlines: calls, timers. */
  readonly wheel: TimerWheel;
  /** Long ones: idle activations. */
  readonly idleWheel: TimerWheel;
  readonly log: Logger;
  /** Fixed-width text, generation then epoch, that rises with every ownership of a shard. */
  fenceOf(shard: OwnedShard): string;
  /** A reference for use inside a turn; its calls end with the turn's deadline. */
  refTo(target: unknown, id: string, deadlineMs: number): unknown;
  /** Brings a message to whoever owns the entity now. */
  redeliver(host: EntityHost, id: string, work: Work): void;
}

/** See the file's header. */
export class EntityHost {
  readonly definition: EntityDefinition;
  readonly services: HostServices;
  readonly activations = new Map<string, Activation>();
  readonly slices: Slices;
  readonly wheel: TimerWheel;
  readonly idleWheel: TimerWheel;

  constructor(definition: EntityDefinition, services: HostServices) {
    this.definition = definition;
    this.services = services;
    this.slices = services.slices;
    this.wheel = services.wheel;
    this.idleWheel = services.idleWheel;
  }

  /** Where activations report to. */
  get log(): Logger {
    return this.services.log;
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

  /** The node closes: nothing here is waited for any more. */
  abandon(): void {
    for (const activation of this.activations.values()) activation.abort();
  }

  /** A message that outlived its activation. */
  deliverAgain(id: string, work: Work): void {
    this.services.redeliver(this, id, work);
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
