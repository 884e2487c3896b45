/**
 * What a browser has to load. A client needs declarations and the client, nothing that runs a
 * cluster: no module of a runtime, and few kilobytes.
 */
import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";

const ROOT = join(import.meta.dir, "../..");
const CLIENT = "src/client/index.ts";
const CONTRACT = "src/contract/index.ts";
const PAGE = "test/client/page.ts";

/** `entry` for a browser, with all that it reaches, whether it stays in the bundle or not. */
async function bundled(entry: string) {
  const reached = new Set<string>();
  const built = await Bun.build({
    entrypoints: [join(ROOT, entry)],
    target: "browser",
    minify: true,
    plugins: [
      {
        name: "reached",
        setup(build) {
          build.onResolve({ filter: /^(?:node:|[a-z@])/ }, ({ path }) => {
            reached.add(path);
            return undefined;
          });
          build.onLoad({ filter: /\/(?:src|test)\/.*\.ts$/ }, ({ path }) => {
            reached.add(relative(ROOT, path));
            return undefined;
          });
        },
      },
    ],
  });
  const text = (await built.outputs[0]?.text()) ?? "";
  return { text, bytes: text.length, gzip: gzipSync(text).length, reached: [...reached].sort() };
}

test.each([
  [CLIENT, { bytesMax: 17_500, gzipMax: 7_500 }],
  [CONTRACT, { bytesMax: 20_500, gzipMax: 8_100 }],
  [PAGE, { bytesMax: 35_000, gzipMax: 14_000 }],
])("%s reaches no module of a runtime, and stays small", async (entry, { bytesMax, gzipMax }) => {
  const { reached, bytes, gzip } = await bundled(entry);
  expect(reached.filter((path) => path.startsWith("node:"))).toEqual([]);
  expect(reached).not.toContain("src/index.ts");
  expect(reached).toContain(entry);
  expect(bytes).toBeLessThan(bytesMax);
  expect(gzip).toBeLessThan(gzipMax);
});

test("the look at what is reached sees modules of a runtime where there are some", async () => {
  expect((await bundled("src/base/clock.ts")).reached).toContain("node:timers");
});

const SCRIPT = `
  const { visit } = await import(process.argv[2]);
  const said = "data: " + JSON.stringify({ text: "yo" });
  const events = ["event: @missed", "data: {}", "", "event: room.said", said, "", ""].join("\\n");
  const answers = {
    "POST /entities/room/42/say": () => Response.json(1),
    "POST /messages/greet": () => Response.json("Hello Ada"),
    "POST /entities/room/42/lines": () => Response.json({ code: "FORBIDDEN" }, {
      status: 403, headers: { "Content-Type": "application/problem+json" },
    }),
    "GET /watch/room/42": () => new Response(events, {
      headers: { "Content-Type": "text/event-stream" },
    }),
  };
  const seen = await visit("http://edge", async (url, { method = "GET" }) =>
    answers[method + " " + new URL(url).pathname]());
  console.log(JSON.stringify(seen));
`;

test.each([
  ["bun", []],
  ["node", []],
  ["deno", ["run", "--quiet", "--allow-read"]],
])(
  "the bundle of a page runs on %s, which has what browsers have",
  async (binary, flags) => {
    const folder = mkdtempSync(join(tmpdir(), "catga-page-"));
    const [page, script] = [join(folder, "page.mjs"), join(folder, "script.mjs")];
    writeFileSync(page, (await bundled(PAGE)).text);
    writeFileSync(script, `import process from "node:process";${SCRIPT}`);
    const program = join(ROOT, "node_modules/.bin", binary);
    const command = [...flags, script, pathToFileURL(page).href];
    const { stdout, stderr } = spawnSync(program, command, { encoding: "utf8" });
    rmSync(folder, { recursive: true });
    expect([stdout, stderr]).toEqual(['[1,"Hello Ada","FORBIDDEN","yo"]\n', ""]);
  },
  30_000,
);
