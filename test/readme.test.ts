/**
 * The README's chapter on the edge is true: its program runs as it stands there, and each of its
 * `curl` lines prints what is written behind it.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");
const chapter = /^## HTTP edge\n([\s\S]*?)^## /m.exec(
  readFileSync(join(ROOT, "README.md"), "utf8"),
)![1]!;
const program = /^```ts\n([\s\S]*?)^```/m.exec(chapter)![1]!;
const lines = [...chapter.matchAll(/^curl (.*?) +# (\d{3})(?: (.*))?$/gm)].map(
  ([, words = "", status = "", shown = ""]) => ({ words, status: Number(status), shown }),
);

let folder: string;
let server: Bun.Subprocess<"ignore", "pipe", "inherit">;
let url: string;

beforeAll(async () => {
  folder = mkdtempSync(join(ROOT, "node_modules", ".readme-"));
  const here = program
    .replaceAll('"catga"', JSON.stringify(join(ROOT, "src/index.ts")))
    .replaceAll('"catga/http"', JSON.stringify(join(ROOT, "src/http/index.ts")));
  writeFileSync(join(folder, "edge.ts"), here);
  const env = { ...Bun.env, PORT: "0", CLUSTER_NAME: `readme-${Date.now()}` };
  server = Bun.spawn([Bun.argv[0]!, join(folder, "edge.ts")], { env, stdout: "pipe" });
  let said = "";
  for await (const chunk of server.stdout) {
    said += new TextDecoder().decode(chunk);
    const found = /Serving on (\S+)/.exec(said);
    if (found === null) continue;
    url = found[1]!;
    break;
  }
});
afterAll(async () => {
  server.kill();
  await server.exited;
  rmSync(folder, { recursive: true });
});

describe("each line of the chapter", () => {
  test("is read", () => {
    expect(lines.length).toBeGreaterThan(5);
    expect(lines.length).toBe(chapter.match(/^curl /gm)!.length);
  });
  test.each(lines)("curl $words", async ({ words, status, shown }) => {
    const answer = await fetch(...requestOf(words));
    const text = await answer.text();
    const isProblem = answer.headers.get("Content-Type") === "application/problem+json";
    const seen = isProblem ? (JSON.parse(text) as { code: string }).code : text;
    expect([answer.status, seen]).toEqual([status, shown]);
  });
});

/** What curl would ask, of the few options that the lines use. */
function requestOf(words: string): [string, RequestInit] {
  const parts = Array.from(
    words.matchAll(/'([^']*)'|(\S+)/g),
    ([, quoted, bare]) => quoted ?? bare!,
  );
  const headers = new Headers();
  let [target, body, method]: (string | undefined)[] = [];
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!;
    if (part === "-H") headers.append(...(parts[++i]!.split(/: ?(.*)/) as [string, string]));
    else if (part === "-d") body = parts[++i];
    else if (part === "-X") method = parts[++i];
    else if (part.startsWith("-")) throw new Error(`the test does not know ${part}`);
    else target = part.replace("localhost:3000", url);
  }
  method ??= body === undefined ? "GET" : "POST";
  return [target!, { method, headers, ...(body !== undefined && { body }) }];
}
