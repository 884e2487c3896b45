/**
 * Who was deleted, as a queue at the broker: a bucket with an empty message `<type>.<id>` for each,
 * said before the record says it and taken out after the record was. It is no part of the bucket of
 * reminders, which older servers look at as a whole for each listing. Nobody lists this one: its
 * first message is the oldest deletion.
 *
 * When an entity was deleted its record says. Here the broker's times count, in whose order these
 * messages are: so a node whose clock is wrong holds up nobody's but its own deletions. Who deletes
 * an entity anew says so anew, at the end of the queue.
 */
import type { JetStreamClient, JetStreamManager, StoredMsg } from "@nats-io/jetstream";
import type { Clock } from "../../base/clock.ts";
import { DELETED_MS } from "../../base/limits.ts";
import type { StoreKey } from "../../ports/store.ts";
import type { Gate } from "../broker/asking.ts";
import { textOf, token } from "./subject.ts";

/** What the broker is asked with. */
export interface DeletionsParts {
  readonly jetstream: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly clock: Clock;
  readonly reading: Gate;
  readonly writing: Gate;
}

/** Removes a record that was a deletion at a time; false when it is one that is younger. */
export type Remove = (key: Pick<StoreKey, "entity" | "id">, untilMs: number) => Promise<boolean>;

/** Entities that are forgotten at the same time: few, for nobody waits for it. */
const FORGOTTEN = 32;

/** See the file's header. */
export class Deletions {
  readonly #subjects: string;
  readonly #stream: string;
  readonly #parts: DeletionsParts;

  constructor(bucket: string, parts: DeletionsParts) {
    this.#subjects = `$KV.${bucket}.`;
    this.#stream = `KV_${bucket}`;
    this.#parts = parts;
  }

  /** Says that an entity will be deleted, if that is carried out. */
  async add({ entity, id }: StoreKey): Promise<void> {
    const { jetstream, writing } = this.#parts;
    const subject = `${this.#subjects}${token(entity)}.${token(id)}`;
    await writing.pass(() => jetstream.publish(subject));
  }

  /**
   * Forgets some of those whose time is over, from message `from` on. Resolves to where to go on
   * while there may be more. What fails is left for the next time.
   */
  async forget(from: number, remove: Remove): Promise<number | undefined> {
    const untilMs = this.#parts.clock.wallMs() - DELETED_MS;
    const first = await this.#next(from);
    if (first === undefined || first.time.getTime() > untilMs) return undefined;
    const asked = Array.from({ length: FORGOTTEN }, (_, i) => this.#next(first.seq + i));
    const found = new Map<number, StoredMsg>();
    for (const each of await Promise.all(asked)) if (each !== undefined) found.set(each.seq, each);
    const old = [...found.values()].filter(({ time }) => time.getTime() <= untilMs);
    const forget = async ({ seq, subject }: StoredMsg): Promise<void> => {
      const [entity = "", id = ""] = subject.split(".").slice(-2).map(textOf);
      if (!(await remove({ entity, id }, untilMs))) return;
      const { manager, reading } = this.#parts;
      await reading.pass(() => manager.streams.deleteMessage(this.#stream, seq, false));
    };
    await Promise.allSettled(old.map(forget));
    return Math.max(first.seq, ...found.keys()) + 1;
  }

  /** The first message at `sequence` or after it. */
  async #next(sequence: number): Promise<StoredMsg | undefined> {
    const { manager, reading } = this.#parts;
    const query = { seq: sequence, next_by_subj: `${this.#subjects}>` };
    const asked = reading.pass(() => manager.streams.getMessage(this.#stream, query));
    return (await asked) ?? undefined;
  }
}
