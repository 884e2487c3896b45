/** Ports and names for tests that run beside other tests, and beside other programs. */
import { createServer } from "node:net";
import process from "node:process";

/** Below the range from which the kernel takes ports for outgoing connections. */
const FIRST = 20_000;
const SPAN = 12_000;

let tried = crypto.getRandomValues(new Uint16Array(1))[0]! % SPAN;
let names = 0;

/** A loopback port that nobody listens on, and that this process has not asked for before. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + (tried++ % SPAN);
    if (await isFree(port)) return port;
  }
}

/** True when this process could listen on `port` of loopback. */
export function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => {
      server.close(() => resolve(true));
    });
  });
}

/** A name that no other test of this machine uses at this moment. */
export function uniqueName(what: string): string {
  return `${what}-${process.pid}-${++names}`;
}
