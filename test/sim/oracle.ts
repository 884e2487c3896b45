/**
 * The oracle: it sees the turns of the entities under test begin and end, and knows what must never
 * be, whatever fails. No message runs twice or out of order, no entity has two turns on nodes that
 * may both act, no state is older than one that was seen, and whatever was answered has run.
 */
import { command, defineEntity } from "../../src/index.ts";

/** A message to an entity under test. */
export interface Message {
  readonly id: string;
  readonly from: string;
  /** Counts the messages of `from` to this entity, from 1. */
  readonly n: number;
}

/** What the oracle asks of the cluster. */
export interface Watched {
  /** True for a node that lives and holds its lease. */
  readonly mayAct: (node: string) => boolean;
  /** True when a node may have died with what it knew. */
  readonly mayForget: () => boolean;
}

/** Where a turn runs. */
export interface Place {
  readonly node: string;
  /** Aborted when the session of the node is over; another one of the same name may live then. */
  readonly signal: AbortSignal;
}

interface Turn extends Message {
  readonly place: Place;
  /** How often the entity's state was changed, this turn included. */
  readonly version: number;
}

/** The entity under test. */
export type Probe = ReturnType<Oracle["probe"]>;

/** See the file's header. */
export class Oracle {
  readonly violations: string[] = [];
  /** Turns that run, by entity. */
  readonly #running = new Map<string, Place>();
  /** What has run, by entity and sender: the numbers, in their order. */
  readonly #ran = new Map<string, number[]>();
  /** What ended while its node could not act. */
  readonly #held = new Map<string, string>();
  /** How often the state of each entity was changed. */
  readonly #versions = new Map<string, number>();
  readonly #watched: Watched;

  constructor(watched: Watched) {
    this.#watched = watched;
  }

  /** An entity that tells when its turns begin and end; `pause` makes a turn last. */
  probe(pause: (node: string, ms: number) => Promise<void>) {
    const begin = (...turn: Parameters<Oracle["begin"]>): void => this.begin(...turn);
    const end = (turn: Turn): void => this.#end(turn);
    return defineEntity("probe", {
      messages: { add: command<{ from: string; n: number; ms: number }, number>() },
      state: () => ({ version: 0 }),
      handlers: {
        async add(ctx, { from, n, ms }) {
          const { id, node, signal } = ctx;
          const place = { node, signal };
          begin(id, place, ctx.state.version);
          if (ms > 0) await pause(node, ms);
          const version = ++ctx.state.version;
          end({ id, place, version, from, n });
          return n;
        },
      },
    });
  }

  /** A turn begins, on a state of `version`. */
  begin(id: string, place: Place, version: number): void {
    const { node } = place;
    // A state that died with its owner begins anew; any other is the last one.
    if (version === 0 && this.#watched.mayForget()) this.#versions.delete(id);
    const latest = this.#versions.get(id) ?? 0;
    if (version < latest) this.violate(`${id}: state ${version} on ${node} after ${latest}`);
    const other = this.#running.get(id);
    const isOver = other === undefined || other.signal.aborted;
    if (!isOver && (other.node === node || this.#watched.mayAct(other.node))) {
      this.violate(`${id} has a turn on ${node} while one runs on ${other.node}`);
    }
    if (!this.#mayAct(place)) this.violate(`${id} has a turn on ${node}, which may not act`);
    this.#running.set(id, place);
  }

  /** The sender of `message` has its answer. */
  answered({ id, from, n }: Message): void {
    const key = `${id} of ${from}`;
    const hasRun = this.hasRun({ id, from, n });
    const heldBy = this.#held.get(`${key} ${n}`);
    const wasHeld = heldBy !== undefined;
    if (heldBy === from && !this.#watched.mayAct(from)) {
      this.violate(`${key}: answer ${n} left ${from}, which may not act`);
    }
    if (!hasRun && !wasHeld) this.violate(`${key}: message ${n} answered, not run`);
    if (hasRun && wasHeld) this.violate(`${key}: message ${n} ran twice, once held back`);
  }

  /** True when `message` has run on a node that might act. */
  hasRun({ id, from, n }: Message): boolean {
    return this.#ran.get(`${id} of ${from}`)?.includes(n) === true;
  }

  /** Takes down what must not be. */
  violate(text: string): void {
    this.violations.push(text);
  }

  #mayAct({ node, signal }: Place): boolean {
    return !signal.aborted && this.#watched.mayAct(node);
  }

  #end({ id, place, version, from, n }: Turn): void {
    if (this.#running.get(id) === place) this.#running.delete(id);
    if (from === "") return;
    const key = `${id} of ${from}`;
    // A turn that outlived its lease: nobody sees what it did, unless the lease is renewed after
    // all.
    if (!this.#mayAct(place)) return void this.#held.set(`${key} ${n}`, place.node);
    this.#versions.set(id, version);
    const ran = this.#ran.get(key) ?? [];
    this.#ran.set(key, ran);
    if (ran.includes(n)) this.violate(`${key}: message ${n} ran twice`);
    else if (n < (ran.at(-1) ?? 0)) this.violate(`${key}: message ${n} ran after ${ran.at(-1)}`);
    ran.push(n);
  }
}
