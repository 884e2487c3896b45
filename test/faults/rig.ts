/** Real processes on a driver, under a load, and everything that can be done to them. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { waitUntil } from "../contracts/wait-until.ts";
import { Proxy } from "../drivers/proxy.ts";
import type { Broker } from "./broker.ts";
import { Caller, type Load } from "./caller.ts";
import type { Turn } from "./probe.ts";
import { commandOf, type Runtime } from "./runtimes.ts";

const PROGRAM = fileURLToPath(new URL("node.ts", import.meta.url));
/** The node that sends, as scenarios call it. */
export const CALLER = "caller";
const START_TIMEOUT_MS = 30_000;

/** How a rig is set up. */
export interface RigOptions {
  readonly heartbeat: "fast" | "normal";
  /** The broker that the nodes meet at; undefined on the embedded driver. */
  readonly broker: Broker | undefined;
  /** Nodes take them in turn. */
  readonly runtimes: readonly Runtime[];
  /** True when every node goes to the broker by a proxy of its own. */
  readonly isProxied: boolean;
  /** What nodes host. @default "probe" */
  readonly entities?: "probe" | "kept" | "handlers";
}

/** Where a node meets the others, as an option of `Cluster.start` each. */
export interface Place {
  readonly name: string;
  readonly nodeId: string;
  readonly transport?: Broker["url"];
}

interface NodeProcess {
  readonly child: ChildProcessWithoutNullStreams;
  readonly log: string;
}

/** See the file's header. */
export class Rig implements AsyncDisposable {
  readonly name: string = `faults-${randomBytes(6).toString("hex")}`;
  /** What a scenario meant to do and did not. */
  readonly undone: string[] = [];
  /** Who ran on what. */
  readonly runtimes = new Map<string, Runtime>();
  readonly #options: RigOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), "catga-faults-"));
  readonly #nodes = new Map<string, NodeProcess>();
  readonly #logs: string[] = [];
  readonly #proxies = new Map<string, Proxy>();
  #starts = 0;
  #caller: Caller | undefined;

  constructor(options: RigOptions) {
    this.#options = options;
    process.env["XDG_RUNTIME_DIR"] = this.#folder;
    process.env["XDG_STATE_HOME"] = this.#folder;
  }

