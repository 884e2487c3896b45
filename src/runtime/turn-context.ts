/**
 * What a handler is given: its entity's state and the world, for the length of one turn. One object
 * a turn; everything behind it is looked up when it is asked for.
 */
import { copyPayload } from "./call.ts";
import { type Logger, withFields } from "../base/logger.ts";
import { type Duration, durationMs } from "../base/duration.ts";
import { CatgaError } from "../base/errors.ts";
import { WheelEntry } from "../base/timer-wheel.ts";
import type {
  EntityDefinition,
  MessageSpec,
  PassivationReason,
  Posted,
  Work,
} from "./definition.ts";
import type { NodeContext } from "./node-context.ts";

/** The entity whose turn it is. */
export interface TurnEntity {
  readonly id: string;
  readonly host: TurnHome;
  state: unknown;
  readonly signal: AbortSignal;
  readonly fence: string;
  post(work: Work): Posted;
  passivate(reason: PassivationReason): void;
  keepTimer(timer: WheelEntry): void;
  dropTimer(timer: WheelEntry): void;
}

/** What surrounds it. */
export interface TurnHome {
  readonly context: NodeContext;
  readonly definition: EntityDefinition;
  keyOf(id: string): string;
  mailboxFull(id: string): CatgaError;
  readonly exits: Exits;
}

/** What leads out of an entity type. */
export interface Exits {
  /** A reference for use inside a turn; its calls end with the turn's deadline. */
  refTo(request: RefRequest): unknown;
  /** Brings a message that outlived its activation to whoever owns the entity now. */
  redeliver(entity: string, id: string, work: Work): void;
}

/** A reference that a turn asks for. */
export interface RefRequest<T = unknown> {
  /** An entity type, or its name. */
  readonly target: T;
  readonly id: string;
  /** When its calls end at the latest. */
  readonly boundMs: number;
}

/** See the file's header. */
export class TurnContext {
  readonly #entity: TurnEntity;
  readonly #deadlineMs: number;

  constructor(entity: TurnEntity, deadlineMs: number) {
    this.#entity = entity;
    this.#deadlineMs = deadlineMs;
  }

  get id(): string {
    return this.#entity.id;
  }

  get node(): string {
    return this.#entity.host.context.options.nodeId;
  }

  get state(): unknown {
    return this.#entity.state;
  }

  set state(state: unknown) {
    this.#entity.state = state;
  }

  get signal(): AbortSignal {
    return this.#entity.signal;
  }

  get fence(): string {
    return this.#entity.fence;
  }

  get log(): Logger {
    const { host, id } = this.#entity;
    return withFields(host.context.log, { node: this.node, entity: host.definition.name, id });
  }

  /** A reference whose calls end with this turn's deadline. */
  entity(target: unknown, id: string): unknown {
    return this.#entity.host.exits.refTo({ target, id, boundMs: this.#deadlineMs });
  }

  peer(id: string): unknown {
    return this.entity(this.#entity.host.definition.name, id);
  }

  passivate(): void {
    this.#entity.passivate("idle");
  }

  /** Sends `message` to this entity after `delay`, as long as it stays in memory. */
  after(delay: Duration, message: { readonly type: string }): () => void {
    const delayMs = durationMs(delay, "delay");
    const { host } = this.#entity;
    const spec = host.definition.messages.get(message.type);
    if (spec === undefined) {
      const details = { entity: host.definition.name, message: message.type };
      throw new CatgaError("UNKNOWN_MESSAGE", details);
    }
    const subject = { entity: host.definition.name, id: this.id, type: message.type };
    const copy = copyPayload(subject, message);
    const timer = new EntityTimer(this.#entity, spec, copy);
    this.#entity.keepTimer(timer);
    host.context.wheel.add(timer, host.context.wheel.nowMs + delayMs);
    return () => timer.cancel();
  }
}

/** A message an entity sends to itself later; it dies with the activation. */
class EntityTimer extends WheelEntry implements Work {
  readonly oneWay = true;
  readonly spec: MessageSpec;
  readonly message: unknown;
  readonly deadlineMs = Number.POSITIVE_INFINITY;
  readonly #entity: TurnEntity;
  #isCancelled = false;

  constructor(entity: TurnEntity, spec: MessageSpec, message: unknown) {
    super();
    this.#entity = entity;
    this.spec = spec;
    this.message = message;
  }

  override expire(): void {
    this.#entity.dropTimer(this);
    if (this.#entity.post(this) === "full") {
      const { host, id } = this.#entity;
      this.fail(host.mailboxFull(id));
    }
  }

  cancel(): void {
    this.#isCancelled = true;
    this.#entity.host.context.wheel.remove(this);
    this.#entity.dropTimer(this);
  }

  begin(): boolean {
    return !this.#isCancelled;
  }

  succeed(): void {}

  fail(error: CatgaError): void {
    this.#entity.host.context.log.error({ error }, "a timer's message failed");
  }
}
