/** How turns of an entity end: answers that are copied, errors that are told. */
import { type CatgaError, failed } from "../base/errors.ts";
import { copyPlain } from "../base/plain.ts";
import { traceFields } from "../protocol/trace.ts";
import { replyError } from "./call.ts";
import { Refused } from "./definition.ts";
import type { Resident } from "./owned-shard.ts";
import type { Outcome, Work } from "./work.ts";

/** Ends `work`: who watches is told what it has pushed, and its caller the answer. */
export function finish(entity: Resident, work: Work, value: unknown): void {
  if (work.pushes !== undefined) entity.shard.push(entity, work.pushes);
  answer(entity, work, value);
}

/** Answers `work` with a copy of `value`, or says why there is none. */
export function answer({ host, id }: Resident, work: Work, value: unknown): void {
  if (work.oneWay) return work.succeed(undefined);
  let copy: unknown;
  try {
    copy = copyPlain(value);
  } catch (error) {
    const subject = { entity: host.definition.name, id, type: work.spec.type };
    return work.fail(replyError(subject, error));
  }
  work.succeed(copy);
}

/** What the caller of a handler that threw is told; the log hears all of it. */
export function failureOf({ host, id }: Resident, work: Work, error: unknown): CatgaError {
  if (error instanceof Refused) return error.error;
  const failure = failed({ entity: host.keyOf(id), message: work.spec.type }, error);
  const { code } = failure;
  const details = { ...failure.details, ...traceFields(work.trace) };
  if (code !== "REJECTED") host.context.log.error({ ...details, err: error }, "a handler failed");
  return failure;
}

/** How a turn ended; its value is copied now, for the next turn may change it. */
export function outcomeOf(error: CatgaError | undefined, value: unknown): Outcome {
  if (error !== undefined) return { error };
  try {
    return { value: copyPlain(value) };
  } catch {
    return { value }; // Whoever answers finds the same, and says so.
  }
}
