/** A message of another node in a mailbox of this one. */
import { CatgaError } from "../base/errors.ts";
import { ERROR_TEXT_CHARS_MAX } from "../base/limits.ts";
import { charsMaxOfLastCopy } from "../base/plain.ts";
import { dedupValue, type MessageItem } from "../protocol/frame.ts";
import type { Row } from "../protocol/note.ts";
import { detailsOf } from "./call.ts";
import type { MessageSpec } from "./definition.ts";
import type { Peer } from "./peer.ts";
import { Work } from "./work.ts";

/** What the texts of an error may add to a batch at most, in escaped JSON. */
const FAILURE_CHARS_MAX = 6 * 2 * ERROR_TEXT_CHARS_MAX;

type Item = Pick<MessageItem, "call" | "leftMs" | "entity" | "id" | "message" | "dedup">;
type Acceptance = { readonly spec: MessageSpec; readonly nowMs: number };

/** See the file's header. */
export class InboundWork extends Work {
  readonly #peer: Peer;
  readonly #item: Item;
  #hasBegun = false;

  constructor(peer: Peer, item: Item, { spec, nowMs }: Acceptance) {
    const { message, dedup, leftMs } = item;
    const deadlineMs = leftMs < 0 ? Number.POSITIVE_INFINITY : nowMs + leftMs;
    super({ spec, message, oneWay: leftMs < 0, deadlineMs, dedup });
    this.#peer = peer;
    this.#item = item;
  }

  override begin(nowMs: number): boolean {
    this.#hasBegun = nowMs < this.deadlineMs;
    if (this.#hasBegun) return true;
    const { entity, id, leftMs: timeoutMs } = this.#item;
    const subject = { entity, id, type: this.spec.type };
    const details = { ...detailsOf(subject), timeoutMs, executed: "no" } as const;
    this.fail(new CatgaError("CALL_TIMEOUT", details));
    return false;
  }

  override row(nowMs: number): Row {
    const leftMs = this.oneWay ? -1 : Math.max(0, this.deadlineMs - nowMs);
    const dedup = dedupValue(this.dedup);
    return ["message", this.#peer.incarnation, this.#item.call, leftMs, this.message, dedup];
  }

  override succeed(value: unknown): void {
    if (this.oneWay) return;
    this.#peer.outbox(charsMaxOfLastCopy()).addReply(this.#item.call, value);
  }

  override fail(error: CatgaError): void {
    // A one-way message is answered at the door only; how it ended the activation has logged.
    if (this.oneWay && this.#hasBegun) return;
    answerFailure(this.#peer, this.#item.call, error);
  }
}

/** Tells a caller of another node why there is no answer. */
export function answerFailure(peer: Peer, call: number, { code, details }: CatgaError): void {
  peer.outbox(FAILURE_CHARS_MAX).notes.push({ kind: "failure", call, code, details });
}
