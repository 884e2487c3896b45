/** What the handler of a message with its own name is given, for one call. */
import { type Logger, withFields } from "../base/logger.ts";
import { WheelEntry } from "../base/timer-wheel.ts";
import type { NodeContext } from "./node-context.ts";
import type { Bounds, Exits } from "./turn-context.ts";

/** See the file's header. In the wheel of calls while somebody looks at its signal. */
export class HandlerContext extends WheelEntry {
  readonly #context: NodeContext;
  readonly #exits: Exits;
  readonly #bounds: Bounds;
  #controller: AbortController | undefined;

  constructor(context: NodeContext, exits: Exits, bounds: Bounds) {
    super();
    this.#context = context;
    this.#exits = exits;
    this.#bounds = bounds;
  }

  get node(): string {
    return this.#context.options.nodeId;
  }

  get log(): Logger {
    return withFields(this.#context.log, { node: this.node });
  }

  /** Aborts at the caller's deadline, and when this node leaves. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      const { wheel } = this.#context;
      if (this.#bounds.boundMs < Number.POSITIVE_INFINITY) wheel.add(this, this.#bounds.boundMs);
    }
    return this.#controller.signal;
  }

  entity(target: unknown, id: string): unknown {
    return this.#exits.refTo({ target, id, ...this.#bounds });
  }

  send(message: object, options?: object): Promise<unknown> {
    return this.#exits.send(message, options, this.#bounds);
  }

  publish(message: unknown): Promise<void> {
    return this.#context.options.topics.publish(message);
  }

  override expire(): void {
    this.abort();
  }

  /** Tells the handler to give up. */
  abort(): void {
    this.#controller?.abort();
  }

  /** The handler has ended: nothing is told any more. */
  close(): void {
    if (this.#controller !== undefined) this.#context.wheel.remove(this);
  }
}
