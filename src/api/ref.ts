/**
 * References: the typed face of the router; and calls that are sent again when they fail. Of those
 * a command goes under a key, so that the dedup window of its entity makes it run once; a query may
 * run as often as it likes. After the death of an owner nobody remembers what it ran: a command
 * that may have run there is never sent again blindly.
 */
import { backoffMs } from "../base/backoff.ts";
import { durationMs } from "../base/duration.ts";
import { CatgaError, type ErrorCode } from "../base/errors.ts";
import { KEY_CHARS_MAX, RETRIES_MAX, RETRY } from "../base/limits.ts";
import { WINDOW_LOST } from "../runtime/dedup-window.ts";
import type { Sending } from "../runtime/call.ts";
import type { Router } from "../runtime/router.ts";
import type { RefRequest } from "../runtime/turn-context.ts";
import type { CallOptions } from "./context.ts";
import { type Kind, messageOptions, type Messages } from "./messages.ts";

/** An entity type by name, or with its messages. */
export type RefTarget = string | { readonly name: string; readonly messages: Messages };

/** Where references send to; another node may stand behind it the next time. */
export interface Door {
  readonly router: Router;
}

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
    const { boundMs, chain } = this.#request;
    const { timeout, signal, retries = 0, idempotencyKey: key } = options ?? NONE;
    const sending = {
      entity: this.#name,
      id: this.id,
      type,
      message,
      oneWay,
      timeoutMs: timeout === undefined ? declaredMs : durationMs(timeout, "timeout"),
      boundMs,
      signal,
      dedup: key === undefined ? undefined : { key: checkKey(key), since: 0 },
      // Nobody waits for what a one-way message does.
      chain: oneWay ? undefined : chain,
    };
    if (retries === 0) return this.#door.router.send(sending);
    const kind = def?.kind ?? this.#door.router.kindOf(sending);
    return this.#retry(sending, checkRetries(retries), kind);
  }

  /** Sends up to `retries` times more than once; rejects with the last failure. */
  async #retry(sending: Sending, retries: number, kind: Kind | undefined): Promise<unknown> {
    const { clock, options } = this.#door.router.context;
    const key = sending.dedup?.key ?? options.random.text(26);
    let since = 0;
    for (let tries = 0; ; tries++) {
      const { router } = this.#door;
      const { epoch = 1 } = router.context.recordOf(sending.entity, sending.id) ?? {};
      try {
        return await router.send({ ...sending, dedup: { key, since } });
      } catch (error) {
        const isPassing = error instanceof CatgaError && mayPass(error, kind);
        const isOver = sending.signal?.aborted === true;
        const waitMs = backoffMs(tries, RETRY, options.random);
        const isLate = clock.nowMs() + waitMs >= sending.boundMs;
        if (tries === retries || !isPassing || isOver || isLate) throw error;
        // From here on the key must still be known where it may have run.
        if (error.executed !== "no" && since === 0) since = epoch;
        await new Promise<void>((resolve) => void clock.after(waitMs, resolve));
      }
    }
  }
}

const NONE: CallOptions = {};
/** Failures that another try may not meet; all others would come again. */
const PASSING: readonly ErrorCode[] = [
  "ACTIVATION_FAILED",
  "CALL_TIMEOUT",
  "MAILBOX_FULL",
  "NODE_AWAY",
  "OVERLOADED",
  "STORE_UNAVAILABLE",
  "UNAVAILABLE",
];

/** A command that may have run goes to whoever has its key, unless that memory is lost. */
function mayPass({ code, details }: CatgaError, kind: Kind | undefined): boolean {
  if (code !== "OUTCOME_UNKNOWN") return PASSING.includes(code);
  return kind === "query" || (details as { reason?: unknown }).reason !== WINDOW_LOST;
}

function checkKey(key: unknown): string {
  if (typeof key === "string" && key.length > 0 && key.length <= KEY_CHARS_MAX) return key;
  throw new TypeError(`Cannot use idempotencyKey: write 1 to ${KEY_CHARS_MAX} characters`);
}

function checkRetries(retries: number): number {
  if (Number.isSafeInteger(retries) && retries > 0 && retries <= RETRIES_MAX) return retries;
  throw new RangeError(`Cannot use retries ${retries}: write a whole number up to ${RETRIES_MAX}`);
}
