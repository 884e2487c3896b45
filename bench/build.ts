/**
 * The source and the bench as JavaScript, for figures that the compiler inside Node.js and Deno
 * would spoil: a process that strips types itself keeps some 20 MB for that, and what is published
 * is built. The result lies inside `node_modules`, where it finds the libraries.
 */
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

const ROOT = new URL("../", import.meta.url);

/**
 * Builds, and returns the URL of the folder that corresponds to `bench`, with a slash at the end.
 */
export function build(): { readonly folder: URL; [Symbol.dispose](): void } {
  const out = new URL(`node_modules/.cache/catga-bench-${process.pid}/`, ROOT);
  const options = ["--noEmit", "false", "--noCheck", "--rootDir", ".", "--outDir"];
  const tsc = fileURLToPath(new URL("node_modules/.bin/tsc", ROOT));
  const { status, stdout } = spawnSync(
    tsc,
    ["-p", "tsconfig.json", ...options, fileURLToPath(out)],
    {
      cwd: fileURLToPath(ROOT),
      encoding: "utf8",
    },
  );
  if (status !== 0) throw new Error(`Cannot build: ${stdout}`);
  return {
    folder: new URL("bench/", out),
    [Symbol.dispose]: () => rmSync(out, { recursive: true, force: true }),
  };
}
