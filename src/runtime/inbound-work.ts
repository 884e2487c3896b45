/** A message of another node in a mailbox of this one. */
import { CatgaError } from "../base/errors.ts";
import { ERROR_TEXT_CHARS_MAX } from "../base/limits.ts";
import { charsMaxOfLastCopy } from "../base/plain.ts";
import { isWhole } from "../base/shape.ts";
import { type Dedup, dedupValue, type MessageItem, readDedup } from "../protocol/frame.ts";
import type { Row } from "../protocol/note.ts";
import { detailsOf } from "./call.ts";
import type { MessageSpec, Work } from "./definition.ts";
import type { EntityHost } from "./entity-host.ts";
import type { Peer } from "./peer.ts";

/** What the texts of an error may add to a batch at most, in escaped JSON. */
const FAILURE_CHARS_MAX = 6 * 2 * ERROR_TEXT_CHARS_MAX;

type Item = Pick<MessageItem, "call" | "leftMs" | "entity" | "id" | "message" | "dedup">;

/** See the file's header. */
export class InboundWork implements Work {
  readonly spec: MessageSpec;
  readonly message: unknown;
  readonly deadlineMs: number;
  readonly oneWay: boolean;
  readonly dedup: Dedup | undefined;
  readonly #peer: Peer;
  readonly #item: Item;
  #hasBegun = false;

  constructor(
    peer: Peer,
    item: Item,
    { spec, nowMs }: { readonly spec: MessageSpec; readonly nowMs: number },
  ) {
    this.#peer = peer;
    this.#item = item;
    this.spec = spec;
    this.message = item.message;
    this.dedup = item.dedup;
    this.oneWay = item.leftMs < 0;
    this.deadlineMs = this.oneWay ? Number.POSITIVE_INFINITY : nowMs + item.leftMs;
  }

  begin(nowMs: number): boolean {
    this.#hasBegun = nowMs < this.deadlineMs;
    if (this.#hasBegun) return true;
    const { entity, id, leftMs: timeoutMs } = this.#item;
    const subject = { entity, id, type: this.spec.type };
    const details = { ...detailsOf(subject), timeoutMs, executed: "no" } as const;
    this.fail(new CatgaError("CALL_TIMEOUT", details));
    return false;
  }

  row(nowMs: number): Row {
    const leftMs = this.oneWay ? -1 : Math.max(0, this.deadlineMs - nowMs);
    const dedup = dedupValue(this.dedup);
    return ["message", this.#peer.incarnation, this.#item.call, leftMs, this.message, dedup];
  }

  succeed(value: unknown): void {
    if (this.oneWay) return;
    this.#peer.outbox(charsMaxOfLastCopy()).addReply(this.#item.call, value);
  }

  fail(error: CatgaError): void {
    // A one-way message is answered at the door only; how it ended the activation has logged.
    if (this.oneWay && this.#hasBegun) return;
    answerFailure(this.#peer, this.#item.call, error);
  }
}

/** Where a message of a transfer goes. */
export interface Arrival {
  readonly host: EntityHost;
  readonly id: string;
  readonly nowMs: number;
}

/** A message that had been accepted elsewhere, and came with its entity. */
export function workOf(row: Row, { host, id, nowMs }: Arrival): Work | undefined {
  const [, sender, call, leftMs, message, key] = row;
  const spec = host.definition.messages.get(typeOf(message));
  if (typeof sender !== "string" || !isWhole(call) || typeof leftMs !== "number") return undefined;
  const dedup = readDedup(key);
  if (spec === undefined || dedup === "malformed") return undefined;
  const item = { call, leftMs, entity: host.definition.name, id, message, dedup };
  return new InboundWork(host.exits.peerOf(sender), item, { spec, nowMs });
}

/** What a message says it is. */
export function typeOf(message: unknown): string {
  return String((message as { type?: unknown } | null)?.type);
}

/** Tells a caller of another node why there is no answer. */
export function answerFailure(peer: Peer, call: number, { code, details }: CatgaError): void {
  peer.outbox(FAILURE_CHARS_MAX).notes.push({ kind: "failure", call, code, details });
}
