/** What users publish and subscribe to, as the runtime reads it. */
import { isThenable } from "../base/thenable.ts";
import { Refused } from "../runtime/definition.ts";
import type { Handling } from "../mediator/hosting.ts";
import type { Listening } from "../runtime/listener.ts";
import type { PublishedEvent, Topics } from "../runtime/topics.ts";
import { checkedRun } from "./checked.ts";
import type { AnyEntity } from "./entity.ts";
import { type AnyDef, type AnyNamed, messageOptions } from "./messages.ts";
import { specOf, specOfMessage } from "./named.ts";

/**
 * Reads and checks a message that is to be published; it may return a promise if its schema does.
 *
 * @throws {TypeError} for what is no event
 * @throws {CatgaError} INVALID_PAYLOAD, INVALID_KEY
 */
export function readEvent(message: unknown): PublishedEvent | PromiseLike<PublishedEvent> {
  const isObject = typeof message === "object" && message !== null;
  const spec = isObject
    ? specOfMessage(String((message as { type?: unknown }).type), message)
    : undefined;
  if (spec?.kind !== "event") {
    const type = isObject ? `"${String((message as { type?: unknown }).type)}"` : "that";
    throw new TypeError(`Cannot publish ${type}: write what an event of defineEvent(…) returned`);
  }
  const { type, key, schemas } = spec;
  const subject = { type, of: () => `topic/${type}` };
  const read = checkedRun(
    { input: schemas.input, reply: undefined },
    (_, valid) => ({ type, key: key?.(valid as object), message: valid }),
    subject,
  );
  try {
    const event = read({}, message);
    if (!isThenable(event)) return event as PublishedEvent;
    return Promise.resolve(event as PromiseLike<PublishedEvent>).catch(unwrap);
  } catch (error) {
    return unwrap(error);
  }
}

/**
 * Subscribes to an event; the result ends that.
 *
 * @throws {TypeError} for what is no event, or no function
 */
export function subscribe(topics: Topics, def: AnyNamed, run: unknown): () => void {
  const { kind, type } = specOf(def);
  const refuse = (why: string): TypeError => new TypeError(`Cannot subscribe to "${type}": ${why}`);
  if (kind !== "event") throw refuse(`it is a ${kind}, and only events are published`);
  if (typeof run !== "function") throw refuse("no function");
  return topics.subscribe(type, run as Listening);
}

/** Subscribes what handles events on this node from the start. */
export function listen(topics: Topics, handlings: readonly Handling[]): void {
  for (const { spec, run } of handlings) {
    if (spec.kind !== "event") continue;
    topics.subscribe(spec.type, (message) => run(topics.handlerContext(), message));
  }
}

/**
 * The topics that are brought to entities, each with the entity type: `orders.paid>order`.
 *
 * @throws {TypeError} for an event that does not say which entity it is for
 */
export function routedTopics(entities: readonly AnyEntity[]): string[] {
  return entities.flatMap(({ name, messages }) =>
    Object.entries(messages).flatMap(([type, def]) => routedTopic(name, type, def)),
  );
}

function routedTopic(entity: string, type: string, def: AnyDef): string[] {
  if (messageOptions(def).kind !== "event") return [];
  const spec = specOf(def as AnyNamed);
  const refuse = (why: string): TypeError =>
    new TypeError(
      `Cannot host "${entity}": its message "${type}" is the event "${spec.type}", ${why}`,
    );
  if (spec.type !== type) throw refuse("and must be called like that");
  if (spec.key === undefined)
    throw refuse('which needs key: "<field>", or nobody knows which entity it is for');
  return [`${type}>${entity}`];
}

function unwrap(error: unknown): never {
  throw error instanceof Refused ? error.error : error;
}
