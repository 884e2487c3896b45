/**
 * The turns of one entity: those that run, those that wait in its mailbox, and who waits for them.
 *
 * A call carries its chain: the turns that wait for its answer, the oldest first. A link names the
 * entity and the turn, by the epoch and a number that no other turn of that ownership has. So the
 * owner of an entity sees whether a message that would have to wait for a turn comes from that very
 * turn; that the entity is in the chain does not suffice, for a turn may have sent without waiting,
 * and be over, while another one runs. A turn gets its link with its first reference: who sends
 * nothing is in no chain.
 *
 * Not seen are chains that cross: two turns, begun apart, each of which calls the other's entity.
 */
import Denque from "denque";
import { CatgaError } from "../base/errors.ts";
import { WheelEntry } from "../base/timer-wheel.ts";
import type { Wait } from "../base/waits.ts";
import type { Subject } from "./call.ts";
import { countEnd, countTime } from "./counts.ts";
import type { MessageSpec } from "./definition.ts";
import { KeyedWork } from "./dedup-window.ts";
import type { EntityHome, Waiter } from "./entity-home.ts";
import type { OwnedShard } from "./owned-shard.ts";
import type { Work } from "./work.ts";

/** What a turn runs for: a message, or a hook. */
export type Turn = Pick<Work, "deadlineMs" | "chain" | "pushes">;

/** Stands behind the entity's key, in which there is no control character. */
const MARK = "\t";

/** See the file's header. */
export abstract class Turns extends WheelEntry {
  abstract readonly id: string;
  abstract readonly host: EntityHome;
  abstract readonly shard: OwnedShard;
  protected abstract readonly isLive: boolean;
  /** That run: more than one only of a reentrant entity. Hooks count. */
  protected commands = 0;
  protected queries = 0;
  /** When its last turn began or ended. */
  protected usedMs = 0;
  #waiting: Denque<Wait<Waiter, Work>> | undefined;
  /** Those that others may wait for, by their links; made for the first one. */
  #linked: Map<string, Turn> | undefined;

  /** What it is, to those who do not know entities. */
  protected get place(): Pick<Subject, "entity" | "id"> {
    return { entity: this.host.definition.name, id: this.id };
  }

  get running(): number {
    return this.commands > 0 ? -1 : this.queries;
  }

  get waitingCount(): number {
    return this.#waiting?.length ?? 0;
  }

  /** The message whose turn is next. */
  get next(): Work | undefined {
    return this.#waiting?.peekAt(0)?.work;
  }

  protected takeNext(): Work | undefined {
    const wait = this.#waiting?.shift();
    if (wait !== undefined) this.#waited(wait);
    return wait?.work;
  }

  /** Takes everything that waits. */
  protected takeAll(): readonly Work[] {
    const waiting = this.#waiting?.toArray() ?? [];
    this.#waiting = undefined;
    for (const wait of waiting) this.#waited(wait);
    return waiting.flatMap(({ work }) => (work instanceof KeyedWork ? work.works : [work]));
  }

  #waited(wait: Wait<Waiter, Work>): void {
    this.host.waiting.end(wait);
    this.host.context.tracer?.waited(wait.work);
  }

  /** A turn begins, or ends. */
  protected count({ kind }: MessageSpec, by: 1 | -1): void {
    if (kind === "query") this.queries += by;
    else this.commands += by;
  }

  /** Nobody wants the answer any more; the caller has entered the slice. */
  protected skip({ counts }: MessageSpec): void {
    counts.expired++;
    this.host.context.slices.leave();
  }

  /** The promise of a turn has settled. */
  protected settled(wait: Wait<Waiter, Work>): void {
    this.host.running.end(wait);
    this.usedMs = wait.sinceMs;
    // Of what is answered the clock is read before that.
    if (wait.work.oneWay) this.host.context.slices.read();
  }

  /** A turn is over; for so long it has run. */
  protected ended({ spec, oneWay }: Work, error: CatgaError | undefined): number {
    this.count(spec, -1);
    const tookMs = this.host.context.slices.nowMs - this.usedMs;
    countEnd(spec.counts, error);
    if (!oneWay || tookMs > 0) countTime(spec.counts, tookMs);
    return tookMs;
  }

  /** Lets a message wait behind the others; `true`: ahead of them, for a turn here waits for it. */
  protected enqueue(work: Work): boolean {
    this.#waiting ??= new Denque();
    const { waiting, context } = this.host;
    const wait = waiting.begin(this, work, context.slices.nowMs);
    const isAwaited = this.awaits(work.chain);
    if (isAwaited) {
      let place = 0;
      while (this.awaits(this.#waiting.peekAt(place)?.work.chain)) place++;
      this.#waiting.splice(place, 0, wait);
    } else {
      this.#waiting.push(wait);
    }
    return isAwaited;
  }

  /** The slice of the event loop was entered. */
  protected abstract start(work: Work): void;

  /**
   * A call that a turn here waits for runs beside it, or would wait for ever. Not at once: the turn
   * may still be on the stack, and not wait yet, or never.
   */
  protected hasten(): void {
    const { definition, context } = this.host;
    for (let work; (work = this.next) !== undefined && this.awaits(work.chain);) {
      const isBeside = definition.reentrant || (work.spec.kind === "query" && this.running > 0);
      const mayJoin = isBeside && this.isLive;
      if (mayJoin && !context.slices.enter()) {
        return context.slices.later({ resume: () => this.hasten() });
      }
      this.takeNext();
      if (mayJoin) this.start(work);
      else work.fail(this.cycle(work));
    }
  }

  /** The chain of what `turn` sends. */
  chainOf(turn: Turn): readonly string[] {
    const { host, id, shard } = this;
    const link = `${host.keyOf(id)}${MARK}${shard.epoch}.${++shard.links}`;
    this.#linked ??= new Map();
    this.#linked.set(link, turn);
    return [...(turn.chain ?? []), link];
  }

  /** The last turn of `chain` has ended. */
  unlink(chain: readonly string[]): void {
    this.#linked?.delete(chain.at(-1)!);
  }

  awaits(chain: Turn["chain"], turn?: object): boolean {
    const linked = this.#linked;
    if (chain === undefined || linked === undefined || linked.size === 0) return false;
    return chain.some((link) => {
      const found = linked.get(link);
      return found !== undefined && (turn === undefined || turn === found);
    });
  }

  cycle({ chain = [], spec }: Work): CatgaError {
    const entity = this.host.keyOf(this.id);
    const first = chain.findIndex((link) => this.#linked?.has(link));
    const keys = chain.slice(first).map((link) => link.split(MARK)[0]);
    const cycle = [...keys, entity].join(" → ");
    return new CatgaError("CALL_CYCLE", { entity, message: spec.type, cycle });
  }
}
