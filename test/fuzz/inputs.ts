/** Inputs: valid samples with parts changed, text and bytes that were cut or joined, oddities. */
import * as fc from "fast-check";

/** One change: where it happens, as a share of all places there are, and what it is. */
interface Change {
  readonly at: number;
  readonly kind: "replace" | "delete" | "double" | "wrap" | "rename";
  readonly value: unknown;
}

interface ByteChange {
  readonly at: number;
  readonly kind: "flip" | "cut" | "drop" | "double" | "insert";
  readonly value: number;
}

/** A place in plain data. */
interface Slot {
  readonly parent: Record<string, unknown>;
  readonly key: string;
}

/** Stands for nesting that no recursion survives. */
const DEEP = "@@deep";
const DEEP_LEVELS = 20_000;
const LONG = "x".repeat(10_000);

/** Texts that mean something to somebody. */
export const ODD_TEXTS: readonly string[] = [
  "__proto__ constructor prototype toString hasOwnProperty polluted".split(" "),
  ["", " ", ".", "..", "*", ">", "$JS.API.>", "{", "}", "[]", "/", "//", "a/b", "%", "%2F"],
  ["%00", "\0", "\r\nPUB x 1", "\u{d800}", "\u{1f6eb}", "é", "e\u0301", "\u2028", "1e999"],
  ["NaN", "-0", "0x10", "1_000", " 10s", "10S", "9".repeat(400), LONG],
].flat();

const ODD_NUMBERS = [0, -0, -1, 0.5, 1e308, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 53 - 1];
const ODD_OBJECTS: readonly object[] = [{}, { length: 3 }, { toString: 1 }, { kind: "transfer" }];
const ODD_VALUES: readonly unknown[] = [
  ...ODD_NUMBERS,
  ...ODD_OBJECTS,
  null,
  true,
  false,
  [],
  [[]],
  [null],
  DEEP,
  JSON.parse('{"__proto__":{"polluted":1}}') as unknown,
  JSON.parse('{"constructor":{"prototype":{"polluted":1}}}') as unknown,
];

const NAMES = ["__proto__", "constructor", "toString", "length", "kind", "0", ""];

/** A text that somebody might write, or nobody. */
export const texts: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...ODD_TEXTS),
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({ unit: "grapheme", maxLength: 40 }),
  fc.array(fc.constantFrom(...ODD_TEXTS), { maxLength: 4 }).map((parts) => parts.join("")),
);

/** Any plain value. */
export const values: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(...ODD_VALUES, ...ODD_TEXTS),
  fc.jsonValue({ maxDepth: 3 }),
);

/** From 0 to 1, evenly: most numbers with a point are next to 0. */
const share = fc.nat(9_999).map((n) => n / 10_000);

const change: fc.Arbitrary<Change> = fc.record({
  at: share,
  kind: fc.constantFrom("replace", "replace", "delete", "double", "wrap", "rename"),
  value: values,
});

const byteChange: fc.Arbitrary<ByteChange> = fc.record({
  at: share,
  kind: fc.constantFrom("flip", "cut", "drop", "double", "insert"),
  value: fc.nat(255),
});

/** The JSON of a sample of which some parts were changed. */
export function jsonLike(...samples: readonly unknown[]): fc.Arbitrary<string> {
  const changed = fc.tuple(fc.constantFrom(...samples), fc.array(change, { maxLength: 4 }));
  return fc.oneof(
    { weight: 8, arbitrary: changed.map(([sample, changes]) => jsonOf(sample, changes)) },
    { weight: 1, arbitrary: values.map((value) => jsonOf(value, [])) },
  );
}

/** The value of such JSON. */
export function valueLike(...samples: readonly unknown[]): fc.Arbitrary<unknown> {
  return jsonLike(...samples).map((json) => JSON.parse(json) as unknown);
}

