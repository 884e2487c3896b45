/** References: the typed face of the router. */
import { type Duration, durationMs } from "../base/duration.ts";
import { CatgaError } from "../base/errors.ts";
import type { Router } from "../runtime/router.ts";
import type { RefRequest } from "../runtime/turn-context.ts";
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

  constructor(router: Router, { target, id, boundMs }: RefRequest<RefTarget>) {
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
    const known = this.#messages;
    if (typeof type !== "string" || (known !== undefined && !Object.hasOwn(known, type))) {
      const details = { entity: this.#name, message: String(type) };
      return Promise.reject(new CatgaError("UNKNOWN_MESSAGE", details));
    }
    return this.#router.send({
      entity: this.#name,
      id: this.id,
      type,
      message,
      oneWay,
      timeoutMs: this.#timeoutMs(type, options?.timeout),
      boundMs: this.#boundMs,
      signal: options?.signal,
    });
  }

  /** Of an entity type that was given by name only the node may know the declaration. */
  #timeoutMs(type: string, chosen: Duration | undefined): number | undefined {
    if (chosen !== undefined) return durationMs(chosen, "timeout");
    const def = this.#messages?.[type];
    return def === undefined ? undefined : messageOptions(def).timeoutMs;
  }
}
