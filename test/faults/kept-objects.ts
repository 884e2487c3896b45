/**
 * Registers, counters and lists under a load of which everything is known: each is asked by several
 * lanes at the same time, and what they saw is judged by the checker of linearizability.
 */
import type { Messages, Target } from "../../src/index.ts";
import { Recorder } from "../linearizability/history.ts";
import {
  appendList,
  counter,
  type CounterInput,
  type CounterOutput,
  type ListInput,
  type ListOutput,
  type ObjectOf,
  register,
  type RegisterInput,
  type RegisterOutput,
} from "../linearizability/objects.ts";
import { checkAll } from "../linearizability/report.ts";
import type { KeptCaller, Step } from "./kept-caller.ts";
import { Counter, List, Register } from "./kept.ts";

const OBJECTS = 4;
const LANES = 3;

/** What is asked of objects of one kind, and what they should be. */
interface Kind<I, O> {
  readonly target: Target<Messages>;
  readonly objectOf: ObjectOf<I, O>;
  /** What to ask next; `n` is given out once, `seen` is the last output of the lane. */
  readonly next: (n: number, seen: O | undefined) => I;
}

const REGISTER: Kind<RegisterInput, RegisterOutput> = {
  target: Register,
  objectOf: register,
  next(n, seen) {
    if (n % 3 === 0) return { type: "read" };
    if (n % 3 === 1) return { type: "write", value: n };
    return {
      type: "cas",
      from: typeof seen === "boolean" ? null : (seen ?? null),
      to: n,
    };
  },
};

const COUNTER: Kind<CounterInput, CounterOutput> = {
  target: Counter,
  objectOf: counter,
  next: (n) => (n % 4 === 0 ? { type: "read" } : { type: "add", n: (n % 2) + 1 }),
};

const LIST: Kind<ListInput, ListOutput> = {
  target: List,
  objectOf: appendList,
  next: (n) => (n % 3 === 0 ? { type: "read" } : { type: "append", value: `${n}` }),
};

/** Objects of all kinds. */
export class KeptObjects {
  readonly #loads = [new Load(REGISTER), new Load(COUNTER), new Load(LIST)];

  /** What lanes do. */
  steps(caller: KeptCaller): Step[] {
    return this.#loads.flatMap((load) => load.steps(caller));
  }

  /** How many operations there were, and of how many the outcome is unknown. */
  get counts(): { readonly all: number; readonly unknown: number } {
    const all = this.#loads.flatMap((load) => load.outcomes());
    return { all: all.length, unknown: all.filter((kind) => kind === "unknown").length };
  }

  /** Everything that is wrong, after one more look at each object. */
  async judge(caller: KeptCaller): Promise<string[]> {
    const wrong: string[] = [];
    for (const load of this.#loads) wrong.push(...(await load.judge(caller)));
    return wrong;
  }
}

/** Objects of one kind. */
class Load<I extends { readonly type: string }, O> {
  readonly #kind: Kind<I, O>;
  readonly #recorder = new Recorder<I, O>(() => performance.now());
  #n = 0;

  constructor(kind: Kind<I, O>) {
    this.#kind = kind;
  }

  get #ids(): string[] {
    return Array.from({ length: OBJECTS }, (_, n) => `o${n}`);
  }

  steps(caller: KeptCaller): Step[] {
    return this.#ids.flatMap((id) => Array.from({ length: LANES }, () => this.#lane(caller, id)));
  }

  outcomes(): string[] {
    return this.#recorder.operations.map(({ outcome }) => outcome.kind);
  }

  async judge(caller: KeptCaller): Promise<string[]> {
    const { target, objectOf } = this.#kind;
    const input = { type: "read" } as unknown as I;
    for (const entity of this.#ids) {
      await this.#recorder.call({ entity, input }, () => caller.insist(target, entity, input));
    }
    const wrong = checkAll(this.#recorder.operations, objectOf);
    return wrong.map((text) => `${target.name} ${text}`);
  }

  #lane(caller: KeptCaller, entity: string): Step {
    const { target, next } = this.#kind;
    let seen: O | undefined;
    return async () => {
      const input = next(this.#n++, seen);
      let isAnswered = false;
      seen = await this.#recorder.call({ entity, input }, async () => {
        const output = await caller.ask<O>(target, entity, input);
        isAnswered = true;
        return output;
      });
      return isAnswered;
    };
  }
}
