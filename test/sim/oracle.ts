/**
 * The oracle of the simulator: an entity that tells it when its turns begin and end, and the rules
 * that hold whatever fails. No message runs twice or out of order, no entity has two turns on nodes
 * that may both act, no state is older than one that was seen, nothing is answered that has not
 * run, and no answer leaves a node that may not act.
 */
import { command, defineEntity } from "../../src/index.ts";

/** A turn that has ended. */
interface Turn {
  readonly id: string;
  readonly node: string;
  /** How often the entity's state was changed, this turn included. */
  readonly version: number;
  readonly from: string;
  readonly n: number;
}

/** What the oracle has to know of a schedule. */
interface Circumstances {
  /** True for a node that lives and has its lease. */
  readonly mayAct: (node: string) => boolean;
  /** True when nodes die, and states with them. */
  readonly mayLose: boolean;
}

/** See the file's header. */
export class Oracle {
  /** What must not have been. */
  readonly violations: string[] = [];
  readonly #mayAct: (node: string) => boolean;
  readonly #mayLose: boolean;
  /** Turns that run, by entity. */
  readonly #running = new Map<string, string>();
  /** What has run, by entity and sender: the numbers, in their order. */
  readonly #ran = new Map<string, number[]>();
  /** What ended while its node could not act. */
  readonly #held = new Map<string, string>();
  /** How often the state of each entity was changed. */
  readonly #versions = new Map<string, number>();

  constructor({ mayAct, mayLose }: Circumstances) {
    this.#mayAct = mayAct;
    this.#mayLose = mayLose;
  }

  /** A rule was broken. */
  violate(text: string): void {
    this.violations.push(text);
  }

  /** A turn begins, on a state of `version`. */
  begin(id: string, node: string, version: number): void {
    // A state that died with its owner begins anew; any other is the last one.
    if (version === 0 && this.#mayLose) this.#versions.delete(id);
    const latest = this.#versions.get(id) ?? 0;
    if (version < latest) this.violate(`${id}: state ${version} on ${node} after ${latest}`);
    const other = this.#running.get(id);
    if (other !== undefined && (other === node || this.#mayAct(other))) {
      this.violate(`${id} has a turn on ${node} while one runs on ${other}`);
    }
    if (!this.#mayAct(node)) this.violate(`${id} has a turn on ${node}, which may not act`);
    this.#running.set(id, node);
  }

  /** The turn that handled message `n` of `from` ends. */
  end({ id, node, version, from, n }: Turn): void {
    if (this.#running.get(id) === node) this.#running.delete(id);
    if (from === "") return;
    const key = `${id} of ${from}`;
    // A turn that outlived its lease: nobody sees what it did, unless the lease is renewed after
    // all.
    if (!this.#mayAct(node)) return void this.#held.set(`${key} ${n}`, node);
    this.#versions.set(id, version);
    const ran = this.#ran.get(key) ?? [];
    this.#ran.set(key, ran);
    if (ran.includes(n)) this.violate(`${key}: message ${n} ran twice`);
    else if (n < (ran.at(-1) ?? 0)) this.violate(`${key}: message ${n} ran after ${ran.at(-1)}`);
    ran.push(n);
  }

  /** Message `n` of `key`, an entity and a sender, was answered to that sender. */
  answered(key: string, n: number, from: string): void {
    const hasRun = this.#ran.get(key)?.includes(n) === true;
    const heldBy = this.#held.get(`${key} ${n}`);
    const wasHeld = heldBy !== undefined;
    if (heldBy === from && !this.#mayAct(from)) {
      this.violate(`${key}: answer ${n} left ${from}, which may not act`);
    }
    if (!hasRun && !wasHeld) this.violate(`${key}: message ${n} answered, not run`);
    if (hasRun && wasHeld) this.violate(`${key}: message ${n} ran twice, once held back`);
  }
}

/** The entity under test. */
export type Probe = ReturnType<typeof probeOf>;

/** An entity that counts its turns and tells `oracle`; `pause` is a timer of a node. */
export function probeOf(oracle: Oracle, pause: (node: string, ms: number) => Promise<void>) {
  return defineEntity("probe", {
    messages: { add: command<{ from: string; n: number; ms: number }, number>() },
    state: () => ({ version: 0 }),
    handlers: {
      async add(ctx, { from, n, ms }) {
        oracle.begin(ctx.id, ctx.node, ctx.state.version);
        if (ms > 0) await pause(ctx.node, ms);
        const version = ++ctx.state.version;
        oracle.end({ id: ctx.id, node: ctx.node, version, from, n });
        return n;
      },
    },
  });
}
