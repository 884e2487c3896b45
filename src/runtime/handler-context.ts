/** What the handler of a message with its own name is given, for one call. */
import { type Logger, withFields } from "../base/logger.ts";
import { type TimerWheel, WheelEntry } from "../base/timer-wheel.ts";
import { type TraceContext, traceFields } from "../protocol/trace.ts";
import type { NodeContext } from "./node-context.ts";
import type { Bounds, Exits } from "./turn-context.ts";

/** Who has called. */
export interface Origin extends Bounds {
  /** Of a caller of this node. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * See the file's header. One object for each call: the rest is made when somebody looks at its
 * signal.
 */
export class HandlerContext {
  readonly #context: NodeContext;
  readonly #exits: Exits;
  readonly #bounds: Origin;
  #abortion: Abortion | undefined;

  constructor(context: NodeContext, exits: Exits, bounds: Origin) {
    this.#context = context;
    this.#exits = exits;
    this.#bounds = bounds;
  }

  get node(): string {
    return this.#context.options.nodeId;
  }

  get log(): Logger {
    return withFields(this.#context.log, { node: this.node, ...traceFields(this.#span) });
  }

  /** Aborts when nobody waits for the answer any more, and when this node leaves. */
  get signal(): AbortSignal {
    this.#abortion ??= new Abortion(this.#context.wheel, this.#bounds);
    return this.#abortion.controller.signal;
  }

  entity(target: unknown, id: string): unknown {
    return this.#exits.refTo({ target, id, ...this.#bounds, trace: this.#span });
  }

  send(message: object, options?: object): Promise<unknown> {
    return this.#exits.send(message, options, { ...this.#bounds, trace: this.#span });
  }

  publish(message: unknown): Promise<void> {
    return this.#context.options.topics.publish(message, this.#span);
  }

  get #span(): TraceContext | undefined {
    return this.#context.tracer?.spanOf(this);
  }

  /** Tells the handler to give up. */
  abort(): void {
    this.#abortion?.expire();
  }

  /** The handler has ended: nothing is told any more. */
  close(): void {
    this.#abortion?.close();
  }
}

/** In the wheel of calls until the deadline, or the end of the handler. */
class Abortion extends WheelEntry {
  readonly controller = new AbortController();
  readonly #wheel: TimerWheel;
  readonly #caller: AbortSignal | undefined;
  readonly #abort = (): void => this.expire();

  constructor(wheel: TimerWheel, { boundMs, signal }: Origin) {
    super();
    this.#wheel = wheel;
    this.#caller = signal;
    if (boundMs < Number.POSITIVE_INFINITY) wheel.add(this, boundMs);
    if (signal?.aborted === true) this.expire();
    else signal?.addEventListener("abort", this.#abort);
  }

  override expire(): void {
    this.controller.abort();
  }

  close(): void {
    this.#wheel.remove(this);
    this.#caller?.removeEventListener("abort", this.#abort);
  }
}
