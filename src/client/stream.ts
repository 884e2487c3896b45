/**
 * Event streams that last: whatever breaks one, it is taken up again after the last event that was
 * read, at another edge if need be. The edge says `@begun` at first, with an id to go on from, or
 * `@missed` where it does not know what came in between, and `@drain` before it goes.
 */
import { backoffMs } from "../base/backoff.ts";
import type { AnyNamed, Message, Named } from "../api/messages.ts";
import type { Home } from "./call.ts";
import { connect } from "./connection.ts";
import { CatgaClientError, isClientError } from "./error.ts";

/** Any event, as `defineEvent` made it. */
export type AnyEvent = AnyNamed & { readonly kind: "event" };
/** One of which nothing is known. */
export type SomeEvent = Named<"event", object, void>;

/**
 * Stands at the beginning of a stream, and wherever events may be missing: what happened before is
 * to be asked for, what happens from now on comes.
 */
export const MISSED: unique symbol = Symbol("catga: events may be missing");

/** Options of a stream. */
export interface StreamOptions<E extends AnyEvent = SomeEvent> {
  /** Leaves out all other events, and says what these are. @default all */
  readonly events?: readonly (E | string)[];
  /** Ends the stream. */
  readonly signal?: AbortSignal;
}

/** Events as they come. Leaving the loop, or `return()`, ends it. */
export type Stream<E extends AnyEvent> = AsyncIterableIterator<ReturnType<E> | typeof MISSED>;

/** How long a stream is left alone when the edge does not say. */
const RETRY_MS = 500;
const RETRY_MS_MAX = 30_000;
const PASSING: readonly unknown[] = [undefined, 429, 502, 503, 504];

/** True for a message of `event`. */
export function isEvent<P>(
  event: Named<"event", P, void>,
  item: object | symbol,
): item is Message<P, void> {
  return typeof item === "object" && (item as { readonly type?: unknown }).type === event.type;
}

/** The stream at `path`, which begins when it is first asked for something. */
export function streamOf(home: Home, path: string, options: StreamOptions): Stream<AnyEvent> {
  const { events, signal } = options;
  const ending = new AbortController();
  const end = (): void => ending.abort();
  signal?.addEventListener("abort", end, { once: true });
  if (signal?.aborted === true) end();
  const types = events?.map((event) => (typeof event === "string" ? event : event.type));
  const items = new Follower(home, { path, types, signal: ending.signal }).items();
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: () => items.next(),
    return() {
      signal?.removeEventListener("abort", end);
      // First, for the generator hears that it is to end only between two items.
      end();
      return items.return(undefined);
    },
  };
}

type Items<R = void> = AsyncGenerator<Message<object, void> | typeof MISSED, R>;

interface Followed {
  readonly path: string;
  readonly types: readonly string[] | undefined;
  readonly signal: AbortSignal;
}

/** What is known of a stream between its connections. */
class Follower {
  readonly #home: Home;
  readonly #path: string;
  readonly #followed: Followed;
  #lastId: string | undefined;
  #retryMs = RETRY_MS;
  /** Connections since the last one that brought something. */
  #failures = 0;

  constructor(home: Home, followed: Followed) {
    const { path, types } = followed;
    this.#home = home;
    this.#followed = followed;
    this.#path =
      types === undefined ? path : `${path}?types=${types.map(encodeURIComponent).join()}`;
  }

  /** All that comes until the signal aborts. @throws {CatgaClientError} what the edge refuses */
  async *items(): Items {
    const { signal } = this.#followed;
    const { edges } = this.#home;
    while (!signal.aborted) {
      const url = edges.current;
      let isDrained = false;
      let retryAfterMs = 0;
      try {
        isDrained = yield* this.#connection(url);
      } catch (error) {
        if (signal.aborted) return;
        if (!isClientError(error) || !PASSING.includes(error.status)) throw error;
        retryAfterMs = error.retryAfterMs ?? 0;
      }
      edges.leave(url);
      // An edge that goes says so once; if all of them do, they are given time.
      const isAtOnce = isDrained && this.#failures === 0;
      const waitMs = retryAfterMs + this.#backoffMs();
      this.#failures++;
      if (!isAtOnce && !signal.aborted) await this.#pause(waitMs);
    }
  }

  /** What one connection brings; true when the edge asked to be left. */
  async *#connection(url: string): Items<boolean> {
    const { signal, types } = this.#followed;
    const asked = { url, path: this.#path, lastId: this.#lastId, signal };
    const retry = (ms: number): void => {
      this.#retryMs = Math.min(ms, RETRY_MS_MAX);
    };
    for await (const heard of connect(this.#home, { ...asked, retry })) {
      if (heard === "beat") {
        this.#failures = 0;
        continue;
      }
      const { id, event = "", data } = heard;
      const isFirst = this.#lastId === undefined && event === "@begun";
      this.#lastId = id ?? this.#lastId;
      if (event === "@drain") return true;
      this.#failures = 0;
      if (isFirst || event === "@missed") yield MISSED;
      const isWanted = types?.includes(event) ?? isName(event);
      if (isWanted) yield messageOf(event, data);
    }
    return false;
  }

  /** Never less than the edge wants, and not at the same moment as all others. */
  #backoffMs(): number {
    const backoff = { firstMs: 2 * this.#retryMs, longestMs: 2 * RETRY_MS_MAX };
    return backoffMs(this.#failures, backoff, this.#home.random);
  }

  async #pause(timeoutMs: number): Promise<void> {
    const { signal } = this.#followed;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        cancel();
        // A stream lasts, and would remember each of its pauses.
        signal.removeEventListener("abort", done);
        resolve();
      };
      const cancel = this.#home.clock.after(timeoutMs, done);
      signal.addEventListener("abort", done);
    });
  }
}

/** Names of messages never begin with what marks of the edge begin with. */
function isName(event: string): boolean {
  return event !== "" && !event.startsWith("@");
}

function messageOf(type: string, data: string): Message<object, void> {
  try {
    return { ...(JSON.parse(data) as object), type };
  } catch (cause) {
    const detail = `Cannot read an event of the type "${type}": it is not JSON`;
    throw new CatgaClientError("UNEXPECTED_ANSWER", { detail, status: 200, cause });
  }
}
