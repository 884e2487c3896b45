/**
 * Event streams that nobody reads, while what they would be given is pushed: they cost the node no
 * more than what a stream holds, are cut off, and disturb nobody who reads.
 */
import { describe, expect, test } from "bun:test";
import { createInterface } from "node:readline";
import { waitUntil } from "../contracts/wait-until.ts";
import { Source } from "../http/event-source.ts";
import { DeafSocket } from "./deaf.ts";
import { type Runtime, start } from "./process.ts";
import type { StreamFigures } from "./stream-target.ts";

/** Deno has the server of Node.js. */
const RUNTIMES: readonly Runtime[] = ["bun", "node"];
const DEAF = 1_000;
const HONEST = 3;
/** What is pushed in all is far above what a node may keep of it. */
const PUSHES = 10_000;
const AT_ONCE = 100;
const CHARACTERS = 8_000;
const HEAP_BYTES_MAX = 125_000_000;
const CUT_MS_MAX = 15_000;

const WATCH = "GET /watch/room/a HTTP/1.1\r\nHost: localhost\r\n\r\n";

/** A target that runs, and what it is like. */
async function started(runtime: Runtime) {
  const child = start(runtime, "stream-target.ts", String(DEAF + HONEST));
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const next = async (): Promise<unknown> => JSON.parse((await lines.next()).value ?? "null");
  const { port } = (await next()) as { readonly port: number };
  const figures = async (after: "now" | "collect" = "now"): Promise<StreamFigures> => {
    child.stdin!.write(`${after}\n`);
    return (await next()) as StreamFigures;
  };
  const watching = async (count: number): Promise<void> => {
    let now = -1;
    const holds = async (): Promise<boolean> => (now = (await figures()).watching) === count;
    const options = { timeoutMs: CUT_MS_MAX, describe: () => now };
    await waitUntil(`${count} streams are open`, holds, options);
  };
  const url = `http://127.0.0.1:${port}`;
  return { port, url, figures, watching, [Symbol.dispose]: () => void child.stdin!.end() };
}

/** Opens streams of which none is ever read. */
function openDeaf(sockets: DisposableStack, port: number): void {
  for (let n = 0; n < DEAF; n++) sockets.use(new DeafSocket(port, WATCH));
}

async function shout(url: string, from: number, count: number): Promise<void> {
  const response = await fetch(`${url}/entities/room/a/shout`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ from, count, characters: CHARACTERS }),
  });
  expect(response.status).toBe(204);
}

/** The next numbers of a stream are those from `from` on, and nothing else comes. */
async function expectHeard(source: Source, from: number, count: number): Promise<void> {
  const came = await source.take(count);
  const numbers = came.map(({ data }) => (data as { readonly n?: number }).n);
  expect(numbers).toEqual(Array.from({ length: count }, (_, index) => from + index));
}

describe.each(RUNTIMES)("the streams of an edge on %s", (runtime) => {
  test(`${DEAF} that are never read cost little, are cut off, and disturb nobody`, async () => {
    using target = await started(runtime);
    const { port, url } = target;
    const open = Array.from({ length: HONEST }, () => Source.open(`${url}/watch/room/a`));
    const honest = await Promise.all(open);
    for (const source of honest) expect((await source.next())?.event).toBe("@begun");
    using sockets = new DisposableStack();
    openDeaf(sockets, port);
    await target.watching(DEAF + HONEST);
    const before = await target.figures("collect");
    for (let n = 0; n < PUSHES; n += AT_ONCE) {
      await shout(url, n, AT_ONCE);
      await Promise.all(honest.map((source) => expectHeard(source, n, AT_ONCE)));
    }
    const after = await target.figures("collect");
    expect(after.heapBytes - before.heapBytes).toBeLessThan(HEAP_BYTES_MAX);
    await target.watching(HONEST);
    // Their places are free, all of them and no more.
    openDeaf(sockets, port);
    await target.watching(DEAF + HONEST);
    expect((await fetch(`${url}/watch/room/a`)).status).toBe(429);
    await shout(url, PUSHES, 1);
    await Promise.all(honest.map((source) => expectHeard(source, PUSHES, 1)));
    for (const source of honest) source.close();
    expect((await fetch(`${url}/healthz/live`)).status).toBe(200);
  }, 60_000);
});
