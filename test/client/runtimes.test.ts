/** The client on the three runtimes: over sockets, and over connections that are cut. */
import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "../..");
const RUN_MS_MAX = 60_000;

describe.each([
  ["Node.js", "node", []],
  ["Deno", "deno", ["run", "--allow-all"]],
  ["Bun", "bun", []],
])("on %s", (name, binary, flags) => {
  const run = (program: string, ...args: string[]): readonly string[] => {
    const command = [...flags, join(import.meta.dir, program), ...args];
    const runtime = join(ROOT, "node_modules/.bin", binary);
    const { stdout, stderr } = spawnSync(runtime, command, { cwd: ROOT, encoding: "utf8" });
    return [stdout, stderr];
  };
  test(
    "the client calls",
    () => {
      const said = [expect.stringContaining(`calls on ${name}`), expect.any(String)];
      expect(run("client-runtimes.ts")).toEqual(said);
    },
    RUN_MS_MAX,
  );
  test.each(["1", "2", "3"])(
    "what it says of commands is true when connections are cut, seed %s",
    (seed) => {
      const said = [expect.stringContaining(`is true, seed ${seed}`), expect.any(String)];
      expect(run("cut-connections.ts", seed)).toEqual(said);
    },
    RUN_MS_MAX,
  );
});