/** `text` as bytes, of which some were changed, cut or doubled; or bytes that were never a text. */
export function bytesLike(text: fc.Arbitrary<string>): fc.Arbitrary<Uint8Array> {
  const changes = fc.array(byteChange, { maxLength: 3 });
  const whole = text.map((each) => new TextEncoder().encode(each));
  const changed = fc.tuple(whole, changes).map(([bytes, all]) => all.reduce(changeBytes, bytes));
  return fc.oneof(
    { weight: 4, arbitrary: whole },
    { weight: 4, arbitrary: changed },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }) },
  );
}

/** A text like one of `samples`: changed, joined with another one, or any. */
export function textLike(...samples: readonly string[]): fc.Arbitrary<string> {
  const sample = fc.constantFrom(...samples);
  const spliced = fc.tuple(sample, fc.nat(100), sample, fc.nat(100));
  const filled = fc.tuple(sample, fc.nat(60), texts);
  return fc.oneof(
    sample,
    spliced.map(([a, to, b, from]) => a.slice(0, to) + b.slice(from)),
    filled.map(([a, at, text]) => a.slice(0, at) + text + a.slice(at)),
    texts,
  );
}

/** A value as text; what is nested too deeply to be written is as good as its depth. */
export function flat(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    return "[]";
  }
}

/** An input as a line for people, from which it can be had again. */
export function shown(input: unknown): string {
  const text =
    input instanceof Uint8Array
      ? `hex ${Buffer.from(input).toString("hex")}`
      : JSON.stringify(input, (_, value: unknown) =>
          value instanceof Uint8Array ? `hex ${Buffer.from(value).toString("hex")}` : value,
        );
  return text.length > 4_000 ? `${text.slice(0, 4_000)}… (${text.length} characters)` : text;
}

function jsonOf(sample: unknown, changes: readonly Change[]): string {
  const root = { root: structuredClone(sample) };
  for (const each of changes) applyChange(root, each);
  const text = JSON.stringify(root.root) ?? "null";
  const deep = "[".repeat(DEEP_LEVELS) + "]".repeat(DEEP_LEVELS);
  return text.replace(JSON.stringify(DEEP), deep);
}

function applyChange(root: Record<string, unknown>, { at, kind, value }: Change): void {
  const slots = slotsOf(root);
  const slot = slots[Math.floor(at * slots.length)];
  if (slot === undefined) return; // All of it is gone.
  const { parent, key } = slot;
  const old = parent[key];
  if (kind === "replace") set(parent, key, structuredClone(value));
  else if (kind === "wrap") set(parent, key, [old]);
  else if (Array.isArray(parent)) {
    if (kind === "delete") parent.splice(Number(key), 1);
    else parent.splice(Number(key), 0, structuredClone(old));
  } else if (kind === "delete") delete parent[key];
  else set(parent, NAMES[Math.floor(at * 1_000) % NAMES.length]!, old);
}

/** As an own property, also where the name is one that assigns to a prototype. */
function set(parent: Record<string, unknown>, key: string, value: unknown): void {
  const flags = { enumerable: true, configurable: true, writable: true };
  Object.defineProperty(parent, key, { value, ...flags });
}

function slotsOf(parent: Record<string, unknown>): Slot[] {
  return Object.keys(parent).flatMap((key): Slot[] => {
    const value = Object.getOwnPropertyDescriptor(parent, key)?.value as unknown;
    const inner =
      typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
    return [{ parent, key }, ...slotsOf(inner)];
  });
}

function changeBytes(bytes: Uint8Array, { at, kind, value }: ByteChange): Uint8Array {
  const index = Math.floor(at * bytes.length);
  const [before, after] = [bytes.slice(0, index), bytes.slice(index)];
  if (kind === "cut") return before;
  if (kind === "drop") return joined(before, after.slice(1 + (value % 8)));
  if (kind === "double") return joined(before, after.slice(0, value), after);
  if (kind === "insert") return joined(before, Uint8Array.of(value), after);
  if (after.length > 0) after[0]! ^= 1 << (value % 8);
  return joined(before, after);
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
