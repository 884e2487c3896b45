/** The hooks of an entity: user code that runs before its first message and after its last one. */
import { CatgaError, describeError } from "../base/errors.ts";
import { isThenable } from "../base/thenable.ts";
import type { PassivationReason } from "./definition.ts";
import { TurnContext, type TurnEntity } from "./turn-context.ts";

/** Runs the activation hook; `ended` hears why the entity cannot come to life, if so. */
export function runActivated(entity: TurnEntity, ended: (error?: CatgaError) => void): void {
  const { definition } = entity.host;
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
    const fields = { entity: entity.host.keyOf(entity.id), reason, error };
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
