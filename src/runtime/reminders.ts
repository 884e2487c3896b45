/**
 * The reminders of an entity: messages to itself that are stored with it. The turn that one of them
 * causes and its end are one write, so it has its effect once; one that was due while nobody had
 * the entity in memory comes as soon as somebody has. Of a repeating one, missed ticks come as one.
 */
import type { CatgaError } from "../base/errors.ts";
import { WheelEntry } from "../base/timer-wheel.ts";
import type { EntityDefinition, MessageSpec } from "./definition.ts";
import { firstMsOf, type Reminder } from "./reminder.ts";
import type { NodeContext } from "./node-context.ts";
import { typeOf, type Work } from "./work.ts";

/** The entity whose reminders they are. */
export interface Reminded {
  readonly id: string;
  readonly host: {
    readonly context: NodeContext;
    readonly definition: EntityDefinition;
    keyOf(id: string): string;
  };
  post(work: Work): CatgaError | undefined;
}

/** Wall clocks jump: no wait is longer. */
const WAIT_MS_MAX = 60_000;

/** See the file's header. */
export class Reminders extends WheelEntry {
  readonly #entity: Reminded;
  readonly #all = new Map<string, Reminder>();
  readonly #underWay = new Set<Reminder>();
  #isOver = false;

  constructor(entity: Reminded) {
    super();
    this.#entity = entity;
  }

  /** All of them, to be stored or sent elsewhere. */
  get all(): readonly Reminder[] {
    return [...this.#all.values()];
  }

  /** When the first one is due. */
  get firstMs(): number | undefined {
    return firstMsOf(this.all);
  }

  /** Sets one; another of the same name is gone. */
  set(reminder: Reminder): void {
    this.#all.set(reminder.name, reminder);
    this.arm();
  }

  delete(name: string): void {
    this.#all.delete(name);
  }

  /** Waits for the first one that is not under way. */
  arm(): void {
    const { clock, wheel } = this.#entity.host.context;
    wheel.remove(this);
    const waiting = this.all.filter((each) => !this.#underWay.has(each));
    if (waiting.length === 0) return;
    const leftMs = firstMsOf(waiting)! - clock.wallMs();
    wheel.add(this, wheel.nowMs + Math.min(Math.max(leftMs, 0), WAIT_MS_MAX));
  }

  /** The activation is over. */
  stop(): void {
    this.#isOver = true;
    this.#entity.host.context.wheel.remove(this);
  }

  override expire(): void {
    const { definition, context } = this.#entity.host;
    const nowMs = context.clock.wallMs();
    for (const reminder of this.all) {
      const spec = definition.messages.get(typeOf(reminder.message));
      if (reminder.dueMs > nowMs || this.#underWay.has(reminder)) continue;
      // Code of another version knows the message, or will.
      if (spec === undefined) continue;
      this.#underWay.add(reminder);
      const refusal = this.#entity.post(new ReminderWork(this, reminder, spec));
      if (refusal !== undefined) this.#underWay.delete(reminder);
    }
    this.arm();
  }

  /** True while nothing else was set under its name; of the next activation it has its own. */
  isSet(reminder: Reminder): boolean {
    return !this.#isOver && this.#all.get(reminder.name) === reminder;
  }

  /** Its turn has ended, or there was none. */
  ended(reminder: Reminder): void {
    this.#underWay.delete(reminder);
    if (!this.isSet(reminder)) return;
    const { name, dueMs, everyMs } = reminder;
    const lateMs = this.#entity.host.context.clock.wallMs() - dueMs;
    this.#all.delete(name);
    if (everyMs === 0) return this.arm();
    const next = dueMs + everyMs * (Math.max(0, Math.floor(lateMs / everyMs)) + 1);
    this.set({ ...reminder, dueMs: next });
  }

  failed(reminder: Reminder, error: CatgaError): void {
    const { host, id } = this.#entity;
    const fields = { entity: host.keyOf(id), reminder: reminder.name, err: error };
    host.context.log.error(fields, "a reminder's message failed");
  }
}

/** A reminder in the mailbox. */
class ReminderWork implements Work {
  readonly spec: MessageSpec;
  readonly message: unknown;
  readonly oneWay: boolean = true;
  readonly deadlineMs: number = Number.POSITIVE_INFINITY;
  readonly dedup: undefined = undefined;
  readonly #reminders: Reminders;
  readonly #reminder: Reminder;

  constructor(reminders: Reminders, reminder: Reminder, spec: MessageSpec) {
    this.spec = spec;
    this.message = reminder.message;
    this.#reminders = reminders;
    this.#reminder = reminder;
  }

  begin(): boolean {
    return this.#reminders.isSet(this.#reminder);
  }

  keep(): void {
    this.#reminders.ended(this.#reminder);
  }

  succeed(): void {}

  fail(error: CatgaError): void {
    this.#reminders.failed(this.#reminder, error);
  }
}
