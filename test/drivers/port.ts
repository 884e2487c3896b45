/** Ports and names for tests that run beside other tests, and beside other programs. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** Below the range from which the kernel takes ports for outgoing connections. */
const FIRST = 20_000;
const SPAN = 12_000;
/** Who was given which port: a file for each. */
const CLAIMS = join(tmpdir(), `catga-ports-${userInfo().uid}`);

let tried = crypto.getRandomValues(new Uint16Array(1))[0]! % SPAN;
let names = 0;

/**
 * A loopback port that nobody listens on, and that no process of these tests, this one included,
 * has been given before: between asking and listening it belongs to whoever asked.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + (tried++ % SPAN);
    if (claim(port) && (await isFree(port))) return port;
  }
}

/** True when no other process that runs has `port`. */
function claim(port: number): boolean {
  mkdirSync(CLAIMS, { recursive: true });
  const path = join(CLAIMS, String(port));
  try {
    writeFileSync(path, String(process.pid), { flag: "wx" });
    return true;
  } catch {
    const isOver = !isRunning(Number(readFileSync(path, "utf8")));
    if (isOver) rmSync(path, { force: true });
    return isOver && claim(port);
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
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
