/** An edge that answers as it was told to, in a time that the test owns. */
import { clientIn } from "../../src/client/client.ts";
import type { Client, ClientOptions } from "../../src/client/index.ts";
import { FakeClock } from "../base/fake-clock.ts";

/** What the edge does with one request. */
export type Reaction = (request: Asked) => Response | Promise<Response>;

/** A request as the edge gets it. */
export interface Asked {
  readonly url: string;
  readonly headers: Headers;
  readonly body: unknown;
  readonly signal: AbortSignal;
  readonly redirect: string | undefined;
  /** When it came. */
  readonly atMs: number;
}

/** A client, what it has sent, and a way to let time pass for it. */
export interface Scripted {
  readonly api: Client;
  readonly asked: Asked[];
  readonly clock: FakeClock;
  /** What becomes of `promise` as time passes. */
  readonly settled: <T>(promise: Promise<T>) => Promise<T>;
}

/** A client whose requests meet `reactions`, one each; chance is always in the middle. */
export function scripted(
  reactions: readonly Reaction[],
  options: Partial<ClientOptions> = {},
): Scripted {
  const clock = new FakeClock();
  const asked: Asked[] = [];
  const left = [...reactions];
  const fetch = async (url: string, init: RequestInit): Promise<Response> => {
    const body = typeof init.body === "string" ? JSON.parse(init.body) : init.body;
    const { signal, redirect } = init;
    const headers = new Headers(init.headers);
    const request = {
      url,
      headers,
      body,
      signal: signal as AbortSignal,
      redirect,
      atMs: clock.nowMs(),
    };
    asked.push(request);
    const react = left.shift();
    if (react === undefined) throw new Error("the script has ended");
    return react(request);
  };
  const random = { fraction: () => 0.5, text: (length: number) => "k".repeat(length) };
  const world = { clock, random };
  const api = clientIn({ url: "http://edge", fetch, ...options }, world);
  const settled = async <T>(promise: Promise<T>): Promise<T> => {
    let isOver = false;
    const over = (): void => void (isOver = true);
    promise.then(over, over);
    for (;;) {
      // Lets everything go on that waits for no time.
      await new Promise((resolve) => void setImmediate(resolve));
      if (isOver) return promise;
      clock.advance(5);
    }
  };
  return { api, asked, clock, settled };
}

/** 200 with `value`. */
export function replies(value: unknown): Reaction {
  return () => Response.json(value);
}

/** An error as the edge has them. */
export function refuses(
  status: number,
  code: string,
  more: { readonly retryable?: boolean; readonly retryAfter?: string } = {},
): Reaction {
  const { retryable = false, retryAfter } = more;
  const headers = {
    "Content-Type": "application/problem+json",
    ...(retryAfter !== undefined && { "Retry-After": retryAfter }),
  };
  const problem = { status, code, retryable, detail: `It is ${code}`, requestId: "r-1" };
  return () => Response.json(problem, { status, headers });
}

/** What `fetch` throws where nobody listens. */
export function unreachable(): never {
  throw Object.assign(new TypeError("fetch failed"), { cause: { code: "ECONNREFUSED" } });
}

/** What it throws when a connection breaks. */
export function breaks(): never {
  throw new TypeError("terminated");
}

/** Nobody ever answers, but a caller who leaves is noticed. */
export function hangs({ signal }: Asked): Promise<Response> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => {
      reject(new DOMException("The operation was aborted", "AbortError"));
    });
  });
}
