/**
 * An entity in memory: its state, its mailbox, its turns.
 *
 * Turns start in arrival order; a command runs alone, queries run beside each other. A handler that
 * returns no promise runs at once, on the stack of whoever brought the message, when nothing is
 * waiting: that is what a million messages per second are made of. What must not overlap is guarded
 * by `#running`. An activation hangs in the idle wheel all its life and looks, when its time comes,
 * whether it was used since: being used costs one store, not a timer.
 */
import Denque from "denque";
import { CatgaError, describeError } from "../base/errors.ts";
import { isThenable } from "../base/thenable.ts";
import { WheelEntry } from "../base/timer-wheel.ts";
import { KeyedWork } from "./dedup-window.ts";
import type { PassivationReason } from "./definition.ts";
import type { OwnedShard, Resident } from "./owned-shard.ts";
import { answer, failureOf, type HookEnd, runHook } from "./outcome.ts";
import type { Packet } from "./packet.ts";
import { Luggage, TurnContext, type TurnEntity, type TurnHome } from "./turn-context.ts";
import type { Work } from "./work.ts";

/** What an activation needs of the entity type around it. */
export interface ActivationHost extends TurnHome {
  /** Brings messages that outlived the activation to the entity. */
  redeliver(id: string, shard: OwnedShard, works: readonly Work[]): void;
  /** The activation is over. */
  forget(activation: Activation, reason: PassivationReason): void;
}

/** Where an activation comes from. */
type Origin = Pick<Packet, "state"> & { readonly shard: OwnedShard };

type Phase = "opening" | "live" | "closing" | "closed";

/** See the file's header. */
export class Activation extends WheelEntry implements TurnEntity, Resident {
  readonly id: string;
  readonly host: ActivationHost;
  readonly shard: OwnedShard;
  state: unknown;
  #phase: Phase = "live";
  /** Queries that run, or -1 while a command or a hook does. */
  #running = 0;
  #usedMs: number;
  #waiting: Denque<Work> | undefined;
  #isQueued = false;
  #closing: PassivationReason | undefined;
  #isFrozen = false; // No turn starts: the shard may go to another node.
  #aborter: AbortController | undefined;
  #luggage: Luggage | undefined;
  #openError: CatgaError | undefined;

