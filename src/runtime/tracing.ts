/**
 * Where spans begin and end. What a span is, and who hears of it, is the business of a
 * {@link Tracing} that the node is given; without one nothing here is called.
 *
 * A call and its tries, its way to another node, its waiting, its turn, and what is written for
 * that are one tree: each carries the context of the one before with the message. So nothing
 * depends on whose stack a message is handled on; only who calls is asked what is active.
 */
import { type CatgaError, failed } from "../base/errors.ts";
import { isThenable } from "../base/thenable.ts";
import { handlerEntity, isInternal } from "../protocol/ids.ts";
import type { TraceContext } from "../protocol/trace.ts";
import { detailsOf, type Subject } from "./call.ts";
import { type MessageSpec, Refused } from "./definition.ts";

/**
 * What a span is about: a `call` until its answer is there, a `retry` in it after the first try, a
 * `link` from where a message leaves for another node until the answer is back; a `queue`, where a
 * message waits for its turn, or a `load`, where it waits for the state of its entity; a `turn`,
 * the run of a handler; a `write`, from the end of a turn until what it did is stored; a `hook` of
 * an entity; a `publish` of an event.
 */
export type SpanKind =
  | "call"
  | "retry"
  | "link"
  | "queue"
  | "load"
  | "turn"
  | "write"
  | "hook"
  | "publish";

/** A span that begins. */
export interface SpanStart {
  readonly kind: SpanKind;
  /** Of this node. */
  readonly node: string;
  /** An entity type; nothing for a message with its own name. */
  readonly entity: string | undefined;
  /** Of the entity, or the key of the message. */
  readonly id: string | undefined;
  /** The type of the message. */
  readonly message: string;
  /** True when nobody waits for an answer. */
  readonly oneWay: boolean;
  /** What the caller has said of the call. */
  readonly attributes: Readonly<Record<string, string>> | undefined;
}

/** A span that has begun; as a context it is the parent of others. */
export interface TracingSpan extends TraceContext {
  /** Runs `work`, for which, and for whatever it begins, this is the active span. */
  run<T>(work: () => T): T;
  /** Ends it, once; with what went wrong, if anything did. */
  end(error?: Error): void;
}

/** What hears of spans. */
export interface Tracing {
  /** The span that is active where this is asked. */
  active(): TraceContext | undefined;
  /** Begins a span; without a parent a trace of its own. */
  begin(what: SpanStart, parent: TraceContext | undefined): TracingSpan;
}

/** The context of a call, with what its caller has said of it. */
export interface CallTrace extends TraceContext {
  readonly attributes?: SpanStart["attributes"];
}

/** What is sent, as far as spans of it go. */
interface Traced extends Subject {
  readonly oneWay: boolean;
  readonly trace?: CallTrace | undefined;
}

/** A message on its way through a mailbox. */
interface Work extends Pick<Traced, "oneWay"> {
  readonly spec: MessageSpec;
  readonly message: unknown;
  readonly trace?: TraceContext | undefined;
  span?: TracingSpan | undefined;
}

interface Held {
  readonly release: () => void;
  readonly fail: (error: CatgaError) => void;
}

/** An entity, or nothing but the handler of a message. */
type Place = Pick<Subject, "entity" | "id">;

/** See the file's header. One for each process that traces. */
export class Tracer {
  readonly #tracing: Tracing;
  readonly #node: string;
  /** Of events that are told. */
  readonly #traces = new WeakMap<object, TraceContext>();

  /** @throws {TypeError} */
  constructor(tracing: Tracing, node: string) {
    if (typeof tracing.begin !== "function" || typeof tracing.active !== "function") {
      throw new TypeError('Cannot use tracing: write openTelemetry() of "catga/otel"');
    }
    this.#tracing = tracing;
    this.#node = node;
  }

  /** Begins a span; without a parent a trace of its own. */
  begin(kind: SpanKind, what: Traced, parent: TraceContext | undefined = what.trace): TracingSpan {
    const { entity, id, type: message, oneWay, trace } = what;
    const names = { entity: isInternal(entity) ? undefined : entity, id: id || undefined, message };
    const attributes = kind === "call" ? trace?.attributes : undefined;
    return this.#tracing.begin({ kind, node: this.#node, ...names, oneWay, attributes }, parent);
  }

  /** A call, or a part of it: `send` is given it with the context of a span that ends with it. */
  call<T extends Traced, R>(kind: SpanKind, what: T, send: (what: T) => Promise<R>): Promise<R> {
    const isOuter = kind === "call" || kind === "publish";
    const active = isOuter ? this.#tracing.active() : undefined;
    const span = this.begin(kind, what, active);
    const answer = send({ ...what, trace: span });
    answer.then(
      () => span.end(),
      (error: Error) => span.end(error),
    );
    return answer;
  }

  /** A message waits in a mailbox. */
  waits(kind: "queue" | "load", work: Work, place: Place): void {
    // What nobody has sent has no trace before its turn.
    if (work.trace !== undefined) work.span = this.begin(kind, subjectOf(work, place));
  }

  /** It waits no more. */
  waited(work: Work): void {
    work.span?.end();
    work.span = undefined;
  }

  /** Runs the handler of `work`, which is given `context`. */
  turn(work: Work, context: object, place: Place): unknown {
    const what = subjectOf(work, place);
    const span = (work.span = this.begin("turn", what));
    return runWithin(span, what, () => work.spec.run(context, work.message));
  }

  /** Runs a hook, which belongs to no message: a trace of its own. */
  hook(turn: Pick<Work, "span">, { entity, id }: Place, hook: () => unknown): unknown {
    const what = { entity, id, type: "hook", oneWay: true };
    const span = (turn.span = this.begin("hook", what));
    return runWithin(span, what, hook);
  }

  /** What `work` did waits to be stored, until one of the two that come to `held` is called. */
  write(work: Work, place: Place, held: Held[]): void {
    const span = this.begin("write", subjectOf(work, place), work.span);
    held.push({ release: () => span.end(), fail: (error) => span.end(error) });
  }

  /** An event is about to be told, which was published in that span. */
  carries(event: object, trace: TraceContext): void {
    this.#traces.set(event, trace);
  }

  /** Runs what listens to an event. */
  heard(type: string, event: object, run: (event: object) => unknown): unknown {
    const trace = this.#traces.get(event);
    const what = { entity: handlerEntity(type), id: "", type, oneWay: true, trace };
    return runWithin(this.begin("turn", what), what, () => run(event));
  }
}

function subjectOf({ spec, oneWay, trace }: Work, { entity, id }: Place): Traced {
  return { entity, id, type: spec.type, oneWay, trace };
}

/** Runs code of the user; the span ends with that. */
function runWithin(span: TracingSpan, what: Traced, run: () => unknown): unknown {
  const fail = (error: unknown): void =>
    span.end(error instanceof Refused ? error.error : failed(detailsOf(what), error));
  let result: unknown;
  try {
    result = span.run(run);
    // One promise for all who wait: what behaves like one may begin anew for each of them.
    if (isThenable(result)) result = Promise.resolve(result);
  } catch (error) {
    fail(error);
    throw error;
  }
  if (result instanceof Promise) result.then(() => span.end(), fail);
  else span.end();
  return result;
}
