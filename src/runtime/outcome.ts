/** How turns and hooks of an entity end: answers that are copied, errors that are told. */
import { CatgaError, describeError } from "../base/errors.ts";
import { isThenable } from "../base/thenable.ts";
import { copyPlain } from "../base/plain.ts";
import { replyError } from "./call.ts";
import { type PassivationReason, Refused } from "./definition.ts";
import { TurnContext, type TurnEntity } from "./turn-context.ts";
import type { Work } from "./work.ts";

/** Answers `work` with a copy of `value`, or says why there is none. */
export function answer({ host, id }: TurnEntity, work: Work, value: unknown): void {
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
export function failureOf({ host, id }: TurnEntity, work: Work, error: unknown): CatgaError {
  if (error instanceof Refused) return error.error;
  const details = {
    entity: host.keyOf(id),
    message: work.spec.type,
    ...describeError(error),
  };
  host.context.log.error({ ...details, err: error }, "a handler failed");
  return new CatgaError("HANDLER_FAILED", details);
}

/** Runs the activation hook; `ended` hears why the entity cannot come to life, if so. */
export function runActivated(entity: TurnEntity, ended: (error?: CatgaError) => void): void {
  const { definition } = entity.host;
  const { slices } = entity.host.context;
  // Reading what is stored may have taken the rest of the lease.
  if (!slices.mayRelease()) return slices.later({ resume: () => runActivated(entity, ended) });
  const context = new TurnContext(entity, Number.POSITIVE_INFINITY);
  const failed = (error: unknown): void => {
    const details = { entity: entity.host.keyOf(entity.id), ...describeError(error) };
    ended(new CatgaError("ACTIVATION_FAILED", details, { cause: error }));
  };
  runHook(() => definition.activated?.(context), ended, failed);
}

/** Runs the deactivation hook; how it ended changes nothing. */
export function runDeactivated(
  entity: TurnEntity,
  reason: PassivationReason,
  ended: () => void,
): void {
  const { definition, context } = entity.host;
  const turn = new TurnContext(entity, Number.POSITIVE_INFINITY);
  const failed = (error: unknown): void => {
    const fields = { entity: entity.host.keyOf(entity.id), reason, err: error };
    context.log.error(fields, "a deactivation hook failed");
    ended();
  };
  runHook(() => definition.deactivated?.(turn, reason), ended, failed);
}

/** Runs a hook of user code, which may return a promise. */
function runHook(hook: () => unknown, ended: () => void, failed: (error: unknown) => void): void {
  let result: unknown;
  try {
    result = hook();
  } catch (error) {
    return failed(error);
  }
  if (isThenable(result)) result.then(() => ended(), failed);
  else ended();
}
