/**
 * The doors of the package. npm and JSR show the same ones, and each name behind a door is listed
 * in `public-api.json`: a name that comes, goes or changes kind is a change that somebody must
 * mean. After one that is meant, run `UPDATE_API=1 bun test test/public-api.test.ts`.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import denoManifest from "../deno.json" with { type: "json" };
import npmManifest from "../package.json" with { type: "json" };

interface Names {
  /** What is there at run time. */
  readonly values: readonly string[];
  /** What the compiler sees alone. */
  readonly types: readonly string[];
}

const root = join(import.meta.dir, "..");
const listPath = join(import.meta.dir, "public-api.json");
const doors = Object.entries(denoManifest.exports);
const names: Readonly<Record<string, Names>> = Object.fromEntries(
  await Promise.all(doors.map(async ([door, path]) => [door, await namesBehind(path)] as const)),
);

if (process.env["UPDATE_API"] === "1") {
  writeFileSync(listPath, `${JSON.stringify(names, null, 2)}\n`);
}
const listed: Readonly<Record<string, Names>> = JSON.parse(readFileSync(listPath, "utf8"));

describe("the doors", () => {
  test("of npm are the built files of those of JSR", () => {
    const built = doors.map(([door, path]) => {
      const file = path.replace("./src/", "./dist/").replace(/\.ts$/, "");
      return [door, { types: `${file}.d.ts`, default: `${file}.js` }];
    });
    expect(npmManifest.exports).toEqual(Object.fromEntries(built));
  });
  test("have one version", () => {
    expect(denoManifest.version).toBe(npmManifest.version);
  });
  test("need the same packages", () => {
    const needed = { ...npmManifest.dependencies, ...npmManifest.peerDependencies };
    const imports = Object.entries(needed).map(([name, range]) => [name, `npm:${name}@${range}`]);
    expect(denoManifest.imports).toEqual(Object.fromEntries(imports));
  });
  test("are all listed", () => {
    expect(Object.keys(listed)).toEqual(Object.keys(names));
  });
  test.each(doors.map(([door]) => door))("%s shows the listed names", (door) => {
    expect(names[door]).toEqual(listed[door]);
  });
});

test("a type is found in whichever way a door exports it", () => {
  const text = `
    // export { not } from "./here.ts";
    export { a, type B } from "./a.ts";
    export type { C, D as E } from "./c.ts";
  `;
  expect(typeNamesIn(text)).toEqual(["B", "C", "E"]);
});

async function namesBehind(path: string): Promise<Names> {
  const values = Object.keys(await import(join(root, path))).toSorted();
  return { values, types: typeNamesIn(readFileSync(join(root, path), "utf8")) };
}

/** The types that a door re-exports by name: the tidy rules allow a door no other way. */
function typeNamesIn(text: string): string[] {
  const lists = text.matchAll(/^\s*export (type )?\{([^}]*)\}/gm);
  return Array.from(lists, ([, allTypes, list = ""]) =>
    list
      .split(",")
      .map((entry) => entry.trim())
      .filter((entry) => entry !== "" && (allTypes !== undefined || entry.startsWith("type ")))
      .map((entry) => entry.replace(/^type /, "").replace(/^.* as /, "")),
  )
    .flat()
    .toSorted();
}
