/** The tree of one request on each runtime, by a plain program. */
import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");

describe.each([
  ["node", []],
  ["deno", ["run", "--allow-all", "--no-check"]],
  ["bun", []],
])("on %s", (name, flags) => {
  test("one request over two nodes is one tree", () => {
    const program = join(root, "node_modules/.bin", name);
    const command = [...flags, join(import.meta.dir, "tree-runtimes.ts")];
    const { stdout, stderr } = spawnSync(program, command, { cwd: root, encoding: "utf8" });
    expect([stdout, stderr]).toEqual([
      expect.stringContaining(`One tree on ${name}`),
      expect.any(String),
    ]);
  }, 30_000);
});
