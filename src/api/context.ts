/** What handlers are given and references offer, as types. */
import type { Duration } from "../base/duration.ts";
import type { Logger } from "../base/logger.ts";
import type { Def, MaybePromise, Message, MessageIn, Messages, ReplyOf } from "./messages.ts";

type Primitive = string | number | bigint | boolean | symbol | null | undefined;

/** `T` without a way to write to it, all the way down. */
export type DeepReadonly<T> = T extends Primitive | ((...a: never) => unknown)
  ? T
  : T extends Map<infer K, infer V>
    ? ReadonlyMap<K, DeepReadonly<V>>
    : T extends Set<infer V>
      ? ReadonlySet<DeepReadonly<V>>
      : { readonly [K in keyof T]: DeepReadonly<T[K]> };

/** Options of one call. */
export interface CallOptions {
  /** How long to wait for the answer. @default the message's own, or "10s" */
  readonly timeout?: Duration;
  /** How long all tries of a reference together may take. @default as long as they take */
  readonly within?: Duration;
  /** Gives up waiting when it aborts; a handler that has started runs on. */
  readonly signal?: AbortSignal;
  /**
   * How often a call that failed is sent again: when it did not run, or for a command under a key,
   * so that it runs once. `timeout` is for each try of a reference, and for all tries together of a
   * message with its own name. Without persistence a command that may have run on a node that died
   * stays OUTCOME_UNKNOWN. @default 0; of messages with their own name `failover.maxRetries`
   */
  readonly retries?: number;
  /**
   * Commands of one type with the same key, 1 to 256 characters, run once on an entity: a later one
   * is answered as the first was. An entity keeps an answer for 10 minutes, up to 1,024 of them;
   * one more is refused with OVERLOADED. They move with the entity, are stored with its state, and
   * without persistence die with its memory. Messages with their own name have the window of their
   * `idempotency`, and are refused a key without one, unless they have a route by key.
   * @default none; of references with `retries` a random one
   */
  readonly idempotencyKey?: string;
  /**
   * Whose child the call is in a trace, where no span is active: W3C `traceparent` and `tracestate`
   * as they came with a request, ignored where they are malformed; and attributes for its span.
   */
  readonly trace?: {
    readonly traceparent?: string | undefined;
    readonly tracestate?: string | undefined;
    readonly attributes?: Readonly<Record<string, string>>;
  };
}

/** A reference to one entity, wherever it lives. */
export interface Ref<M extends Messages> {
  readonly id: string;
  /**
   * Resolves once the owner's mailbox has taken the message; it is run even if nobody waits.
   *
   * @throws {CatgaError} whatever keeps the message from being taken.
   */
  tell<T extends keyof M & string>(message: MessageIn<M, T>, options?: CallOptions): Promise<void>;
  /**
   * Resolves with the handler's answer.
   *
   * @throws {CatgaError} the answer's failure; `executed` says whether the handler ran.
   */
  send<T extends keyof M & string>(
    message: MessageIn<M, T>,
    options?: CallOptions,
  ): Promise<ReplyOf<M[T]>>;
}

/** What may be named as the target of a message. */
export interface Target<M extends Messages> {
  readonly name: string;
  readonly messages: M;
}

/** What every handler is given. It serves for one turn: keep nothing of it. */
export interface BaseContext {
  readonly id: string;
  readonly node: string;
  /** Aborts when this node loses the entity (or stops): long work must give up then. */
  readonly signal: AbortSignal;
  /** The cluster's logger, with node, entity and id in every line. */
  readonly log: Logger;
  /** Another entity; calls end with the deadline of the message that is being handled. */
  entity<M extends Messages>(target: Target<M>, id: string): Ref<M>;
  /** Sends a message with its own name; the call ends with this one's deadline. */
  send<P, R>(message: Message<P, R>, options?: CallOptions): Promise<R>;
  /** Tells everybody who has subscribed. */
  publish<P>(message: Message<P, void>): Promise<void>;
}

/** What the handler of a message with its own name is given. */
export interface HandlerContext extends Omit<BaseContext, "id"> {}

/** What a command's handler is given. */
export interface CommandContext<M extends Messages, S> extends BaseContext {
  /** The entity's state; change it or put another in its place. */
  state: S;
  /**
   * Fencing token of this ownership: fixed-width text that sorts, and rises with every new
   * ownership of the entity. Pass it to outside systems, which refuse a smaller one.
   */
  readonly fence: string;
  /**
   * Tells those who watch this entity (`cluster.watch`) an event, which is checked and copied now.
   * It leaves when the turn has ended and its answer may leave: of an entity that is stored, when
   * what the turn did is. A turn that fails pushes nothing, and a hook cannot. 1,024 in one turn at
   * most.
   *
   * @throws {CatgaError} INVALID_PAYLOAD, PAYLOAD_NOT_ENCODABLE, TOO_LARGE, OVERLOADED
   * @throws {TypeError} when it is no event, or no turn runs.
   */
  push<P>(message: Message<P, void>): void;
  /** Another entity of the same kind. */
  peer(id: string): Ref<M>;
  /**
   * Sends `message` to this entity later; the result cancels it. Volatile: gone with the memory of
   * this node. An entity with a timer is not idle.
   */
  after<T extends keyof M & string>(delay: Duration, message: MessageIn<M, T>): () => void;
  /**
   * Sends `message` to this entity later, once (`in`) or again and again (`every`, 1 second at
   * least), whether or not it is in memory by then, and after a restart of everything. It comes
   * within a second or two of its time, later if nobody could; ticks that were missed come as one.
   * A handler that throws has had its turn: the log says so, and a repeating one comes again.
   * Another one of the same name takes its place. Resolves when it is stored.
   *
   * @throws {TypeError} for an entity without persistence.
   */
  remind<T extends keyof M & string>(
    name: string,
    when: { readonly in: Duration } | { readonly every: Duration },
    message: MessageIn<M, T>,
  ): Promise<void>;
  /** Resolves when there is no reminder of that name any more. */
  forget(name: string): Promise<void>;
  /** Leaves memory after this turn; the next message meets a new activation. */
  passivate(): void;
  /**
   * Resolves when the state as it is now is stored: before something that must not come first.
   *
   * @throws {TypeError} for an entity without persistence.
   */
  save(): Promise<void>;
  /**
   * Resolves when nothing is stored any more; the next message meets a new entity. Call it last:
   * what this turn changes afterwards is gone.
   *
   * @throws {TypeError} for an entity without persistence.
   */
  delete(): Promise<void>;
}

/** What a query's handler is given. */
export interface QueryContext<S> extends BaseContext {
  readonly state: DeepReadonly<S>;
}

/** The context of a declared message. */
export type ContextOf<D, M extends Messages, S> =
  // `any`: the payload and the answer do not matter, and `unknown` would not match them.
  D extends Def<"query", any, any> ? QueryContext<S> : CommandContext<M, S>;

/** A handler for each message. */
export type Handlers<M extends Messages, S> = {
  readonly [T in Extract<keyof M, string>]: (
    context: ContextOf<M[T], M, S>,
    message: MessageIn<M, T>,
  ) => MaybePromise<ReplyOf<M[T]>>;
};
