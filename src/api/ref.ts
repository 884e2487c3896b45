/** References: the typed face of the router. */
import { durationMs } from "../base/duration.ts";
import { CatgaError } from "../base/errors.ts";
import { CALL_TIMEOUT_MS } from "../base/limits.ts";
import type { Router } from "../runtime/router.ts";
import type { CallOptions } from "./context.ts";
import { messageOptions, type Messages } from "./messages.ts";

/** An entity type by name, or with its messages. */
export type RefTarget = string | { readonly name: string; readonly messages: Messages };

/** Implements `Ref`, whose types it has lost. */
export class EntityRef {
  readonly id: string;
  readonly #router: Router;
  readonly #name: string;
  readonly #messages: Messages | undefined;
  readonly #boundMs: number;

  constructor(router: Router, target: RefTarget, id: string, boundMs: number) {
    this.id = id;
    this.#router = router;
    this.#boundMs = boundMs;
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
    if (typeof type !== "string" || this.#isUnknown(type)) {
      const details = { entity: this.#name, message: String(type) };
      return Promise.reject(new CatgaError("UNKNOWN_MESSAGE", details));
    }
    return this.#router.send({
      entity: this.#name,
      id: this.id,
      type,
      message,
      oneWay,
      timeoutMs:
        options?.timeout === undefined
          ? this.#defaultMs(type)
          : durationMs(options.timeout, "timeout"),
      boundMs: this.#boundMs,
      signal: options?.signal,
    });
  }

  #isUnknown(type: string): boolean {
    return this.#messages !== undefined && !Object.hasOwn(this.#messages, type);
  }

  #defaultMs(type: string): number {
    const def = this.#messages?.[type];
    if (def !== undefined) return messageOptions(def).timeoutMs ?? CALL_TIMEOUT_MS;
    return this.#router.timeoutMs(this.#name, type) ?? CALL_TIMEOUT_MS;
  }
}
