/** Messages with a name of their own on their way from the door to the mediator. */
import { durationMs } from "../base/duration.ts";
import { CatgaError } from "../base/errors.ts";
import { rejected } from "../base/thenable.ts";
import type { NamedSpec } from "../mediator/definition.ts";
import type { Asking, Mediator } from "../mediator/mediator.ts";
import type { Tracer } from "../runtime/tracing.ts";
import type { Bounds } from "../runtime/turn-context.ts";
import type { CallOptions } from "./context.ts";
import { specOfMessage } from "./named.ts";
import { checkKey, checkRetries, checkSignal, traceOfCall } from "./ref.ts";

/** The bounds of a call that no turn makes. */
const UNBOUND: Bounds = { boundMs: Number.POSITIVE_INFINITY };

/** How most are sent. */
const USUAL: Asking = {
  oneWay: false,
  timeoutMs: undefined,
  ...UNBOUND,
  signal: undefined,
  retries: undefined,
  key: undefined,
};

/**
 * The definition of a message that is sent.
 *
 * @throws {CatgaError} NO_HANDLER for one that this program has not defined
 * @throws {TypeError} for an event, and for what is no message
 */
function sendable(message: object): NamedSpec {
  const type = (message as { readonly type?: unknown } | null | undefined)?.type;
  if (typeof type !== "string" || typeof message !== "object") {
    throw new TypeError(
      "Cannot send that: write what a message's own function returned, as Ping()",
    );
  }
  const spec = specOfMessage(type, message);
  if (spec === undefined) {
    throw new CatgaError("NO_HANDLER", { message: type, reason: "it is not defined here" });
  }
  if (spec.kind === "event") throw new TypeError(`Cannot send "${type}": publish an event`);
  return spec;
}

/** The options of a call, checked. @throws {TypeError | RangeError} */
function askingOf(options: CallOptions | undefined, bounds: Bounds): Asking {
  if (options === undefined && bounds === UNBOUND) return USUAL;
  const { boundMs, chain } = bounds;
  const { timeout, signal, retries, idempotencyKey: key, trace } = options ?? {};
  checkSignal(signal);
  return {
    oneWay: false,
    timeoutMs: timeout === undefined ? undefined : durationMs(timeout, "timeout"),
    boundMs,
    signal,
    chain,
    trace: trace === undefined ? bounds.trace : traceOfCall(trace),
    retries: retries === undefined ? undefined : checkRetries(retries),
    key: key === undefined ? undefined : checkKey(key),
  };
}

/** Sends messages with a name of their own for their callers, who may be turns. */
export class Sender {
  readonly #mediator: Mediator;
  readonly #tracer: Tracer | undefined;

  constructor(mediator: Mediator, tracer: Tracer | undefined) {
    this.#mediator = mediator;
    this.#tracer = tracer;
  }

  send(message: object, options?: CallOptions, bounds: Bounds = UNBOUND): Promise<unknown> {
    try {
      return this.#call("send", message, askingOf(options, bounds));
    } catch (error) {
      return rejected(error);
    }
  }

  async tell(message: object, options?: CallOptions): Promise<unknown> {
    return this.#call("send", message, { ...askingOf(options, UNBOUND), oneWay: true });
  }

  async broadcast(message: object, options?: CallOptions): Promise<unknown> {
    return this.#call("broadcast", message, askingOf(options, UNBOUND));
  }

  #call(how: "send" | "broadcast", message: object, asking: Asking): Promise<unknown> {
    const spec = sendable(message);
    if (this.#tracer === undefined) return this.#mediator[how](spec, message, asking);
    const { entity, type } = spec;
    const send = (call: Asking): Promise<unknown> => this.#mediator[how](spec, message, call);
    return this.#tracer.call("call", { ...asking, entity, id: "", type }, send);
  }
}
