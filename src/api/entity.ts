/** `defineEntity` and `defineContract`: an entity type with its code, or without it for callers. */
import { type Duration, durationMs } from "../base/duration.ts";
import { IDLE_MS, MAILBOX_CAPACITY } from "../base/limits.ts";
import { isWhole } from "../base/shape.ts";
import { checkName, entityKey } from "../protocol/ids.ts";
import type {
  EntityDefinition,
  MessageSpec,
  PassivationReason,
  Persistence,
} from "../runtime/definition.ts";
import { MessageCounts } from "../runtime/counts.ts";
import { checkMiddleware, type Middleware, wrapped } from "../runtime/middleware.ts";
import type { Rate } from "../runtime/rate-limit.ts";
import { checkedRun } from "./checked.ts";
import type { BaseContext, CommandContext, Handlers } from "./context.ts";
import { type MaybePromise, messageOptions, type Messages } from "./messages.ts";

/** How an entity behaves. */
export interface EntityOptions<_N extends string, M extends Messages, S> {
  readonly messages: M;
  /** The state of an entity that has none yet. */
  readonly state: (id: string) => S;
  readonly handlers: Handlers<M, NoInfer<S>>;
  /**
   * Whether state outlives memory. `none`: it ends with the activation. `write-behind`: it is
   * stored within a second; a node that dies loses that much. `write-through`: an answer leaves
   * when what its turn did is stored. @default "none"
   */
  readonly persistence?: Persistence;
  /** Of the state's shape; what newer code has stored is refused, never overwritten. @default 1 */
  readonly version?: number;
  /** Makes a state of today of one that was stored under an older `version`. */
  readonly migrate?: (old: unknown, version: number) => NoInfer<S>;
  /** Leaves memory when unused for so long. @default "10m" */
  readonly idle?: Duration;
  /** Messages waiting at most; one more is refused with MAILBOX_FULL. @default 1024 */
  readonly mailboxCapacity?: number;
  /**
   * Answers repeated queries of a hot entity from a cache of this age at most, on each node that
   * hosts its type. A command drops what the node it leaves from has of its entity; others may be
   * given what was true up to this age ago. Middleware does not run for them. @default off
   */
  readonly hotCache?: Duration;
  /**
   * Each entity takes so many messages in a second, and after a rest `burst` at once; one more is
   * refused with OVERLOADED. Where an entity comes to another node it begins anew.
   * @default no limit; `burst` as many as in a second
   */
  readonly rateLimit?: { readonly perSecond: number; readonly burst?: number };
  /** Around the handlers, inside that of the cluster: the first is outermost. @default none */
  readonly middleware?: readonly Middleware[];
  /**
   * Admits calls of the entity's own chain: a call that a turn sends, and what comes back here to
   * answer it, runs at once, beside the turn that waits, whatever else is in the mailbox. They are
   * interleaved where a turn awaits something, nowhere else: look at the state again after an
   * `await`. What such a call did is stored with the turn that waits for it, as one; its answer
   * leaves at once. Without it such a call fails with CALL_CYCLE. @default false
   */
  readonly reentrant?: boolean;
  /** Runs before the first message; may change the state. */
  readonly activated?: (context: CommandContext<M, NoInfer<S>>) => MaybePromise<void>;
  /** Runs after the last message. */
  readonly deactivated?: (
    context: CommandContext<M, NoInfer<S>>,
    reason: PassivationReason,
  ) => MaybePromise<void>;
}

/** An entity type: its name and its messages. */
export interface Entity<N extends string, M extends Messages> {
  readonly name: N;
  readonly messages: M;
}

/** Any entity type. */
export type AnyEntity = Entity<string, Messages>;

/** Messages without code: clients import this, the server says `Contract.implement({ … })`. */
export interface Contract<N extends string, M extends Messages> extends Entity<N, M> {
  /** The entity type with its code. */
  implement<S>(options: Omit<EntityOptions<N, M, S>, "messages">): Entity<N, M>;
}

const DEFINITIONS = new WeakMap<AnyEntity, EntityDefinition>();
const OPTIONS = (
  "messages state handlers persistence version migrate idle mailboxCapacity hotCache rateLimit " +
  "middleware reentrant " +
  "activated deactivated"
).split(" ");
const PERSISTENCES: readonly unknown[] = ["none", "write-behind", "write-through"];

/**
 * Declares an entity type with its code. The name is cluster-wide: letters, digits, `_`, `.`, `-`.
 *
 * @throws {TypeError} when a name is not legal, a handler is missing or not a function, or an
 * option is unknown.
 * @throws {RangeError} when a limit makes no sense.
 */
