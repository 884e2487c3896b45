/**
 * What a handler is given: its entity's state and the world, for the length of one turn. One object
 * a turn; everything behind it is looked up when it is asked for.
 */
import { copyPayload, unknownMessage } from "./call.ts";
import { type Logger, withFields } from "../base/logger.ts";
import { type Duration, durationMs } from "../base/duration.ts";
import type { CatgaError } from "../base/errors.ts";
import type { Row } from "../protocol/note.ts";
import { type TimerWheel, WheelEntry } from "../base/timer-wheel.ts";
import { DedupWindow } from "./dedup-window.ts";
import type { EntityDefinition, MessageSpec, PassivationReason } from "./definition.ts";
import type { NodeContext } from "./node-context.ts";
import type { OwnedShard } from "./owned-shard.ts";
import type { TimerRow } from "./packet.ts";
import { Reminders } from "./reminders.ts";
import type { Peer } from "./peer.ts";
import { typeOf, type Work } from "./work.ts";

/** The entity whose turn it is. */
export interface TurnEntity {
  readonly id: string;
  readonly host: TurnHome;
  state: unknown;
  readonly signal: AbortSignal;
  readonly shard: OwnedShard;
  post(work: Work): CatgaError | undefined;
  passivate(reason: PassivationReason): void;
  readonly luggage: Luggage;
  /** What stores it, if anything does. */
  readonly keeper: TurnKeeper | undefined;
}

/** What stores an entity, as its turns know it. */
export interface TurnKeeper {
  save(): Promise<void>;
  delete(): Promise<void>;
  /** Calls `settle` when all that was done until now is stored; or `work` fails. */
  hold(settle: () => void, work: Work): void;
}

/** What surrounds it. */
export interface TurnHome {
  readonly context: NodeContext;
  readonly definition: EntityDefinition;
  keyOf(id: string): string;
  readonly exits: Exits;
}

/** What leads out of an entity type. */
export interface Exits {
  /** A reference for use inside a turn; its calls end with the turn's deadline. */
  refTo(request: RefRequest): unknown;
  /** Sends messages of this node anew, ahead of what was sent since. */
  sendAgain(entity: string, id: string, works: readonly Work[]): void;
  /** An entity with a reminder leaves memory. */
  sleeps(entity: TurnEntity, dueMs: number): void;
  /** The way back to the sender of a message. */
  peerOf(incarnation: string): Peer;
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

