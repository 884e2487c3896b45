/**
 * The house rules that a machine can check. Each check is a function over files which answers with
 * its offences; here it reads the real files, then a planted offence, which proves that it looks.
 */
import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { lint } from "./tidy/lint.ts";
import { codesIn, filesInTree, placesIn, treeDifferences, untestedCodes } from "./tidy/papers.ts";
import { type Planted, RULES } from "./tidy/rules.ts";
import { sizesHold } from "./tidy/shape.ts";
import { linesOfCode, readTree, sourceFile, type SourceFile } from "./tidy/source.ts";

const root = join(import.meta.dir, "..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const source = readTree(join(root, "src"));
const tests = readTree(join(root, "test")).filter(({ path }) => !path.startsWith("tidy"));

function plant(planted: Planted): SourceFile[] {
  return Object.entries(planted).map(([path, text]) => sourceFile(path, text));
}

describe.each([...RULES])("$says", ({ check, offence, finds, innocent }) => {
  test("in src", () => {
    expect(check(source)).toEqual([]);
  });
  test("and an offence is found", () => {
    expect(check(plant(offence)).toSorted()).toEqual([...finds].toSorted());
    expect(check(plant(innocent))).toEqual([]);
  });
});

describe("sizes hold around src too", () => {
  test.each(["bench", "examples", "test"])("in %s", (folder) => {
    expect(sizesHold(readTree(join(root, folder)))).toEqual([]);
  });
});

describe("every error code has a test", () => {
  test("in the table of src/base/errors.ts", () => {
    expect(untestedCodes(read("src/base/errors.ts"), tests)).toEqual([]);
  });
  test("and a code without one is found", () => {
    const errors = 'const CODES: { a: 1 } = {\n  A: { executed: "no" },\n  B_C: {},\n};\n';
    expect(codesIn(errors)).toEqual(["A", "B_C"]);
    const planted = plant({ "a.test.ts": 'expect(code).toBe("A"); // not "B_C"' });
    expect(untestedCodes(errors, planted)).toEqual(["B_C: no test names it"]);
  });
});

describe("the tree in CONTRIBUTING.md is the tree on disk", () => {
  test("for src", () => {
    expect(treeDifferences(read("CONTRIBUTING.md"), source)).toEqual([]);
  });
  test("and a difference is found", () => {
    const tree = [
      "src/",
      "├── base/              the ground",
      "│   └── clock.ts       time",
      "├── drivers/",
      "│   └── memory/        a map",
      "│       └── link.ts    a queue",
      "└── index.ts           the door, see clock.ts",
    ];
    const contributing = `# Tree\n\n\`\`\`text\n${tree.join("\n")}\n\`\`\`\n`;
    const drawn = ["base/clock.ts", "drivers/memory/link.ts", "index.ts"];
    expect(filesInTree(contributing)).toEqual(drawn);
    expect(treeDifferences(contributing, plant({ "index.ts": "", "base/ring.ts": "" }))).toEqual([
      "base/ring.ts: is not in the tree",
      "base/clock.ts: is in the tree only",
      "drivers/memory/link.ts: is in the tree only",
    ]);
  });
});

describe("no file names a place of one machine", () => {
  test("among those that git keeps", () => {
    const listing = ["ls-files", "--cached", "--others", "--exclude-standard"];
    const { stdout, status } = spawnSync("git", listing, { cwd: root, encoding: "utf8" });
    expect(status).toBe(0);
    const paths = stdout.split("\n").filter((path) => path !== "" && existsSync(join(root, path)));
    expect(paths.flatMap((path) => placesIn(path, read(path)))).toEqual([]);
  });
  test("and a place is found", () => {
    const place = ["", "root", ""].join("/");
    const text = `See ${place}a, not https://host${place}b.`;
    expect(placesIn("a.md", text)).toEqual([`a.md: names ${place}`]);
  });
  test("and the lock file names packages without the registry they came from", () => {
    expect(read("package-lock.json")).not.toContain('"resolved"');
  });
});

describe("the linter holds what needs a parser", () => {
  test("a forgotten await, and one hidden behind void", () => {
    const found = lint(root, "export async function a() {\n  a();\n  void a();\n}\n");
    expect(found.match(/no-floating-promises/g)).toHaveLength(2);
  });
  test("a function of more than 50 lines, or of more than three parameters", () => {
    const found = lint(root, `export function a(b, c, d, e) {\n${"  b();\n".repeat(49)}}\n`);
    expect(found).toContain("max-lines-per-function");
    expect(found).toContain("max-params");
  });
});

describe("lines of code", () => {
  test("are counted without blank lines and comments, strings notwithstanding", () => {
    const text =
      '/**\n * Why.\n */\n\nconst a = "http://b"; // c\nconst d = `/*${e}*/`;\nf(/"/);\n';
    expect(linesOfCode(sourceFile("a.ts", text))).toBe(3);
  });
});
