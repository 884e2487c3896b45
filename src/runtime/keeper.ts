/**
 * What keeps an entity in the store: it writes the state after turns. With write-through the answer
 * of a turn waits for its write; turns go on meanwhile, and one write covers all that have ended
 * since the last. With write-behind answers leave at once, and a write follows within
 * {@link WRITE_BEHIND_MS}.
 *
 * What is written is the state between two turns: what half a turn did would come without the
 * answer or the reminder that says it is done, and be done again after a crash. A write that is due
 * while a turn waits for something is made when the turn has ended. So that nobody is kept waiting
 * by that, a turn that is known to take long begins when what ended before it is on its way. Only a
 * turn itself may ask for a write in its middle, of what it has done until then. A call that such a
 * turn waits for, back at its own entity, is part of it: answered at once, and stored with it.
 *
 * A write is a compare-and-set on the version that was loaded, under the fence of this ownership
 * (F1). A write that is refused ends the activation, and what it had not stored is gone (F3). One
 * whose outcome is unknown is asked about and written again until it is known; no turn starts
 * before.
 */
import { backoffMs } from "../base/backoff.ts";
import { CatgaError, describeError, isCatgaError } from "../base/errors.ts";
import { RETRY, WRITE_BEHIND_MS } from "../base/limits.ts";
import type { StoredRecord, StoreKey } from "../ports/store.ts";
import { checkSizes } from "../protocol/state-size.ts";
import type { MessageSpec } from "./definition.ts";
import { aheadMsOf, type Loaded, loadEntity } from "./loader.ts";
import type { Luggage } from "./luggage.ts";
import { answer, outcomeOf } from "./outcome.ts";
import type { Resident } from "./owned-shard.ts";
import { encodeRecord } from "./record.ts";
import type { StoreWriter } from "./store-writer.ts";
import type { Work } from "./work.ts";

/** An entity that is kept. */
export interface KeptEntity extends Resident {
  readonly state: unknown;
  readonly carried: Luggage | undefined;
  /** A write is done: what waited for it goes on. */
  stored(): void;
  /** Ends without a word: it was deleted, or what was not stored is gone. */
  discard(): void;
}

/** An answer that waits for a write. */
interface Held {
  readonly release: () => void;
  readonly fail: (error: CatgaError) => void;
}

/** A write that is under way. */
interface Attempt {
  readonly data: string | undefined;
  readonly dueMs: number | undefined;
  readonly covers: readonly Held[];
}

/** See the file's header. */
export class Keeper {
  /** True when a write has failed, and is tried again. */
  isStuck = false;
  /** True from the moment on that a turn has deleted it. */
  isDeleting = false;
  /** True when the activation is not the entity any more. */
  isOver = false;
  /** Of the record, as far as this node knows; 0 when there is none. */
  version: number;
  readonly #entity: KeptEntity;
  readonly #writer: StoreWriter;
  readonly #key: StoreKey;
  readonly #isBehind: boolean;
  #isDirty = false;
  /** True as long as nothing is stored but a deletion; of who came from elsewhere nobody knows. */
  #isGone = false;
  /** The turn that runs has asked for what it did until now to be stored. */
  #isAsked = false;
  /** A write was due in the middle of a turn: it is made when that ends. */
  #isLate = false;
  #attempt: Attempt | undefined;
  #held: Held[] = [];
  #cancelTimer: (() => void) | undefined;
  #error: CatgaError | undefined; // Why it is over, where that is known.

  /** With `stored` it goes on from that version, which another node has given away. */
  constructor(entity: KeptEntity, writer: StoreWriter, stored = 0) {
    this.#entity = entity;
    this.#writer = writer;
    this.version = stored;
    const { name, persistence } = entity.host.definition;
    this.#key = { entity: name, id: entity.id, shard: entity.shard.number };
    this.#isBehind = persistence === "write-behind";
  }

