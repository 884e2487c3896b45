/** `defineCommand`, `defineQuery`, `defineEvent`, `handler`: messages with a name of their own. */
import type { Duration } from "../base/duration.ts";
import type { Balancer } from "../mediator/balance.ts";
import type { NamedSpec } from "../mediator/definition.ts";
import type { AnyEntity } from "./entity.ts";
import type { HandlerContext } from "./context.ts";
import { checkedRun } from "./checked.ts";
import type { Handling } from "../mediator/hosting.ts";
import { messageOptions } from "./messages.ts";
import {
  type AnyDef,
  type AnyNamed,
  type CommonOptions,
  keepOptions,
  type Kind,
} from "./messages.ts";
import { type MaybePromise, MessageOptions, type Named, type Payload } from "./messages.ts";
import type { Schema } from "./messages.ts";
import { keyFunction, namedSpecOf } from "./named-spec.ts";

/** Names of the fields that may serve as a key: present, and a string or a number. */
export type KeyField<P> = P extends void
  ? never
  : {
      [K in keyof P & string]-?: {} extends Pick<P, K>
        ? never
        : P[K] extends string | number | bigint
          ? K
          : never;
    }[keyof P & string];
/** A field of the message, or a function of it. */
export type KeyOf<P> = KeyField<P> | ((message: P) => string | number | bigint);

/** Who handles a message, of the nodes that have a handler for it. */
export type Route<P> =
  /** The owner of the key, one message of a key at a time; queries side by side. */
  | { readonly strategy: "consistentHash"; readonly key: KeyOf<P> }
  | { readonly strategy: "roundRobin" | "random" | "leastConnections" | "leastLoad" }
  /** This node if it has a handler. */
  | {
      readonly strategy: "localFirst";
      readonly fallback?: "roundRobin" | "leastLoad" | "fail";
    }
  | { readonly strategy: "custom"; readonly balancer: Balancer }
  /** All of them. */
  | { readonly strategy: "broadcast"; readonly quorum?: "all" | "majority" | number }
  /** An entity: the message is one of its own, found by its key. */
  | { readonly strategy: "entity"; readonly entity: AnyEntity; readonly key: KeyOf<P> };

/** How answers of a query are kept. */
export interface Cache<P> {
  /** How long an answer is served. */
  readonly ttl: Duration;
  /** Queries with the same key share an answer. @default the whole payload */
  readonly key?: KeyOf<P>;
  /** Each node for its own callers, or the nodes that handle it for all. @default "local" */
  readonly scope?: "local" | "cluster";
  /** So long after `ttl` the old answer is served while a new one is fetched. @default 0 */
  readonly staleWhileRevalidate?: Duration;
  /** What makes answers old, on whichever node it happens. */
  readonly invalidatedBy?: readonly (AnyNamed | Invalidation)[];
}

/** Options of what is sent. */
interface SentOptions<P, R> extends CommonOptions<P, R> {
  /** @default round robin; the owner of the idempotency key for a command that has one */
  readonly route?: Route<NoInfer<P>>;
  /**
   * Answers instead of an error when every try has failed, and none of a command may have run.
   */
  readonly fallback?: (message: NoInfer<P>) => MaybePromise<NoInfer<R>>;
  /** Calls in flight at most per node; one more is refused with OVERLOADED. @default 1024 */
  readonly concurrency?: number;
}

/** Options of a command. */
export interface CommandOptions<P, R> extends SentOptions<P, R> {
  /**
   * Two sends with the same key within the window run once. The window lives with the owner of the
   * key's shard, and dies with its process.
   */
  readonly idempotency?: { readonly key: KeyOf<NoInfer<P>>; readonly window: Duration };
}

/** Options of a query. */
export interface QueryOptions<P, R> extends SentOptions<P, R> {
  readonly cache?: Cache<NoInfer<P>>;
}

/** Options of an event. */
export interface EventOptions<P> {
  /** Checks the payload before anybody hears of it. */
  readonly input?: Schema<P>;
  /** Which entity it is for, of types that have it among their messages. */
  readonly key?: KeyOf<NoInfer<P>>;
}

/** See {@link invalidate}. */
export interface Invalidation {
  readonly by: AnyNamed;
  readonly key: (message: never) => string | number | bigint;
}

/** A handler of this node, for {@link ClusterOptions.handlers}. */
export interface Handler {
  readonly def: AnyNamed;
}

/**
 * Declares a command: a message with a name of its own, which may change something. Letters,
 * digits, `_`, `.` and `-` make the name, which is cluster-wide.
 *
 * @example
 * const PlaceOrder = defineCommand<{ orderId: string }, boolean>("orders.place");
 * await cluster.send(PlaceOrder({ orderId: "o1" }));
 * @throws {TypeError | RangeError} for a name that is not legal, or options that make no sense.
 */
export function defineCommand<P extends Payload = void, R = void>(
  type: string,
  options?: CommandOptions<P, R>,
): Named<"command", P, R> {
  return define("command", type, options);
}

/** Declares a query: a message that changes nothing, and so may be asked again elsewhere. */
export function defineQuery<P extends Payload, R>(
  type: string,
  options?: QueryOptions<P, R>,
): Named<"query", P, R> {
  return define("query", type, options);
}

