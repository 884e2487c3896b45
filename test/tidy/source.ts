/**
 * Source text as the tidy checks see it.
 *
 * One regular expression finds comments, strings, templates and regular expressions; that is enough
 * to count lines of code and to look for words without being fooled by prose. It is no parser:
 * whatever needs one (the length of functions, forgotten awaits) is the linter's to find.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** One file of the tree; every line of `text` has its twin in `bare` and in `code`. */
export interface SourceFile {
  /** With forward slashes, relative to the tree it was read from: `base/clock.ts`. */
  readonly path: string;
  readonly text: string;
  /** `text` without its comments. */
  readonly bare: string;
  /** `bare` without the insides of its strings. */
  readonly code: string;
}

/** Answers one line per offence: the file, then what is wrong with it. */
export type Check = (files: readonly SourceFile[]) => string[];

const COMMENT = String.raw`\/\/[^\n]*|\/\*[\s\S]*?\*\/`;
const STRING = String.raw`"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'`;
const HOLE = String.raw`\$\{(?:[^{}\x60]|\x60[^\x60]*\x60|\{[^{}]*\})*\}`;
const TEMPLATE = String.raw`\x60(?:\\[\s\S]|${HOLE}|[^\x60\\])*\x60`;
const REGEXP_BODY = String.raw`(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])+`;
const REGEXP = String.raw`(?<=[(,=:[!&|?{};]\s*|return )\/${REGEXP_BODY}\/`;
const TOKEN = new RegExp([COMMENT, STRING, TEMPLATE, REGEXP].join("|"), "g");

/** Takes `text` apart. The holes of templates stay in `code`: they are code. */
export function sourceFile(path: string, text: string): SourceFile {
  const bare = text.replace(TOKEN, (token) => (isComment(token) ? blank(token) : token));
  const code = bare.replace(TOKEN, (token) => {
    if (token.startsWith("`")) return token;
    return token[0] + blank(token.slice(1, -1)) + token.at(-1);
  });
  return { path, text, bare, code };
}

/** Reads every `.ts` file below `root`, in the order of their paths. */
export function readTree(root: string): SourceFile[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => path.endsWith(".ts"))
    .toSorted()
    .map((path) => sourceFile(path, readFileSync(join(root, path), "utf8")));
}

/** How many lines hold code: neither blank nor comment alone. */
export function linesOfCode(file: SourceFile): number {
  return file.bare.split("\n").filter((line) => line.trim() !== "").length;
}

function isComment(token: string): boolean {
  return token.startsWith("//") || token.startsWith("/*");
}

function blank(token: string): string {
  return token.replaceAll(/[^\n]/g, " ");
}
