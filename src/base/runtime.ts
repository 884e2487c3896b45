/** The runtime and the process: what node metadata says of them, and the environment. */
import { constants, hostname } from "node:os";
import process from "node:process";
import { CatgaError } from "./errors.ts";

/** What the process says of its parts, as in `process.versions`. */
export type Versions = Readonly<Record<string, string | undefined>>;

/** A runtime by name and version, for example `{ name: "bun", version: "1.4.5" }`. */
export interface Runtime {
  readonly name: "node" | "bun" | "deno";
  readonly version: string;
}

const NAMES = { node: "Node.js", bun: "Bun", deno: "Deno" };
const MINIMA = { node: "20.19" };

/**
 * Reads the runtime off `versions`; Bun and Deno name themselves beside the Node.js they imitate.
 */
export function runtimeOf(versions: Versions = process.versions): Runtime {
  if (versions["bun"] !== undefined) return { name: "bun", version: versions["bun"] };
  if (versions["deno"] !== undefined) return { name: "deno", version: versions["deno"] };
  return { name: "node", version: versions["node"] ?? "0.0.0" };
}

/**
 * Checks the version against that of `minima`; `purpose` is what needs so much.
 *
 * @throws {CatgaError} RUNTIME_TOO_OLD
 */
export function checkRuntime(
  { name, version }: Runtime = runtimeOf(),
  minima: { readonly [N in Runtime["name"]]?: string } = MINIMA,
  purpose = "catga",
): void {
  const minimum = minima[name] ?? "0";
  if (version.localeCompare(minimum, "en", { numeric: true }) >= 0) return;
  throw new CatgaError("RUNTIME_TOO_OLD", { runtime: NAMES[name], version, purpose, minimum });
}

/** What this process uses: CPU seconds since its start, resident bytes. */
export function processUsage(): { readonly cpuSeconds: number; readonly memoryBytes: number } {
  const { user, system } = process.cpuUsage();
  return { cpuSeconds: (user + system) / 1e6, memoryBytes: process.memoryUsage.rss() };
}

/** The machine's name as far as a node id can carry it. */
export function hostName(): string {
  const name = hostname().replaceAll(/[^A-Za-z0-9_.-]/g, "-");
  return name.replace(/^[^A-Za-z0-9]+/, "").slice(0, 40) || "node";
}

/** A variable of the environment; an empty one is as good as none, and so is a forbidden one. */
export function environmentVariable(name: string): string | undefined {
  try {
    return process.env[name] || undefined;
  } catch {
    // Deno reads only what it is allowed to.
    return undefined;
  }
}

/** What ends before the process does, by whose it is. */
const endings = new Map<object, () => Promise<void>>();
/** Terminals and `npm` may both tell a process of one Ctrl-C; nobody means two within this time. */
const ECHO_MS = 250;
let toldAtMs: number | undefined;

/**
 * Calls `end` when the process is told to end, by SIGTERM or SIGINT, once for each `owner`; when
 * all have ended, so does the process, with 0. A second signal ends it at once.
 */
export function endOnSignals(owner: object, end: () => Promise<void>): void {
  if (endings.size === 0) {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => told(signal));
  }
  endings.set(owner, end);
}

function told(signal: "SIGTERM" | "SIGINT"): void {
  const nowMs = performance.now();
  if (toldAtMs === undefined) {
    toldAtMs = nowMs;
    const ended = Promise.all(Array.from(endings.values(), (end) => end()));
    ended.then(
      () => process.exit(0),
      () => process.exit(1),
    );
  } else if (nowMs - toldAtMs > ECHO_MS) {
    process.exit(128 + constants.signals[signal]);
  }
}
