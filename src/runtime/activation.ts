/**
 * An entity in memory: its state, its mailbox, its turns.
 *
 * Turns start in arrival order; a command runs alone, queries beside each other. When nothing is
 * waiting, a handler that returns no promise runs on the stack of whoever brought the message: that
 * is what a million messages per second are made of. An activation hangs in the idle wheel all its
 * life and looks, when its time comes, whether it was used since.
 */
import { CatgaError } from "../base/errors.ts";
import { isThenable } from "../base/thenable.ts";
import { countEnd, countTime } from "./counts.ts";
import type { PassivationReason } from "./definition.ts";
import { Keeper } from "./keeper.ts";
import type { Loaded } from "./loader.ts";
import { Luggage } from "./luggage.ts";
import type { OwnedShard } from "./owned-shard.ts";
import { failureOf, finish } from "./outcome.ts";
import type { Packet } from "./packet.ts";
import { runHook, TurnContext, type TurnEntity, type TurnHome } from "./turn-context.ts";
import { Turns } from "./turns.ts";
import type { Work } from "./work.ts";

/** What an activation needs of the entity type around it. */
export interface ActivationHost extends TurnHome {
  /** The error of an entity that cannot come to life. */
  stillborn(id: string, cause: unknown): CatgaError;
  /** The activation is over; messages that outlived it go where the entity is next. */
  forget(activation: Activation, reason: PassivationReason, waiting: readonly Work[]): void;
}

/** Where an activation comes from. */
type Origin = Pick<Packet, "state" | "stored"> & { readonly shard: OwnedShard };

type Phase = "loading" | "opening" | "live" | "closing" | "closed";

/** See the file's header. */
export class Activation extends Turns implements TurnEntity {
  readonly id: string;
  readonly host: ActivationHost;
  readonly shard: OwnedShard;
  state: unknown;
  readonly keeper: Keeper | undefined;
  carried: Luggage | undefined; // Its luggage, if it has any.
  #phase: Phase = "live";
  #closing: PassivationReason | undefined;
  #isFrozen = false; // No turn starts: the shard may go to another node.
  #openError: CatgaError | undefined;

  /** With `state` it goes on where another activation ended. */
  constructor(id: string, host: ActivationHost, { shard, state, stored }: Origin) {
    super();
    this.id = id;
    this.host = host;
    this.shard = shard;
    this.usedMs = host.context.slices.nowMs;
    const { definition, context } = host;
    const isKept = context.store !== undefined && definition.persistence !== "none";
    if (isKept) this.keeper = new Keeper(this, context.store, stored?.[0]);
    if (state !== undefined) this.state = state.value;
    else if (isKept) this.#phase = "loading";
    else this.state = definition.state(id);
    host.context.idleWheel.add(this, this.usedMs + host.definition.idleMs);
  }

  protected get isLive(): boolean {
    return this.#phase === "live";
  }

  get luggage(): Luggage {
    return (this.carried ??= new Luggage(this));
  }

  /** Loads what is stored and runs the activation hook, before the first message. */
  open(): void {
    const { keeper } = this;
    if (keeper === undefined || this.#phase === "live") return this.#activate();
    this.commands = 1;
    keeper.load().then(
      (loaded) => this.#loaded(loaded),
      (error: CatgaError) => this.#abandon(error),
    );
  }

  #loaded({ state, answers, reminders }: Loaded): void {
    this.commands = 0;
    this.state = state;
    for (const answer of answers) this.luggage.dedup.keep(answer);
    for (const reminder of reminders) this.luggage.remind(reminder);
    const early = this.takeAll();
    this.#phase = "live";
    this.#activate();
    // What was answered once is known only now.
    for (const work of early) {
      const refusal = this.post(work);
      if (refusal !== undefined) work.fail(refusal);
    }
    this.#closeIfDone();
  }

