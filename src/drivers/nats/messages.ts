/**
 * The records of entities as messages of a bucket, one subject for each, and what this node
 * remembers of them: which message has which version, and under which fence it was written. The
 * memory ends with the connection, for a broker that has gone back in time gives the numbers of
 * messages to others.
 */
import type { JetStreamClient, JetStreamManager } from "@nats-io/jetstream";
import { KNOWN_IDS_MAX } from "../../base/limits.ts";
import type { StoredEntity, StoreKey, StorePage, StoreWrite } from "../../ports/store.ts";
import { entityKey } from "../../protocol/ids.ts";
import type { Gate } from "../broker/asking.ts";
import { type BrokerRecord, entityOf, recordOf } from "../broker/record.ts";
import { isWrongSequence } from "./stream.ts";
import { textOf, token } from "./subject.ts";

/** How the broker is asked. */
export interface MessagesParts {
  readonly jetstream: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly reading: Gate;
  readonly writing: Gate;
  /** Another text for another connection. Throws while there is none. */
  readonly life: () => string;
}

/** A message that a write may replace. */
export interface Known extends Pick<BrokerRecord, "version" | "fence" | "dueMs" | "dueVersion"> {
  /** Its number in the stream. */
  readonly sequence: number;
}

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

interface Found {
  readonly sequence: number;
  readonly entity: StoredEntity;
}

type Key = Pick<StoreKey, "entity" | "id">;

/** Records of a page, and how many are asked for at the same time. */
const PAGE_COUNT = 256;
const PAGE_ASKED = 16;
const PAGE_CHARS = 4 * 1_048_576;
/** What is replaced where there is nothing. */
const NOTHING = { sequence: 0, version: 0, fence: "", dueMs: undefined, dueVersion: undefined };

/** See the file's header. */
export class Messages {
  readonly #subjects: string;
  readonly #stream: string;
  readonly #parts: MessagesParts;
  readonly #known = new Map<string, Known>();
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
    const life = this.#live();
    const subject = this.#subject(key);
    const query = { last_by_subj: subject };
    const { reading, manager } = this.#parts;
    const message = await reading.pass(() => manager.streams.getMessage(this.#stream, query));
    if (message === null) {
      this.#known.delete(subject);
      return undefined;
    }
    const record = recordOf(message.string(), entityKey(key.entity, key.id));
    const { version, fence, dueMs, dueVersion } = record;
    const { seq: sequence } = message;
    if (life !== this.#live()) throw new Error("the connection was lost meanwhile");
    this.#remember(subject, { sequence, version, fence, dueMs, dueVersion });
    return { ...record, sequence };
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
   * See `Store.page`. What is written moves to the end, so it is met there, if it was not before.
   * Questions that are asked together may be answered in any order: at the end, where a record that
   * moves could get in between them, they are asked one by one.
   */
  async page(after: number): Promise<StorePage> {
    const { manager, reading } = this.#parts;
    const { state } = await reading.pass(() => manager.streams.info(this.#stream));
    // One message says how many shards there are.
    const total = after === 0 ? { total: state.messages - 1 } : {};
    const found = new Map<number, StoredEntity>();
    let [last, chars, isNearEnd] = [after, 0, false];
    while (found.size < PAGE_COUNT && chars < PAGE_CHARS) {
      // Where many have been replaced, these find the same ones; else they find as many.
      const from = last + 1;
      isNearEnd ||= last + PAGE_ASKED > state.last_seq;
      const length = isNearEnd ? 1 : PAGE_ASKED;
      const next = await Promise.all(Array.from({ length }, (_, i) => this.#next(from + i)));
      for (const each of next) {
        if (each === undefined) {
          if (length === 1) return { found: [...found.values()], next: undefined, ...total };
          isNearEnd = true;
          continue;
        }
        if (!found.has(each.sequence)) chars += each.entity.data?.length ?? 0;
        found.set(each.sequence, each.entity);
        last = Math.max(last, each.sequence);
      }
    }
    return { found: [...found.values()], next: `${last}`, ...total };
  }

  /** The first record at `sequence` or after it. */
  async #next(sequence: number): Promise<Found | undefined> {
    const query = { seq: sequence, next_by_subj: `${this.#subjects}>` };
    const { reading, manager } = this.#parts;
    const message = await reading.pass(() => manager.streams.getMessage(this.#stream, query));
    if (message === null) return undefined;
    const [entity = "", id = ""] = message.subject.split(".").slice(-2).map(textOf);
    return { sequence: message.seq, entity: entityOf(entity, id, message.string()) };
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
