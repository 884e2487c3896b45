/**
 * Handlers of this node for messages with a name of their own: who calls them, from here or from
 * another node, and how many run at once. They have no key, so they wait for nobody's turn; what
 * has a key runs as a turn of an entity.
 */
import { CatgaError, failed } from "../base/errors.ts";
import { WAITING_SENDS_MAX } from "../base/limits.ts";
import { copyPlain } from "../base/plain.ts";
import { isThenable } from "../base/thenable.ts";
import type { Waits } from "../base/waits.ts";
import type { AskItem } from "../protocol/frame.ts";
import { handlerEntity } from "../protocol/ids.ts";
import { copyPayload, detailsOf, replyError, type Sending, type Subject } from "./call.ts";
import { countEnd, countTime } from "./counts.ts";
import { type MessageSpec, Refused } from "./definition.ts";
import { HandlerContext } from "./handler-context.ts";
import type { NodeContext } from "./node-context.ts";
import type { Peer } from "./peer.ts";
import type { Exits } from "./turn-context.ts";
import { answerFailure, InboundWork, LocalCall, LocalTell, typeOf, type Work } from "./work.ts";

/** Who waits for a handler: a call of this node, or that call of another one. */
interface Caller {
  readonly signal?: AbortSignal | undefined;
  readonly peer?: Peer;
  readonly call?: number;
}

/** A handler that has begun. */
interface Run {
  readonly spec: MessageSpec;
  readonly work: Work;
  readonly context: HandlerContext;
  readonly caller: Caller;
}

/** See the file's header. */
export class Handlers {
  readonly #context: NodeContext;
  readonly #exits: Exits;
  readonly #hosted: ReadonlyMap<string, MessageSpec>;
  /** Contexts that somebody may still look at. */
  readonly #open = new Set<HandlerContext>();
  /** Those that have returned a promise. */
  readonly running: Waits<undefined, Work>;
  /** Calls that wait for a slice. */
  #waiting = 0;

  constructor(context: NodeContext, exits: Exits) {
    this.#context = context;
    this.#exits = exits;
    this.running = context.progress.list(
      "turn",
      ({ work }) => `${work.spec.type}: its handler has run`,
    );
    this.#hosted = new Map(context.options.handlers.map((spec) => [spec.type, spec]));
  }

  /**
   * Calls the handler of this node; for a one-way message the result has ended when it was taken.
   *
   * @throws {CatgaError} what keeps it from being taken.
   */
  call(sending: Sending): LocalCall | undefined {
    const { refusal, wheel, log } = this.#context;
    const { type, signal } = sending;
    const spec = this.#hosted.get(type);
    if (refusal !== undefined) throw refusal;
    if (spec === undefined) throw this.#unhandled(type, "has none");
    const local = { spec, message: copyPayload(sending, sending.message) };
    if (sending.oneWay) {
      const tell = new LocalTell(sending, local, log);
      this.#post(spec, tell, {});
      if (tell.refusal !== undefined) throw tell.refusal;
      return undefined;
    }
    const call = new LocalCall(sending, local, wheel);
    if (signal !== undefined) call.cancelWith(signal);
    this.#post(spec, call, { signal });
    call.wait();
    return call;
  }

