/** `defineEntity` and `defineContract`: an entity type with its code, or without it for callers. */
import { type Duration, durationMs } from "../base/duration.ts";
import { CatgaError, cut, type ErrorDetails } from "../base/errors.ts";
import { IDLE_MS, MAILBOX_CAPACITY } from "../base/limits.ts";
import { isThenable } from "../base/thenable.ts";
import { checkName, entityKey } from "../protocol/ids.ts";
import {
  type EntityDefinition,
  type MessageSpec,
  type PassivationReason,
  Refused,
} from "../runtime/definition.ts";
import type { BaseContext, CommandContext, Handlers } from "./context.ts";
import {
  type MaybePromise,
  type MessageOptions,
  messageOptions,
  type Messages,
} from "./messages.ts";

/** How an entity behaves. */
export interface EntityOptions<_N extends string, M extends Messages, S> {
  readonly messages: M;
  /** The state of an entity that has none yet. */
  readonly state: (id: string) => S;
  readonly handlers: Handlers<M, NoInfer<S>>;
  /** State lives in memory, for as long as the activation does. @default "none" */
  readonly persistence?: "none";
  /** Leaves memory when unused for so long. @default "10m" */
  readonly idle?: Duration;
  /** Messages waiting at most; one more is refused with MAILBOX_FULL. @default 1024 */
  readonly mailboxCapacity?: number;
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

const OPTIONS =
  "messages state handlers persistence idle mailboxCapacity activated deactivated".split(" ");

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
  return new ImplementedEntity(name, options) as unknown as Entity<N, M>;
}

/** Declares the messages of an entity type without its code. */
export function defineContract<const N extends string, M extends Messages>(
  name: N,
  messages: M,
): Contract<N, M> {
  checkName(name, "entity name");
  checkMessages(messages);
  return {
    name,
    messages,
    implement: (options) => defineEntity(name, { ...options, messages } as never),
  };
}

/** The runtime's view of an entity type, or `undefined` for a contract without code. */
export function definitionOf(entity: AnyEntity): EntityDefinition | undefined {
  return entity instanceof ImplementedEntity ? entity.definition : undefined;
}

// `any`: the types of state and messages were checked at `defineEntity` and are gone by here.
type AnyOptions = EntityOptions<string, Messages, any>;
type Run = (context: object, message: unknown) => unknown;

class ImplementedEntity implements AnyEntity {
  readonly name: string;
  readonly messages: Messages;
  readonly definition: EntityDefinition;

  constructor(name: string, options: AnyOptions) {
    checkName(name, "entity name");
    this.name = name;
    this.messages = options.messages;
    this.definition = createDefinition(name, options);
  }
}

function createDefinition(name: string, options: AnyOptions): EntityDefinition {
  for (const option of Object.keys(options)) {
    if (!OPTIONS.includes(option))
      throw new TypeError(`Cannot define "${name}": no option "${option}"`);
  }
  const { idle = IDLE_MS, mailboxCapacity = MAILBOX_CAPACITY, persistence = "none" } = options;
  if (persistence !== "none") {
    throw new TypeError(
      `Cannot define "${name}": persistence "${String(persistence)}" is not there`,
    );
  }
  if (!Number.isSafeInteger(mailboxCapacity) || mailboxCapacity < 1) {
    throw new RangeError(`Cannot define "${name}": mailboxCapacity must be a whole number from 1`);
  }
  if (typeof options.state !== "function") {
    throw new TypeError(`Cannot define "${name}": state must be a function`);
  }
  const idleMs = durationMs(idle, "idle");
  const messages = createSpecs(name, options);
  const { state, activated, deactivated } = options as unknown as EntityDefinition;
  return { name, messages, idleMs, mailboxCapacity, state, activated, deactivated };
}

function createSpecs(name: string, options: AnyOptions): Map<string, MessageSpec> {
  checkMessages(options.messages);
  const handlers = options.handlers as Readonly<Record<string, unknown>>;
  for (const type of Object.keys(handlers)) {
    if (!Object.hasOwn(options.messages, type)) {
      throw new TypeError(`Cannot define "${name}": handler "${type}" has no message`);
    }
  }
  const specs = new Map<string, MessageSpec>();
  for (const [type, def] of Object.entries(options.messages)) {
    const handler = Object.hasOwn(handlers, type) ? handlers[type] : undefined;
    if (typeof handler !== "function") {
      throw new TypeError(`Cannot define "${name}": message "${type}" has no handler`);
    }
    const declared = messageOptions(def);
    const { kind, timeoutMs } = declared;
    specs.set(type, {
      type,
      kind,
      timeoutMs,
      run: withSchemas(handler as Run, declared, { name, type }),
    });
  }
  return specs;
}

function checkMessages(messages: Messages): void {
  for (const [type, def] of Object.entries(messages)) {
    checkName(type, "message name");
    messageOptions(def);
  }
}

interface Named {
  readonly name: string;
  readonly type: string;
}

function withSchemas(handler: Run, { input, reply }: MessageOptions, named: Named): Run {
  if (input === undefined && reply === undefined) return handler;
  return (context, message) => {
    const details = (issues: string): RefusalDetails => ({
      entity: entityKey(named.name, (context as BaseContext).id),
      message: named.type,
      issues,
    });
    const checked = check(input, input && withoutType(message), (issues) => {
      return new CatgaError("INVALID_PAYLOAD", details(issues));
    });
    return then(checked, (valid) => {
      const answer = handler(context, input === undefined ? message : withType(valid, named.type));
      return then(answer, (value) =>
        check(reply, value, (issues) => new CatgaError("INVALID_REPLY", details(issues))),
      );
    });
  };
}

/** The tag is no field of the payload, so a schema neither sees nor returns it. */
function withType(payload: unknown, type: string): unknown {
  return typeof payload === "object" ? { ...payload, type } : { type };
}

type RefusalDetails = ErrorDetails["INVALID_PAYLOAD"];

function check(
  schema: MessageOptions["input"],
  value: unknown,
  refuse: (issues: string) => CatgaError,
): unknown {
  if (schema === undefined) return value;
  return then(schema["~standard"].validate(value), (result) => {
    const { issues, value: valid } = result as { issues?: readonly Issue[]; value?: unknown };
    if (issues === undefined) return valid;
    throw new Refused(refuse(cut(issues.map(describeIssue).join("; "))));
  });
}

interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[];
}

function describeIssue({ message, path = [] }: Issue): string {
  const keys = path.map((step) => String(typeof step === "object" ? step.key : step));
  return keys.length === 0 ? message : `${keys.join(".")}: ${message}`;
}

function withoutType(message: unknown): unknown {
  const { type: _, ...payload } = message as { type: string };
  return payload;
}

function then(value: unknown, next: (value: unknown) => unknown): unknown {
  return isThenable(value) ? value.then(next) : next(value);
}
