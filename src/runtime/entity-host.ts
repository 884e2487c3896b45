/** One entity type at a node: its activations, and the ways in that they share. */
import { CatgaError, describeError } from "../base/errors.ts";
import type { Waits } from "../base/waits.ts";
import { entityKey, isInternal } from "../protocol/ids.ts";
import { Activation, type ActivationHost } from "./activation.ts";
import type { EntityDefinition, MessageSpec, PassivationReason } from "./definition.ts";
import { HotCache } from "./hot-cache.ts";
import type { NodeContext } from "./node-context.ts";
import type { Waiter } from "./entity-home.ts";
import type { OwnedShard } from "./owned-shard.ts";
import type { Packet } from "./packet.ts";
import { RateLimit } from "./rate-limit.ts";
import type { Exits } from "./turn-context.ts";
import type { Work } from "./work.ts";

/** One entity type at this node: its activations, and what they need of the house. */
export class EntityHost implements ActivationHost {
  readonly definition: EntityDefinition;
  readonly activations: Map<string, Activation> = new Map();
  readonly context: NodeContext;
  readonly exits: Exits;
  readonly hotCache: HotCache | undefined;
  readonly waiting: Waits<Waiter, Work>;
  readonly running: Waits<Waiter, Work>;
  /** Since this node has joined. */
  activated = 0;
  readonly #rate: RateLimit | undefined;
  /** What no user has defined has no events. */
  readonly #isInternal: boolean;

  constructor(definition: EntityDefinition, context: NodeContext, exits: Exits) {
    const { hotCacheMs, rateLimit } = definition;
    if (hotCacheMs !== undefined) this.hotCache = new HotCache(context, definition, hotCacheMs);
    this.#rate = rateLimit && new RateLimit(rateLimit);
    this.definition = definition;
    this.#isInternal = isInternal(definition.name);
    this.context = context;
    this.exits = exits;
    const { progress } = context;
    this.waiting = progress.list("message", ({ subject, work }) => {
      if (subject.next !== work) return undefined;
      return `${this.keyOf(subject.id)}: message "${work.spec.type}" has waited`;
    });
    this.running = progress.list("turn", ({ subject, work }) => {
      return `${this.keyOf(subject.id)}: handler "${work.spec.type}" has run`;
    });
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
  activate(id: string, shard: OwnedShard, origin: Partial<Packet> = {}): Activation {
    let activation = this.activations.get(id);
    if (activation !== undefined) return activation;
    try {
      const { state, stored } = origin;
      activation = new Activation(id, this, { shard, state, stored });
    } catch (error) {
      throw this.stillborn(id, error);
    }
    this.activations.set(id, activation);
    this.activated++;
    shard.activations.add(activation);
    if (!this.#isInternal) {
      this.context.events.emit("entity-activated", { name: this.definition.name, id });
    }
    activation.open();
    return activation;
  }

  /** Counts a message that has come for `id`; the error is that of one too many. */
  admit(id: string, { counts }: MessageSpec): CatgaError | undefined {
    const { hot, clock } = this.context;
    hot.count(this.definition.name, id);
    if (this.#rate?.take(id, clock.nowMs()) !== false) return undefined;
    counts.limited++;
    const what = `messages for "${this.keyOf(id)}" in a second`;
    const limit = this.definition.rateLimit!.perSecond;
    return new CatgaError("OVERLOADED", { what, limit });
  }

  stillborn(id: string, cause: unknown): CatgaError {
    const details = { entity: this.keyOf(id), ...describeError(cause) };
    return new CatgaError("ACTIVATION_FAILED", details, { cause });
  }

  forget(activation: Activation, reason: PassivationReason, waiting: readonly Work[]): void {
    const { name } = this.definition;
    const { id, shard } = activation;
    const travelling = shard.isPacking ? waiting.filter((work) => !("depart" in work)) : [];
    if (shard.isPacking) shard.packets.push(this.#pack(activation, reason, travelling));
    const dueMs = activation.keeper?.isOver === true ? undefined : activation.carried?.firstMs;
    if (dueMs !== undefined && reason === "idle") this.exits.sleeps(activation, dueMs);
    if (!this.#isInternal) this.context.events.emit("entity-passivated", { name, id, reason });
    if (this.activations.get(id) === activation) this.activations.delete(id);
    shard.activations.delete(activation);
    const staying = waiting.filter((work) => !travelling.includes(work));
    this.#redeliver(id, shard, staying);
    // Last, for the shard may come back to life here: what waited stands before what came since.
    shard.changed();
  }

  #pack(activation: Activation, reason: PassivationReason, works: Work[]): Packet {
    const { id, state: value, keeper, carried } = activation;
    const { name: entity, version } = this.definition;
    const packet = { entity, id, works, timers: [], answers: [], reminders: [] };
    if (reason !== "moved") return { ...packet, state: undefined };
    const stored = keeper && ([keeper.version, version] as const);
    return { ...packet, state: { value }, stored, ...carried?.packed() };
  }

  /** Brings messages that outlived their activation to whoever owns the entity now, or soon. */
  #redeliver(id: string, shard: OwnedShard, works: readonly Work[]): void {
    if (shard.accepting) {
      for (const work of works) this.deliver(id, shard, work);
      return;
    }
    // The others came from nodes that will learn that this one has lost the shard.
    const own = works.flatMap((work) => work.depart?.(this.context.calls) ?? []);
    if (own.length === 0) return;
    const group = this.context.view.groupOf(this.definition.name)!;
    this.exits.channel(group, shard.number).putBack(own);
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