  /** True while something is not stored yet. */
  get isBusy(): boolean {
    return !this.isOver && (this.#isDirty || this.#attempt !== undefined);
  }

  /** What is stored, or what an entity begins with. Rejects with a {@link CatgaError} only. */
  async load(): Promise<Loaded> {
    const loaded = await loadEntity(this.#entity, this.#writer, this.#key);
    this.version = loaded.stored;
    this.#isGone = loaded.isGone;
    return loaded;
  }

  /** True when no message of `spec` may start before a write is done. */
  holdsUp(spec: MessageSpec): boolean {
    if (this.isStuck || spec.kind === "query" || !this.#isDirty) return this.isStuck;
    const patienceMs = this.#isBehind ? WRITE_BEHIND_MS : 1;
    if ((this.#writer.tookMs.get(spec) ?? 0) < patienceMs) return false;
    this.flush();
    return this.#isDirty;
  }

  /** How long the last turn took. */
  took(spec: MessageSpec, tookMs: number): void {
    this.#writer.tookMs.set(spec, tookMs);
  }

  /** A turn of `work` has ended: its caller is told when what it saw and did is stored. */
  ended(work: Work, error: CatgaError | undefined, value: unknown): void {
    const outcome = outcomeOf(error, value);
    work.keep?.(outcome);
    if (this.#entity.running >= 0) this.#isAsked = false;
    const isCommand = work.spec.kind === "command";
    if (isCommand && !this.isOver) this.#isDirty = true;
    const { pushes, spec } = work;
    const tell = (): void => this.#entity.shard.push(this.#entity, pushes ?? []);
    // Who watches is no part of a turn.
    if (pushes !== undefined && error === undefined) this.hold(tell, { spec, fail() {} });
    const release = (): void =>
      "error" in outcome ? work.fail(outcome.error) : answer(this.#entity, work, outcome.value);
    this.hold(release, work);
    if (!isCommand) return;
    if (this.isBusy) this.#entity.host.context.tracer?.write(work, this.#key, this.#held);
    this.touch();
  }

  /** Calls `settle` when all that was done until now is stored; or `work` fails. */
  hold(settle: () => void, work: Pick<Work, "chain" | "fail" | "spec">): void {
    const isPart = this.#entity.running < 0 && this.#entity.awaits(work.chain);
    if (this.isOver && !this.isDeleting) work.fail(this.#error ?? this.#unknown(work.spec.type));
    else if (this.#isBehind || !this.isBusy || isPart) settle();
    else this.#held.push({ release: settle, fail: (error) => work.fail(error) });
  }

  /** The state may have changed. */
  touch(): void {
    if (this.isOver) return;
    this.#isDirty = true;
    if (this.#isLate) return this.flush();
    if (!this.#isBehind) return queueMicrotask(() => this.flush());
    this.#cancelTimer ??= this.#entity.host.context.after(WRITE_BEHIND_MS, () => this.flush());
  }

  /** Resolves when the state as it is now is stored. */
  save(): Promise<void> {
    const saved = new Promise<void>((resolve, reject) => {
      if (this.isOver) return reject(this.#error ?? this.#unknown("save"));
      this.#isDirty = this.#isAsked = true;
      this.#held.push({ release: resolve, fail: reject });
      this.flush();
    });
    // A turn that does not wait for it fails as well: no reason for its process to end.
    saved.catch(() => {});
    return saved;
  }

  /** Resolves when nothing is stored of the entity any more. */
  delete(): Promise<void> {
    this.isDeleting = true;
    return this.save();
  }

  /** Writes what is not stored yet: now, or when the turn that runs has ended. */
  flush(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (this.isOver || this.#attempt !== undefined || !this.#isDirty) return;
    this.#isLate = this.#entity.running < 0 && !this.#isAsked;
    if (this.#isLate) return;
    this.#isAsked = false;
    const covers = this.#held;
    this.#held = [];
    try {
      const [data, dueMs] = this.isDeleting ? [] : [this.#encode(), this.#entity.carried?.firstMs];
      this.#isDirty = false;
      this.#attempt = { data, dueMs, covers };
      this.#write(this.#attempt);
    } catch (error) {
      this.#held = covers;
      // Whoever looks whether a turn may start shall not find the activation gone.
      queueMicrotask(() => this.#end(error as CatgaError));
    }
  }

  /** Writes until the outcome is known. */
  #write(attempt: Attempt, tries = 0): void {
    const fence = this.#entity.shard.fence();
    const content = { expected: this.version, fence, data: attempt.data, dueMs: attempt.dueMs };
    this.#writer.write({ ...this.#key, ...content }).then(
      (result) => {
        if (result.ok) this.#done(attempt, result.version);
        else this.#look(attempt, result.current, fence);
      },
      (error: Error) => this.#again(attempt, { error, fence, tries }),
    );
  }

  /** A write was not carried out, or an earlier try of it was. */
  #look(attempt: Attempt, current: StoredRecord | undefined, fence: string): void {
    const isOwn = current?.fence === fence && current.data === attempt.data;
    if (isOwn) return this.#done(attempt, current.version);
    if (current !== undefined || !this.#isGone) return this.#end();
    // The store has forgotten the deletion that was loaded: there is nothing to be replaced.
    this.#isGone = false;
    this.version = 0;
    this.#write(attempt);
  }

  /** Looks whether the write was carried out, and writes again if it was not. */
  #again(attempt: Attempt, failed: { error: Error; fence: string; tries: number }): void {
    const { context } = this.#entity.host;
    const { error, fence, tries } = failed;
    // What somebody else has put there stays, for whoever can tell what it is.
    const isForeign = isCatgaError(error, "STATE_CORRUPT");
    if (isForeign || context.refusal !== undefined) return this.#end();
    this.isStuck = true;
    if (tries === 0) {
      const fields = { err: error, entity: this.#entity.host.keyOf(this.#key.id) };
      context.log.warn(fields, "an entity cannot be stored, this is tried again");
    }
    context.after(backoffMs(tries, RETRY, context.options.random), () => {
      this.#writer.load(this.#key).then(
        (current) => {
          if ((current?.version ?? 0) === this.version) return this.#write(attempt, tries + 1);
          this.#look(attempt, current, fence);
        },
        (again: Error) => this.#again(attempt, { error: again, fence, tries: tries + 1 }),
      );
    });
  }

  #done({ covers, data }: Attempt, version: number): void {
    this.version = version;
    this.#isGone = false;
    this.#attempt = undefined;
    this.isStuck = false;
    if (data === undefined) this.isOver = true;
    const { slices } = this.#entity.host.context;
    const release = (): void => {
      // The output gate: what the write took may have been the rest of the lease.
      if (!slices.mayRelease()) return slices.later({ resume: release });
      for (const held of covers) held.release();
      if (!this.isBusy) for (const held of this.#held.splice(0)) held.release();
      if (this.isOver) return this.#entity.discard();
      this.flush();
      this.#entity.stored();
    };
    release();
  }

  /** Nothing more is stored: of what was not nobody knows, or `error` says why it cannot be. */
  #end(error?: CatgaError): void {
    if (this.isOver) return;
    this.isOver = true;
    this.isDeleting = false; // What was to be deleted may be there still.
    this.#error = error;
    this.#cancelTimer?.();
    const unheard = [...(this.#attempt?.covers ?? []), ...this.#held];
    this.#attempt = undefined;
    this.#held = [];
    const { host, id } = this.#entity;
    const fields = { entity: host.keyOf(id), err: error };
    host.context.log.warn(fields, "an entity ends without what it had not stored");
    for (const { fail } of unheard) fail(error ?? this.#unknown("its last turn"));
    this.#entity.discard();
  }

  #unknown(message: string): CatgaError {
    const entity = this.#entity.host.keyOf(this.#key.id);
    const reason = "what it did could not be stored, another node may own the entity";
    return new CatgaError("OUTCOME_UNKNOWN", { entity, message, reason });
  }

  #encode(): string {
    const { host, state, carried } = this.#entity;
    const { version } = host.definition;
    const answers = carried?.answers(host.context.wheel.nowMs) ?? [];
    const kept = { version, state, answers, reminders: carried?.reminders ?? [] };
    let text: string;
    try {
      text = encodeRecord(kept, aheadMsOf(this.#entity));
    } catch (error) {
      const { text: reason } = describeError(error);
      throw new CatgaError("STATE_NOT_ENCODABLE", { entity: host.keyOf(this.#key.id), reason });
    }
    checkSizes([{ ...this.#key, data: text }], this.#writer.store.bytesMax);
    return text;
  }
}
