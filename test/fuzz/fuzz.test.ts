/** The fuzzer finds the bug planted in each of its targets, and says how to have it again. */
import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("main.ts", import.meta.url));

function fuzz(...words: readonly string[]): { readonly status: number | null; text: string } {
  const { status, stdout } = spawnSync(process.execPath, [main, ...words], { encoding: "utf8" });
  return { status, text: stdout };
}

test("each target finds the bug that is planted in it", () => {
  const { status, text } = fuzz("--self-test", "--seconds", "40", "--seed", "1");
  expect(text).toMatch(/\d+ planted bugs found, missed: none\n$/);
  expect(status).toBe(0);
}, 60_000);

test("a replay tries one input alone", () => {
  const { status, text } = fuzz("--target", "id", "--seed", "7", "--path", "3", "--show");
  expect(text.match(/^ {2}id 7: /gm)).toHaveLength(1);
  expect(text).toEndWith("1 passed, 0 failed\n");
  expect(status).toBe(0);
}, 20_000);
