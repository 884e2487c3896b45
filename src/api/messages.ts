/** Messages as users declare them: `command()` and `query()`, members of an entity. */
import { type Duration, durationMs } from "../base/duration.ts";

declare const PAYLOAD: unique symbol;
declare const REPLY: unique symbol;
declare const KIND: unique symbol;

/** A value or a promise of it. */
export type MaybePromise<T> = T | Promise<T>;
/** What a message does: a command may change something, a query reads, an event tells. */
export type Kind = "command" | "query" | "event";

/** Payloads are plain objects (so a field can be added later) or nothing; `type` is the tag. */
export type Payload = (object & { readonly type?: never }) | void;

/** The parts of Standard Schema v1 that catga needs: zod, valibot, arktype and effect all fit. */
export interface Schema<in out Out> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => unknown;
    // `any` because a schema's input may differ from its output, and only the latter matters here.
    readonly types?: { readonly input: any; readonly output: Out } | undefined;
  };
}

/** Options of any message. */
export interface CommonOptions<P, R> {
  /** Checks the payload before the handler runs; what it returns is what the handler gets. */
  readonly input?: Schema<P>;
  /** Checks the answer before it leaves. */
  readonly reply?: Schema<R>;
  /** The deadline of a call that brings none of its own. @default "10s" */
  readonly timeout?: Duration;
}

/** A declared message: what it is, with the types of payload and answer. */
export interface Def<K extends Kind, P, R> {
  readonly kind: K;
  /** For types only; there is no such property. */
  readonly [PAYLOAD]?: P;
  /** For types only; there is no such property. */
  readonly [REPLY]?: R;
}

/** Any declared message. */
export type AnyDef = Def<Kind, unknown, unknown>;
/** What a message carries. */
export type PayloadOf<D> = D extends { readonly [PAYLOAD]?: infer P } ? P : never;
/** What a message is answered with. */
export type ReplyOf<D> = D extends { readonly [REPLY]?: infer R } ? R : never;
type Body<P> = [P] extends [void] ? {} : P;

/** A message with its own name: it is also the function that builds the message. */
export interface Named<K extends Kind, P, R> extends Def<K, P, R> {
  readonly type: string;
  (...payload: Args<P>): Message<P, R> & OfKind<K>;
}
/** What the type of a message says of its kind, if its own function has built it. */
export interface OfKind<K extends Kind> {
  /** For types only; there is no such property. */
  readonly [KIND]?: K;
}
// `any`: `unknown` would not match the parameters of the function.
/** Any message with its own name. */
export type AnyNamed = Named<Kind, any, any>;
/** A message with its own name as it is sent: plain data. */
export type Message<P, R> = {
  readonly type: string;
  /** For types only; there is no such property. */
  readonly [REPLY]?: R;
} & (P extends void ? {} : P);
/** The payload, if there is one. */
export type Args<P> = [P] extends [void] ? [] : [payload: P];

/** The messages of an entity by their names. */
export type Messages = Readonly<Record<string, AnyDef>>;
/** `{ type: "deposit", amount: 10 }`: plain data, the same over HTTP and the wire. */
export type MessageIn<M extends Messages, T extends keyof M> = { readonly type: T } & Body<
  PayloadOf<M[T]>
>;

/** A message that may change the state. */
export function command(): Def<"command", void, void>;
/** A message that may change the state. */
export function command<P extends Payload, R = void>(
  options?: CommonOptions<P, R>,
): Def<"command", P, R>;
export function command(options?: AnyOptions): Def<"command", any, any> {
  return new MessageOptions("command", options) as Def<"command", any, any>;
}

/** A message that reads the state; queries of one entity may run side by side. */
export function query<P extends Payload, R>(options?: CommonOptions<P, R>): Def<"query", P, R> {
  return new MessageOptions("query", options) as Def<"query", P, R>;
}

const NAMED = new WeakMap<AnyDef, MessageOptions>();
const BY_TYPE = new Map<string, MessageOptions>();

/** Makes `def`, a message with its own name, one that an entity may have among its messages. */
export function keepOptions(def: AnyNamed, options: MessageOptions): void {
  NAMED.set(def, options);
  // Of two definitions the one that is no query: to take it for one might run it twice.
  const isOther = BY_TYPE.has(def.type) && def.kind === "query";
  if (!isOther) BY_TYPE.set(def.type, options);
}

/** What a message with its own name was declared as, if this program has done so. */
export function optionsOfType(type: string): MessageOptions | undefined {
  return BY_TYPE.get(type);
}

/** What `command()` or `query()` made, as the runtime reads it. */
export function messageOptions(def: AnyDef): MessageOptions {
  const options = def instanceof MessageOptions ? def : NAMED.get(def);
  if (options !== undefined) return options;
  throw new TypeError(`Cannot use ${JSON.stringify(def)} as a message: write command() or query()`);
}

// `any`: the types of payload and answer live in the declaration only, nothing here reads them.
type AnyOptions = CommonOptions<any, any>;

/** What the runtime reads off a declared message. */
export class MessageOptions {
  readonly kind: Kind;
  readonly input: Schema<unknown> | undefined;
  readonly reply: Schema<unknown> | undefined;
  readonly timeoutMs: number | undefined;

  constructor(kind: Kind, { input, reply, timeout }: AnyOptions = {}) {
    this.kind = kind;
    this.input = input;
    this.reply = reply;
    this.timeoutMs = timeout === undefined ? undefined : durationMs(timeout, "timeout");
    for (const [option, schema] of Object.entries({ input, reply })) checkSchema(option, schema);
  }
}

function checkSchema(option: string, schema: Partial<Schema<unknown>> | null | undefined): void {
  if (schema === undefined || typeof schema?.["~standard"]?.validate === "function") return;
  throw new TypeError(`Cannot use ${option}: it is no schema (Standard Schema: zod, valibot, …)`);
}
