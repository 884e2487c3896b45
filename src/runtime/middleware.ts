/**
 * Functions of the user around handlers: the place for logging, validation, authorisation.
 *
 * A message passes them as one row: the first is outermost, and the handler is what the last one
 * calls. The turn of an entity lasts until the handler has ended, whatever the middleware did: one
 * that answers early must not let the next turn overlap with it.
 */
import { CatgaError } from "../base/errors.ts";
import { type EntityDefinition, type MessageSpec, Refused, withRuns } from "./definition.ts";

/** What a {@link Middleware} is told of the message that comes through. */
export interface MiddlewareCall {
  /** The entity type; for a handler the message's own name. */
  readonly target: string;
  readonly type: string;
  /** The entity's id, or the key of a message; a message without a key has none. */
  readonly id?: string;
  /** That of the handler's context. */
  readonly signal: AbortSignal;
}

/**
 * Runs around a handler: `next` runs it, once, and resolves to its reply; what the middleware
 * returns is the reply. One that never calls `next` answers instead of the handler.
 *
 * Schemas are checked inside, nearest to the handler: a refusal comes out of `next`, and a reply
 * that a middleware replaced is not checked again. The entity takes no other command before the
 * handler has ended, even if the middleware answers earlier.
 *
 * What it throws reaches the caller as HANDLER_FAILED, but for a `CatgaError` that kept the handler
 * from running, or the one that came out of a schema: those reach it as they are.
 */
export type Middleware = (call: MiddlewareCall, next: () => Promise<unknown>) => Promise<unknown>;

type Run = MessageSpec["run"];
type Target = Pick<MiddlewareCall, "target" | "type">;

/**
 * `run`, the handler of `at`, with `list` around it; without any the very same function.
 *
 * Apply it twice for two lists: the one applied last is outside.
 */
export function wrapped(run: Run, at: Target, list: readonly Middleware[] = []): Run {
  if (list.length === 0) return run;
  return async (context, message) => {
    const call = callOf(at, context as Context);
    let handling: Promise<unknown> | undefined;
    const inner: { refusal?: Refused } = {};
    let isOver = false;
    const handle = async (): Promise<unknown> => {
      try {
        return await run(context, message);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        inner.refusal = error;
        throw error.error;
      }
    };
    const pass = (index: number): Promise<unknown> => {
      const middleware = list[index];
      if (middleware === undefined) return (handling = handle());
      let isCalled = false;
      return middleware(call, () => {
        if (isCalled || isOver) throw lateCall(at.type, isOver);
        isCalled = true;
        const result = passSafely(index + 1);
        // Whoever does not wait for it does not bring the process down.
        result.catch(() => {});
        return result;
      });
    };
    // A middleware of JavaScript may throw, or return something else than a promise.
    const passSafely = async (index: number): Promise<unknown> => pass(index);
    try {
      return await pass(0);
    } catch (error) {
      const { refusal } = inner;
      if (refusal !== undefined && refusal.error === error) throw refusal;
      if (handling === undefined && error instanceof CatgaError) throw new Refused(error);
      throw error;
    } finally {
      isOver = true;
      await handling?.catch(() => {});
    }
  };
}

/** The entity type with the cluster's middleware around its own: it was defined without. */
export function within(
  definition: EntityDefinition,
  middleware: readonly Middleware[] = [],
): EntityDefinition {
  if (middleware.length === 0) return definition;
  return withRuns(definition, ({ run, type }) =>
    wrapped(run, { target: definition.name, type }, middleware),
  );
}

/** @throws {TypeError} when `list` is not a list of functions; `where` says whose it is. */
export function checkMiddleware(list: readonly Middleware[] | undefined, where: string): void {
  if (list === undefined) return;
  if (Array.isArray(list) && list.every((each) => typeof each === "function")) return;
  throw new TypeError(`Cannot ${where}: middleware must be a list of functions`);
}

/** What the contexts of entities and of handlers have. */
type Context = Pick<MiddlewareCall, "id" | "signal">;

function callOf({ target, type }: Target, context: Context): MiddlewareCall {
  const { id } = context;
  return {
    target,
    type,
    ...(id !== undefined && { id }),
    // Made when it is asked for: most never do.
    get signal() {
      return context.signal;
    },
  };
}

function lateCall(type: string, isOver: boolean): TypeError {
  const why = isOver ? "the middleware had answered before" : "it was called before";
  return new TypeError(`Cannot call next() for "${type}": ${why}`);
}
