/**
 * What makes a command that is sent twice run once: an entity remembers the keys of commands it was
 * given, and what it answered.
 *
 * A command whose key is known is not run: it is answered with what the first one was answered
 * with, or waits for that. An answer is kept for its stated time and travels with the entity. A
 * window that is full refuses rather than forgets. It is stored with the entity, or dies with the
 * memory it is in: then a command that is sent again across the death of an owner has an unknown
 * outcome, since nobody can tell any more whether it ran.
 */
import { CatgaError } from "../base/errors.ts";
import { DEDUP_CHARS_MAX, DEDUP_ENTRIES_MAX, DEDUP_MS } from "../base/limits.ts";
import { charsMaxOfLastCopy, copyPlain } from "../base/plain.ts";
import { isStale } from "../ownership/channel.ts";
import type { MessageSpec } from "./definition.ts";
import type { Resident } from "./owned-shard.ts";
import type { KeptAnswer } from "./packet.ts";
import type { Outcome, Work } from "./work.ts";

/** Why nobody will ever know whether a command ran. */
export const WINDOW_LOST = "the owner's node died, and with it the memory of what it ran";

/** What has an answer told when all that it rests on is stored. */
interface Holder {
  hold(settle: () => void, work: Work): void;
}

/** See the file's header. */
export class DedupWindow {
  readonly #running = new Map<string, KeyedWork>();
  /** In the order of their times. */
  readonly #answers = new Map<string, KeptAnswer & { readonly chars: number }>();
  #chars = 0;

  /** True when nothing is kept any more. */
  isEmpty(nowMs: number): boolean {
    for (const [name, { untilMs, chars }] of this.#answers) {
      if (untilMs > nowMs) break;
      this.#answers.delete(name);
      this.#chars -= chars;
    }
    return this.#answers.size + this.#running.size === 0;
  }

  /** What is to be run for `work`; nothing for one that is answered otherwise. */
  admit(work: Work, entity: Resident, keeper?: Holder): Work | undefined {
    const { host, id, shard } = entity;
    const { nowMs } = host.context.wheel;
    this.isEmpty(nowMs);
    const { type } = work.spec;
    const { key, since } = work.dedup!;
    const name = `${type} ${key}`;
    const answer = this.#answers.get(name);
    if (answer !== undefined) {
      if (keeper === undefined) return settle(work, answer.outcome);
      keeper.hold(() => settle(work, answer.outcome), work);
      return undefined;
    }
    const running = this.#running.get(name);
    if (running !== undefined) {
      const isCycle = entity.awaits(work.chain, running.hasBegun ? running : undefined);
      return isCycle ? settle(work, { error: entity.cycle(work) }) : running.join(work, nowMs);
    }
    // What is stored knows its answers, whoever has died.
    if (keeper === undefined && since > 0 && isStale(since, shard.cleanSince)) {
      const details = { entity: host.keyOf(id), message: type, reason: WINDOW_LOST };
      const error = new CatgaError("OUTCOME_UNKNOWN", details);
      return settle(work, { error });
    }
    const what = `keyed commands of "${host.keyOf(id)}"`;
    if (this.#answers.size >= DEDUP_ENTRIES_MAX) return refuse(work, what, DEDUP_ENTRIES_MAX);
    if (this.#chars >= DEDUP_CHARS_MAX) {
      return refuse(work, `characters of answers to ${what}`, DEDUP_CHARS_MAX);
    }
    const keyed = new KeyedWork(work, (outcome) => {
      this.#running.delete(name);
      const { dedupMs = DEDUP_MS } = host.definition;
      if (outcome !== undefined) this.keep({ name, untilMs: nowMs + dedupMs, outcome });
    });
    this.#running.set(name, keyed);
    return keyed;
  }

  /** What is kept, to be stored or sent elsewhere. */
  answers(nowMs: number): KeptAnswer[] {
    this.isEmpty(nowMs);
    return [...this.#answers.values()];
  }

  /** Keeps an answer. */
  keep({ name, untilMs, outcome }: KeptAnswer): void {
    const copy = "error" in outcome ? outcome : { value: copyPlain(outcome.value) };
    const chars = "error" in outcome ? outcome.error.message.length : charsMaxOfLastCopy();
    // One that has moved is read from the store as well.
    this.#chars += chars - (this.#answers.get(name)?.chars ?? 0);
    this.#answers.set(name, { name, untilMs, outcome: copy, chars });
  }
}

/** A command with a key, in the mailbox: it runs for all that came with the same. */
export class KeyedWork implements Work {
  readonly spec: MessageSpec;
  readonly message: unknown;
  /** Whoever comes later with the same key may want the answer. */
  readonly oneWay: boolean = false;
  readonly deadlineMs: number;
  readonly dedup: undefined = undefined;
  readonly chain: readonly string[] | undefined;
  readonly trace: Work["trace"];
  readonly #settled: (outcome: Outcome | undefined) => void;
  /** Those that came. */
  works: Work[];
  hasBegun = false;
  #isKept = false;

  /** `settled` hears the outcome, or nothing when the command did not run. */
  constructor(work: Work, settled: (outcome: Outcome | undefined) => void) {
    this.spec = work.spec;
    this.message = work.message;
    this.deadlineMs = work.deadlineMs;
    this.chain = work.chain;
    this.trace = work.trace;
    this.works = [work];
    this.#settled = settled;
  }

  /** Lets `work` wait for the same outcome. */
  join(work: Work, nowMs: number): undefined {
    if (!this.hasBegun || work.begin(nowMs)) this.works.push(work);
  }

  begin(nowMs: number): boolean {
    this.hasBegun = true;
    this.works = this.works.filter((work) => work.begin(nowMs));
    if (this.works.length === 0) this.#settled(undefined);
    return this.works.length > 0;
  }

  /** Keeps the outcome before anybody is told: it is stored with what the command did. */
  keep(outcome: Outcome): void {
    if (this.#isKept) return;
    this.#isKept = true;
    // What was refused may be tried again: nothing of it is remembered.
    const isRefused = "error" in outcome && outcome.error.executed === "no";
    this.#settled(isRefused ? undefined : outcome);
  }

  succeed(value: unknown): void {
    this.#settle({ value });
  }

  fail(error: CatgaError): void {
    this.#settle({ error });
  }

  #settle(outcome: Outcome): void {
    this.keep(outcome);
    for (const work of this.works) settle(work, outcome);
  }
}

function refuse(work: Work, what: string, limit: number): undefined {
  return settle(work, { error: new CatgaError("OVERLOADED", { what, limit }) });
}

function settle(work: Work, outcome: Outcome): undefined {
  if ("error" in outcome) work.fail(outcome.error);
  // A copy of its own for each who asked; it also tells the link how long it is.
  else work.succeed(work.oneWay ? undefined : copyPlain(outcome.value));
}
