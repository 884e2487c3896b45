/**
 * Who is due, as a bucket of the broker has it: each time a record says another time, one message
 * `<type>.<group>.<shard>.<time>.<version>.<id>`, written before the record and removed after the
 * record that replaces it. So it may name too many, after somebody died or was refused in between;
 * the record says whether a message is still right, and one that no record can make right any more
 * is removed when it comes due.
 */
import type { JetStreamClient, JetStreamManager } from "@nats-io/jetstream";
import type { Clock } from "../../base/clock.ts";
import type { DueEntity, StoreKey } from "../../ports/store.ts";
import type { BrokerRecord, Plan } from "../broker/record.ts";
import { textOf, token } from "./subject.ts";

/** What the broker is asked with. */
export interface RemindersParts {
  readonly jetstream: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly clock: Clock;
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

type Place = Omit<StoreKey, "id">;

/** Older servers look at every message for each listing, so shards are listed together. */
const GROUP_SHARDS = 32;
/** Records that are compared at the same time. */
const COMPARED = 64;

/** See the file's header. */
export class Reminders {
  readonly #bucket: string;
  readonly #parts: RemindersParts;
  /** Listings that have not begun. */
  readonly #listings = new Map<string, Promise<readonly Entry[]>>();

  constructor(bucket: string, parts: RemindersParts) {
    this.#bucket = bucket;
    this.#parts = parts;
  }

  /** Says when the entity of `plan` is due, if that is carried out. */
  async set({ write, version }: Plan): Promise<void> {
    const { dueMs = 0 } = write;
    await this.#parts.jetstream.publish(this.#subjectOf(write, { dueMs, version }));
  }

  /** Removes what was said under `version`. */
  async remove(
    key: StoreKey,
    said: { readonly dueMs: number; readonly version: number },
  ): Promise<void> {
    await this.#drop(this.#subjectOf(key, said));
  }

  /** See `Store.due`; `read` finds the record of an id. */
  async due(
    where: Place,
    { untilMs, limit }: DueRange,
    read: (id: string) => Promise<BrokerRecord | undefined>,
  ): Promise<DueEntity[]> {
    const prefix = `${this.#prefixOf(where)}${where.shard}.`;
    const entries = (await this.#list(where))
      .filter(({ subject, dueMs }) => subject.startsWith(prefix) && dueMs <= untilMs)
      .sort((one, other) => one.dueMs - other.dueMs);
    const due = new Map<string, DueEntity>();
    for (let at = 0; at < entries.length && due.size < limit; at += COMPARED) {
      const part = entries.slice(at, at + COMPARED);
      const found = await Promise.all(part.map(({ id }) => read(id)));
      for (const [i, { id, dueMs, version, subject }] of part.entries()) {
        const record = found[i];
        const isSaid = record?.dueMs === dueMs && record.dueVersion === version;
        // Its record may still come: it has not been overtaken.
        const mayCome = (record?.version ?? 0) < version;
        if (!isSaid && !mayCome) await this.#drop(subject);
        else if (!due.has(id) && due.size < limit) due.set(id, { id, dueMs });
      }
    }
    return [...due.values()];
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
    const { state } = await this.#parts.manager.streams.info(`KV_${this.#bucket}`, wanted);
    return Object.keys(state.subjects ?? {}).map((subject) => {
      const [dueMs = "", version = "", id = ""] = subject.split(".").slice(-3).map(textOf);
      return { id, dueMs: Number(dueMs), version: Number(version), subject };
    });
  }

  /** Each is said once and never again, so nobody else's is removed. */
  async #drop(subject: string): Promise<void> {
    const { streams } = this.#parts.manager;
    const stream = `KV_${this.#bucket}`;
    const message = await streams.getMessage(stream, { last_by_subj: subject });
    if (message !== null) await streams.deleteMessage(stream, message.seq, false);
  }

  #subjectOf(
    key: StoreKey,
    { dueMs, version }: { readonly dueMs: number; readonly version: number },
  ): string {
    const said = [token(`${dueMs}`), version, token(key.id)].join(".");
    return `${this.#prefixOf(key)}${key.shard}.${said}`;
  }

  #prefixOf({ entity, shard }: Place): string {
    return `$KV.${this.#bucket}.${token(entity)}.${Math.floor(shard / GROUP_SHARDS)}.`;
  }
}