/** Declares an event: it is published to whoever has subscribed, and nobody answers. */
export function defineEvent<P extends Payload = void>(
  type: string,
  options?: EventOptions<P>,
): Named<"event", P, void> {
  return define("event", type, options);
}

/** Evicts one key instead of every cached answer: `invalidate(OrderPaid, "orderId")`. */
export function invalidate<K extends Kind, P, R>(by: Named<K, P, R>, key: KeyOf<P>): Invalidation {
  return { by, key: keyFunction(key, specOf(by).type) };
}

/** What a message was declared with, for those who show or check it from outside. */
export interface MessageDescription extends Pick<MessageOptions, "kind" | "input" | "reply"> {
  /** The deadline of a call that brings none of its own, if it was given one. */
  readonly timeoutMs: number | undefined;
  /** Of a message with its own name that goes to all nodes which handle it. */
  readonly isBroadcast: boolean;
  /** Whether somebody remembers what was done under an `idempotencyKey`. */
  readonly takesKey: boolean;
}

/** @throws {TypeError} for what is no message. */
export function describeMessage(def: AnyDef): MessageDescription {
  const { kind, input, reply, timeoutMs } = messageOptions(def);
  // Those of an entity have none, and it remembers.
  const to = SPECS.get(def)?.route.to ?? "entity";
  const takesKey = kind === "command" && (to === "owner" || to === "entity");
  return { kind, input, reply, timeoutMs, isBroadcast: to === "all", takesKey };
}

/**
 * What runs on this node when a message of `def` comes; an event is subscribed to. Nodes without a
 * handler are no candidates.
 *
 * @throws {TypeError} for what is no defined message, or is one of an entity, or no function
 */
export function handler<K extends Kind, P, R>(
  def: Named<K, P, R>,
  run: (message: P, context: HandlerContext) => MaybePromise<R>,
): Handler {
  const spec = specOf(def);
  if (typeof run !== "function") throw new TypeError(`Cannot handle "${spec.type}": no function`);
  const { type, route } = spec;
  if (route.to === "entity") {
    throw new TypeError(`Cannot handle "${type}": its route leads to an entity, which handles it`);
  }
  const made = { def };
  const called = (context: object, message: unknown): unknown =>
    run(message as P, context as HandlerContext);
  const checked = checkedRun(messageOptions(def), called, { type, of: () => type });
  HANDLINGS.set(made, { spec, run: checked });
  return made;
}

interface CheckedSpec extends NamedSpec {
  /** What it is checked by. */
  readonly schemas: MessageOptions;
}

const SPECS = new WeakMap<AnyDef, CheckedSpec>();
const HANDLINGS = new WeakMap<Handler, Handling>();
/** By type, the definition made last. */
const DEFINED = new Map<string, CheckedSpec>();
/** Types with several definitions, and who made each of their messages. */
const AMBIGUOUS = new Map<string, WeakMap<object, CheckedSpec>>();

/** What a message with its own name was defined as. @throws {TypeError} for anything else */
export function specOf(def: AnyNamed): CheckedSpec {
  const spec = SPECS.get(def);
  if (spec !== undefined) return spec;
  throw new TypeError("Cannot use that as a message: write what defineCommand(…) returned");
}

/** The definition of a message, if this program has one. */
export function specOfMessage(type: string, message: object): CheckedSpec | undefined {
  return AMBIGUOUS.get(type)?.get(message) ?? DEFINED.get(type);
}

/** True for a command that makes answers old which nodes of this program keep for each other. */
export function isKeptElsewhere(type: string): boolean {
  return KEPT_ELSEWHERE.has(type);
}

/** A handler with its schemas around it. @throws {TypeError} for anything else */
export function handlingOf(given: Handler): Handling {
  const handling = HANDLINGS.get(given);
  if (handling !== undefined) return handling;
  throw new TypeError("Cannot use that as a handler: write handler(message, function)");
}

/** Types of what makes answers old that are kept for all nodes. */
const KEPT_ELSEWHERE = new Set<string>();

// The types were checked where the message was defined.
function define(kind: Kind, type: string, options: object = {}): never {
  const spec = { ...namedSpecOf(kind, type, options), schemas: new MessageOptions(kind, options) };
  const build = (payload?: object): object => {
    // Its own type, also when it is made of a message that a handler was given. Copied first: V8
    // clones an object at once, and adds to one key by key.
    const message = { ...payload, type };
    // Usually there is one definition, which is found by the type.
    if (AMBIGUOUS.size > 0) AMBIGUOUS.get(type)?.set(message, spec);
    return message;
  };
  const def = Object.assign(build, { kind, type }) as unknown as AnyNamed;
  if (DEFINED.has(type) && !AMBIGUOUS.has(type)) AMBIGUOUS.set(type, new WeakMap());
  DEFINED.set(type, spec);
  if (spec.cache?.isShared === true) {
    for (const by of spec.cache.invalidatedBy) KEPT_ELSEWHERE.add(by.type);
  }
  SPECS.set(def, spec);
  keepOptions(def, spec.schemas);
  return def as never;
}
