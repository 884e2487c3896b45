/**
 * What happens in the cluster, and what is published, as server-sent events.
 *
 *   GET /events?types=node-joined,orders.paid
 *
 * `event:` is the type, of exposed events and of the cluster's own, which need management. The
 * first is `@begun`, or `@missed` where something may have been missed. All streams share one
 * subscription for each type, which stays, and the last events: a stream is given what it has not
 * been given yet as fast as it is read, and Last-Event-ID resumes at this gateway, as long as it
 * runs.
 */
import type { Context, Hono } from "hono";
import { type AnyNamed, CatgaError, type ClusterEvents } from "../index.ts";
import { wrongMethod } from "./answer.ts";
import { type Edge, guard, type Told } from "./edge.ts";
import { encodeEvent, type EventStream, type EventStreams, lastEventIdOf } from "./event-stream.ts";

const PATH = "/events";
/** A stream may ask for so many types. */
const TYPES_MAX = 32;
/** Events that are kept for who is slow or comes back. */
const KEPT_MAX = 1_024;
/** The same in bytes, beside the last one. */
const KEPT_BYTES_MAX = 4_194_304;
/** Of this process: an id of another one is not known here. */
const START = Math.round(performance.timeOrigin * 1_000).toString(36);

let gateways = 0;

/** Adds the route. */
export function addEventRoutes(app: Hono<Told>, edge: Edge, streams: EventStreams): void {
  const feed = new Feed(edge);
  app.get(PATH, async (c) => {
    const types = typesOf(c);
    for (const type of types) {
      const isExposed = edge.exposed.events.has(type);
      if (!isExposed && edge.management === "off") throw unknown(type);
      await guard(c, edge, { action: isExposed ? "subscribe" : "inspect", message: type });
    }
    for (const type of types) feed.hear(type);
    const after = lastEventIdOf(c);
    return streams.open(c, (stream) => feed.attach({ stream, types }, after));
  });
  app.all(PATH, (c) => {
    throw wrongMethod(c, "GET, HEAD");
  });
}

interface Kept {
  readonly type: string;
  readonly bytes: Uint8Array;
}

/** Who reads, and what. */
interface Reading {
  readonly stream: EventStream;
  readonly types: ReadonlySet<string>;
}

/** What all streams of a gateway are given. */
class Feed {
  readonly #edge: Edge;
  readonly #name = `${START}.${++gateways}`;
  /** Each with the number of the last event before it was heard. */
  readonly #types = new Map<string, number>();
  readonly #kept = new Map<number, Kept>();
  readonly #readers = new Set<Reader>();
  #last = 0;
  #keptBytes = 0;

  constructor(edge: Edge) {
    this.#edge = edge;
  }

  /** @throws {CatgaError} UNKNOWN_MESSAGE for what is no event of the cluster and not exposed */
  hear(type: string): void {
    if (this.#types.has(type)) return;
    const add = (event: object): void => this.#add(type, event);
    const { cluster, exposed } = this.#edge;
    const topic = exposed.events.get(type);
    if (topic !== undefined) cluster.subscribe(topic as AnyNamed & { kind: "event" }, add);
    else this.#hearCluster(type as keyof ClusterEvents, add);
    this.#types.set(type, this.#last);
  }

  attach(reading: Reading, after: string | undefined): () => void {
    const known = after === undefined ? this.#last : this.#numberOf(after, reading.types);
    const reader = new Reader(reading, known ?? this.#last);
    this.#readers.add(reader);
    this.#mark(reader, known === undefined ? "@missed" : "@begun");
    this.#pump(reader);
    return () => void this.#readers.delete(reader);
  }

  #hearCluster(type: keyof ClusterEvents, add: (event: object) => void): void {
    try {
      this.#edge.cluster.on(type, add);
    } catch {
      throw unknown(type); // There is no such event.
    }
  }

  /** The number in an id, if everything after it is known. */
  #numberOf(id: string, types: ReadonlySet<string>): number | undefined {
    const [, name, text] = /^(.*)\.(\d{1,15})$/.exec(id) ?? [];
    const number = Number(text);
    const isKept = number >= this.#last - this.#kept.size && number <= this.#last;
    if (name !== this.#name || !isKept) return undefined;
    const wereHeard = [...types].every((type) => this.#types.get(type)! <= number);
    return wereHeard ? number : undefined;
  }

  #idOf(number: number): string {
    return `${this.#name}.${number}`;
  }

  #add(type: string, event: object): void {
    const bytes = encodeEvent({ id: this.#idOf(++this.#last), event: type, data: event });
    this.#kept.set(this.#last, { type, bytes });
    this.#keptBytes += bytes.length;
    for (const [number, { bytes: oldest }] of this.#kept) {
      const { size } = this.#kept;
      if (size === 1 || (size <= KEPT_MAX && this.#keptBytes <= KEPT_BYTES_MAX)) break;
      this.#kept.delete(number);
      this.#keptBytes -= oldest.length;
    }
    for (const reader of this.#readers) this.#pump(reader);
  }

  /** Gives a reader what it has not been given, until it has no room. */
  #pump(reader: Reader): void {
    const first = this.#last - this.#kept.size;
    if (reader.number < first && !reader.isFull) {
      reader.number = first;
      this.#mark(reader, "@missed");
    }
    while (reader.number < this.#last && !reader.isFull) {
      const { type, bytes } = this.#kept.get(++reader.number)!;
      if (reader.types.has(type)) reader.write(bytes, () => this.#pump(reader));
    }
  }

  #mark(reader: Reader, event: "@begun" | "@missed"): void {
    const bytes = encodeEvent({ id: this.#idOf(reader.number), event, data: {} });
    reader.write(bytes, () => this.#pump(reader));
  }
}

/** A stream, and the number of what it was given last. */
class Reader {
  readonly types: ReadonlySet<string>;
  number: number;
  isFull = false;
  readonly #stream: EventStream;

  constructor({ stream, types }: Reading, number: number) {
    this.#stream = stream;
    this.types = types;
    this.number = number;
  }

  write(bytes: Uint8Array, goOn: () => void): void {
    const room = this.#stream.write(bytes);
    if (room === undefined) return;
    this.isFull = true;
    room.then(
      () => {
        this.isFull = false;
        goOn();
      },
      () => {}, // It never fails.
    );
  }
}

function typesOf(c: Context): ReadonlySet<string> {
  const types = new Set((c.req.query("types") ?? "").split(",").filter((type) => type !== ""));
  if (types.size > 0 && types.size <= TYPES_MAX) return types;
  const reason = `write 1 to ${TYPES_MAX} of them, with commas between`;
  throw new CatgaError("MALFORMED", { what: "types", reason });
}

function unknown(type: string): CatgaError {
  return new CatgaError("UNKNOWN_MESSAGE", { entity: "events", message: type });
}
