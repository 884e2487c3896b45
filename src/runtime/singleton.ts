/**
 * Tasks that run on the leader only.
 *
 * The leader is whoever one record of the authority names. A task runs while that record names this
 * node's session and the session's lease holds by this node's clock; its signal aborts when either
 * ends. So two never run under valid leases:
 *
 * - a leader that dies, stands still or is cut off is followed by another one when its session is
 *   over, and nobody declares that before its lease has ended (L5);
 * - one that leaves names its heir, or says that it has left, after its tasks have ended;
 * - a lease that lapses and is renewed goes on with the same leadership, but a task begins again
 *   only after its last run has ended, however long that takes after its signal; so it does when
 *   this process has joined anew.
 */
import { backoffMs } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { RETRY, TASK_STUCK_MS } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import type { Events } from "./events.ts";

/** What the leader does; see `singleton` of the cluster. */
export type SingletonTask = (signal: AbortSignal) => unknown;

/** The node that may be the leader. */
interface Place {
  /** The record that makes it the leader, while it may act as that; each term has its own. */
  readonly leadership: object | undefined;
  readonly leaseLeftMs: number;
}

interface World {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly events: Events;
}

/** Those of one process: they outlast its nodes. See the file's header. */
export class Singletons {
  readonly #world: World;
  readonly #byName = new Map<string, Singleton>();
  #place: Place | undefined;
  #isStopped = false;

  constructor(world: World) {
    this.#world = world;
  }

  /** Has `task` run while this process leads; the result ends that. @throws {TypeError} */
  add(name: string, task: SingletonTask): () => void {
    if (typeof name !== "string" || name === "") {
      throw new TypeError("Cannot add a singleton without a name: write a text");
    }
    if (typeof task !== "function") {
      throw new TypeError(`Cannot add singleton "${name}": its task must be a function`);
    }
    let singleton = this.#byName.get(name);
    if (singleton?.registered !== undefined) {
      throw new TypeError(`Cannot add singleton "${name}" twice`);
    }
    singleton ??= new Singleton(name, this.#world, () => this.#look(name));
    const registered = { task };
    singleton.registered = registered;
    this.#byName.set(name, singleton);
    this.#look(name);
    return () => {
      if (singleton.registered !== registered) return;
      singleton.registered = undefined;
      // A run that goes on stays known: the next one of this name waits for it.
      this.#look(name);
    };
  }

  /** The leadership of `place` may have changed, or its lease. */
  look(place: Place): void {
    this.#place = place;
    for (const name of this.#byName.keys()) this.#look(name);
  }

  /** Ends all tasks for good; resolves when they have ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    const running = [...this.#byName.values()];
    for (const { name } of running) this.#look(name);
    await Promise.all(running.map(({ ended }) => ended));
  }

  #look(name: string): void {
    const singleton = this.#byName.get(name);
    singleton?.look(this.#isStopped ? undefined : this.#place);
    if (singleton?.isOver === true) this.#byName.delete(name);
  }
}

/** One of its runs. */
interface Run {
  readonly leadership: object;
  readonly controller: AbortController;
  cancel: () => void;
}

class Singleton {
  readonly name: string;
  /** What is to run, or nothing any more. */
  registered: { readonly task: SingletonTask } | undefined;
  /** Resolves when nothing runs. */
  ended: Promise<void> = Promise.resolve();
  readonly #world: World;
  readonly #changed: () => void;
  #run: Run | undefined;
  /** The term in which it came to its end by itself. */
  #doneIn: object | undefined;
  #tries = 0;
  #cancelWait: (() => void) | undefined;

  constructor(name: string, world: World, changed: () => void) {
    this.name = name;
    this.#world = world;
    this.#changed = changed;
  }

  get isOver(): boolean {
    return this.registered === undefined && this.#run === undefined;
  }

  /** Without a place it is over for good. */
  look(place: Place | undefined): void {
    const leadership = this.registered && place?.leadership;
    if (leadership === undefined) this.#stopWaiting();
    if (this.#run !== undefined) {
      if (this.#run.leadership !== leadership) this.#abort(this.#run, place);
    } else if (leadership !== undefined && leadership !== this.#doneIn && !this.#cancelWait) {
      const run = { leadership, controller: new AbortController(), cancel: () => {} };
      this.#run = run;
      this.#guard(run, place!);
      this.ended = this.#begin(run, place!);
    }
  }

  /** Never rejects. */
  async #begin(run: Run, place: Place): Promise<void> {
    const { clock, log } = this.#world;
    const { signal } = run.controller;
    const startedMs = clock.nowMs();
    // Not on the stack of whoever brought the news.
    await Promise.resolve();
    try {
      const mayBegin = !signal.aborted && place.leadership === run.leadership;
      if (mayBegin) await this.registered?.task(signal);
      if (mayBegin && !signal.aborted) this.#doneIn = run.leadership;
    } catch (error) {
      // What a task throws because it was told to end is no failure.
      const isAsked = signal.aborted && (error as Error | null)?.name === "AbortError";
      if (!isAsked) log.error({ err: error, singleton: this.name }, "a singleton failed");
      if (!signal.aborted) this.#wait(clock.nowMs() - startedMs);
    }
    run.cancel();
    this.#run = undefined;
    this.#changed();
  }

  /** Tries again later, as long as this node leads. */
  #wait(ranMs: number): void {
    const { clock, random } = this.#world;
    if (ranMs > RETRY.longestMs) this.#tries = 0;
    this.#cancelWait = clock.after(backoffMs(this.#tries++, RETRY, random), () => {
      this.#stopWaiting();
      this.#changed();
    });
  }

  #stopWaiting(): void {
    this.#cancelWait?.();
    this.#cancelWait = undefined;
  }

  /** The lease ends at its moment, whatever else happens. */
  #guard(run: Run, place: Place): void {
    run.cancel = this.#world.clock.after(Math.max(0, place.leaseLeftMs), () => {
      if (place.leadership === run.leadership) this.#guard(run, place);
      else this.#abort(run, place);
    });
  }

  #abort(run: Run, place: Place | undefined): void {
    if (run.controller.signal.aborted && place !== undefined) return;
    run.cancel();
    if (place !== undefined) {
      const { clock, events } = this.#world;
      const what = `singleton "${this.name}", whose signal has aborted`;
      const stuck = { what, sinceMs: TASK_STUCK_MS };
      run.cancel = clock.after(TASK_STUCK_MS, () => events.emit("stuck", stuck));
    }
    run.controller.abort();
  }
}
