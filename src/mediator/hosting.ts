/**
 * What the handlers of a node become: those of messages with a key the only message of an entity
 * type without a state, so that they have owners, handoffs, order and dedup windows like any other;
 * the rest is called on whichever node has it.
 */
import { CatgaError } from "../base/errors.ts";
import { CopyError, copyPlain } from "../base/plain.ts";
import { MAILBOX_CAPACITY } from "../base/limits.ts";
import { isThenable } from "../base/thenable.ts";
import {
  type EntityDefinition,
  type MessageSpec,
  Refused,
  withRuns,
} from "../runtime/definition.ts";
import { replyError } from "../runtime/call.ts";
import { MessageCounts } from "../runtime/counts.ts";
import type { NodeSettings } from "../runtime/node-context.ts";
import type { Topics } from "../runtime/topics.ts";
import { TurnContext } from "../runtime/turn-context.ts";
import type { Answers } from "./answers.ts";
import type { NamedSpec } from "./definition.ts";

type Run = MessageSpec["run"];

/** A handler of this node, with all that stands around it. */
export interface Handling {
  readonly spec: NamedSpec;
  readonly run: Run;
}

/** What a node is started with, as its user has said it. */
export interface Wanted {
  readonly entities: readonly EntityDefinition[];
  readonly handlings: readonly Handling[];
  /** Topics that are brought to entities: `orders.paid>order`. */
  readonly routed: readonly string[];
}

type Hosting = Pick<NodeSettings, "entities" | "handlers" | "handled">;

/** What stands around handlers. */
export interface Around {
  readonly topics: Topics;
  readonly answers: Answers;
}

/** The owner of a key forgets it so long after its last message: it has nothing to remember. */
const KEY_IDLE_MS = 1_000;

/** See the file's header. */
export function hosting<W extends Wanted>(wanted: W, around: Around): W & Hosting {
  const entities = wanted.entities.map((each) => telling(each, around.topics));
  const handlers: MessageSpec[] = [];
  for (const { spec, run } of wanted.handlings) {
    const { type, timeoutMs, kind, route } = spec;
    if (kind === "event") continue;
    // The bulkhead is for what runs: many may wait for one answer.
    const whole =
      kind === "command"
        ? bounded(spec, announced(run, type, { topics: around.topics, isEvent: false }))
        : shared(spec, bounded(spec, run), around);
    const message = { type, kind, timeoutMs, run: whole, counts: new MessageCounts() };
    if (route.to === "owner") entities.push(keyedEntity(spec, message));
    else handlers.push(message);
  }
  const handled = [...handlers.map(({ type }) => type), ...wanted.routed];
  return { ...wanted, entities, handlers, handled };
}

function keyedEntity(
  { type, entity, idempotency }: NamedSpec,
  message: MessageSpec,
): EntityDefinition {
  return {
    name: entity,
    messages: new Map([[type, message]]),
    idleMs: KEY_IDLE_MS,
    mailboxCapacity: MAILBOX_CAPACITY,
    dedupMs: idempotency?.windowMs,
    state: () => undefined,
    persistence: "none",
    version: 1,
  };
}

/**
 * An entity type that tells of its commands with a name of their own when they have run, and of
 * events that have come to it.
 */
function telling(definition: EntityDefinition, topics: Topics): EntityDefinition {
  return withRuns(definition, ({ told, run, type }) =>
    told === undefined ? run : announced(run, type, { topics, isEvent: told === "event" }),
  );
}

interface Announcement {
  readonly topics: Topics;
  readonly isEvent: boolean;
}

/**
 * `run`, and before its answer leaves everybody who watches the command has been told; unless it
 * was refused, and has changed nothing.
 */
function announced(run: Run, type: string, { topics, isEvent }: Announcement): Run {
  return ending(run, (message) => {
    // Now, for a handler may change it. Those who subscribe to an event have been given it.
    const isWanted = !isEvent && topics.wantsMessage(type);
    const copy = isWanted ? (copyPlain(message) as object) : undefined;
    return (error) => {
      if (!(error instanceof Refused) || error.error.executed !== "no") topics.happened(type, copy);
    };
  });
}

/** `run`, asked once for all nodes as long as its answer is kept here. */
function shared(spec: NamedSpec, run: Run, { answers }: Around): Run {
  const { cache } = spec;
  if (cache?.isShared !== true) return run;
  const cached = { ...spec, cache };
  const subject = { entity: spec.entity, id: "", type: spec.type };
  return (context, message) => {
    const { deadlineMs: untilMs, chain } = TurnContext.turnOf(context as TurnContext);
    const fill = async (): Promise<unknown> => run(context, message);
    const question = { message: message as object, isOfTurn: chain !== undefined, untilMs, fill };
    return answers.answer(cached, question).catch((error: unknown) => {
      throw error instanceof CopyError ? new Refused(replyError(subject, error)) : error;
    });
  };
}

/** The bulkhead: `run`, so many times at once. */
function bounded({ type, concurrency }: NamedSpec, run: Run): Run {
  let running = 0;
  const ended = (): void => void running--;
  return ending(run, () => {
    if (running >= concurrency) {
      const details = { what: `calls of "${type}"`, limit: concurrency };
      throw new Refused(new CatgaError("OVERLOADED", details));
    }
    running++;
    return ended;
  });
}

/**
 * `run`, with `begin` before it; what that returns is called at its end, however it ends, before
 * anybody hears of it: with what was thrown, if anything was.
 */
function ending(run: Run, begin: (message: unknown) => (error?: unknown) => void): Run {
  return (context, message) => {
    const end = begin(message);
    let result: unknown;
    try {
      result = run(context, message);
      // One promise for all who wait: what behaves like one may begin anew for each of them.
      if (isThenable(result)) result = Promise.resolve(result);
    } catch (error) {
      end(error);
      throw error;
    }
    if (result instanceof Promise) result.then(() => end(), end);
    else end();
    return result;
  };
}
