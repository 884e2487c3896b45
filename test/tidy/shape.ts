/** How a file of the library must look: its name, its size, its words, its docstrings. */
import { posix } from "node:path";
import { type Check, linesOfCode, type SourceFile } from "./source.ts";

const FILE_LINES_MAX = 300;
const LINE_COLUMNS_MAX = 100;

/** A file is named after the one idea in it; these name none. */
const EMPTY_NAMES = new Set(["utils", "helpers", "common", "types", "constants"]);

/** Time, chance, the process and the screen: they come in as arguments. */
const WORLD = new RegExp(
  [
    String.raw`\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\.now\b|\bMath\.random\b`,
    String.raw`\b(?:getRandomValues|randomUUID|randomBytes)\b`,
    String.raw`\bset(?:Timeout|Interval|Immediate)\b|\bAbortSignal\.timeout\b`,
    String.raw`\b(?:process|Bun|Deno|console|navigator)\.\w+`,
  ].join("|"),
  "g",
);
const MAY_TOUCH_THE_WORLD = new Set([
  "base/clock.ts",
  "base/random.ts",
  "base/runtime.ts",
  // Nonces, a file's owner, a socket's time-out, whether a process lives: the machine itself.
  "drivers/tcp/handshake.ts",
  "drivers/embedded/hub.ts",
  "drivers/embedded/register.ts",
  "drivers/embedded/secret.ts",
  "drivers/tcp/wire.ts",
  "client/clock.ts",
  "http/listen.ts",
  "http/servers.ts",
  // Says now and then on every event stream that it lives.
  "http/ticker.ts",
  // A command: its words, its streams, its end.
  "cli/main.ts",
  // Lets the promises of one step settle before the next.
  "testing/world.ts",
]);

const CORE = ["base", "protocol", "ports", "ownership", "runtime", "mediator", "api"];
const BUDGETS: readonly (readonly [string, number, readonly string[]])[] = [
  // 5,000 is the aim, and was kept until entities moved with their shards: see CONTRIBUTING.md.
  ["the core", 12_400, [...CORE, "drivers/memory", "drivers/embedded", "drivers/tcp"]],
  ["drivers/fixed", 477, ["drivers/fixed"]],
  ["drivers/broker", 178, ["drivers/broker"]],
  ["drivers/nats", 1_540, ["drivers/nats"]],
  ["drivers/redis", 902, ["drivers/redis"]],
  ["drivers/sqlite", 572, ["drivers/sqlite"]],
  ["http", 2_500, ["http"]],
  ["client", 700, ["client"]],
  ["backup", 450, ["backup"]],
  ["cli", 300, ["cli"]],
];

/** Files and lines that are too long. */
export const sizesHold: Check = (files) =>
  files.flatMap(({ path, text }) => {
    const lines = text.trimEnd().split("\n");
    const found = lines.flatMap((line, index) =>
      line.length > LINE_COLUMNS_MAX ? [`${path}:${index + 1}: has ${line.length} columns`] : [],
    );
    return lines.length > FILE_LINES_MAX ? [`${path}: has ${lines.length} lines`, ...found] : found;
  });

/** Parts of the house that have outgrown their budget of lines of code. */
export const budgetsHold: Check = (files) =>
  BUDGETS.flatMap(([name, linesMax, folders]) => {
    const isPart = ({ path }: SourceFile) =>
      folders.some((folder) => path.startsWith(`${folder}/`));
    const lines = files.filter(isPart).reduce((sum, file) => sum + linesOfCode(file), 0);
    return lines < linesMax
      ? []
      : [`${name}: has ${lines} lines of code, below ${linesMax} allowed`];
  });

/** File names that say nothing. */
export const namesSaySomething: Check = (files) =>
  files
    .filter(({ path }) => EMPTY_NAMES.has(posix.basename(path, ".ts")))
    .map(({ path }) => `${path}: name the file after the one idea in it`);

/** Places that reach for time, chance, the process or the screen by themselves. */
export const worldStaysOutside: Check = (files) =>
  files
    .filter(({ path }) => !MAY_TOUCH_THE_WORLD.has(path))
    .flatMap(({ path, code }) =>
      Array.from(code.matchAll(WORLD), (match) => {
        return `${path}:${lineAt(code, match.index)}: touches ${match[0]}`;
      }),
    );

/** Files without a header, and exports without a docstring directly above. */
export const everythingIsExplained: Check = (files) =>
  files.flatMap(({ path, text }) => {
    const headless = text.replace(/^#!.*\n/, "").startsWith("/**")
      ? []
      : [`${path}: has no header comment`];
    const explained = new Set<string>();
    const bald = Array.from(text.matchAll(/^export (?!type \{|type \*|[{*])(.*)/gm)).flatMap(
      (match) => {
        const [, declaration = ""] = match;
        const name = nameIn(declaration);
        if (explained.has(name)) return []; // a further signature of the same function
        explained.add(name);
        return text.slice(0, match.index).endsWith("*/\n")
          ? []
          : [`${path}: ${name} has no docstring`];
      },
    );
    return [...headless, ...bald];
  });

/** Notes of work to be done: they belong in an issue. */
export const nothingIsLeftForLater: Check = (files) =>
  files.flatMap(({ path, text }) =>
    Array.from(text.matchAll(/\b(?:TODO|FIXME|XXX)\b/g), (match) => {
      return `${path}:${lineAt(text, match.index)}: ${match[0]}`;
    }),
  );

function nameIn(declaration: string): string {
  const words = declaration.replace(/^(?:declare |abstract |async |default )*/, "");
  return /^(?:const|let|class|type|interface|function)\*? (\w+)/.exec(words)?.[1] ?? declaration;
}

function lineAt(text: string, index: number): number {
  return text.slice(0, index).split("\n").length;
}
