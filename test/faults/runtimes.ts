/** The runtimes that nodes of the fault tests run on. */
import { fileURLToPath } from "node:url";

/** A runtime; all of them are packages of this repository. */
export type Runtime = "node" | "bun" | "deno";

/** All of them. */
export const RUNTIMES: readonly Runtime[] = ["node", "bun", "deno"];

const COMMANDS: Readonly<Record<Runtime, readonly [string, ...string[]]>> = {
  node: ["node/bin/node"],
  bun: ["bun/bin/bun.exe"],
  deno: ["deno/deno", "run", "--no-check", "-A"],
};

/** The command that runs `program` with arguments. */
export function commandOf(runtime: Runtime, program: string): [string, ...string[]] {
  const [file, ...args] = COMMANDS[runtime];
  return [fileURLToPath(new URL(`../../node_modules/${file}`, import.meta.url)), ...args, program];
}
