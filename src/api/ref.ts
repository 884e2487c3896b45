/** References: the typed face of the router. */
import { durationMs } from "../base/duration.ts";
import { CatgaError } from "../base/errors.ts";
import { KEY_CHARS_MAX, RETRIES_MAX } from "../base/limits.ts";
import { isWhole } from "../base/shape.ts";
import { type Door, type Persistent, sendAgain } from "../mediator/retry.ts";
import { readTrace } from "../protocol/trace.ts";
import type { Sending } from "../runtime/call.ts";
import type { CallTrace } from "../runtime/tracing.ts";
import type { RefRequest } from "../runtime/turn-context.ts";
import type { CallOptions } from "./context.ts";
import { messageOptions, type Messages } from "./messages.ts";

/** An entity type by name, or with its messages. */
export type RefTarget = string | { readonly name: string; readonly messages: Messages };

type Calling = (sending: Sending) => Promise<unknown>;

/** Implements `Ref`, whose types it has lost. */
export class EntityRef {
  readonly id: string;
  readonly #door: Door;
  readonly #name: string;
  readonly #messages: Messages | undefined;
  readonly #request: RefRequest;

  constructor(door: Door, request: RefRequest<RefTarget>) {
    const { target, id } = request;
    this.id = id;
    this.#door = door;
    this.#request = request;
    this.#name = typeof target === "string" ? target : target.name;
    this.#messages = typeof target === "string" ? undefined : target.messages;
  }

  tell(message: object, options?: CallOptions): Promise<unknown> {
    return this.#send(message, options, true);
  }

  send(message: object, options?: CallOptions): Promise<unknown> {
    return this.#send(message, options, false);
  }

  #send(message: object, options: CallOptions | undefined, oneWay: boolean): Promise<unknown> {
    const type = (message as { readonly type?: unknown } | null | undefined)?.type;
    const known = this.#messages;
    if (typeof type !== "string" || (known !== undefined && !Object.hasOwn(known, type))) {
      const details = { entity: this.#name, message: String(type) };
      return Promise.reject(new CatgaError("UNKNOWN_MESSAGE", details));
    }
    const def = known?.[type];
    const declaredMs = def === undefined ? undefined : messageOptions(def).timeoutMs;
    const { router } = this.#door;
    const { tracer } = router.context;
    const { chain, trace: ofTurn } = this.#request;
    const { timeout, signal, retries = 0, idempotencyKey: key, trace } = options ?? NONE;
    checkSignal(signal);
    // Attributes alone are for a span that nobody makes.
    const isTraced = tracer !== undefined || trace?.traceparent !== undefined;
    const sending = {
      entity: this.#name,
      id: this.id,
      type,
      message,
      oneWay,
      timeoutMs: timeout === undefined ? declaredMs : durationMs(timeout, "timeout"),
      boundMs: this.#boundMs(options),
      signal,
      dedup: key === undefined ? undefined : { key: checkKey(key), since: 0 },
      // Nobody waits for what a one-way message does.
      chain: oneWay ? undefined : chain,
      trace: trace !== undefined && isTraced ? traceOfCall(trace) : ofTurn,
    };
    if (retries === 0 && tracer === undefined) return router.send(sending);
    const kind = def?.kind ?? router.kindOf(sending);
    const call = this.#calling({ retries: checkRetries(retries), kind, key });
    return tracer === undefined ? call(sending) : tracer.call("call", sending, call);
  }

  /** When all tries have ended at the latest. */
  #boundMs({ within }: CallOptions = NONE): number {
    const { boundMs } = this.#request;
    if (within === undefined) return boundMs;
    const { clock } = this.#door.router.context;
    return Math.min(boundMs, clock.nowMs() + durationMs(within, "within"));
  }

  /** What sends it, as often as it may be. Apart from where no call needs a function of its own. */
  #calling({ retries, kind, key }: Persistent): Calling {
    const { router } = this.#door;
    if (retries === 0) return (sending) => router.send(sending);
    const persistent = { retries, kind, key: key ?? router.context.options.random.text(26) };
    return (sending) => sendAgain(this.#door, sending, persistent);
  }
}

const NONE: CallOptions = {};

/** What a caller says of its trace; what makes no sense of that is ignored. */
export function traceOfCall(given: CallOptions["trace"]): CallTrace | undefined {
  if (given === undefined) return undefined;
  const { traceparent, tracestate, attributes } = given;
  return { traceparent: "", ...readTrace(traceparent, tracestate), attributes };
}

/** @throws {TypeError} */
export function checkKey(key: unknown): string {
  if (typeof key === "string" && key.length > 0 && key.length <= KEY_CHARS_MAX) return key;
  throw new TypeError(`Cannot use idempotencyKey: write 1 to ${KEY_CHARS_MAX} characters`);
}

/** @throws {TypeError} */
export function checkSignal(signal: Partial<AbortSignal> | null | undefined): void {
  // Of another realm, perhaps.
  if (signal === undefined || typeof signal?.addEventListener === "function") return;
  throw new TypeError("Cannot use signal: it is no AbortSignal");
}

/** @throws {RangeError} */
export function checkRetries(retries: number): number {
  if (isWhole(retries) && retries <= RETRIES_MAX) return retries;
  throw new RangeError(`Cannot use retries ${retries}: write a whole number up to ${RETRIES_MAX}`);
}
