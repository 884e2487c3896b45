/**
 * What a handler is given: its entity's state and the world, for the length of one turn. One object
 * a turn; everything behind it is looked up when it is asked for.
 */
import type { Logger } from "../base/logger.ts";
import { withFields } from "../base/logger.ts";
import { type Duration, durationMs } from "../base/duration.ts";
import { CatgaError } from "../base/errors.ts";
import { WheelEntry } from "../base/timer-wheel.ts";
import { copyValue } from "../protocol/codec.ts";
import type { Activation, Work } from "./activation.ts";
import type { MessageSpec } from "./definition.ts";

/** See the file's header. */
export class TurnContext {
  readonly #activation: Activation;
  readonly #deadlineMs: number;

  constructor(activation: Activation, deadlineMs: number) {
    this.#activation = activation;
    this.#deadlineMs = deadlineMs;
  }

  get id(): string {
    return this.#activation.id;
  }

  get node(): string {
    return this.#activation.host.services.node;
  }

  get state(): unknown {
    return this.#activation.state;
  }

  set state(state: unknown) {
    this.#activation.state = state;
  }

  get signal(): AbortSignal {
    return this.#activation.signal;
  }

  get fence(): string {
    return this.#activation.host.services.fenceOf(this.#activation.shard);
  }

  get log(): Logger {
    const { host, id } = this.#activation;
    return withFields(host.log, { node: this.node, entity: host.definition.name, id });
  }

  /** A reference whose calls end with this turn's deadline. */
  entity(target: unknown, id: string): unknown {
    return this.#activation.host.services.refTo(target, id, this.#deadlineMs);
  }

  peer(id: string): unknown {
    return this.entity(this.#activation.host.definition.name, id);
  }

  passivate(): void {
    this.#activation.passivate("idle");
  }

  /** Sends `message` to this entity after `delay`, as long as it stays in memory. */
  after(delay: Duration, message: { readonly type: string }): () => void {
    const delayMs = durationMs(delay, "delay");
    const { host, id } = this.#activation;
    const spec = host.definition.messages.get(message.type);
    if (spec === undefined) {
      const details = { entity: host.definition.name, message: String(message.type) };
      throw new CatgaError("UNKNOWN_MESSAGE", details);
    }
    const copied = copyValue(message);
    if (!("copy" in copied)) throw new CatgaError("TOO_LARGE", { what: host.keyOf(id), ...copied });
    const timer = new EntityTimer(this.#activation, spec, copied.copy);
    this.#activation.keepTimer(timer);
    host.wheel.add(timer, host.wheel.nowMs + delayMs);
    return () => timer.cancel();
  }
}

/** A message an entity sends to itself later; it dies with the activation. */
class EntityTimer extends WheelEntry implements Work {
  readonly spec: MessageSpec;
  readonly message: unknown;
  readonly deadlineMs = Number.POSITIVE_INFINITY;
  readonly #activation: Activation;
  #isCancelled = false;

  constructor(activation: Activation, spec: MessageSpec, message: unknown) {
    super();
    this.#activation = activation;
    this.spec = spec;
    this.message = message;
  }

  override expire(): void {
    this.#activation.dropTimer(this);
    if (this.#activation.post(this) === "full") {
      const { host, id } = this.#activation;
      const { mailboxCapacity: capacity } = host.definition;
      this.fail(new CatgaError("MAILBOX_FULL", { entity: host.keyOf(id), capacity }));
    }
  }

  cancel(): void {
    this.#isCancelled = true;
    this.#activation.host.wheel.remove(this);
    this.#activation.dropTimer(this);
  }

  begin(): boolean {
    return !this.#isCancelled;
  }

  succeed(): void {}

  fail(error: CatgaError): void {
    this.#activation.host.log.error({ error }, "a timer's message failed");
  }
}
