/** Real processes on a driver, under a constant load whose every message is known. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Cluster, type ClusterOf, isCatgaError } from "../../src/index.ts";
import type { NatsServer } from "../drivers/nats-server.ts";
import { ProbeContract, type Turn } from "./probe.ts";

const ENTITIES = 40;
const LANES = 24;
const PROGRAM = fileURLToPath(new URL("node.ts", import.meta.url));
const NODE = fileURLToPath(new URL("../../node_modules/node/bin/node", import.meta.url));

/** What the load met. */
export interface Load {
  /** Messages that were answered, by entity. */
  readonly answered: ReadonlyMap<string, ReadonlySet<number>>;
  readonly sent: number;
  readonly errors: Readonly<Record<string, number>>;
  /** The longest time that an entity was silent for its caller, in milliseconds. */
  readonly gapMs: number;
}

/** See the file's header. */
export class Rig implements AsyncDisposable {
  readonly name: string = `faults-${randomBytes(6).toString("hex")}`;
  readonly heartbeat: "fast" | "normal";
  /** The broker that the nodes meet at; undefined on the embedded driver. */
  readonly broker: NatsServer | undefined;
  /** Nodes that others declared dead. */
  readonly failed: string[] = [];
  readonly #folder = mkdtempSync(join(tmpdir(), "catga-faults-"));
  readonly #nodes = new Map<string, ChildProcessWithoutNullStreams>();
  readonly #logs = new Set<string>();
  #caller: ClusterOf<never> | undefined;
  readonly #answered = new Map<string, Set<number>>();
  readonly #errors: Record<string, number> = {};
  #sent = 0;
  #gapMs = 0;
  readonly #state = { isLoading: false };
  #lanes: Promise<void>[] = [];

  constructor(heartbeat: "fast" | "normal", broker: NatsServer | undefined) {
    this.heartbeat = heartbeat;
    this.broker = broker;
    process.env["XDG_RUNTIME_DIR"] = this.#folder;
  }

  /** Starts a node; resolves when it has joined. */
  async start(id: string): Promise<void> {
    const log = join(this.#folder, `${id}-${randomBytes(4).toString("hex")}.log`);
    this.#logs.add(log);
    const child = spawn(NODE, [
      PROGRAM,
      this.name,
      id,
      this.heartbeat,
      log,
      this.broker?.url ?? "",
    ]);
    this.#nodes.set(id, child);
    child.stderr.pipe(process.stderr);
    child.stdin.on("error", () => {});
    await new Promise<void>((resolve, reject) => {
      child.stdout.once("data", () => resolve());
      child.once("close", (code) => reject(new Error(`${id} ended with ${code}`)));
    });
  }

  /** Joins as a node that only calls, and begins to send. */
  async load(): Promise<void> {
    this.#caller = await Cluster.start({
      name: this.name,
      nodeId: "caller",
      heartbeat: "normal",
      ...(this.broker === undefined ? {} : { transport: this.broker.url }),
    });
    this.#caller.on("node-left", ({ node, reason }) => {
      if (reason === "failed") this.failed.push(node);
    });
    this.#state.isLoading = true;
    this.#lanes = Array.from({ length: LANES }, (_, lane) => this.#lane(lane));
    await wait(300);
    this.#gapMs = 0;
  }

  /** The process of a node gets `signal`. */
  signal(id: string, signal: "SIGKILL" | "SIGSTOP" | "SIGCONT"): void {
    this.#nodes.get(id)!.kill(signal);
    if (signal === "SIGKILL") this.#nodes.delete(id);
  }

  /** Blocks the event loop of a node. */
  block(id: string, ms: number): void {
    this.#nodes.get(id)!.stdin.write(`${ms}\n`);
  }

  /** Lets a node leave; resolves when its process has ended. */
  async stop(id: string): Promise<void> {
    const child = this.#nodes.get(id)!;
    this.#nodes.delete(id);
    const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
    child.stdin.end();
    await ended;
  }

  /** Ends the load; every call has settled. */
  async finish(): Promise<Load> {
    this.#state.isLoading = false;
    await Promise.all(this.#lanes);
    await this.#caller?.stop();
    return {
      answered: this.#answered,
      sent: this.#sent,
      errors: this.#errors,
      gapMs: Math.round(this.#gapMs),
    };
  }

  /** All turns that any node has written down. */
  turns(): Turn[] {
    return [...this.#logs].filter(existsSync).flatMap((log) =>
      readFileSync(log, "utf8")
        .split("\n")
        .filter((line) => line.endsWith("}"))
        .map((line) => JSON.parse(line) as Turn),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#state.isLoading = false;
    for (const child of this.#nodes.values()) child.kill("SIGKILL");
    await this.#caller?.stop({ deadline: "1s" });
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** One message after the other to some of the entities; another lane never sends to them. */
  async #lane(lane: number): Promise<void> {
    let answeredMs = performance.now();
    for (let n = 1; this.#state.isLoading; n++) {
      const id = `p${lane % ENTITIES}`;
      const ms = n % 5 === 0 ? 5 : 0;
      this.#sent++;
      try {
        const probe = this.#caller!.entity(ProbeContract, id);
        await probe.send({ type: "add", n, ms }, { timeout: "20s" });
        const nowMs = performance.now();
        this.#gapMs = Math.max(this.#gapMs, nowMs - answeredMs);
        answeredMs = nowMs;
        const answered = this.#answered.get(id) ?? new Set();
        this.#answered.set(id, answered.add(n));
      } catch (error) {
        const code = isCatgaError(error) ? error.code : String(error);
        this.#errors[code] = (this.#errors[code] ?? 0) + 1;
      }
      await wait(2);
    }
  }
}