  #activate(): void {
    const { activated } = this.host.definition;
    if (activated === undefined) return;
    this.#phase = "opening";
    this.commands = 1;
    const { slices } = this.host.context;
    // Reading what is stored may have taken the rest of the lease.
    if (!slices.mayRelease()) return slices.later({ resume: () => this.#activate() });
    runHook(this, activated, (thrown) => {
      this.commands = 0;
      if (thrown !== undefined) return this.#abandon(this.host.stillborn(this.id, thrown.error));
      this.#phase = "live";
      this.resume();
    });
  }

  /** Takes a message in, and runs it now or lets it wait; or says why there is no room for it. */
  post(work: Work): CatgaError | undefined {
    if (this.#openError !== undefined) {
      work.fail(this.#openError);
      return undefined;
    }
    const { definition, context } = this.host;
    const { mailboxCapacity: capacity } = definition;
    if (this.waitingCount >= capacity && !this.awaits(work.chain)) {
      work.spec.counts.full++;
      return new CatgaError("MAILBOX_FULL", { entity: this.host.keyOf(this.id), capacity });
    }
    if (this.#phase !== "loading" && work.dedup !== undefined && work.spec.kind === "command") {
      const admitted = this.luggage.dedup.admit(work, this, this.keeper);
      if (admitted === undefined) return undefined;
      work = admitted;
    }
    if (this.waitingCount === 0 && this.#mayStart(work) && context.slices.enter()) {
      this.start(work);
      return undefined;
    }
    const { tracer } = context;
    tracer?.waits(this.#phase === "loading" ? "load" : "queue", work, this.place);
    if (this.enqueue(work)) context.slices.later({ resume: () => this.hasten() });
    if (this.running === 0) context.slices.later(this);
    return undefined;
  }

  /** Starts what waits, as far as it may start now. */
  resume(): void {
    const { slices } = this.host.context;
    for (let work; (work = this.next) !== undefined && this.#mayStart(work);) {
      if (!slices.enter()) return slices.later(this);
      this.takeNext();
      this.start(work);
    }
    this.#closeIfDone();
  }

  get isQuiet(): boolean {
    return this.running === 0 && this.keeper?.isBusy !== true;
  }

  stored(): void {
    if (this.#phase !== "closing") return this.resume();
    if (this.running !== 0) return;
    if (this.keeper?.isBusy === true) this.keeper.flush();
    else this.#finish();
  }

  discard(): void {
    this.#closing = this.keeper?.isDeleting === true ? "idle" : "error";
    if (this.#closing === "error") this.abort();
    if (this.#phase === "closing") this.stored();
    else this.#closeIfDone();
  }

  freeze(): void {
    this.#isFrozen = true;
    this.keeper?.flush();
  }

  thaw(): void {
    this.#isFrozen = false;
    this.resume();
  }

  /** What waits is for the next activation; for a shutdown there is none, so it has its turn. */
  passivate(reason: PassivationReason): void {
    this.#closing = reason === "shutdown" ? reason : (this.#closing ?? reason);
    this.#closeIfDone();
  }

  abort(): void {
    this.carried?.abort();
  }

  /** Its time in the idle wheel is over: passivate, or wait for the rest. */
  override expire(): void {
    const { definition, context } = this.host;
    const { nowMs } = context.idleWheel;
    const isIdle = this.running === 0 && this.waitingCount === 0 && this.#phase === "live";
    const untilMs = (isIdle ? this.usedMs : context.slices.nowMs) + definition.idleMs;
    const isFree = this.carried?.isEmpty(nowMs) !== false;
    if (isIdle && isFree && untilMs <= nowMs) this.passivate("idle");
    else context.idleWheel.add(this, Math.max(untilMs, nowMs + 1));
  }

  #mayStart(work: Work): boolean {
    if (this.#phase !== "live" || this.running < 0 || this.#isFrozen) return false;
    if (this.keeper?.holdsUp(work.spec) === true) return false;
    if (this.#closing !== undefined && this.#closing !== "shutdown") return false;
    return work.spec.kind === "query" || this.running === 0;
  }

  /** The caller has entered the slice. */
  protected start(work: Work): void {
    const { slices, tracer } = this.host.context;
    this.usedMs = slices.nowMs;
    if (!work.begin(slices.nowMs)) return this.skip(work.spec);
    this.count(work.spec, 1);
    const turn = new TurnContext(this, work);
    let result: unknown;
    let promise: PromiseLike<unknown> | undefined;
    try {
      if (tracer !== undefined) result = tracer.turn(work, turn, this.place);
      else result = work.spec.run(turn, work.message);
      if (isThenable(result)) promise = result;
    } catch (error) {
      slices.leave();
      return this.#end(turn, failureOf(this, work, error));
    }
    slices.leave();
    if (promise === undefined) return this.#end(turn, undefined, result);
    const wait = this.host.running.begin(this, work, this.usedMs);
    // Resolved, so that a `then` of user code that throws is a rejection like any other.
    Promise.resolve(promise).then(
      (value) => (this.settled(wait), this.#end(turn, undefined, value)),
      (error: unknown) => (this.settled(wait), this.#end(turn, failureOf(this, work, error))),
    );
  }

  #end(turn: TurnContext<Work>, error: CatgaError | undefined, value?: unknown): void {
    const work = TurnContext.end(turn);
    const { slices } = this.host.context;
    // The output gate: an answer or a push leaves under a valid lease, or waits until there is one.
    if ((!work.oneWay || work.pushes !== undefined) && !slices.mayRelease()) {
      return slices.later({ resume: () => this.#end(turn, error, value) });
    }
    this.count(work.spec, -1);
    const tookMs = slices.nowMs - this.usedMs;
    countEnd(work.spec.counts, error);
    countTime(work.spec.counts, tookMs);
    this.keeper?.took(work.spec, tookMs);
    this.usedMs = slices.nowMs;
    if (this.keeper !== undefined) this.keeper.ended(work, error, value);
    else if (error === undefined) finish(this, work, value);
    else work.fail(error);
    if (this.waitingCount > 0) this.resume();
    else if (this.#closing !== undefined || this.#isFrozen) this.#closeIfDone();
  }

  #closeIfDone(): void {
    if (this.#phase !== "live" || this.running !== 0) return;
    if (this.keeper?.isBusy === true && (this.#isFrozen || this.#closing !== undefined)) {
      return this.keeper.flush();
    }
    if (this.#isFrozen && !this.shard.isPacking) return this.shard.changed();
    if (this.#closing === undefined) return;
    if (this.#closing !== "shutdown" || this.waitingCount === 0) this.#close(this.#closing);
  }

  #close(reason: PassivationReason): void {
    this.#phase = "closing";
    const { deactivated } = this.host.definition;
    if (deactivated === undefined || this.keeper?.isOver === true) return this.#finish();
    this.commands = 1;
    const hook = (turn: TurnContext): unknown => deactivated(turn, reason);
    runHook(this, hook, (thrown) => {
      this.commands = 0;
      // How it ended changes nothing.
      const fields = { entity: this.host.keyOf(this.id), reason, err: thrown?.error };
      if (thrown !== undefined) this.host.context.log.error(fields, "a deactivation hook failed");
      this.keeper?.touch();
      this.stored();
    });
  }

  #finish(): void {
    this.#phase = "closed";
    this.commands = this.queries = 0;
    this.host.context.idleWheel.remove(this);
    this.carried?.stop();
    // Messages that came while the hooks ran are for the entity, not for this activation.
    this.host.forget(this, this.#closing ?? "error", this.takeAll());
  }

  #abandon(error: CatgaError): void {
    this.host.context.log.error({ entity: this.host.keyOf(this.id), err: error }, error.message);
    this.#openError = error;
    for (const work of this.takeAll()) work.fail(error);
    this.#finish();
  }
}
