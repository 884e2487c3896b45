/** What entities are, when they are right: registers, counters and lists that only grow. */
import type { Operation } from "./history.ts";

/** All that matters of an object at a time. */
export type State = string | number | null;

/** An object that does one operation after the other. */
export interface Sequential<I, O> {
  readonly initial: State;
  /**
   * The state after `operation`, or `undefined` when it cannot have had its output here. Of an
   * operation whose outcome is unknown every output is possible.
   */
  step(state: State, operation: Operation<I, O>): State | undefined;
  /** True when `operation` leaves every state as it is in which it can have had its output. */
  isRead(operation: Operation<I, O>): boolean;
  /** True when nobody could have noticed that `operation`, which is unknown, happened. */
  isUnseen(operation: Operation<I, O>): boolean;
  /** Operations of unknown outcome that do the same, whenever they happen, are of one class. */
  classOf(input: I): string;
  /** A state in a report. */
  textOf(state: State): string;
}

/** Makes the object that all `operations` of one entity, none of which failed, were asked of. */
export type ObjectOf<I, O> = (operations: readonly Operation<I, O>[]) => Sequential<I, O>;

/** What a register holds; nothing at first. */
export type Value = string | number | null;

/** What a register is asked for. */
export type RegisterInput =
  | { readonly type: "read" }
  | { readonly type: "write"; readonly value: Value }
  | { readonly type: "cas"; readonly from: Value; readonly to: Value };

/** The value that was read; whether a compare-and-set was done; of a write nothing that counts. */
export type RegisterOutput = Value | boolean | undefined;

/** A register with compare-and-set. */
export const register: ObjectOf<RegisterInput, RegisterOutput> = (operations) => {
  const seen = new Set<unknown>();
  let isRefused = false;
  for (const { input, outcome } of operations) {
    if (input.type === "cas") {
      seen.add(input.from);
      isRefused ||= outcome.kind === "ok" && outcome.output === false;
    }
    if (input.type === "read" && outcome.kind === "ok") seen.add(outcome.output);
  }
  return {
    initial: null,
    step: registerStep,
    isRead({ input, outcome }) {
      const isRefusal = outcome.kind === "ok" && outcome.output === false;
      return input.type === "read" || (input.type === "cas" && isRefusal);
    },
    isUnseen({ input }) {
      if (input.type === "read") return true;
      // A compare-and-set is refused by any other value, also by one that nobody has seen.
      return !isRefused && !seen.has(input.type === "write" ? input.value : input.to);
    },
    textOf: (state) => JSON.stringify(state),
    // One value that nobody has seen is as good as another one.
    classOf: (input) =>
      JSON.stringify(input, (key, value: unknown) =>
        (key === "value" || key === "to") && !seen.has(value) ? undefined : value,
      ),
  };
};

function registerStep(
  state: State,
  { input, outcome }: Operation<RegisterInput, RegisterOutput>,
): State | undefined {
  const isAnswered = outcome.kind === "ok";
  switch (input.type) {
    case "read":
      return !isAnswered || outcome.output === state ? state : undefined;
    case "write":
      return input.value;
    case "cas": {
      const isDone = state === input.from;
      if (isAnswered && outcome.output !== isDone) return undefined;
      return isDone ? input.to : state;
    }
  }
}

/** What a counter is asked for. */
export type CounterInput = { readonly type: "read" } | { readonly type: "add"; readonly n: number };

/** The count, after it was added to; `undefined` when it was not told. */
export type CounterOutput = number | undefined;

/** A counter that begins with 0. */
export const counter: ObjectOf<CounterInput, CounterOutput> = () => ({
  initial: 0,
  step(state, { input, outcome }) {
    const next = Number(state) + (input.type === "add" ? input.n : 0);
    if (outcome.kind !== "ok" || outcome.output === undefined) return next;
    return outcome.output === next ? next : undefined;
  },
  isRead: ({ input }) => input.type === "read",
  isUnseen: ({ input }) => input.type === "read" || input.n === 0,
  classOf: (input) => (input.type === "add" ? `${input.n}` : "read"),
  textOf: (state) => `${state}`,
});

/** What a list is asked for. */
export type ListInput =
  | { readonly type: "read" }
  | { readonly type: "append"; readonly value: string | number };

/** The list as it was read; after an append its length, or `undefined` when it was not told. */
export type ListOutput = readonly (string | number)[] | number | undefined;

/**
 * A list that only grows, from nothing. The longest one that was read says in which order
 * everything up to it was appended, so its length is all that matters of a state; what was appended
 * beyond it nobody has read.
 */
export const appendList: ObjectOf<ListInput, ListOutput> = (operations) => {
  const outputs = operations.flatMap(({ outcome }) => {
    return outcome.kind === "ok" ? [outcome.output] : [];
  });
  const lists = outputs.filter((output) => Array.isArray(output));
  const longest = lists.reduce((one, other) => (other.length > one.length ? other : one), []);
  const fitting = new Set(lists.filter((list) => list.every((value, i) => value === longest[i])));
  const isLengthTold = outputs.some((output) => typeof output === "number");
  const read = new Set(longest);
  return {
    initial: 0,
    step(state, { input, outcome }) {
      const length = Number(state);
      const output = outcome.kind === "ok" ? outcome.output : undefined;
      if (input.type === "read") {
        if (outcome.kind !== "ok") return length;
        const isThis = Array.isArray(output) && output.length === length && fitting.has(output);
        return isThis ? length : undefined;
      }
      if (length < longest.length && longest[length] !== input.value) return undefined;
      return output === undefined || output === length + 1 ? length + 1 : undefined;
    },
    isRead: ({ input }) => input.type === "read",
    isUnseen: ({ input }) => input.type === "read" || (!isLengthTold && !read.has(input.value)),
    textOf(state) {
      const length = Number(state);
      const next = length < longest.length ? `; next was ${JSON.stringify(longest[length])}` : "";
      const last = length <= longest.length ? longest[length - 1] : "what nobody read";
      if (length === 0) return `an empty list${next}`;
      return `a list of ${length} that ended with ${JSON.stringify(last)}${next}`;
    },
    // Beyond what was read, one value is as good as another one.
    classOf: (input) =>
      input.type === "append" && read.has(input.value) ? JSON.stringify(input.value) : "unread",
  };
};