  /** Fixed-width text, generation then epoch, that rises with every ownership of the shard. */
  get fence(): string {
    return fenceOf(this.#entity);
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

  save(): Promise<void> {
    return this.#keeper("save").save();
  }

  async delete(): Promise<void> {
    const keeper = this.#keeper("delete");
    this.passivate();
    await keeper.delete();
  }

  /** Sends `message` to this entity later, or again and again, whoever has it by then. */
  remind(name: string, when: When, message: { readonly type: string }): Promise<void> {
    const keeper = this.#keeper("remind");
    const { host, luggage } = this.#entity;
    const subject = { entity: host.definition.name, id: this.id, type: message.type };
    if (!host.definition.messages.has(message.type)) throw unknownMessage(subject);
    if ((when.every === undefined) === (when.in === undefined)) {
      throw new TypeError(`Cannot remind "${host.keyOf(this.id)}": write "in" or "every"`);
    }
    const everyMs = when.every === undefined ? 0 : durationMs(when.every, "every");
    const leftMs = when.in === undefined ? everyMs : durationMs(when.in, "in");
    if (when.every !== undefined && everyMs < EVERY_MS_MIN) {
      throw new RangeError(
        `Cannot remind "${host.keyOf(this.id)}" every ${everyMs} ms: 1 s at least`,
      );
    }
    const dueMs = host.context.clock.wallMs() + leftMs;
    luggage
      .remindersOf(this.#entity)
      .set({ name, dueMs, everyMs, message: copyPayload(subject, message) });
    return keeper.save();
  }

  /** There is no reminder of that name any more. */
  forget(name: string): Promise<void> {
    const keeper = this.#keeper("forget");
    this.#entity.luggage.reminders?.delete(name);
    return keeper.save();
  }

  #keeper(what: string): TurnKeeper {
    const { keeper, host } = this.#entity;
    if (keeper !== undefined) return keeper;
    throw new TypeError(`Cannot ${what} "${host.keyOf(this.id)}": it has no persistence`);
  }

  /** Sends `message` to this entity after `delay`, as long as it stays in memory. */
  after(delay: Duration, message: { readonly type: string }): () => void {
    const delayMs = durationMs(delay, "delay");
    const { definition, context } = this.#entity.host;
    const subject = { entity: definition.name, id: this.id, type: message.type };
    const copy = copyPayload(subject, message);
    const dueMs = context.wheel.nowMs + delayMs;
    const timer = startTimer(this.#entity, { message: copy, dueMs });
    if (timer === undefined) throw unknownMessage(subject);
    return () => timer.cancel();
  }
}

/** The fence of an ownership: generation, then epoch. */
export function fenceOf({ host, shard }: TurnEntity, epoch: number = shard.epoch): string {
  return [host.context.generation, epoch].map((n) => `${n}`.padStart(16, "0")).join(".");
}

/** When a reminder comes: once, or again and again. */
interface When {
  readonly in?: Duration;
  readonly every?: Duration;
}

/** What comes more often belongs into a timer. */
const EVERY_MS_MIN = 1_000;

/** What an entity has beside its state, and brings to another node; most never have any. */
export class Luggage {
  timers: Set<EntityTimer> | undefined;
  reminders: Reminders | undefined;
  /** What commands with a key were answered. */
  dedup: DedupWindow | undefined;
  #aborter: AbortController | undefined;

  /** The reminders, made if there are none. */
  remindersOf(entity: TurnEntity): Reminders {
    return (this.reminders ??= new Reminders(entity));
  }

  /** Aborts when the activation ends. */
  get aborter(): AbortController {
    return (this.#aborter ??= new AbortController());
  }

  /** Tells handlers that run to give up, if any of them listens. */
  abort(): void {
    this.#aborter?.abort();
  }

  /** The activation is over: nothing comes of itself any more. */
  stop(wheel: TimerWheel): void {
    for (const timer of this.timers ?? []) wheel.remove(timer);
    this.reminders?.stop();
    this.abort();
  }

  /** What is to be run for a command with a key; nothing for one that is answered otherwise. */
  admit(work: Work, { host, id, shard, keeper }: TurnEntity): Work | undefined {
    const hold = (settle: () => void, held: Work): void =>
      keeper === undefined ? settle() : keeper.hold(settle, held);
    // What is stored knows its answers, whoever has died.
    const cleanSince = keeper === undefined ? shard.cleanSince : 0;
    const arrival = { entity: host.keyOf(id), nowMs: host.context.wheel.nowMs, cleanSince, hold };
    return (this.dedup ??= new DedupWindow()).admit(work, arrival);
  }

  /** True when the entity may leave memory for want of use. */
  isEmpty(nowMs: number): boolean {
    return !this.timers?.size && this.dedup?.isEmpty(nowMs) !== false;
  }
}

/** Starts a timer of `entity`, unless it has no such message. */
export function startTimer(entity: TurnEntity, row: TimerRow): EntityTimer | undefined {
  const { definition, context } = entity.host;
  const spec = definition.messages.get(typeOf(row.message));
  if (spec === undefined) return undefined;
  const timer = new EntityTimer(entity, spec, row);
  (entity.luggage.timers ??= new Set()).add(timer);
  context.wheel.add(timer, row.dueMs);
  return timer;
}

/** A message an entity sends to itself later; it dies with the activation. */
export class EntityTimer extends WheelEntry implements Work, TimerRow {
  readonly oneWay: boolean = true;
  readonly spec: MessageSpec;
  readonly message: unknown;
  readonly dueMs: number;
  readonly deadlineMs: number = Number.POSITIVE_INFINITY;
  readonly dedup: undefined = undefined;
  readonly #entity: TurnEntity;
  #isCancelled = false;

  constructor(entity: TurnEntity, spec: MessageSpec, { message, dueMs }: TimerRow) {
    super();
    this.#entity = entity;
    this.spec = spec;
    this.message = message;
    this.dueMs = dueMs;
  }

  row(): Row {
    return ["timer", 0, this.message];
  }

  override expire(): void {
    this.#entity.luggage.timers?.delete(this);
    const refusal = this.#entity.post(this);
    if (refusal !== undefined) this.fail(refusal);
  }

  cancel(): void {
    this.#isCancelled = true;
    this.#entity.host.context.wheel.remove(this);
    this.#entity.luggage.timers?.delete(this);
  }

  begin(): boolean {
    return !this.#isCancelled;
  }

  succeed(): void {}

  fail(error: CatgaError): void {
    this.#entity.host.context.log.error({ err: error }, "a timer's message failed");
  }
}
