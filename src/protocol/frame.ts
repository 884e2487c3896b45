/**
 * Frames: what is sent to one node within one burst, as one JSON text.
 *
 * JSON of whole frames was chosen by measurement (`npm run bench -- codec`): one call for a batch
 * is several times faster than one for each message, it beats msgpackr without records on Bun and
 * is level with it on Node.js, it builds nothing but plain data, and it can be read in a packet
 * dump. A frame is the array
 *
 * ```
 * [generation, number, acknowledged, to, [messages, replies, done, notes, asks]]
 * ```
 *
 * whose lists are flat where they are long: a message is ten values in a row, a reply two, a call
 * that is done without a value one, an ask four. Every value in it is plain data, so encoding
 * cannot fail.
 */
import { BATCH_CHARS_MAX, BATCH_ITEMS_MAX } from "../base/limits.ts";
import { CHAIN_LINKS_MAX, TRACESTATE_CHARS_MAX } from "../base/limits.ts";
import { isWhole } from "../base/shape.ts";
import { isNote, type Note } from "./note.ts";
import { readTrace, type TraceContext } from "./trace.ts";

/** A message to an entity, as it travels. */
export interface MessageItem {
  readonly shard: number;
  /** The epoch under which the sender resolved the shard. */
  readonly epoch: number;
  /** Which of the sender's channels to this shard, counted from 0. */
  readonly channel: number;
  readonly sequence: number;
  /** The sender's number for the call, for the answer. */
  readonly call: number;
  /** What was left of the deadline when the message was sent; -1 for a one-way message. */
  readonly leftMs: number;
  readonly entity: string;
  readonly id: string;
  readonly message: unknown;
  readonly dedup: Dedup | undefined;
  /** Turns that wait for the call, the oldest first. */
  readonly chain?: readonly string[] | undefined;
  /** The span that sent it. */
  readonly trace?: TraceContext | undefined;
}

/**
 * What few messages have: in a frame 0, or `[key, since, trace, …chain]`, with key 0 for no dedup,
 * and a trace that is 0 or `[traceparent, tracestate]`.
 */
export type Extras = Pick<MessageItem, "dedup" | "chain" | "trace">;

/** What a command is known by when it is sent again. */
export interface Dedup {
  readonly key: string;
  /** The shard's epoch when it was sent for the first time; 0 for the first time itself. */
  readonly since: number;
}

/** A message for a handler of the node it is sent to, as it travels. */
export type AskItem = Pick<MessageItem, "call" | "leftMs" | "message" | "chain" | "trace">;

/** A frame taken apart; its items are for {@link readItems}. */
export interface Frame {
  readonly generation: number;
  /** From 1 in each stream; a frame without items only acknowledges, behind the frame it names. */
  readonly number: number;
  /** The highest number the sender has processed of the other direction. */
  readonly acknowledged: number;
  /** Which incarnation the frame is meant for. */
  readonly to: string;
  readonly items: readonly unknown[];
}

/** Who deals with the items of a frame. */
export interface ItemReader {
  message(item: MessageItem): void;
  reply(call: number, value: unknown): void;
  note(note: Note): void;
  ask(item: AskItem): void;
}

const MESSAGE_VALUES = 10;
const ASK_VALUES = 4;
const LISTS = 5;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Items that wait to leave; every value in them must be plain data that nobody changes. */
export class Batch {
  /** An upper bound for their length, as far as the callers gave one. */
  charsMax = 0;
  readonly messages: unknown[] = [];
  readonly replies: unknown[] = [];
  readonly done: number[] = [];
  readonly notes: Note[] = [];
  readonly asks: unknown[] = [];

  /** True when nothing waits. */
  get isEmpty(): boolean {
    const { messages, replies, done, notes, asks } = this;
    return messages.length + replies.length + done.length + notes.length + asks.length === 0;
  }

  /** True when it has grown so large that the other side should begin with it. */
  get isFull(): boolean {
    if (this.messages.length >= MESSAGE_VALUES * BATCH_ITEMS_MAX) return true;
    if (this.asks.length >= ASK_VALUES * BATCH_ITEMS_MAX) return true;
    return this.replies.length >= 2 * BATCH_ITEMS_MAX || this.charsMax >= BATCH_CHARS_MAX;
  }

  /** Adds a message. */
  addMessage(item: MessageItem): void {
    const { shard, epoch, channel, sequence, call, leftMs } = item;
    this.messages.push(shard, epoch, channel, sequence, call, leftMs);
    this.messages.push(item.entity, item.id, item.message, extrasValue(item));
  }

  /** Adds a message for a handler. */
  addAsk({ call, leftMs, message, chain, trace }: AskItem): void {
    this.asks.push(call, leftMs, message, extrasValue({ dedup: undefined, chain, trace }));
  }

  /** Adds an answer. A list cannot hold `undefined`: JSON would make it null. */
  addReply(call: number, value: unknown): void {
    if (value === undefined) this.done.push(call);
    else this.replies.push(call, value);
  }

  /** The items as text, for {@link encodeFrame}. */
  encode(): string {
    return JSON.stringify([this.messages, this.replies, this.done, this.notes, this.asks]);
  }
}