  /** With `state` it goes on where another activation ended. */
  constructor(id: string, host: ActivationHost, { shard, state }: Origin) {
    super();
    this.id = id;
    this.host = host;
    this.shard = shard;
    this.#usedMs = host.context.slices.nowMs;
    this.state = state === undefined ? host.definition.state(id) : state.value;
    host.context.idleWheel.add(this, this.#usedMs + host.definition.idleMs);
  }

  /** Aborts when this activation ends. */
  get signal(): AbortSignal {
    this.#aborter ??= new AbortController();
    return this.#aborter.signal;
  }

  /** What it has beside its state. */
  get luggage(): Luggage {
    return (this.#luggage ??= new Luggage());
  }

  /** Messages that wait. */
  get waitingCount(): number {
    return this.#waiting?.length ?? 0;
  }

  /** Runs the activation hook, before the first message. */
  open(): void {
    const { activated } = this.host.definition;
    if (activated === undefined) return;
    this.#phase = "opening";
    this.#runHook(
      () => activated(new TurnContext(this, Number.POSITIVE_INFINITY)),
      (failure) => {
        if (failure !== undefined) return this.#abandon(failure.error);
        this.#phase = "live";
      },
    );
  }

  /** Takes a message in, and runs it now or lets it wait; or says why there is no room for it. */
  post(work: Work): CatgaError | undefined {
    if (this.#openError !== undefined) {
      work.fail(this.#openError);
      return undefined;
    }
    const { definition, context } = this.host;
    const { waitingCount } = this;
    const { mailboxCapacity: capacity } = definition;
    if (waitingCount >= capacity) {
      return new CatgaError("MAILBOX_FULL", { entity: this.host.keyOf(this.id), capacity });
    }
    if (work.dedup !== undefined && work.spec.kind === "command") {
      const { cleanSince } = this.shard;
      const arrival = { entity: this.host.keyOf(this.id), nowMs: context.wheel.nowMs, cleanSince };
      const admitted = this.luggage.dedup.admit(work, arrival);
      if (admitted === undefined) return undefined;
      work = admitted;
    }
    if (waitingCount === 0 && this.#mayStart(work) && context.slices.enter()) {
      this.#start(work);
      return undefined;
    }
    this.#waiting ??= new Denque();
    this.#waiting.push(work);
    if (this.#running === 0) this.#wait();
    return undefined;
  }

  /** Starts what waits, as far as it may start now. */
  resume(): void {
    this.#isQueued = false;
    for (let work; (work = this.#waiting?.peekAt(0)) !== undefined && this.#mayStart(work);) {
      if (!this.host.context.slices.enter()) return this.#wait();
      this.#waiting?.shift();
      this.#start(work);
    }
    this.#closeIfDone();
  }

  /** No turn runs, no hook. */
  get isQuiet(): boolean {
    return this.#running === 0;
  }

  /** Starts no turn until it is thawed; the shard hears when it has become quiet. */
  freeze(): void {
    this.#isFrozen = true;
  }

  /** Goes on. */
  thaw(): void {
    this.#isFrozen = false;
    this.resume();
  }

  /**
   * Ends the activation after the turns that run; what waits is delivered to the next one. For a
   * shutdown there is none: then every message that was accepted has its turn first.
   */
  passivate(reason: PassivationReason): void {
    this.#closing = reason === "shutdown" ? reason : (this.#closing ?? reason);
    this.#closeIfDone();
  }

  /** Tells handlers that run to give up. */
  abort(): void {
    this.#aborter?.abort();
  }

  /** Its time in the idle wheel is over: passivate, or wait for the rest. */
  override expire(): void {
    const { definition, context } = this.host;
    const { idleWheel, slices } = context;
    const untilMs = this.#usedMs + definition.idleMs;
    const isIdle = this.#running === 0 && this.waitingCount === 0 && this.#phase === "live";
    const isFree = this.#luggage?.isEmpty(idleWheel.nowMs) !== false;
    if (isIdle && isFree && untilMs <= idleWheel.nowMs) {
      return this.passivate("idle");
    }
    const fromMs = isIdle ? untilMs : slices.nowMs + definition.idleMs;
    idleWheel.add(this, Math.max(fromMs, idleWheel.nowMs + 1));
  }

  #mayStart(work: Work): boolean {
    if (this.#phase !== "live" || this.#running < 0 || this.#isFrozen) return false;
    if (this.#closing !== undefined && this.#closing !== "shutdown") return false;
    return work.spec.kind === "query" || this.#running === 0;
  }

  #wait(): void {
    if (this.#isQueued) return;
    this.#isQueued = true;
    this.host.context.slices.later(this);
  }

  /** The caller has entered the slice. */
  #start(work: Work): void {
    const { slices } = this.host.context;
    this.#usedMs = slices.nowMs;
    if (!work.begin(slices.nowMs)) return slices.leave();
    this.#running = work.spec.kind === "query" ? this.#running + 1 : -1;
    let result: unknown;
    let promise: PromiseLike<unknown> | undefined;
    try {
      result = work.spec.run(new TurnContext(this, work.deadlineMs), work.message);
      if (isThenable(result)) promise = result;
    } catch (error) {
      slices.leave();
      return this.#end(work, failureOf(this, work, error));
    }
    slices.leave();
    if (promise === undefined) return this.#end(work, undefined, result);
    // Resolved, so that a `then` of user code that throws is a rejection like any other.
    Promise.resolve(promise).then(
      (value) => this.#end(work, undefined, value),
      (error: unknown) => this.#end(work, failureOf(this, work, error)),
    );
  }

  #end(work: Work, error: CatgaError | undefined, value?: unknown): void {
    const { slices } = this.host.context;
    // The output gate: an answer leaves under a valid lease, or it waits until there is one.
    if (!work.oneWay && !slices.mayRelease()) {
      return slices.later({ resume: () => this.#end(work, error, value) });
    }
    this.#running = work.spec.kind === "query" ? this.#running - 1 : 0;
    this.#usedMs = slices.nowMs;
    if (error === undefined) answer(this, work, value);
    else work.fail(error);
    if (this.waitingCount > 0) this.resume();
    else if (this.#closing !== undefined || this.#isFrozen) this.#closeIfDone();
  }

  #closeIfDone(): void {
    if (this.#phase !== "live" || this.#running !== 0) return;
    if (this.#isFrozen && !this.shard.isPacking) return this.shard.changed();
    if (this.#closing === undefined) return;
    if (this.#closing !== "shutdown" || this.waitingCount === 0) this.#close(this.#closing);
  }

  #close(reason: PassivationReason): void {
    const { deactivated } = this.host.definition;
    this.#phase = "closing";
    if (deactivated === undefined) return this.#finish();
    const context = new TurnContext(this, Number.POSITIVE_INFINITY);
    this.#runHook(
      () => deactivated(context, reason),
      (failure) => {
        const fields = { entity: this.host.keyOf(this.id), reason, ...failure };
        if (failure) this.host.context.log.error(fields, "a deactivation hook failed");
        this.#finish();
      },
    );
  }

  #finish(): void {
    this.#phase = "closed";
    this.#running = 0;
    this.host.context.idleWheel.remove(this);
    for (const timer of this.#luggage?.timers ?? []) this.host.context.wheel.remove(timer);
    this.abort();
    // Messages that came while the hooks ran are for the entity, not for this activation.
    const waiting = this.#takeWaiting();
    const { shard, host, id } = this;
    const travelling = shard.isPacking ? waiting.filter((work) => !("depart" in work)) : [];
    if (shard.isPacking) {
      const moves = this.#closing === "moved";
      const state = moves ? { value: this.state } : undefined;
      const luggage = moves ? this.#luggage : undefined;
      const timers = [...(luggage?.timers ?? [])];
      const answers = luggage?.dedup.answers() ?? [];
      const { name: entity } = host.definition;
      shard.packets.push({ entity, id, state, works: travelling, timers, answers });
    }
    host.forget(this, this.#closing ?? "error");
    const staying = waiting.filter((work) => !travelling.includes(work));
    host.redeliver(id, shard, staying);
  }

  #abandon(error: unknown): void {
    const entity = this.host.keyOf(this.id);
    this.host.context.log.error({ entity, error }, "an activation hook failed");
    this.#openError = new CatgaError("ACTIVATION_FAILED", { entity, ...describeError(error) });
    for (const work of this.#takeWaiting()) work.fail(this.#openError);
    this.#finish();
  }

  #takeWaiting(): readonly Work[] {
    const waiting = this.#waiting?.toArray() ?? [];
    this.#waiting = undefined;
    return waiting.flatMap((work) => (work instanceof KeyedWork ? work.works : [work]));
  }

  #runHook(hook: () => unknown, ended: HookEnd): void {
    this.#running = -1;
    runHook(hook, (failure) => {
      this.#running = 0;
      ended(failure);
      if (this.#phase === "live") this.resume();
    });
  }
}