export function defineEntity<const N extends string, M extends Messages, S>(
  name: N,
  options: EntityOptions<N, M, S>,
): Entity<N, M> {
  checkDeclaration(name, options.messages);
  const entity = { name, messages: options.messages };
  DEFINITIONS.set(entity, createDefinition(name, options as AnyOptions));
  return entity;
}

/** Declares the messages of an entity type without its code. */
export function defineContract<const N extends string, M extends Messages>(
  name: N,
  messages: M,
): Contract<N, M> {
  checkDeclaration(name, messages);
  return {
    name,
    messages,
    implement: (options) => defineEntity(name, { ...options, messages } as never),
  };
}

/** The runtime's view of an entity type, or `undefined` for a contract without code. */
export function definitionOf(entity: AnyEntity): EntityDefinition | undefined {
  return DEFINITIONS.get(entity);
}

// `any`: the types of state and messages were checked at `defineEntity` and are gone by here.
type AnyOptions = EntityOptions<string, Messages, any>;
type Run = MessageSpec["run"];

function checkDeclaration(name: string, messages: Messages): void {
  checkName(name, "entity name");
  for (const [type, def] of Object.entries(messages)) {
    checkName(type, "message name");
    messageOptions(def);
  }
}

function createDefinition(name: string, options: AnyOptions): EntityDefinition {
  const why = whyNot(options);
  if (why !== undefined) throw new TypeError(`Cannot define "${name}": ${why}`);
  const { idle = IDLE_MS, mailboxCapacity = MAILBOX_CAPACITY, handlers, hotCache } = options;
  const { middleware } = options;
  checkMiddleware(middleware, `define "${name}"`);
  if (!Number.isSafeInteger(mailboxCapacity) || mailboxCapacity < 1) {
    throw new RangeError(`Cannot define "${name}": mailboxCapacity must be a whole number from 1`);
  }
  const idleMs = durationMs(idle, "idle");
  const hotCacheMs = hotCache === undefined ? undefined : durationMs(hotCache, "hotCache");
  const limits = { mailboxCapacity, hotCacheMs, rateLimit: rateOf(name, options.rateLimit) };
  const messages = new Map<string, MessageSpec>();
  for (const [type, def] of Object.entries(options.messages)) {
    const { kind, timeoutMs, input, reply } = messageOptions(def);
    const subject = { type, of: (context: object) => entityKey(name, (context as BaseContext).id) };
    const checked = checkedRun({ input, reply }, handlers[type] as Run, subject);
    const run = wrapped(checked, { target: name, type }, middleware);
    const told = typeof def === "function" && kind !== "query" ? kind : undefined;
    const changes = { kind: kind === "query" ? kind : "command", told } as const;
    messages.set(type, { type, ...changes, timeoutMs, run, counts: new MessageCounts() });
  }
  const { state, activated, deactivated, migrate } = options as unknown as EntityDefinition;
  const { persistence = "none", version = 1, reentrant = false } = options;
  const kept = { persistence, version, migrate, reentrant };
  return { name, messages, idleMs, ...limits, state, ...kept, activated, deactivated };
}

function rateOf(name: string, limit: AnyOptions["rateLimit"]): Rate | undefined {
  if (limit === undefined) return undefined;
  const { perSecond, burst = Math.max(1, Math.floor(perSecond)) } = limit;
  if (Number.isFinite(perSecond) && perSecond > 0 && Number.isSafeInteger(burst) && burst > 0) {
    return { perSecond, burst };
  }
  const rule = "perSecond must be a number above 0, burst a whole one from 1";
  throw new RangeError(`Cannot limit "${name}": ${rule}`);
}

function whyNot(options: AnyOptions): string | undefined {
  const { messages, handlers, persistence = "none", version = 1, migrate } = options;
  const { reentrant = false } = options;
  const extra = Object.keys(options).find((option) => !OPTIONS.includes(option));
  if (extra !== undefined) return `no option "${extra}"`;
  if (!PERSISTENCES.includes(persistence)) return `no persistence "${persistence}"`;
  if (!isWhole(version) || version === 0) return "version must be a whole number from 1";
  if (migrate !== undefined && typeof migrate !== "function") return "migrate must be a function";
  if (typeof reentrant !== "boolean") return "reentrant must be true or false";
  if (typeof options.state !== "function") return "state must be a function";
  const mute = Object.keys(messages).find(
    (type) => !Object.hasOwn(handlers, type) || typeof handlers[type] !== "function",
  );
  if (mute !== undefined) return `message "${mute}" has no handler`;
  const orphan = Object.keys(handlers).find((type) => !Object.hasOwn(messages, type));
  return orphan === undefined ? undefined : `handler "${orphan}" has no message`;
}
