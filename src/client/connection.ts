/**
 * One connection of an event stream: from the request to its end, or its silence.
 *
 * The edge says something every five seconds at least, if only a comment: a connection that is
 * silent for fifteen is dead, whatever TCP believes. Nothing is read ahead of who takes the events.
 */
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { isOf, refusalOf } from "./answer.ts";
import { Bound } from "./bound.ts";
import { type Home, unanswered } from "./call.ts";
import { CatgaClientError } from "./error.ts";

/** What is heard: an event, or that the edge is still there. */
export type Heard = EventSourceMessage | "beat";

/** What is asked for. */
export interface Connecting {
  readonly url: string;
  /** Below the edge. */
  readonly path: string;
  /** Of the last event that was read. */
  readonly lastId: string | undefined;
  readonly signal: AbortSignal;
  /** Hears how long the edge wants to be left alone after this. */
  readonly retry: (ms: number) => void;
}

const SILENCE_MS_MAX = 15_000;
/** The largest message, escaped, is smaller. */
const EVENT_CHARS_MAX: number = 8 * 1_048_576;

/** What comes, until the edge ends it. @throws {CatgaClientError} when it breaks, or is refused */
export async function* connect(home: Home, asked: Connecting): AsyncGenerator<Heard, void> {
  const { url, path, lastId, signal } = asked;
  const controller = new AbortController();
  const own = await soon(home, signal, home.headers());
  const headers = {
    ...own,
    Accept: "text/event-stream",
    ...(lastId !== undefined && { "Last-Event-ID": lastId }),
  };
  const init = { headers, signal: controller.signal, redirect: "error" } as const;
  const wait = <T>(run: Promise<T>): Promise<T> =>
    soon(
      home,
      signal,
      run.catch((error: unknown) => {
        throw unanswered(error, url);
      }),
    );
  try {
    const answer = await wait(home.fetch(url + path, init));
    if (answer.body === null || !isOf(answer, "text/event-stream") || answer.status !== 200) {
      throw refusalOf(answer, await wait(answer.text()), home.clock);
    }
    const heard: Heard[] = [];
    const parser = parserTo(heard, asked);
    const decoder = new TextDecoder();
    const reader = answer.body.getReader();
    for (;;) {
      const { done, value } = await wait(reader.read());
      if (done) return;
      parser.feed(decoder.decode(value, { stream: true }));
      yield* heard.splice(0);
    }
  } finally {
    controller.abort();
  }
}

/** What `run` resolves with, unless there is silence or the reader leaves. */
function soon<T>({ clock }: Home, signal: AbortSignal, run: Promise<T>): Promise<T> {
  const bound = new Bound(clock, { timeoutMs: SILENCE_MS_MAX, signal });
  return bound.race(run).finally(() => bound.end());
}

function parserTo(heard: Heard[], { retry }: Connecting): ReturnType<typeof createParser> {
  return createParser({
    maxBufferSize: EVENT_CHARS_MAX,
    onEvent: (event) => heard.push(event),
    onComment: () => heard.push("beat"),
    onRetry: retry,
    onError: ({ type, message: detail }) => {
      // Fields of tomorrow are none of ours.
      if (type !== "max-buffer-size-exceeded") return;
      throw new CatgaClientError("UNEXPECTED_ANSWER", { detail, status: 200 });
    },
  });
}
