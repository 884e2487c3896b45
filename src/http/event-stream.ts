/**
 * Server-sent events: what all streams of a gateway share, and one of them.
 *
 * Not by Hono's `streamSSE`: that cannot end a stream while nobody reads it, has a timer for each
 * comment, and encodes each event for each stream. Here an event is encoded once, one timer serves
 * all, and a stream holds {@link BUFFER_BYTES} at most: who writes waits while that is full, and
 * who has not read anything for a while is cut off.
 */
import type { Context } from "hono";
import { CatgaError } from "../index.ts";
import type { Draining, Told } from "./edge.ts";
import type { GatewayLimits } from "./limits.ts";
import { tick } from "./ticker.ts";

type StreamLimits = Pick<GatewayLimits, "streamsMax" | "streamsPerIdentityMax">;

/** One event. */
export interface ServerEvent {
  readonly event: string;
  readonly data: object;
  readonly id?: string | undefined;
}

interface Destroyable {
  destroy(): void;
}

/** What waits to be read, by the stream or by what is between it and the socket. */
const BUFFER_BYTES = 65_536;
/** Bun cuts off who is silent for 10 seconds, proxies do later. */
const BEAT_MS = 4_000;
/** How long a client waits before it comes again. */
const RETRY_MS = 1_000;

const encoder = new TextEncoder();
const COMMENT = encoder.encode(":\n\n");
const RETRY = encoder.encode(`retry: ${RETRY_MS}\n\n`);
const DRAIN = encoder.encode(`event: @drain\nretry: ${RETRY_MS}\ndata: {}\n\n`);

/** An event as it is sent; JSON has no line breaks. What the edge says itself begins with `@`. */
export function encodeEvent({ id, event, data }: ServerEvent): Uint8Array {
  const named = id === undefined ? "" : `id: ${id}\n`;
  return encoder.encode(`${named}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}

/** Where a client wants to go on. */
export function lastEventIdOf(c: Context): string | undefined {
  return c.req.header("Last-Event-ID") || undefined;
}

/** All streams of a gateway. */
export class EventStreams {
  readonly #limits: StreamLimits;
  readonly #drain: Draining;
  /** With what says that one has ended. */
  readonly #open = new Map<EventStream, () => void>();
  readonly #subjects = new Map<string, number>();
  #endTicks: (() => void) | undefined;

  constructor(drain: Draining, limits: StreamLimits) {
    this.#limits = limits;
    this.#drain = drain;
  }

  /** How many are open. */
  get count(): number {
    return this.#open.size;
  }

  /**
   * Answers with a stream; `begin` is given it, and returns what ends with it.
   *
   * @throws {CatgaError} OVERLOADED
   */
  open(c: Context<Told>, begin: (stream: EventStream) => () => void): Response {
    const subject = c.get("identity")?.subject;
    this.#admit(subject);
    c.header("Content-Type", "text/event-stream");
    // Nginx would collect what is to arrive at once.
    c.header("X-Accel-Buffering", "no");
    // Hono answers HEAD with what GET would, without a body: nobody would ever read this one.
    if (c.req.method === "HEAD") return c.body(null);
    const { outgoing } = (c.env ?? {}) as { readonly outgoing?: Destroyable };
    const stream: EventStream = new EventStream(outgoing, () => this.#closed(stream, subject));
    this.#open.set(stream, () => {});
    if (subject !== undefined) this.#subjects.set(subject, this.#countOf(subject) + 1);
    this.#endTicks ??= tick(BEAT_MS, () => this.#beat());
    stream.begin(begin);
    const release = this.#drain.hold(() => stream.drain());
    // Where that has told it at once, it is over.
    if (this.#open.has(stream)) this.#open.set(stream, release);
    else release();
    return c.body(stream.body);
  }

  #admit(subject: string | undefined): void {
    const { streamsMax, streamsPerIdentityMax } = this.#limits;
    const isOne = subject !== undefined && this.#countOf(subject) >= streamsPerIdentityMax;
    if (!isOne && this.#open.size < streamsMax) return;
    const what = isOne ? "event streams of one identity" : "event streams";
    const limit = isOne ? streamsPerIdentityMax : streamsMax;
    throw new CatgaError("OVERLOADED", { what, limit });
  }

  #countOf(subject: string): number {
    return this.#subjects.get(subject) ?? 0;
  }

  #beat(): void {
    for (const stream of this.#open.keys()) stream.beat();
  }

  #closed(stream: EventStream, subject: string | undefined): void {
    const release = this.#open.get(stream);
    if (release === undefined) return;
    this.#open.delete(stream);
    release();
    if (subject !== undefined) {
      const count = this.#countOf(subject) - 1;
      if (count > 0) this.#subjects.set(subject, count);
      else this.#subjects.delete(subject);
    }
    if (this.#open.size > 0) return;
    this.#endTicks?.();
    this.#endTicks = undefined;
  }
}

/** One stream. */
export class EventStream {
  readonly body: ReadableStream<Uint8Array>;
  readonly #socket: Destroyable | undefined;
  readonly #closed: () => void;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #end: (() => void) | undefined;
  #isOver = false;
  /** Who waits for room, and how often the ticker has seen that. */
  #room: Promise<void> | undefined;
  #roomCame: (() => void) | undefined;
  #beats = 0;

  /** `socket` is what can be destroyed, if that is known; `closed` hears that it is over. */
  constructor(socket: Destroyable | undefined, closed: () => void) {
    this.#socket = socket;
    this.#closed = closed;
    this.body = new ReadableStream(
      {
        start: (controller) => void (this.#controller = controller),
        pull: () => this.#pulled(),
        cancel: () => this.#finish(),
      },
      { highWaterMark: BUFFER_BYTES, size: (chunk) => chunk?.length ?? 0 },
    );
  }

  /** Writes what comes first, and lets events come. */
  begin(begin: (stream: EventStream) => () => void): void {
    this.#put(RETRY);
    this.#end = begin(this);
  }

  /** Writes; a promise when there is no more room, which resolves when there is again. */
  write(bytes: Uint8Array): Promise<void> | undefined {
    this.#put(bytes);
    if (this.#isOver || this.#controller.desiredSize! > 0) return undefined;
    this.#room ??= new Promise((resolve) => (this.#roomCame = resolve));
    return this.#room;
  }

  /** Says that it lives, or ends when the other side has not read for a while. */
  beat(): void {
    if (this.#room === undefined) return this.#put(COMMENT);
    if (++this.#beats < 2) return;
    this.#finish();
    // What cancels this stream; an error of ours would be printed by the server of Node.js.
    if (this.#socket !== undefined) this.#socket.destroy();
    else this.#controller.error(new Error("nobody reads"));
  }

  /** Ends: whoever reads is to come again, elsewhere. */
  drain(): void {
    if (this.#isOver) return;
    this.#put(DRAIN);
    this.#finish();
    this.#controller.close();
  }

  #put(bytes: Uint8Array): void {
    if (!this.#isOver) this.#controller.enqueue(bytes);
  }

  #pulled(): void {
    this.#beats = 0;
    this.#roomCame?.();
    this.#room = this.#roomCame = undefined;
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#pulled();
    this.#end?.();
    this.#closed();
  }
}