  /** Where entities are kept that no broker keeps. */
  get file(): string {
    return join(this.#folder, "catga", `${this.name}.db`);
  }

  /** The broker; only scenarios that have one ask for it. */
  get broker(): Broker {
    return this.#options.broker!;
  }

  /** Nodes that the caller saw die. */
  get failed(): readonly string[] {
    return this.#caller?.failed ?? [];
  }

  /** The nodes that should be there now. */
  get ids(): string[] {
    return [...this.#nodes.keys()];
  }

  /** Writes down that `what` did not happen, if it did not. */
  check(what: string, happened: boolean): void {
    if (!happened) this.undone.push(what);
  }

  /** Starts a node; resolves when it has joined. */
  async start(id: string): Promise<void> {
    const { heartbeat, runtimes, entities = "probe" } = this.#options;
    const log = join(this.#folder, `${id}-${randomBytes(4).toString("hex")}.log`);
    // Who comes back may run on another one than it did: what was stored is for all of them.
    const runtime = runtimes[this.#starts++ % runtimes.length]!;
    this.#logs.push(log);
    this.runtimes.set(id, runtime);
    const transport = (await this.#transportOf(id)) ?? "";
    const [command, ...args] = commandOf(runtime, PROGRAM);
    const child = spawn(command, [...args, this.name, id, heartbeat, log, transport, entities]);
    this.#nodes.set(id, { child, log });
    child.stderr.pipe(process.stderr);
    child.stdin.on("error", () => {});
    const exit = once(child, "exit");
    const ended = exit.then(([code]) => Promise.reject(new Error(`${id} ended with ${code}`)));
    await Promise.race([once(child.stdout, "data"), ended]);
    // From now on it may end.
    ended.catch(() => {});
  }

  /** Joins as a node that only calls, and begins to send; resolves when all nodes had turns. */
  async load(): Promise<void> {
    this.#caller = await Caller.start({ ...(await this.place(CALLER)), heartbeat: "normal" });
    await Promise.all(this.ids.map((id) => this.serves(id)));
    await wait(300);
    this.#caller.forgetGaps();
  }

  /** Where a node of this process meets the others. */
  async place(nodeId: string): Promise<Place> {
    const transport = await this.#transportOf(nodeId);
    return { name: this.name, nodeId, ...(transport === undefined ? {} : { transport }) };
  }

  /** Ends a node without a word, which has had turns. */
  async kill(id: string): Promise<void> {
    const { child, log } = this.#nodes.get(id)!;
    this.#nodes.delete(id);
    this.check(`${id} had turns`, hasTurns(log));
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    const [, signal] = await ended;
    this.check(`${id} was killed`, signal === "SIGKILL");
  }

  /** Stops a node in its tracks for `ms`. */
  async freeze(id: string, ms: number): Promise<void> {
    const { child, log } = this.#nodes.get(id)!;
    this.check(`${id} had turns`, hasTurns(log));
    child.kill("SIGSTOP");
    await waitUntil(`${id} stands still`, () => !isRunning(child.pid!));
    await wait(ms);
    child.kill("SIGCONT");
  }

  /** Blocks the event loop of a node; resolves when it goes on. */
  async block(id: string, ms: number): Promise<void> {
    await this.tell(id, `${ms}`);
  }

  /** Tells a node what its program knows, one thing after the other; resolves when it is done. */
  async tell(id: string, line: string): Promise<void> {
    const { child } = this.#nodes.get(id)!;
    child.stdin.write(`${line}\n`);
    await once(child.stdout, "data");
  }

  /** Lets a node leave; resolves when its process has ended, as it should. */
  async stop(id: string): Promise<void> {
    const { child } = this.#nodes.get(id)!;
    this.#nodes.delete(id);
    const ended = once(child, "exit");
    child.stdin.end();
    const [code] = await ended;
    this.check(`${id} left in peace (it ended with ${code})`, code === 0);
  }

  /** Resolves when a node has had turns. */
  async serves(id: string): Promise<void> {
    const { log } = this.#nodes.get(id)!;
    await waitUntil(`${id} has turns`, () => hasTurns(log), { timeoutMs: START_TIMEOUT_MS });
  }

  /** The ways of nodes to the broker. */
  proxiesOf(ids: readonly string[]): Proxy[] {
    return ids.map((id) => this.#proxies.get(id)!);
  }

  /** Resolves when all nodes are there, every entity has answered since, and some time is over. */
  async recovered(): Promise<void> {
    await this.#caller!.recovered(this.ids);
    // What still hides would show now.
    await wait(500);
  }

  /** Ends the load; every call has settled. */
  async finish(): Promise<Load> {
    return this.#caller!.finish();
  }

  /** All turns that any node has written down. */
  turns(): Turn[] {
    const lines = this.lines().filter((line) => line.endsWith("}"));
    return lines.map((line) => JSON.parse(line) as Turn);
  }

  /** All lines that any node has written down. */
  lines(): string[] {
    return this.#logs.filter(existsSync).flatMap((log) => readFileSync(log, "utf8").split("\n"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const children = [...this.#nodes.values()].map(({ child }) => child);
    for (const child of children) child.kill("SIGKILL");
    await this.#caller?.stop();
    for (const proxy of this.#proxies.values()) proxy.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Where a node is told to meet the others. */
  async #transportOf(id: string): Promise<Broker["url"] | undefined> {
    const { broker, isProxied } = this.#options;
    if (broker === undefined || !isProxied) return broker?.url;
    const proxy = this.#proxies.get(id) ?? (await Proxy.to(broker.port));
    this.#proxies.set(id, proxy);
    return broker.url.replace(`${broker.port}`, `${proxy.port}`) as Broker["url"];
  }
}

function hasTurns(log: string): boolean {
  return (statSync(log, { throwIfNoEntry: false })?.size ?? 0) > 0;
}

/** False for a process that was stopped; only Linux says so, elsewhere it is believed. */
function isRunning(pid: number): boolean {
  const path = `/proc/${pid}/stat`;
  return existsSync(path) && !/\) [Tt] /.test(readFileSync(path, "utf8"));
}
