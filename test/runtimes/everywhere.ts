/**
 * Runs the contracts on every runtime but Bun, where `bun test` runs them: on the Node.js of the
 * PATH (20 at least) as built JavaScript, because that one strips no types, and on the Node.js and
 * Deno of `node_modules` unbuilt. Prints what each of them prints; exits with 1 when one failed.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { ownNode } from "./own-node.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const program = join("test", "runtimes", "run.ts");
const built = join(root, "node_modules", ".cache", "catga-runtimes");
const packages = join(root, "node_modules");
const onWindows = process.platform === "win32";
const node = join(packages, "node", "bin", onWindows ? "node.exe" : "node");
const deno = join(packages, "deno", onWindows ? "deno.exe" : "deno");
const words = process.argv.slice(2);

const results = [
  ["build", build()],
  ["the Node.js of the PATH", run(ownNode(), join(built, "test", "runtimes", "run.js"))],
  ["the Node.js of node_modules", run(node, program)],
  ["Deno", run(deno, "run", "--no-check", "-A", program)],
] as const;

for (const [what, ok] of results) console.log(`${ok ? "ok    " : "FAILED"} ${what}`);
process.exit(results.every(([, ok]) => ok) ? 0 : 1);

function build(): boolean {
  mkdirSync(built, { recursive: true });
  // Inside node_modules the type of the outer package does not count.
  writeFileSync(join(built, "package.json"), '{ "type": "module" }\n');
  return run(node, join(packages, "typescript", "bin", "tsc"), "-p", "test/runtimes/build.json");
}

function run(command: string, ...args: readonly string[]): boolean {
  const isCheck = args.some((arg) => /run\.[jt]s$/.test(arg));
  const all = isCheck ? [...args, ...words] : args;
  const { status, error } = spawnSync(command, all, { cwd: root, stdio: "inherit" });
  if (error !== undefined) console.log(`Cannot run ${command}: ${error.message}`);
  return status === 0;
}