  /** Takes in a message of another node. */
  receive(peer: Peer, { call, leftMs, message, chain, trace }: AskItem): void {
    const { refusal, slices } = this.#context;
    const type = typeOf(message);
    const spec = this.#hosted.get(type);
    if (spec === undefined || refusal !== undefined) {
      const why = spec === undefined ? "has none" : "leaves";
      return answerFailure(peer, call, this.#unhandled(type, why));
    }
    const item = {
      call,
      leftMs,
      entity: handlerEntity(type),
      id: "",
      message,
      dedup: undefined,
      chain,
      trace,
    };
    const work = new InboundWork(peer, item, { spec, nowMs: slices.nowMs });
    this.#post(spec, work, { peer, call });
  }

  /** The node closes, or is to leave soon: those that run are told to give up. */
  abort(): void {
    for (const context of this.#open) context.abort();
  }

  #unhandled(message: string, why: string): CatgaError {
    const reason = `node "${this.#context.options.nodeId}" ${why}`;
    return new CatgaError("NO_HANDLER", { message, reason });
  }

  #post(spec: MessageSpec, work: Work, caller: Caller): void {
    this.#context.inFlight.begin();
    if (this.#waiting < WAITING_SENDS_MAX) return this.#start(spec, work, caller);
    const what = `messages that wait for handlers of node "${this.#context.options.nodeId}"`;
    const error = new CatgaError("OVERLOADED", { what, limit: WAITING_SENDS_MAX });
    this.#failed(spec, work, new Refused(error));
  }

  #start(spec: MessageSpec, work: Work, caller: Caller): void {
    const { slices, tracer } = this.#context;
    if (!slices.enter()) {
      this.#waiting++;
      tracer?.waits("queue", work, subjectOf(spec));
      const resume = (): void => {
        this.#waiting--;
        tracer?.waited(work);
        this.#start(spec, work, caller);
      };
      return slices.later({ resume });
    }
    if (!work.begin(slices.nowMs)) {
      spec.counts.expired++;
      slices.leave();
      this.#context.inFlight.end();
      return;
    }
    const origin = { boundMs: work.deadlineMs, chain: work.chain, signal: caller.signal };
    const context = new HandlerContext(this.#context, this.#exits, origin);
    let result: unknown;
    let promise: PromiseLike<unknown> | undefined;
    try {
      result =
        tracer === undefined
          ? spec.run(context, work.message)
          : tracer.turn(work, context, subjectOf(spec));
      if (isThenable(result)) promise = result;
    } catch (error) {
      slices.leave();
      context.close();
      return this.#failed(spec, work, error);
    }
    slices.leave();
    if (promise !== undefined) return this.#wait({ spec, work, context, caller }, promise);
    context.close();
    this.#succeeded(spec, work, result);
  }

  #wait({ spec, work, context, caller }: Run, promise: PromiseLike<unknown>): void {
    const { peer, call = 0 } = caller;
    this.#open.add(context);
    // What was told, and taken, runs on without its sender.
    if (!work.oneWay) peer?.awaited.set(call, context);
    const { slices } = this.#context;
    const wait = this.running.begin(undefined, work, slices.nowMs);
    const over = (): void => {
      this.running.end(wait);
      countTime(spec.counts, slices.read() - wait.sinceMs);
      this.#open.delete(context);
      peer?.awaited.delete(call);
      context.close();
    };
    // Resolved, so that a `then` of user code that throws is a rejection like any other.
    Promise.resolve(promise).then(
      (value) => (over(), this.#succeeded(spec, work, value)),
      (error: unknown) => (over(), this.#failed(spec, work, error)),
    );
  }

  #succeeded(spec: MessageSpec, work: Work, value: unknown): void {
    this.#context.inFlight.end();
    countEnd(spec.counts, undefined);
    if (work.oneWay) return work.succeed(undefined);
    let copy: unknown;
    try {
      copy = copyPlain(value);
    } catch (error) {
      return work.fail(replyError(subjectOf(spec), error));
    }
    work.succeed(copy);
  }

  #failed(spec: MessageSpec, work: Work, thrown: unknown): void {
    this.#context.inFlight.end();
    const { log } = this.#context;
    const error =
      thrown instanceof Refused ? thrown.error : failed(detailsOf(subjectOf(spec)), thrown);
    countEnd(spec.counts, error);
    if (work.oneWay) log.warn({ message: spec.type, err: error }, "a handler failed");
    if (thrown instanceof Refused && work.refuse !== undefined) work.refuse(error);
    else work.fail(error);
  }
}

function subjectOf({ type }: MessageSpec): Subject {
  return { entity: handlerEntity(type), id: "", type };
}