/** A frame of `items`, the text of a {@link Batch}; the empty text for none. */
export function encodeFrame(head: Omit<Frame, "items">, items: string): Uint8Array {
  const { generation, number, acknowledged, to } = head;
  return encoder.encode(`[${generation},${number},${acknowledged},"${to}",${items || "[]"}]`);
}

/** Takes a frame apart, or `undefined` when it makes no sense. */
export function decodeFrame(bytes: Uint8Array): Frame | undefined {
  let frame: unknown;
  try {
    frame = JSON.parse(decoder.decode(bytes));
  } catch {
    return undefined; // Not UTF-8 or no JSON: the caller treats it as any other nonsense.
  }
  if (!Array.isArray(frame)) return undefined;
  const [generation, number, acknowledged, to, items] = frame as unknown[];
  if (!isWhole(generation) || !isWhole(number) || !isWhole(acknowledged)) return undefined;
  if (typeof to !== "string" || !Array.isArray(items)) return undefined;
  return { generation, number, acknowledged, to, items };
}

/** Hands the items of a frame out; `false` when one of them makes no sense. */
export function readItems({ items }: Frame, reader: ItemReader): boolean {
  if (items.length === 0) return true;
  if (items.length !== LISTS || !items.every(Array.isArray)) return false;
  const [messages, replies, done, notes, asks] = items as unknown[][];
  if (!notes!.every(isNote)) return false;
  // Who hears of what happened forgets what he knew before he deals with what was sent afterwards.
  for (const note of notes) if (note.kind === "happened") reader.note(note);
  if (!readMessages(messages!, reader)) return false;
  for (let i = 0; i < replies!.length; i += 2) {
    const call = replies![i];
    if (!isWhole(call)) return false;
    reader.reply(call, replies![i + 1]);
  }
  for (const call of done!) {
    if (!isWhole(call)) return false;
    reader.reply(call, undefined);
  }
  for (const note of notes) if (note.kind !== "happened") reader.note(note);
  // Last: who cancels an ask relies on it, see `Peer.cancel`.
  return readAsks(asks!, reader);
}

/** How many items a frame has. */
export function itemsOf({ items }: Frame): number {
  const [messages, replies, done, notes, asks] = items as readonly { readonly length: number }[];
  if (asks === undefined) return 0;
  const counted = messages!.length / MESSAGE_VALUES + replies!.length / 2;
  return counted + done!.length + notes!.length + asks.length / ASK_VALUES;
}

function readAsks(values: unknown[], reader: ItemReader): boolean {
  for (let i = 0; i < values.length; i += ASK_VALUES) {
    const call = values[i];
    const leftMs = values[i + 1];
    const extras = readExtras(values[i + 3]);
    if (!isWhole(call) || typeof leftMs !== "number" || extras === "malformed") return false;
    const { chain, trace } = extras;
    reader.ask({ call, leftMs, message: values[i + 2], chain, trace });
  }
  return true;
}

function readMessages(values: unknown[], reader: ItemReader): boolean {
  for (let i = 0; i < values.length; i += MESSAGE_VALUES) {
    for (let j = 0; j < 5; j++) if (!isWhole(values[i + j])) return false;
    const leftMs = values[i + 5];
    const entity = values[i + 6];
    const id = values[i + 7];
    if (typeof leftMs !== "number") return false;
    const extras = readExtras(values[i + 9]);
    if (typeof entity !== "string" || typeof id !== "string" || extras === "malformed")
      return false;
    reader.message({
      shard: values[i] as number,
      epoch: values[i + 1] as number,
      channel: values[i + 2] as number,
      sequence: values[i + 3] as number,
      call: values[i + 4] as number,
      leftMs,
      entity,
      id,
      message: values[i + 8],
      dedup: extras.dedup,
      chain: extras.chain,
      trace: extras.trace,
    });
  }
  return true;
}

/** {@link Extras} as they travel. */
export function extrasValue({ dedup, chain, trace }: Extras): unknown {
  if (dedup === undefined && chain === undefined && trace === undefined) return 0;
  return [dedup?.key ?? 0, dedup?.since ?? 0, traceValue(trace), ...(chain ?? [])];
}

/** A context as it travels, for {@link traceOf}. */
export function traceValue(trace: TraceContext | undefined): unknown {
  const { traceparent = "", tracestate = "" } = trace ?? {};
  if (traceparent === "") return 0;
  return tracestate.length > TRACESTATE_CHARS_MAX ? [traceparent] : [traceparent, tracestate];
}

/** Whatever came in the place of a context: a trace is no reason to refuse a message. */
export function traceOf(value: unknown): TraceContext | undefined {
  return Array.isArray(value) ? readTrace(value[0], value[1]) : undefined;
}

const NO_EXTRAS: Extras = { dedup: undefined, chain: undefined, trace: undefined };

/** Reads what {@link extrasValue} wrote. */
export function readExtras(value: unknown): Extras | "malformed" {
  if (value === 0) return NO_EXTRAS;
  const [key, since, trace, ...links] = Array.isArray(value) ? (value as unknown[]) : [];
  if (links.length > CHAIN_LINKS_MAX || !links.every(isText) || !isWhole(since)) return "malformed";
  const chain = links.length === 0 ? undefined : links;
  const rest = { chain, trace: traceOf(trace) };
  if (key === 0) return { dedup: undefined, ...rest };
  return isText(key) ? { dedup: { key, since }, ...rest } : "malformed";
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}
