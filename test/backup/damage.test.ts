/** Exports that were cut or damaged: the line is named, and what came before it is there. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Chain, endLine, entityLine, headerLine } from "../../src/backup/line.ts";
import { exportEntities, importEntities } from "../../src/backup/index.ts";
import { memoryStore } from "../../src/drivers/memory/store.ts";
import type { StoreDriver, StoreWrite } from "../../src/ports/store.ts";
import { isCatgaError } from "../../src/index.ts";
import { failureOf } from "../drivers/nodes.ts";
import { cart, changed, contentOf, NAME, recordOf, storeWith } from "./records.ts";

// Processes and disks of a machine that has other things to do.
setDefaultTimeout(60_000);

const IDS = ["a", "b", "c", "d"];
const HEADER = {
  cluster: NAME,
  at: "2026-01-01T00:00:00.000Z",
  export: "0123456789012345",
  shardCount: 32,
  total: undefined,
};

function lineOf({ entity, id, shard, data = "" }: StoreWrite): string {
  const place = { entity, id, shard, version: 3, fence: "", dueMs: undefined };
  return entityLine({ ...place, data }).line;
}

/** An export of `lines`, with an end that fits. */
function exportOf(lines: readonly string[], header = headerLine(HEADER)): string[] {
  const chain = new Chain();
  for (const line of [header, ...lines]) chain.add(line);
  return [header, ...lines, endLine({ entities: lines.length, corrupt: 0, chain: chain.sum })];
}

const WHOLE = exportOf(IDS.map((id) => lineOf(cart(id))));
/** Of the import of {@link WHOLE}. */
const LAST = WHOLE.length;

function otherwise(at: number, line: (text: string) => string): string[] {
  return WHOLE.map((text, i) => (i === at ? line(text) : text));
}

const DAMAGES: readonly (readonly [
  what: string,
  lines: readonly string[],
  line: number,
  ids: string,
  reason: string,
])[] = [
  ["nothing at all", [], 1, "", "cut: its end is missing"],
  ["no end", WHOLE.slice(0, -1), LAST, "abcd", "cut: its end is missing"],
  ["half a line at its end", [...WHOLE.slice(0, 3), WHOLE[3]!.slice(0, 40)], 4, "ab", "it is cut"],
  ["something that is not JSON", otherwise(2, () => "id,balance"), 3, "a", "not of an export"],
  ["JSON of something else", otherwise(2, () => '{"a":1}'), 3, "a", "not of an export"],
  ["a letter changed", otherwise(3, (text) => text.replace('"c"', '"x"')), 4, "ab", "checksum"],
  ["a line less", WHOLE.toSpliced(2, 1), LAST - 1, "acd", "missing, or not in their order"],
  ["two lines swapped", WHOLE.with(2, WHOLE[3]!).with(3, WHOLE[2]!), LAST, "abcd", "order"],
  ["a line twice", WHOLE.toSpliced(3, 0, WHOLE[2]!), LAST + 1, "abcd", "missing, or not"],
  ["no header", WHOLE.slice(1), 1, "", "no header"],
  ["two headers", WHOLE.toSpliced(2, 0, WHOLE[0]!), 3, "a", "begins another one"],
  ["something after its end", [...WHOLE, WHOLE[1]!], LAST + 1, "abcd", "has ended before it"],
  [
    "an id that is not legal",
    exportOf([lineOf(cart("a")), lineOf(cart("\u0007"))]),
    3,
    "a",
    "control",
  ],
  ["an empty id", exportOf([lineOf(cart(""))]), 2, "", "is empty"],
  [
    "a type that is not legal",
    exportOf([lineOf(cart("a", { entity: "a/b" }))]),
    2,
    "",
    "entity name",
  ],
];

function codeAndLine(error: unknown): unknown {
  return isCatgaError(error, "BAD_LINE") ? error.details.line : error;
}

function bring(store: StoreDriver, lines: readonly string[]): Promise<unknown> {
  return importEntities({ store, name: NAME, lines });
}

describe("an import of an export with", () => {
  test.each([...DAMAGES])("%s", async (_, lines, line, ids, reason) => {
    const store = memoryStore();
    const error = await failureOf(bring(store, lines));
    expect(codeAndLine(error)).toBe(line);
    expect((error as Error).message).toContain(reason);
    expect([...(await contentOf(store)).keys()].sort().join("")).toBe(ids);
    // The whole one brings the rest.
    const imported = IDS.length - ids.length;
    expect(await bring(store, WHOLE)).toMatchObject({ imported, unchanged: ids.length });
  });

  test("a format of tomorrow", async () => {
    const text = headerLine(HEADER).replace('"format":1', '"format":2');
    const [, body] = /^(.*),"sum"/.exec(text)!;
    const sum = Bun.hash.xxHash32(`${body}}`).toString(16).padStart(8, "0");
    const lines = exportOf([lineOf(cart("a"))], `${body},"sum":"${sum}"}`);
    const error = await failureOf(bring(memoryStore(), lines));
    expect(codeAndLine(error)).toBe(1);
    expect((error as Error).message).toContain("its format is 2, and this catga knows 1");
  });

  test("an entity that is too large for the store", async () => {
    const store = changed(memoryStore(), () => ({ bytesMax: 1_000 }));
    const large = cart("b", { data: recordOf("é".repeat(600)) });
    const error = await failureOf(bring(store, exportOf([lineOf(cart("a")), lineOf(large)])));
    expect(codeAndLine(error)).toBe(3);
    expect((error as Error).message).toContain("1000");
    expect(isCatgaError((error as Error).cause, "STATE_TOO_LARGE")).toBe(true);
    expect([...(await contentOf(store)).keys()]).toEqual(["a"]);
  });
});

test("a record that cannot be read is exported as it stands, counted and imported", async () => {
  const cut = recordOf({ n: 1 }).slice(0, -2);
  const gone = cart("gone", { data: undefined });
  const from = await storeWith(cart("a"), cart("b", { data: cut, dueMs: 77 }), gone);
  const heard: number[] = [];
  const onProgress = ({ corrupt }: { readonly corrupt: number }): void => void heard.push(corrupt);
  const lines = await Array.fromAsync(exportEntities({ store: from, name: NAME, onProgress }));
  expect(heard).toEqual([1]);
  expect(lines).toHaveLength(4);
  const { id, corrupt, raw } = JSON.parse(lines[2]!) as Record<string, unknown>;
  expect([id, corrupt, raw]).toEqual(["b", "its checksum does not match", cut]);
  expect(JSON.parse(lines[3]!)).toMatchObject({ end: true, entities: 2, corrupt: 1 });
  const to = memoryStore();
  expect(await bring(to, lines)).toMatchObject({ imported: 2, corrupt: 1 });
  expect((await contentOf(to)).get("b")).toMatchObject({ data: cut, dueMs: 77 });
});
