/** Histories as tests write them: what each caller does, drawn above a line of time. */
import type { Operation, Outcome } from "./history.ts";
import type { CounterInput, CounterOutput, ListInput, ListOutput } from "./objects.ts";
import type { RegisterInput, RegisterOutput, Value } from "./objects.ts";

/** From when, until when; without an end its outcome is unknown, `failed` means never. */
export type Span = readonly [from: number, to?: number | "failed"];

/** An operation on a register. */
export type OnRegister = Operation<RegisterInput, RegisterOutput>;
/** An operation on a counter. */
export type OnCounter = Operation<CounterInput, CounterOutput>;
/** An operation on a list. */
export type OnList = Operation<ListInput, ListOutput>;

/** A value was written. */
export function write(value: Value, span: Span): OnRegister {
  return operation<RegisterInput, RegisterOutput>({ type: "write", value }, span, undefined);
}

/** A value was read. */
export function read(value: Value, span: Span): OnRegister {
  return operation<RegisterInput, RegisterOutput>({ type: "read" }, span, value);
}

/** A value was replaced by another one, or was not because it was not there. */
export function cas(
  change: readonly [from: Value, to: Value, isDone?: boolean],
  span: Span,
): OnRegister {
  const [from, to, isDone = true] = change;
  return operation<RegisterInput, RegisterOutput>({ type: "cas", from, to }, span, isDone);
}

/** So much was added, and the count was told, or was not. */
export function add(n: number, span: Span, count?: number): OnCounter {
  return operation<CounterInput, CounterOutput>({ type: "add", n }, span, count);
}

/** A count was read. */
export function count(value: number, span: Span): OnCounter {
  return operation<CounterInput, CounterOutput>({ type: "read" }, span, value);
}

/** Something was appended, and the length was told, or was not. */
export function append(value: string | number, span: Span, length?: number): OnList {
  return operation<ListInput, ListOutput>({ type: "append", value }, span, length);
}

/** A list was read; each character is an element. */
export function list(values: string, span: Span): OnList {
  return operation<ListInput, ListOutput>({ type: "read" }, span, values.split(""));
}

function operation<I, O>(input: I, [at, end]: Span, output: O): Operation<I, O> {
  return { entity: "e", input, at, outcome: outcomeOf(end, output) };
}

function outcomeOf<O>(end: Span[1], output: O): Outcome<O> {
  if (end === "failed") return { kind: "failed" };
  return end === undefined ? { kind: "unknown" } : { kind: "ok", at: end, output };
}
