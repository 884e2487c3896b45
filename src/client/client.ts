/** `createClient`: the typed face of the edge. */
import { type Duration, durationMs } from "../base/duration.ts";
import { type Random, systemRandom } from "../base/random.ts";
import { CALL_TIMEOUT_MS } from "../base/limits.ts";
import type { CallOptions, Ref } from "../api/context.ts";
import type { AnyEntity } from "../api/entity.ts";
import { messageOptions, type OfKind, optionsOfType } from "../api/messages.ts";
import type { MaybePromise, Message, Messages } from "../api/messages.ts";
import type { NodeOutcome } from "../mediator/mediator.ts";
import { callEdge, type Home } from "./call.ts";
import { type ClientClock, webClock } from "./clock.ts";
import { Edges } from "./edges.ts";
import { CatgaClientError } from "./error.ts";
import { callOf, checkRetries, pathOf, type Sending, typeOf } from "./sending.ts";
import {
  type AnyEvent,
  type SomeEvent,
  type Stream,
  streamOf,
  type StreamOptions,
} from "./stream.ts";

/** Options of {@link createClient}. */
export interface ClientOptions {
  /** Where an edge is, or several of one cluster: one that does not serve is left for the next. */
  readonly url: string | readonly string[];
  /** Sent as a bearer token; a function is asked before each request. @default none */
  readonly token?: string | (() => MaybePromise<string>);
  /** Sends the requests. @default the global one */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** How long a call whose message says nothing waits, all its requests together. @default "10s" */
  readonly timeout?: Duration;
  /**
   * How often a request that failed is sent again. What is written here or at a call holds for
   * commands of entities as well, under a random key if the call has none; an entity keeps the
   * answers to 1,024 commands with a key for 10 minutes. @default 3, but of a command without a
   * key only when it did not run
   */
  readonly retries?: number;
  /** Further headers of every request. @default none */
  readonly headers?: Readonly<Record<string, string>>;
}

/** An event is published, and by nobody outside. */
type Sent = OfKind<"command" | "query">;

/** A reference to an entity, through the edge. */
export interface ClientRef<M extends Messages> extends Ref<M> {
  /**
   * What the entity pushes to those who watch it, until the signal aborts or the loop is left. A
   * stream that breaks is taken up again, at another edge if need be; {@link MISSED} stands where
   * something may be missing.
   */
  watch<E extends AnyEvent = SomeEvent>(options?: StreamOptions<E>): Stream<E>;
}

/**
 * A cluster, through its edge. All that is sent and answered is plain data, as JSON has it.
 *
 * Everything rejects with a `CatgaClientError`; wrong options with a `TypeError` or `RangeError`.
 */
export interface Client {
  /** A reference to an entity of `target`, a contract or a definition. Costs nothing. */
  entity<E extends AnyEntity>(target: E, id: string): ClientRef<E["messages"]>;
  /** The same for a client that has its type alone: `entity<typeof Account>("account", "42")`. */
  entity<E extends AnyEntity = never>(name: E["name"], id: string): ClientRef<E["messages"]>;
  /** Sends a message with its own name; resolves with the answer. */
  send<P, R>(message: Message<P, R> & Sent, options?: CallOptions): Promise<R>;
  /** Resolves once the cluster has taken the message. */
  tell<P>(message: Message<P, unknown> & Sent, options?: CallOptions): Promise<void>;
  /** Asks every node that handles a message whose route is `broadcast`. */
  broadcast<P, R>(
    message: Message<P, R> & Sent,
    options?: CallOptions,
  ): Promise<readonly NodeOutcome<R>[]>;
  /** What is published, as {@link ClientRef.watch}: of these definitions, or of these types. */
  events<E extends AnyEvent = SomeEvent>(
    events: readonly (E | string)[],
    options?: Omit<StreamOptions<E>, "events">,
  ): Stream<E>;
}

/**
 * Makes a client, which keeps no connection by itself and needs no end.
 *
 * @example
 * const api = createClient({ url: "https://example.org", token });
 * await api.entity(Account, "42").send({ type: "deposit", amount: 10 });
 * @throws {TypeError | RangeError} for options that make no sense.
 */
export function createClient(options: ClientOptions): Client {
  return clientIn(options, { clock: webClock, random: systemRandom });
}

/** What a client is given of the world; a test owns it. */
export interface ClientWorld {
  readonly clock: ClientClock;
  readonly random: Random;
}

/** See {@link createClient}. */
export function clientIn(options: ClientOptions, world: ClientWorld): Client {
  const { url, token, fetch: given, timeout = CALL_TIMEOUT_MS, retries, headers } = options;
  const urls = typeof url === "string" ? [url] : url;
  const home: Home = {
    ...world,
    edges: new Edges(urls, world.random),
    // Called as a function of nobody: browsers insist on it.
    fetch: (to, init) => (given ?? fetch)(to, init),
    headers: async () => {
      if (token === undefined) return { ...headers };
      const text = typeof token === "string" ? token : await token();
      return { ...headers, Authorization: `Bearer ${text}` };
    },
  };
  const usual = { timeoutMs: durationMs(timeout, "timeout"), retries: checkRetries(retries) };
  const send = async (sending: Sending, own?: CallOptions): Promise<never> =>
    callEdge(home, callOf(sending, { own, usual, random: world.random })) as Promise<never>;
  return {
    entity: (target: AnyEntity | string, id: string) => refOf({ home, send }, target, id),
    send: async (message, own) => send(named(message), own),
    tell: async (message, own) => send({ ...named(message), oneWay: true }, own),
    broadcast: async (message, own) => send(named(message), own),
    events: (events, own) => streamOf(home, "/events", { ...own, events }) as Stream<never>,
  };
}

function named(message: object): Sending {
  const type = typeOf(message);
  return { to: ["messages", type], message, def: optionsOfType(type), oneWay: false };
}

interface Sender {
  readonly home: Home;
  readonly send: (sending: Sending, own?: CallOptions) => Promise<never>;
}

/** A reference whose types are gone. */
function refOf(
  { home, send }: Sender,
  target: AnyEntity | string,
  id: string,
): ClientRef<Messages> {
  const [name, messages] = typeof target === "string" ? [target] : [target.name, target.messages];
  const sending = (message: object, oneWay: boolean): Sending => {
    const type = typeOf(message);
    const def = messages && Object.hasOwn(messages, type) ? messages[type] : undefined;
    if (messages !== undefined && def === undefined) {
      const detail = `Cannot send "${type}" to "${name}": it has no such message`;
      throw new CatgaClientError("UNKNOWN_MESSAGE", { detail, executed: "no" });
    }
    const to = ["entities", name, id, type];
    return { to, message, def: def && messageOptions(def), oneWay, isOfEntity: true };
  };
  return {
    id,
    send: async (message, own) => send(sending(message, false), own),
    tell: async (message, own) => send(sending(message, true), own),
    watch: (own) => streamOf(home, pathOf(["watch", name, id]), own ?? {}) as Stream<never>,
  };
}
