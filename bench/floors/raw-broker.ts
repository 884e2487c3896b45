/**
 * The floor of messages over a broker: the same client as the driver uses, one subject each way,
 * frames that are one JSON text of what was sent in one burst (`[id, body, id, body, …]`), a map of
 * open calls and a promise per call. A burst ends with the tick or with the microtask queue: which
 * is faster differs between runtimes and clients, so both are measured.
 *
 * No addressing, no order across connections, no acknowledgement, no deadline, no check of what is
 * sent: what the broker loses is lost.
 */
import { Buffer } from "node:buffer";
import { setImmediate } from "node:timers";
import { type BrokerKind, kindOf } from "../processes/broker-kind.ts";

/** When a burst ends. */
export type Burst = "tick" | "microtask";

/** Both, in the order in which they run. */
export const BURSTS: readonly Burst[] = ["tick", "microtask"];

/** A connection to a broker, as its client library makes it. */
export interface Wire {
  publish(subject: string, bytes: Uint8Array): void;
  /** Resolves when the broker knows of it. */
  subscribe(subject: string, receive: (bytes: Uint8Array) => void): Promise<void>;
  close(): Promise<void>;
}

const WIRES: { readonly [K in BrokerKind]: (url: string) => Promise<Wire> } = {
  nats: natsWire,
  redis: redisWire,
};
const END_OF: { readonly [B in Burst]: (run: () => void) => void } = {
  tick: (run) => void setImmediate(run),
  microtask: queueMicrotask,
};

/** Connects to the broker at `url`; loads the client of no other. */
export function openWire(url: string): Promise<Wire> {
  return WIRES[kindOf(url)](url);
}

/** Serves `answer` over `wire`, once for each kind of burst. */
export async function serveRawFrames(
  wire: Wire,
  answer: (body: unknown) => unknown,
): Promise<void> {
  for (const burst of BURSTS) {
    const frames = new Frames(wire, `raw.${burst}.answers`, burst);
    await wire.subscribe(`raw.${burst}.calls`, (bytes) => {
      each(bytes, (id, body) => frames.add(id, answer(body)));
    });
  }
}

/** Calls what {@link serveRawFrames} serves. */
export class RawFramesCaller {
  readonly #frames: Frames;
  readonly #open = new Map<number, (body: unknown) => void>();
  #lastId = 0;

  private constructor(frames: Frames) {
    this.#frames = frames;
  }

  static async connect(wire: Wire, burst: Burst): Promise<RawFramesCaller> {
    const caller = new RawFramesCaller(new Frames(wire, `raw.${burst}.calls`, burst));
    await wire.subscribe(`raw.${burst}.answers`, (bytes) => {
      each(bytes, (id, body) => {
        const resolve = caller.#open.get(id);
        caller.#open.delete(id);
        resolve?.(body);
      });
    });
    return caller;
  }

  call(body: unknown): Promise<unknown> {
    const id = ++this.#lastId;
    return new Promise((resolve) => {
      this.#open.set(id, resolve);
      this.#frames.add(id, body);
    });
  }
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

class Frames {
  readonly #wire: Wire;
  readonly #subject: string;
  readonly #atEnd: (run: () => void) => void;
  #batch: unknown[] = [];

  constructor(wire: Wire, subject: string, burst: Burst) {
    this.#wire = wire;
    this.#subject = subject;
    this.#atEnd = END_OF[burst];
  }

  add(id: number, body: unknown): void {
    this.#batch.push(id, body);
    if (this.#batch.length > 2) return;
    this.#atEnd(() => {
      const bytes = encoder.encode(JSON.stringify(this.#batch));
      this.#batch = [];
      this.#wire.publish(this.#subject, bytes);
    });
  }
}

function each(bytes: Uint8Array, run: (id: number, body: unknown) => void): void {
  const items = JSON.parse(decoder.decode(bytes)) as unknown[];
  for (let i = 0; i < items.length; i += 2) run(items[i] as number, items[i + 1]);
}

async function natsWire(url: string): Promise<Wire> {
  const { connect } = await import("@nats-io/transport-node");
  const client = await connect({ servers: url });
  return {
    publish: (subject, bytes) => client.publish(subject, bytes),
    async subscribe(subject, receive) {
      client.subscribe(subject, { callback: (_error, { data }) => receive(data) });
      await client.flush();
    },
    close: () => client.close(),
  };
}

async function redisWire(url: string): Promise<Wire> {
  const { Redis } = await import("ioredis");
  const [publishing, listening] = [new Redis(url), new Redis(url)];
  const receivers = new Map<string, (bytes: Uint8Array) => void>();
  listening.on("messageBuffer", (channel: Buffer, bytes: Buffer) => {
    receivers.get(channel.toString())?.(bytes);
  });
  return {
    publish(subject, { buffer, byteOffset, length }) {
      // It rejects when it is closed under way, and nobody waits for it.
      publishing.publish(subject, Buffer.from(buffer, byteOffset, length)).catch(() => {});
    },
    async subscribe(subject, receive) {
      receivers.set(subject, receive);
      await listening.subscribe(subject);
    },
    async close() {
      await Promise.all([publishing.quit(), listening.quit()]);
    },
  };
}
