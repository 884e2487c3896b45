/**
 * What must hold around the code: every error code has a test, the tree in CONTRIBUTING.md is the
 * one on disk, and no file names a place of one machine.
 */
import type { SourceFile } from "./source.ts";

/** The error codes of the table in `errors`, an object literal `const CODES = { SOME_CODE: …`. */
export function codesIn(errors: string): string[] {
  const table = /^const CODES\b[^=]*= \{$([\s\S]*?)^\}/m.exec(errors)?.[1] ?? "";
  return Array.from(table.matchAll(/^ {2}([A-Z][A-Z_]*):/gm), ([, code = ""]) => code);
}

/** The codes that no test names. */
export function untestedCodes(errors: string, tests: readonly SourceFile[]): string[] {
  const codes = codesIn(errors);
  if (codes.length === 0) return ["no table of codes found"];
  return codes
    .filter((code) => !tests.some(({ bare }) => bare.includes(`"${code}"`)))
    .map((code) => `${code}: no test names it`);
}

/**
 * The files that a drawn tree names, as `base/clock.ts`.
 *
 * The tree is the fenced block that starts with the line `src/`. Each line below it starts with a
 * folder (`base/`) or a file (`clock.ts`) at a depth of four columns each; prose may follow.
 */
export function filesInTree(contributing: string): string[] {
  const tree = /^```\w*\nsrc\/.*\n([\s\S]*?)^```/m.exec(contributing)?.[1] ?? "";
  const folders: string[] = [];
  return tree
    .trimEnd()
    .split("\n")
    .flatMap((line) => {
      const [, drawing = "", name = ""] = /^([\s│├└─]*)(\S*)/.exec(line) ?? [];
      folders.splice(drawing.length / 4 - 1);
      if (name.endsWith("/")) folders.push(name);
      return name.endsWith(".ts") ? [folders.join("") + name] : [];
    });
}

/** Where the drawn tree and the files on disk differ. */
export function treeDifferences(contributing: string, files: readonly SourceFile[]): string[] {
  const drawn = new Set(filesInTree(contributing));
  const present = new Set(files.map(({ path }) => path));
  return [
    ...[...present].filter((path) => !drawn.has(path)).map((path) => `${path}: is not in the tree`),
    ...[...drawn]
      .filter((path) => !present.has(path))
      .map((path) => `${path}: is in the tree only`),
  ];
}

/** Paths of one machine and names of one registry: they mean nothing to the next reader. */
export function placesIn(path: string, text: string): string[] {
  const machine = /(?<![\w.*-])\/(?:work|root|home|Users)\/|https?:\/\/[\w.-]*registry/g;
  const found = text.matchAll(machine);
  return Array.from(found, ([place]) => `${path}: names ${place}`);
}
