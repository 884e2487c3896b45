/** The rules over the files of the library, each with a planted offence and an innocent twin. */
import * as imports from "./imports.ts";
import * as shape from "./shape.ts";
import type { Check } from "./source.ts";

/** A small tree: text by path. */
export type Planted = Readonly<Record<string, string>>;

/** One rule, and what proves that its check looks. */
export interface Rule {
  readonly says: string;
  readonly check: Check;
  readonly offence: Planted;
  /** What the check answers to the offence. */
  readonly finds: readonly string[];
  /** Looks like the offence, and is none. */
  readonly innocent: Planted;
}

const HEADER = "/** Explains the file. */\n";

/** Every rule that holds for `src`. */
export const RULES: readonly Rule[] = [
  {
    says: "imports point down the floors",
    check: imports.importsPointDown,
    offence: { "base/ring.ts": 'import { ref } from "../api/ref.ts";', "attic/a.ts": "" },
    finds: ["attic/a.ts: stands on no floor", "base/ring.ts: imports up from api/ref.ts"],
    innocent: { "api/ref.ts": 'import { ring } from "../base/ring.ts";\n// from "../http/a.ts"' },
  },
  {
    says: "a driver imports no other driver",
    check: imports.bordersHold,
    offence: { "drivers/nats/link.ts": 'import { x } from "../memory/link.ts";' },
    finds: ["drivers/nats/link.ts: must not import drivers/memory/link.ts"],
    innocent: {
      "drivers/nats/link.ts": 'import { x } from "./keys.ts";\nimport "../../ports/link.ts";',
    },
  },
  {
    says: "the edge imports the public door alone",
    check: imports.bordersHold,
    offence: { "http/gateway.ts": 'const x = await import("../api/cluster.ts");' },
    finds: ["http/gateway.ts: must not import api/cluster.ts"],
    innocent: { "http/gateway.ts": 'import { x } from "../index.ts";\nimport "./health.ts";' },
  },
  {
    says: "a package is imported at its home only",
    check: imports.packagesStayHome,
    offence: { "api/a.ts": 'import { Hono } from "hono/tiny";\nimport "@who/knows/it";' },
    finds: [
      "api/a.ts: must not import the package hono",
      "api/a.ts: must not import the package @who/knows",
    ],
    innocent: { "http/a.ts": 'import { Hono } from "hono/tiny";\nimport net from "node:net";' },
  },
  {
    says: "imports make no cycle",
    check: imports.noCycles,
    offence: { "base/a.ts": 'import "./b.ts";', "base/b.ts": 'import type { A } from "./a.ts";' },
    finds: ["base/a.ts → base/b.ts → base/a.ts: is a cycle"],
    innocent: {
      "base/a.ts": 'import "./b.ts";\nimport "./c.ts";',
      "base/b.ts": 'import "./c.ts";',
    },
  },
  {
    says: "only a door re-exports, and by name",
    check: imports.onlyDoorsReexport,
    offence: { "base/a.ts": 'export { b } from "./b.ts";', "index.ts": 'export * from "./a.ts";' },
    finds: ["base/a.ts: re-exports", "index.ts: re-exports"],
    innocent: { "index.ts": 'export { b } from "./b.ts";', "base/a.ts": "export const a = {};" },
  },
  {
    says: "files have at most 300 lines of 100 columns",
    check: shape.sizesHold,
    offence: { "base/a.ts": "a();\n".repeat(301), "base/b.ts": `\n${"b".repeat(101)}` },
    finds: ["base/a.ts: has 301 lines", "base/b.ts:2: has 101 columns"],
    innocent: { "base/a.ts": "a();\n".repeat(300), "base/b.ts": "b".repeat(100) },
  },
  {
    says: "the parts keep to their budgets",
    check: shape.budgetsHold,
    offence: { "client/a.ts": "a();\n".repeat(700) },
    finds: ["client: has 700 lines of code, below 700 allowed"],
    innocent: { "client/a.ts": "a(); // how\n// why\n\n".repeat(349) },
  },
  {
    says: "a file is named after its idea",
    check: shape.namesSaySomething,
    offence: { "base/utils.ts": "" },
    finds: ["base/utils.ts: name the file after the one idea in it"],
    innocent: { "base/clock.ts": "" },
  },
  {
    says: "time, chance, process and screen come in as arguments",
    check: shape.worldStaysOutside,
    offence: { "api/a.ts": "const a = `${Date.now()}`;\nsetTimeout(run, process.pid);" },
    finds: [
      "api/a.ts:1: touches Date.now",
      "api/a.ts:2: touches setTimeout",
      "api/a.ts:2: touches process.pid",
    ],
    innocent: {
      "api/a.ts": 'const a = "Date.now()"; // Math.random()\nconst b = new Date(ms);',
      "base/clock.ts": "const now = () => Date.now();",
    },
  },
  {
    says: "every file and every export is explained",
    check: shape.everythingIsExplained,
    offence: { "base/a.ts": `${HEADER}\nexport const a = 1;`, "base/b.ts": "const b = 1;" },
    finds: ["base/a.ts: a has no docstring", "base/b.ts: has no header comment"],
    innocent: {
      "base/a.ts": `${HEADER}import "./b.ts";\n\n/** Why. */\nexport const a = 1;`,
      "base/b.ts": `${HEADER}export function b(): void;\nexport function b(c?: 1): void {}`,
    },
  },
  {
    says: "no file leaves notes of work to be done",
    check: shape.nothingIsLeftForLater,
    offence: { "base/a.ts": "// TODO: bound this" },
    finds: ["base/a.ts:1: TODO"],
    innocent: { "base/a.ts": "// Bounded by the mailbox." },
  },
];
