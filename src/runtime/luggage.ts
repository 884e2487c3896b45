/**
 * What an entity has beside its state, and brings to another node; most never have any.
 *
 * Messages to itself: timers, which are gone with the memory they are in, and reminders, which are
 * stored with the entity. The turn that a reminder causes and its end are one write, so it has its
 * effect once; one that was due while nobody had the entity in memory comes as soon as somebody
 * has. Of a repeating one, missed ticks come as one.
 */
import type { CatgaError } from "../base/errors.ts";
import { WheelEntry } from "../base/timer-wheel.ts";
import type { Row } from "../protocol/note.ts";
import { DedupWindow } from "./dedup-window.ts";
import type { MessageSpec } from "./definition.ts";
import type { Resident } from "./owned-shard.ts";
import { firstMsOf, type KeptAnswer, type Packet, type Reminder, type TimerRow } from "./packet.ts";
import { typeOf, type Work } from "./work.ts";

/** Wall clocks jump: no wait is longer. */
const WAIT_MS_MAX = 60_000;

/** See the file's header. */
export class Luggage {
  readonly entity: Resident;
  /** Those that are not in the mailbox yet. */
  readonly timers: Set<EntityTimer> = new Set();
  readonly #reminders = new Map<string, ReminderTimer>();
  #dedup: DedupWindow | undefined;
  #aborter: AbortController | undefined;
  #isOver = false;

  constructor(entity: Resident) {
    this.entity = entity;
  }

  /** What commands with a key were answered; made for the first one. */
  get dedup(): DedupWindow {
    return (this.#dedup ??= new DedupWindow());
  }

  /** The answers that are still kept. */
  answers(nowMs: number): KeptAnswer[] {
    return this.#dedup?.answers(nowMs) ?? [];
  }

  /** Aborts when the activation ends. */
  get signal(): AbortSignal {
    return (this.#aborter ??= new AbortController()).signal;
  }

  /** All of them, to be stored or sent elsewhere. */
  get reminders(): Reminder[] {
    return Array.from(this.#reminders.values(), ({ reminder }) => reminder);
  }

  /** What goes to another node. */
  packed(): Pick<Packet, "timers" | "answers" | "reminders"> {
    const answers = this.answers(this.entity.host.context.wheel.nowMs);
    return { timers: [...this.timers], answers, reminders: this.reminders };
  }

  /** When the first reminder is due, by the wall clock. */
  get firstMs(): number | undefined {
    return firstMsOf(this.reminders);
  }

  /** Starts a timer, unless the entity has no such message. */
  start(row: TimerRow): EntityTimer | undefined {
    const { definition, context } = this.entity.host;
    const spec = definition.messages.get(typeOf(row.message));
    if (spec === undefined) return undefined;
    const timer = new EntityTimer(this, spec, row);
    this.timers.add(timer);
    context.wheel.add(timer, row.dueMs);
    return timer;
  }

  /** Sets a reminder; another of the same name is gone. */
  remind(reminder: Reminder): void {
    this.forget(reminder.name);
    const spec = this.entity.host.definition.messages.get(typeOf(reminder.message));
    const timer = new ReminderTimer(this, spec!, reminder);
    this.#reminders.set(reminder.name, timer);
    // Code of another version knows the message, or will.
    if (spec !== undefined) timer.arm();
  }

  /** There is no reminder of that name any more. */
  forget(name: string): void {
    const timer = this.#reminders.get(name);
    if (timer !== undefined) this.entity.host.context.wheel.remove(timer);
    this.#reminders.delete(name);
  }

  /** True while nothing else was set under its name, and the activation lasts. */
  isSet(timer: ReminderTimer): boolean {
    return !this.#isOver && this.#reminders.get(timer.reminder.name) === timer;
  }

  /** Tells handlers that run to give up, if any of them listens. */
  abort(): void {
    this.#aborter?.abort();
  }

  /** The activation is over: nothing comes of itself any more. */
  stop(): void {
    this.#isOver = true;
    const { wheel } = this.entity.host.context;
    for (const timer of [...this.timers, ...this.#reminders.values()]) wheel.remove(timer);
    this.abort();
  }

  /** True when the entity may leave memory for want of use. */
  isEmpty(nowMs: number): boolean {
    return this.timers.size === 0 && this.#dedup?.isEmpty(nowMs) !== false;
  }
}

/** A message of an entity to itself: it waits in the wheel, then in the mailbox. */
abstract class OwnMessage extends WheelEntry implements Work {
  readonly oneWay: boolean = true;
  readonly deadlineMs: number = Number.POSITIVE_INFINITY;
  readonly dedup: undefined = undefined;
  readonly spec: MessageSpec;
  readonly message: unknown;
  protected readonly luggage: Luggage;

  constructor(luggage: Luggage, spec: MessageSpec, message: unknown) {
    super();
    this.luggage = luggage;
    this.spec = spec;
    this.message = message;
  }

  abstract begin(): boolean;

  succeed(): void {}

  fail(error: CatgaError): void {
    const { host, id } = this.luggage.entity;
    const fields = { entity: host.keyOf(id), message: this.spec.type, err: error };
    host.context.log.error(fields, "a message of an entity to itself failed");
  }
}

/** It dies with the activation. */
class EntityTimer extends OwnMessage implements TimerRow {
  readonly dueMs: number;
  #isCancelled = false;

  constructor(luggage: Luggage, spec: MessageSpec, { message, dueMs }: TimerRow) {
    super(luggage, spec, message);
    this.dueMs = dueMs;
  }

  row(): Row {
    return ["timer", 0, this.message];
  }

  override expire(): void {
    this.luggage.timers.delete(this);
    const refusal = this.luggage.entity.post(this);
    if (refusal !== undefined) this.fail(refusal);
  }

  cancel(): void {
    this.#isCancelled = true;
    this.luggage.entity.host.context.wheel.remove(this);
    this.luggage.timers.delete(this);
  }

  begin(): boolean {
    return !this.#isCancelled;
  }
}

class ReminderTimer extends OwnMessage {
  readonly reminder: Reminder;

  constructor(luggage: Luggage, spec: MessageSpec, reminder: Reminder) {
    super(luggage, spec, reminder.message);
    this.reminder = reminder;
  }

  arm(): void {
    const { clock, wheel } = this.luggage.entity.host.context;
    const leftMs = this.reminder.dueMs - clock.wallMs();
    wheel.add(this, wheel.nowMs + Math.min(Math.max(leftMs, 0), WAIT_MS_MAX));
  }

  override expire(): void {
    const { entity } = this.luggage;
    const isDue = this.reminder.dueMs <= entity.host.context.clock.wallMs();
    if (!isDue || entity.post(this) !== undefined) this.arm();
  }

  begin(): boolean {
    return this.luggage.isSet(this);
  }

  /** Its turn has ended. */
  keep(): void {
    if (!this.luggage.isSet(this)) return;
    const { name, dueMs, everyMs } = this.reminder;
    this.luggage.forget(name);
    if (everyMs === 0) return;
    const lateMs = this.luggage.entity.host.context.clock.wallMs() - dueMs;
    const next = dueMs + everyMs * (Math.max(0, Math.floor(lateMs / everyMs)) + 1);
    this.luggage.remind({ ...this.reminder, dueMs: next });
  }
}
