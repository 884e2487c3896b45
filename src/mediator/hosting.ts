/**
 * What the handlers of a node become: those of messages with a key the only message of an entity
 * type without a state, so that they have owners, handoffs, order and dedup windows like any other;
 * the rest is called on whichever node has it.
 */
import { CatgaError } from "../base/errors.ts";
import { MAILBOX_CAPACITY } from "../base/limits.ts";
import { isThenable } from "../base/thenable.ts";
import { handlerEntity } from "../protocol/ids.ts";
import {
  type EntityDefinition,
  type HandlerSpec,
  type MessageSpec,
  Refused,
} from "../runtime/definition.ts";
import type { NamedSpec } from "./definition.ts";

type Run = MessageSpec["run"];

/** A handler of this node, with all that stands around it. */
export interface Handling {
  readonly spec: NamedSpec;
  readonly run: Run;
}

/** What a node is started with. */
export interface Hosting {
  readonly entities: EntityDefinition[];
  readonly handlers: HandlerSpec[];
}

/** The owner of a key forgets it so long after its last message: it has nothing to remember. */
const KEY_IDLE_MS = 1_000;

/** See the file's header. */
export function hostingOf(handlings: readonly Handling[]): Hosting {
  const entities: EntityDefinition[] = [];
  const handlers: HandlerSpec[] = [];
  for (const { spec, run } of handlings) {
    const { type, timeoutMs } = spec;
    const kind = spec.kind === "query" ? "query" : "command";
    const message = { type, kind, timeoutMs, run: bounded(spec, run) } as const;
    if (spec.route.to === "owner") entities.push(keyedEntity(spec, message));
    else handlers.push(message);
  }
  return { entities, handlers };
}

function keyedEntity({ type, idempotency }: NamedSpec, message: MessageSpec): EntityDefinition {
  return {
    name: handlerEntity(type),
    messages: new Map([[type, message]]),
    idleMs: KEY_IDLE_MS,
    mailboxCapacity: MAILBOX_CAPACITY,
    dedupMs: idempotency?.windowMs,
    state: () => undefined,
    persistence: "none",
    version: 1,
    reentrant: false,
    migrate: undefined,
    activated: undefined,
    deactivated: undefined,
  };
}

/** The bulkhead: `run`, so many times at once. */
function bounded({ type, concurrency }: NamedSpec, run: Run): Run {
  let running = 0;
  const ended = (): void => void running--;
  return (context, message) => {
    if (running >= concurrency) {
      const details = { what: `calls of "${type}"`, limit: concurrency };
      throw new Refused(new CatgaError("OVERLOADED", details));
    }
    running++;
    let result: unknown;
    try {
      result = run(context, message);
      // One promise for all who wait: what behaves like one may begin anew for each of them.
      if (isThenable(result)) result = Promise.resolve(result);
    } catch (error) {
      ended();
      throw error;
    }
    if (result instanceof Promise) result.then(ended, ended);
    else ended();
    return result;
  };
}
