/** What a handler may come up with by mistake, or out of malice. */
import { MESSAGE_BYTES_MAX } from "../../src/base/limits.ts";

/** Values that no link could carry, by name. */
export const UNENCODABLE: Readonly<Record<string, () => unknown>> = {
  "a function": () => () => 1,
  "a symbol": () => Symbol("s"),
  "a Map": () => new Map([[1, 2]]),
  "a Set": () => new Set([1]),
  "a Date": () => new Date(0),
  bytes: () => new Uint8Array(3),
  "a cycle": () => {
    const cycle: { self?: unknown } = {};
    return (cycle.self = cycle);
  },
  "a bigint": () => 1n,
  "not a number": () => Number.NaN,
  infinity: () => Number.POSITIVE_INFINITY,
  "a function in a list in an object": () => ({ lines: [{ price: () => 1 }] }),
  "a hole in a list": () => [1, undefined],
  "an instance": () => new Money(),
  "an object without a known parent": () => Object.create(Object.create(null)),
  "a getter that throws": () => ({
    get amount(): number {
      throw new Error("no amount");
    },
  }),
  "a reserved name": () => JSON.parse('{"__proto__":1}'),
};

/** Values beyond the limit of a message, by name; one of them only when counted in UTF-8. */
export const TOO_LARGE: Readonly<Record<string, () => unknown>> = {
  "a text that is too long": () => "x".repeat(MESSAGE_BYTES_MAX + 1),
  "a text that is too long in bytes": () => "é".repeat(MESSAGE_BYTES_MAX / 2 + 1),
  "a list that is too long": () => new Array(MESSAGE_BYTES_MAX / 2).fill(12),
};

/** What a handler may throw, by name. */
export const THROWN: Readonly<Record<string, () => unknown>> = {
  "an error": () => new TypeError("it went wrong"),
  "an error with an empty text": () => new Error(""),
  "an error with a text of 2 MiB": () => new Error("x".repeat(2 * MESSAGE_BYTES_MAX)),
  "an error whose name is no text": () => Object.assign(new Error("odd"), { name: 7 }),
  "an error whose text is no text": () => Object.assign(new Error("odd"), { message: { a: 1 } }),
  "a text": () => "just a text",
  nothing: () => undefined,
  null: () => null,
  "a symbol": () => Symbol("thrown"),
  "a bare object": () => Object.create(null),
  "an object that cannot be described": () => ({
    toString(): string {
      throw new Error("no text");
    },
  }),
};

/** All of them, as a handler finds them. */
export const ODDITIES: Readonly<Record<string, () => unknown>> = {
  ...prefixed("answer", UNENCODABLE),
  ...prefixed("answer", TOO_LARGE),
  ...prefixed("throw", THROWN),
  "answer/a thenable that throws": () => new Proxy({}, { get: refuseToTell }),
};

function refuseToTell(): never {
  throw new Error("nothing to see here");
}

class Money {
  readonly amount = 1;
}

function prefixed(
  prefix: string,
  table: Readonly<Record<string, () => unknown>>,
): Record<string, () => unknown> {
  return Object.fromEntries(Object.entries(table).map(([key, make]) => [`${prefix}/${key}`, make]));
}
