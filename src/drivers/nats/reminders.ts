/**
 * Who is due, as a bucket of the broker has it: each time a record says another time, one message
 * `<type>.<group>.<shard>.<time>.<version>.<id>`, written before the record and removed after the
 * record that replaces it. So it may name too many, after somebody died or was refused in between.
 * Whoever is named loads the record anyway; so only what is named again once its time is over, or
 * with several times, is compared with its record, and removed if no record can make it right any
 * more. What is left over so ends when its entity says another time, or at its own, which is 400
 * days away at most.
 */
import type { JetStreamClient, JetStreamManager } from "@nats-io/jetstream";
import type { Clock } from "../../base/clock.ts";
import { isCatgaError } from "../../base/errors.ts";
import { DELETED_MS } from "../../base/limits.ts";
import type { DueEntity, StoreKey } from "../../ports/store.ts";
import type { Gate } from "../broker/asking.ts";
import { type BrokerRecord, type Plan, writtenMs } from "../broker/record.ts";
import { textOf, token } from "./subject.ts";

/** What the broker is asked with. */
export interface RemindersParts {
  readonly jetstream: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly clock: Clock;
  readonly reading: Gate;
  readonly writing: Gate;
  /** Another text for another connection. Throws while there is none. */
  readonly life: () => string;
}

/** How many of whom are wanted. */
export interface DueRange {
  readonly untilMs: number;
  readonly limit: number;
}

interface Entry {
  readonly id: string;
  readonly dueMs: number;
  readonly version: number;
  readonly subject: string;
}

/** What was said of an entity; the number of the message, and the connection that it is of. */
interface Said extends Pick<Entry, "dueMs" | "version"> {
  readonly sequence: number | undefined;
  readonly life: string;
}

type Place = Omit<StoreKey, "id">;
type Read = (id: string) => Promise<BrokerRecord | undefined>;

/** Older servers look at every message for each listing, so shards are listed together. */
const GROUP_SHARDS = 32;
/** What is forgotten of it is told twice. */
const NAMED_MAX = 10_000;
/** Records that are compared at the same time. */
const COMPARED = 64;

/** See the file's header. */
export class Reminders {
  readonly #bucket: string;
  readonly #parts: RemindersParts;
  /** What this node was told once. */
  readonly #named = new Set<string>();
  /** Listings that have not begun. */
  readonly #listings = new Map<string, Promise<readonly Entry[]>>();

  constructor(bucket: string, parts: RemindersParts) {
    this.#bucket = bucket;
    this.#parts = parts;
  }

  /** Says when the entity of `plan` is due, if that is carried out; the number of the message. */
  async set({ write, version }: Plan): Promise<number> {
    const { dueMs = 0 } = write;
    const { jetstream, writing } = this.#parts;
    const subject = this.#subjectOf(write, { dueMs, version });
    return (await writing.pass(() => jetstream.publish(subject))).seq;
  }

