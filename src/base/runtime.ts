/** The runtime and the process: what node metadata says of them, and the environment. */
import { hostname } from "node:os";
import process from "node:process";
import { CatgaError } from "./errors.ts";

/** What the process says of its parts, as in `process.versions`. */
export type Versions = Readonly<Record<string, string | undefined>>;

/** A runtime by name and version, for example `{ name: "bun", version: "1.4.5" }`. */
export interface Runtime {
  readonly name: "node" | "bun" | "deno";
  readonly version: string;
}

const NODE_MINIMUM = [20, 19] as const;

/**
 * Reads the runtime off `versions`; Bun and Deno name themselves beside the Node.js they imitate.
 */
export function runtimeOf(versions: Versions = process.versions): Runtime {
  if (versions["bun"] !== undefined) return { name: "bun", version: versions["bun"] };
  if (versions["deno"] !== undefined) return { name: "deno", version: versions["deno"] };
  return { name: "node", version: versions["node"] ?? "0.0.0" };
}

/** @throws {CatgaError} RUNTIME_TOO_OLD on Node.js below 20.19. */
export function checkRuntime(runtime: Runtime = runtimeOf()): void {
  if (runtime.name !== "node") return;
  const [major = 0, minor = 0] = runtime.version.split(".").map(Number);
  if (major > NODE_MINIMUM[0] || (major === NODE_MINIMUM[0] && minor >= NODE_MINIMUM[1])) return;
  const details = { runtime: "Node.js", version: runtime.version, minimum: NODE_MINIMUM.join(".") };
  throw new CatgaError("RUNTIME_TOO_OLD", details);
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
