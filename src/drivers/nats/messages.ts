/**
 * The records of entities as messages of a bucket, one subject for each, and what this node
 * remembers of them: which message has which version, and under which fence it was written. The
 * memory ends with the connection, for a broker that has gone back in time gives the numbers of
 * messages to others.
 */
import type { JetStreamClient, JetStreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { KNOWN_IDS_MAX } from "../../base/limits.ts";
import type { StoredEntity, StoreKey, StorePage, StoreWrite } from "../../ports/store.ts";
import { entityKey } from "../../protocol/ids.ts";
import type { Gate } from "../broker/asking.ts";
import { type BrokerRecord, entityOf, type Plan, recordOf, writtenMs } from "../broker/record.ts";
import { isWrongSequence } from "./stream.ts";
import { textOf, token } from "./subject.ts";

/** How the broker is asked. */
export interface MessagesParts {
  readonly jetstream: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly client: NatsConnection;
  readonly reading: Gate;
  readonly writing: Gate;
  /** Another text for another connection. Throws while there is none. */
  readonly life: () => string;
}

/** A message that a write may replace. */
export interface Known extends Pick<BrokerRecord, "version" | "fence" | "dueMs" | "dueVersion"> {
  /** Its number in the stream. */
  readonly sequence: number;
  /** The number under which this node said when it is due, if it was this one. */
  readonly dueSequence?: number | undefined;
}

/** Under which version, and as which message, it was said when an entity is due. */
export type Saying = Required<Pick<Known, "dueVersion" | "dueSequence">>;

/** A record to be published. */
export interface Publication {
  readonly text: string;
  readonly operation: string;
  /** What it replaces. */
  readonly before: Known;
  /** What is remembered of it. */
  readonly after: Omit<Known, "sequence">;
  readonly timeoutMs: number;
}

/** A part of all names, in their order. */
interface Listing {
  /** The number of the first one, for whoever pages. */
  readonly start: number;
  readonly subjects: readonly string[];
  /** Where the first one stood among all. */
  readonly place: number;
  readonly isLast: boolean;
  /** How many there were. */
  readonly total: number;
}

interface ListingReply {
  readonly error?: { readonly description: string };
  readonly state: { readonly subjects?: Readonly<Record<string, number>> };
  readonly total?: number;
}

interface Last {
  readonly record: BrokerRecord;
  readonly seq: number;
}

type Key = Pick<StoreKey, "entity" | "id">;

/** Records of a page, and how many are asked for at the same time. */
const PAGE_COUNT = 256;
const PAGE_ASKED = 16;
const PAGE_CHARS = 4 * 1_048_576;
/**
 * A server that was just started loses what it is asked, so it is asked again soon; one that has a
 * million names to sort, before it lists 100,000 of them, is given more time with each try.
 */
const LISTING_MS = 750;
const LISTING_MS_MAX = 10_000;
const LISTING_STEP = 1_000;
/** What is replaced where there is nothing. */
const NOTHING = { sequence: 0, version: 0, fence: "", dueMs: undefined, dueVersion: undefined };

/** See the file's header. */
export class Messages {
  readonly #subjects: string;
  readonly #stream: string;
  readonly #parts: MessagesParts;
  readonly #known = new Map<string, Known>();
  #listingMs = LISTING_MS;
  #listing: Listing = { start: 0, subjects: [], place: 0, isLast: false, total: 0 };
  /** The connection that {@link #known} is of. */
  #life = "";

  constructor(bucket: string, parts: MessagesParts) {
    this.#subjects = `$KV.${bucket}.e.`;
    this.#stream = `KV_${bucket}`;
    this.#parts = parts;
  }

  /** What `write` may replace, as far as that is known without asking. */
  replaced(write: StoreWrite): Known | undefined {
    this.#live();
    const known = write.expected === 0 ? NOTHING : this.#known.get(this.#subject(write));
    return known?.version === write.expected && known.fence <= write.fence ? known : undefined;
  }

  /** What is kept of an entity. */
  async read(key: Key): Promise<(BrokerRecord & Known) | undefined> {
    const subject = this.#subject(key);
    const found = await this.#last(key);
    if (found === undefined) {
      this.#known.delete(subject);
      return undefined;
    }
    const { record, seq: sequence } = found;
    const { version, fence, dueMs, dueVersion } = record;
    this.#remember(subject, { sequence, version, fence, dueMs, dueVersion });
    return { ...record, sequence };
  }

  /**
   * Removes the record of an entity that was deleted by `untilMs`, by its number: one that was
   * written meanwhile stays. False for a deletion that is younger.
   */
  async forget(key: Key, untilMs: number): Promise<boolean> {
    const found = await this.#last(key);
    if (found === undefined || found.record.data !== undefined) return true;
    if (writtenMs(found.record) > untilMs) return false;
    const { reading, manager } = this.#parts;
    return reading.pass(() => manager.streams.deleteMessage(this.#stream, found.seq, false));
  }

  /** Resolves to false when something else stands there than is to be replaced. */
  async publish(key: Key, publication: Publication): Promise<boolean> {
    const { text, operation: msgID, before, after, timeoutMs: timeout } = publication;
    const life = this.#live();
    const subject = this.#subject(key);
    const expect = { lastSubjectSequence: before.sequence };
    try {
      const options = { msgID, expect, timeout };
      const { seq: sequence } = await this.#parts.writing.pass(() => {
        // The number that is expected is of this connection alone.
        if (life !== this.#live()) throw new Error("the connection was lost meanwhile");
        return this.#parts.jetstream.publish(subject, text, options);
      });
      if (life === this.#live()) this.#remember(subject, { ...after, sequence });
      return true;
    } catch (error) {
      if (isWrongSequence(error)) return false;
      throw error;
    }
  }

  /**
   * See `Store.page`: by the order of names, for in that of messages a record that is written again
   * and again is always ahead of whoever reads.
   */
  async page(after: number): Promise<StorePage> {
    const { start, subjects, isLast, total } = await this.#list(after);
    const found: StoredEntity[] = [];
    let [at, chars] = [after, 0];
    const end = start + subjects.length;
    while (at < end && found.length < PAGE_COUNT && chars < PAGE_CHARS) {
      const part = subjects.slice(at - start, at - start + PAGE_ASKED);
      const shown = await Promise.all(part.map((subject) => this.#show(subject)));
      for (const entity of shown.filter((each) => each !== undefined)) {
        found.push(entity);
        chars += entity.data?.length ?? 0;
      }
      at += part.length;
    }
    return {
      found,
      next: at < end || !isLast ? `${at}` : undefined,
      ...(after === 0 && { total }),
    };
  }

  /** The message with what is kept of an entity. */
  async #last(key: Key): Promise<Last | undefined> {
    const life = this.#live();
    const query = { last_by_subj: this.#subject(key) };
    const { reading, manager } = this.#parts;
    const message = await reading.pass(() => manager.streams.getMessage(this.#stream, query));
    if (message === null) return undefined;
    const record = recordOf(message.string(), entityKey(key.entity, key.id));
    if (life !== this.#live()) throw new Error("the connection was lost meanwhile");
    return { record, seq: message.seq };
  }

  /** The listing that has name number `after`: the last one, or another that follows it. */
  async #list(after: number): Promise<Listing> {
    const { start, subjects, place } = this.#listing;
    if (after > start && after < start + subjects.length) return this.#listing;
    const last = subjects[after - 1 - start];
    let from = last === undefined ? after : place + after - 1 - start;
    for (;;) {
      const { names, total } = await this.#names(from);
      // Names that went away have moved the others to the front.
      const isGap = last !== undefined && from > 0 && !(names[0]! <= last);
      if (!isGap) {
        const known = last === undefined ? 0 : names.filter((name) => name <= last).length;
        const isLast = from + names.length >= total;
        const listing = { start: after - known, subjects: names, place: from, isLast, total };
        return (this.#listing = listing);
      }
      from = Math.max(0, from - LISTING_STEP);
    }
  }

  /** Names from place `offset` on, in their order, and how many there are. */
  async #names(offset: number): Promise<{ readonly names: string[]; readonly total: number }> {
    const { client, reading } = this.#parts;
    const query = JSON.stringify({ subjects_filter: `${this.#subjects}>`, offset });
    const address = `$JS.API.STREAM.INFO.${this.#stream}`;
    const options = { timeout: this.#listingMs };
    this.#listingMs = Math.min(2 * this.#listingMs, LISTING_MS_MAX);
    const reply = await reading.pass(() => client.request(address, query, options));
    const { error, state, total = 0 } = reply.json<ListingReply>();
    this.#listingMs = LISTING_MS;
    if (error !== undefined) throw new Error(error.description);
    return { names: Object.keys(state.subjects ?? {}).sort(), total };
  }

  async #show(subject: string): Promise<StoredEntity | undefined> {
    const query = { last_by_subj: subject };
    const { reading, manager } = this.#parts;
    const message = await reading.pass(() => manager.streams.getMessage(this.#stream, query));
    if (message === null) return undefined;
    const [entity = "", id = ""] = subject.split(".").slice(-2).map(textOf);
    return entityOf(entity, id, message.string());
  }

  #live(): string {
    const life = this.#parts.life();
    if (life !== this.#life) this.#known.clear();
    return (this.#life = life);
  }

  #remember(subject: string, known: Known): void {
    this.#known.delete(subject);
    this.#known.set(subject, known);
    const [oldest] = this.#known.keys();
    if (this.#known.size > KNOWN_IDS_MAX) this.#known.delete(oldest!);
  }

  #subject({ entity, id }: Key): string {
    return `${this.#subjects}${token(entity)}.${token(id)}`;
  }
}

/** What is said of an entity once `plan` is carried out: `news` as that message, or what was. */
export function saidOf({ write, version }: Plan, known: Known, news: number | false): Saying {
  if (write.dueMs === undefined) return { dueVersion: undefined, dueSequence: undefined };
  if (news !== false) return { dueVersion: version, dueSequence: news };
  return { dueVersion: known.dueVersion, dueSequence: known.dueSequence };
}
