/**
 * A node as the orchestrator sees it: a child process that is told lines and tells lines.
 *
 * Its life: it starts, it serves, it is asked to leave, it has ended. Whatever ends it before it
 * was asked to leave is a failure, and reported once.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Command, News, NodePlan, Questions, Ready } from "./lines.ts";
import type { RuntimeName } from "./options.ts";
import type { Tally } from "./replay.ts";

/** How a node is to be started. */
export interface NodeStart {
  readonly plan: NodePlan;
  readonly runtime: RuntimeName;
  /** Where it meets the others; without it, on this machine and without a broker. */
  readonly transport: string | undefined;
}

/** Who listens to a node. */
export interface NodeListener {
  /** What it wrote to its stderr, line by line. */
  readonly wrote: (node: string, line: string) => void;
  readonly progress: (node: string, tally: Tally) => void;
  /** It could not start, or ended although nobody asked it to. */
  readonly failed: (reason: string) => void;
}

interface Pending {
  readonly resolve: (answer: never) => void;
  readonly reject: (error: Error) => void;
}

type Life = "starting" | "serving" | "leaving" | "ended";

const PROGRAM = fileURLToPath(new URL("node.ts", import.meta.url));
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const SUFFIX = process.platform === "win32" ? ".exe" : "";
/** From the packages that the set-up installed, never from the PATH: these versions were tested. */
const COMMANDS: { readonly [R in RuntimeName]: readonly [binary: string, ...args: string[]] } = {
  bun: ["node_modules/bun/bin/bun.exe", "run"],
  node: [`node_modules/node/bin/node${SUFFIX}`],
  deno: [`node_modules/deno/deno${SUFFIX}`, "run", "--quiet", "--allow-all"],
};
/** Longer than a node takes at most to leave. */
const LEAVE_MS_MAX = 8_000;

/** See the file's header. */
export class NodeProcess {
  readonly name: string;
  /** Resolves when the process is gone and its last words were passed on. */
  readonly ended: Promise<void>;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #listener: NodeListener;
  readonly #pending = new Map<number, Pending>();
  readonly #ready = Promise.withResolvers<Ready>();
  #life: Life = "starting";
  #lastId = 0;

  constructor({ plan, runtime, transport }: NodeStart, listener: NodeListener) {
    this.name = plan.node;
    this.#listener = listener;
    const [binary, ...args] = COMMANDS[runtime];
    this.#child = spawn(`${ROOT}${binary}`, [...args, PROGRAM, JSON.stringify(plan)], {
      cwd: ROOT,
      // The transport may hold a password, and everybody may see the arguments of a process.
      env: { ...process.env, DENO_NO_UPDATE_CHECK: "1", CLUSTER_TRANSPORT: transport ?? "" },
    });
    this.ended = new Promise((resolve) => {
      this.#child.once("close", (code, signal) => {
        this.#end(`it ended with ${signal ?? `code ${code}`}`);
        resolve();
      });
      // Where there is no process, there is no "close" to come.
      this.#child.once("error", (error) => {
        this.#end(error.message);
        resolve();
      });
    });
    // A command to a node that has just died: the end of the process is what gets reported.
    this.#child.stdin.on("error", () => {});
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#read(line));
    createInterface({ input: this.#child.stderr }).on("line", (line) => {
      listener.wrote(this.name, line);
    });
  }

  /** Resolves when it serves; never when it fails before that: the listener is told. */
  get ready(): Promise<Ready> {
    return this.#ready.promise;
  }

  ask<Q extends keyof Questions>(
    question: Q,
    ask: Questions[Q]["ask"],
  ): Promise<Questions[Q]["answer"]> {
    if (this.#life !== "serving") {
      return Promise.reject(new Error(`Cannot ask ${this.name}: it is ${this.#life}`));
    }
    const id = ++this.#lastId;
    const command = { id, do: question, ...ask } as Command;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#child.stdin.write(`${JSON.stringify(command)}\n`);
    });
  }

  /** Asks it to leave the cluster and waits for its end; kills it when that takes too long. */
  async stop(): Promise<void> {
    if (this.#life !== "ended") this.#life = "leaving";
    this.#child.stdin.end();
    const timer = setTimeout(() => {
      this.#listener.wrote(this.name, `does not leave within ${LEAVE_MS_MAX} ms and is killed`);
      this.kill();
    }, LEAVE_MS_MAX);
    await this.ended;
    clearTimeout(timer);
  }

  kill(): void {
    if (this.#life !== "ended") this.#life = "leaving";
    this.#child.kill("SIGKILL");
  }

  /** True while it takes questions. */
  get isServing(): boolean {
    return this.#life === "serving";
  }

  #read(line: string): void {
    const news = parseNews(line);
    switch (news?.kind) {
      case undefined:
        return this.#listener.wrote(this.name, line);
      case "ready":
        if (this.#life === "starting") this.#life = "serving";
        return this.#ready.resolve(news.ready);
      case "failed":
        return this.#fail(`Cannot start ${this.name}: ${news.reason}`);
      case "progress":
        return this.#listener.progress(this.name, news.tally);
      case "answer":
        return this.#settle(news.id, ({ resolve }) => resolve(news.answer as never));
      case "refusal":
        return this.#settle(news.id, ({ reject }) => {
          reject(new Error(`${this.name} says: ${news.reason}`));
        });
    }
  }

  #settle(id: number, settle: (pending: Pending) => void): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#pending.delete(id);
    settle(pending);
  }

  #fail(reason: string): void {
    if (this.#life === "leaving" || this.#life === "ended") return;
    this.#life = "leaving";
    this.#listener.failed(reason);
  }

  #end(how: string): void {
    const verb = this.#life === "starting" ? "start" : "go on with";
    this.#fail(`Cannot ${verb} ${this.name}: ${how}`);
    this.#life = "ended";
    for (const id of this.#pending.keys()) {
      this.#settle(id, ({ reject }) => reject(new Error(`${this.name} has ended`)));
    }
  }
}

/** `undefined` for a line that is none of ours, such as what a library printed. */
function parseNews(line: string): News | undefined {
  try {
    const news = JSON.parse(line) as News | null;
    return typeof news === "object" && news !== null && "kind" in news ? news : undefined;
  } catch {
    return undefined;
  }
}