  /** Removes what was said under `version`, by its number where that is known. */
  async remove(key: StoreKey, said: Said): Promise<void> {
    const { sequence, life } = said;
    if (sequence === undefined) return this.#drop(this.#subjectOf(key, said));
    await this.#delete(sequence, () => {
      // A broker that has gone back in time gives the number to another one.
      if (life !== this.#parts.life()) throw new Error("the connection was lost meanwhile");
    });
  }

  /** See `Store.due`; `read` finds the record of an id. */
  async due(where: Place, { untilMs, limit }: DueRange, read: Read): Promise<DueEntity[]> {
    const prefix = `${this.#prefixOf(where)}${where.shard}.`;
    const all = (await this.#list(where))
      .filter(({ subject }) => subject.startsWith(prefix))
      .sort((one, other) => one.dueMs - other.dueMs);
    const first = new Map<string, string>();
    const several = new Set<string>();
    for (const { id, subject } of all) {
      const other = first.get(id);
      // Of several times one is right at most.
      if (other === undefined) {
        first.set(id, subject);
      } else {
        several.add(id);
        this.#named.add(other).add(subject);
      }
    }
    const entries = all.filter(({ id, dueMs }) => dueMs <= untilMs || several.has(id));
    const due = new Map<string, DueEntity>();
    for (let at = 0; at < entries.length && due.size < limit; at += COMPARED) {
      const part = entries.slice(at, at + COMPARED);
      const found = await Promise.all(part.map((entry) => this.#isRight(entry, read)));
      const wrong = part.filter((_, i) => !found[i]);
      // Somebody else may have removed it meanwhile; what is left is looked at again.
      await Promise.allSettled(wrong.map(({ subject }) => this.#drop(subject)));
      for (const { id, dueMs } of part.filter((_, i) => found[i])) {
        const isDue = dueMs <= untilMs && due.size < limit;
        if (isDue && !due.has(id)) due.set(id, { id, dueMs });
      }
    }
    return [...due.values()];
  }

  /** False for what the record does not say, and no record will say that may still come. */
  async #isRight({ id, dueMs, version, subject }: Entry, read: Read): Promise<boolean> {
    if (!this.#named.has(subject)) {
      // Before its time most will be right, and gone by then: they are not worth a question each.
      if (dueMs > this.#parts.clock.wallMs()) return true;
      if (this.#named.size >= NAMED_MAX) this.#named.clear();
      this.#named.add(subject);
      return true;
    }
    try {
      const record = await read(id);
      const isSaid = record?.dueMs === dueMs && record.dueVersion === version;
      // Where a deletion is forgotten there is no version to compare with; nobody writes so late.
      const isRecent = writtenMs({ version }) > this.#parts.clock.wallMs() - DELETED_MS;
      return isSaid || (isRecent && (record?.version ?? 0) < version);
    } catch (error) {
      // One that cannot be read fails by itself, and does not keep others from their reminders.
      if (isCatgaError(error, "STATE_CORRUPT")) return true;
      throw error;
    }
  }

  /** Everybody in the group of a shard; who asks at the same time shares the answer. */
  #list(where: Place): Promise<readonly Entry[]> {
    const group = this.#prefixOf(where);
    const listing = this.#listings.get(group) ?? this.#listSoon(group);
    this.#listings.set(group, listing);
    return listing;
  }

  async #listSoon(group: string): Promise<readonly Entry[]> {
    await new Promise<void>((resolve) => this.#parts.clock.yield(resolve));
    this.#listings.delete(group);
    const wanted = { subjects_filter: `${group}>` };
    const { manager, reading } = this.#parts;
    const asked = reading.pass(() => manager.streams.info(this.#stream, wanted));
    const { state } = await asked;
    return Object.keys(state.subjects ?? {}).map((subject) => {
      const [dueMs = "", version = "", id = ""] = subject.split(".").slice(-3).map(textOf);
      return { id, dueMs: Number(dueMs), version: Number(version), subject };
    });
  }

  /** Each is said once and never again, so nobody else's is removed. */
  async #drop(subject: string): Promise<void> {
    const { manager, reading } = this.#parts;
    const query = { last_by_subj: subject };
    const message = await reading.pass(() => manager.streams.getMessage(this.#stream, query));
    if (message !== null) await this.#delete(message.seq);
  }

  async #delete(sequence: number, check = (): void => {}): Promise<void> {
    const { manager, reading } = this.#parts;
    await reading.pass(() => {
      check();
      return manager.streams.deleteMessage(this.#stream, sequence, false);
    });
  }

  get #stream(): string {
    return `KV_${this.#bucket}`;
  }

  #subjectOf(key: StoreKey, { dueMs, version }: Pick<Entry, "dueMs" | "version">): string {
    const said = [token(`${dueMs}`), version, token(key.id)].join(".");
    return `${this.#prefixOf(key)}${key.shard}.${said}`;
  }

  #prefixOf({ entity, shard }: Place): string {
    return `$KV.${this.#bucket}.${token(entity)}.${Math.floor(shard / GROUP_SHARDS)}.`;
  }
}
