/** Histories of many entities, and what is wrong with them as a person can read it. */
import { checkEntity, type Effort, type Verdict } from "./checker.ts";
import type { Operation } from "./history.ts";
import type { ObjectOf } from "./objects.ts";

const PENDING_MAX = 12;
const STATES_MAX = 6;
const TEXT_CHARS_MAX = 160;

/** Everything that is wrong with any entity, as text; nothing when all is well. */
export function checkAll<I, O>(
  all: readonly Operation<I, O>[],
  objectOf: ObjectOf<I, O>,
  effort: Effort = {},
): string[] {
  const byEntity = new Map<string, Operation<I, O>[]>();
  for (const operation of all) {
    const own = byEntity.get(operation.entity) ?? [];
    byEntity.set(operation.entity, own);
    own.push(operation);
  }
  return [...byEntity].flatMap(([entity, operations]) => {
    const verdict = checkEntity(operations, objectOf, effort);
    return verdict.kind === "linearizable" ? [] : [`${entity}: ${describe(verdict)}`];
  });
}

/** What was found of one entity, with what it takes to see why. */
export function describe<I, O>(verdict: Verdict<I, O>): string {
  if (verdict.kind === "linearizable") return "linearizable";
  const { operation } = verdict;
  if (verdict.kind === "undecided") return `undecided: too many ways before ${textOf(operation)}`;
  const { states, pending, before } = verdict.scene;
  const others = pending.filter((each) => each !== operation);
  return [
    `not linearizable: no order explains ${textOf(operation)}`,
    `  it may have met ${list(states.slice(0, STATES_MAX))}`,
    `  before it ${list(before.map(textOf))}`,
    `  beside it ${list(others.slice(0, PENDING_MAX).map(textOf))}`,
    ...(others.length > PENDING_MAX ? [`  and ${others.length - PENDING_MAX} more`] : []),
  ].join("\n");
}

function textOf<I, O>({ input, at, outcome }: Operation<I, O>): string {
  const end = outcome.kind === "ok" ? `${outcome.at}` : "";
  const output = outcome.kind === "ok" ? short(outcome.output) : outcome.kind;
  return `${short(input)} -> ${output} (${at}..${end})`;
}

function short(value: unknown): string {
  const text = JSON.stringify(value) ?? "done";
  const half = TEXT_CHARS_MAX / 2;
  return text.length <= TEXT_CHARS_MAX ? text : `${text.slice(0, half)}…${text.slice(-half)}`;
}

function list(texts: readonly string[]): string {
  return texts.length === 0 ? "nothing" : texts.join("\n    ");
}
