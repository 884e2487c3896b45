/**
 * What the package declares, as a program sees it that checks all it is given (`skipLibCheck:
 * false`): without the types of Node.js, and on a page without anything but the DOM.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "../..");
let folder: string;

beforeAll(async () => {
  // Within the tree, or Hono would not be found.
  folder = mkdtempSync(join(ROOT, "node_modules", ".declared-"));
  const out = ["--outDir", join(folder, "dist"), "--emitDeclarationOnly"];
  expect(await tsc(["--project", join(ROOT, "tsconfig.build.json"), ...out])).toBe("");
});
afterAll(() => rmSync(folder, { recursive: true }));

test.each([
  ["a page", ["client", "contract"], ["es2023", "dom"]],
  ["a node", ["index", "http", "client", "contract", "testing"], ["esnext", "dom"]],
])("%s compiles with no other types", async (name, doors, lib) => {
  const program = doors.map((door, i) => {
    const path = door === "index" ? door : `${door}/index`;
    return `export * as door${i} from "./dist/${path}.js";\n`;
  });
  const file = `${name.replace(" ", "-")}.ts`;
  writeFileSync(join(folder, file), program.join(""));
  const options = { strict: true, noEmit: true, skipLibCheck: false, types: [], lib };
  const compilerOptions = { ...options, module: "nodenext", target: "es2023" };
  const project = join(folder, `${file}.json`);
  writeFileSync(project, JSON.stringify({ compilerOptions, files: [file] }));
  expect(await tsc(["--project", project])).toBe("");
});

async function tsc(args: readonly string[]): Promise<string> {
  const command = [join(ROOT, "node_modules/.bin/tsc"), "--pretty", "false", ...args];
  const { stdout, exited } = Bun.spawn(command, { cwd: ROOT, stdout: "pipe", stderr: "inherit" });
  const said = await new Response(stdout).text();
  await exited;
  return said;
}
