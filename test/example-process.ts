/**
 * The examples as processes: started as their headers say, read, and ended with the tests at the
 * latest. Clusters of a test file keep their secrets in a folder of that file.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** A process that has ended. */
export interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A process that runs. */
export interface Running {
  readonly child: ChildProcess;
  /** What it has written to stdout once that contains `text`. */
  readonly until: (text: string) => Promise<string>;
  readonly ended: Promise<Run>;
}

const ROOT = join(import.meta.dirname, "..");
const SUFFIX = process.platform === "win32" ? ".exe" : "";
/** Where the examples are. */
export const EXAMPLES: string = join(ROOT, "examples");

/** How a program is started: the binary, and what comes before the program. */
export type Command = readonly [binary: string, ...args: string[]];

/** The runtimes of `node_modules`, beside the one of the tests. */
export const COMMANDS: { readonly [R in "node" | "deno"]: Command } = {
  node: [join(ROOT, "node_modules", "node", "bin", `node${SUFFIX}`)],
  deno: [join(ROOT, "node_modules", "deno", `deno${SUFFIX}`), "run", "--quiet", "--allow-all"],
};

/** The examples that one test file has started. */
export class ExampleRuns {
  /** What they find in their environment. */
  readonly env: Record<string, string> = {};
  readonly #folder = mkdtempSync(join(tmpdir(), "catga-examples-"));
  /** Where they put temporary files. */
  readonly temporary: string = mkdtempSync(join(this.#folder, "tmp-"));
  readonly #children: ChildProcess[] = [];

  /** After a failure something may still run; the nodes of a demo end with it. */
  endAll(): void {
    for (const child of this.#children) child.kill("SIGKILL");
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** The demo of `npm start`, until its end. */
  demo(...args: readonly (string | number)[]): Promise<Run> {
    return this.start(DEMO, args).ended;
  }

  /** One of them, by its name in the folder; on the runtime of the tests, or another. */
  start(
    example: string,
    args: readonly (string | number)[] = [],
    [binary, ...before]: Command = [process.execPath],
  ): Running {
    const words = [...before, join(EXAMPLES, example), ...args.map(String)];
    const child = spawn(binary, words, {
      cwd: ROOT,
      env: {
        ...process.env,
        ...this.env,
        XDG_RUNTIME_DIR: this.#folder,
        TMPDIR: this.temporary,
        DENO_NO_UPDATE_CHECK: "1",
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#children.push(child);
    const said = { stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (text: string) => (said.stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (said.stderr += text));
    const ended = new Promise<Run>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => resolve({ code, ...said }));
    });
    const until = (text: string): Promise<string> =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (said.stdout.includes(text)) resolve(said.stdout);
        };
        child.stdout.on("data", look);
        child.once("close", () => {
          reject(new Error(`Cannot find "${text}" in: ${said.stdout}${said.stderr}`));
        });
      });
    return { child, until, ended };
  }
}

/** The demo's name for {@link ExampleRuns.start}. */
export const DEMO: string = join("flights", "main.ts");

/** Resolves when nobody listens at any of `ports`, which a node gives back as the last it does. */
export async function allFree(ports: readonly number[]): Promise<void> {
  for (const port of ports) {
    for (;;) {
      const attempt = await listening(port).catch(() => undefined);
      await attempt?.[Symbol.asyncDispose]();
      if (attempt !== undefined) break;
    }
  }
}

/** The first of `count` free ports in a row, as far as one look can tell. */
export async function freePorts(count: number): Promise<number> {
  for (;;) {
    await using first = await listening(0);
    const others = Array.from({ length: count - 1 }, (_, index) => first.port + index + 1);
    const attempts = await Promise.allSettled(others.map(listening));
    const bound = attempts.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    await Promise.all(bound.map((each) => each[Symbol.asyncDispose]()));
    if (bound.length === others.length) return first.port;
  }
}

/** Takes `port` of loopback until it is disposed of; 0 is any. */
export async function listening(
  port: number,
): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, host: "127.0.0.1" }, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    [Symbol.asyncDispose]: () => new Promise((resolve) => void server.close(() => resolve())),
  };
}
