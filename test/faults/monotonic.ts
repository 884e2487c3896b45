/**
 * The machine's monotonic clock, which all processes share. Node.js tells it; on Bun and Deno
 * `process.hrtime` counts from the start of the process, so there the system is asked.
 */
import process from "node:process";

type Fill = (clock: number, spec: BigInt64Array) => unknown;

/** What is used of Deno here. */
interface DenoLike {
  dlopen(
    file: string,
    symbols: Readonly<Record<string, { parameters: string[]; result: string }>>,
  ): { readonly symbols: { readonly clock_gettime: Fill } };
}

const isMac = process.platform === "darwin";
const LIBRARY = isMac ? "libSystem.dylib" : "libc.so.6";
const CLOCK_MONOTONIC = isMac ? 6 : 1;

const fill = await findFill();

/** Nanoseconds since the machine was started. */
export function monotonicNs(): number {
  if (fill === undefined) return Number(process.hrtime.bigint());
  const spec = new BigInt64Array(2);
  fill(CLOCK_MONOTONIC, spec);
  return Number(spec[0]! * 1_000_000_000n + spec[1]!);
}

async function findFill(): Promise<Fill | undefined> {
  const { Deno: deno } = globalThis as { Deno?: DenoLike };
  if (deno !== undefined) {
    const symbol = { parameters: ["i32", "buffer"], result: "i32" };
    return deno.dlopen(LIBRARY, { clock_gettime: symbol }).symbols.clock_gettime;
  }
  if (process.versions["bun"] === undefined) return undefined;
  const { dlopen } = await import("bun:ffi");
  const symbol = { args: ["i32", "ptr"], returns: "i32" } as const;
  return dlopen(LIBRARY, { clock_gettime: symbol }).symbols.clock_gettime;
}
