/** What the command draws, shows and reads. */
import { describe, expect, test } from "bun:test";
import { linesOf } from "../../src/cli/lines.ts";
import { progressBar } from "../../src/cli/progress.ts";
import { readable } from "../../src/cli/readable.ts";
import { FakeClock } from "../base/fake-clock.ts";
import { SHAPES } from "./shapes.ts";

function drawn(isTTY: boolean, columns?: number) {
  const clock = new FakeClock();
  const texts: string[] = [];
  const write = (text: string): void => void texts.push(text.replace("\r\u001b[K", "<"));
  const screen = columns === undefined ? { isTTY, write } : { isTTY, columns, write };
  return { clock, texts, bar: progressBar(screen, clock) };
}

describe("a bar of progress", () => {
  test("shows how far it has come, ten times a second at most, and goes away", () => {
    const { clock, texts, bar } = drawn(true);
    bar({ done: 0, total: 2_000, corrupt: 0 });
    bar({ done: 500, total: 2_000, corrupt: 0 });
    clock.advance(100);
    bar({ done: 1_500, total: 2_000, corrupt: 2 });
    clock.advance(100);
    bar({ done: 2_100, total: 2_000, corrupt: 2 });
    clock.advance(100);
    bar({ done: 7, total: undefined, corrupt: 0 });
    bar();
    expect(texts).toEqual([
      `<[${"-".repeat(20)}]   0 %  0 of about 2,000 entities`,
      `<[${"#".repeat(15)}-----]  75 %  1,500 of about 2,000 entities, 2 corrupt`,
      `<[${"#".repeat(20)}] 100 %  2,100 of about 2,000 entities, 2 corrupt`,
      "<7 entities",
      "<",
    ]);
  });
  test("stays within the line, and is silent where there is no terminal", () => {
    const narrow = drawn(true, 12);
    narrow.bar({ done: 1, total: 2, corrupt: 0 });
    expect(narrow.texts).toEqual(["<[##########"]);
    const { texts, bar } = drawn(false);
    bar({ done: 1, total: 2, corrupt: 0 });
    bar();
    expect(texts).toEqual([]);
  });
});

describe("state for the eye", () => {
  const shown: Readonly<Record<string, string>> = {
    nothing: "{}",
    null: '{"shown":null}',
    empty: '{"shown":{"list":[],"fields":{},"map":{"$map":[]},"set":{"$set":[]},"text":""}}',
    numbers: `{"shown":[0,0,{"$number":"NaN"},{"$number":"-Infinity"},${2 ** 53},1e-7]}`,
    huge: '{"shown":{"n":{"$bigint":"123456789012345678901234"},"less":{"$bigint":"-1"}}}',
    dates:
      '{"shown":[{"$date":"1970-01-01T00:00:00.000Z"},' +
      '{"$date":"+275760-09-13T00:00:00.000Z"},{"$date":null}]}',
    map: '{"shown":{"$map":[["a",{"$set":[1]}],[{"k":1},{"$map":[[{"$bigint":"1"},"one"]]}]]}}',
    bytes: '{"shown":{"one":{"$bytes":"AP+A"},"none":{"$bytes":""}}}',
    shared: '{"shown":{"one":{"n":1},"other":{"n":1}}}',
    cycle: '{"shown":{"name":"me","self":{"$cycle":1}}}',
  };
  test.each(Object.entries(shown))("%s is %s", (shape, text) => {
    expect(JSON.stringify({ shown: readable(SHAPES[shape]!()) })).toBe(text);
  });
  test("and other objects are not empty", () => {
    expect(readable([/a/g, new URL("http://a/")])).toEqual([
      { $text: "/a/g" },
      { $text: "http://a/" },
    ]);
    expect(readable(new Uint16Array([1]).buffer)).toEqual({ $bytes: "AQA=" });
  });
});

describe("lines", () => {
  const cases: readonly (readonly [pieces: string[], lines: string[]])[] = [
    [[], []],
    [["a"], ["a"]],
    [["a\nb\n"], ["a", "b"]],
    [
      ["a", "b\n", "\n", "c\u2028d"],
      ["ab", "", "c\u2028d"],
    ],
    [["a", "\n"], ["a"]],
    [["abcd", "ef", "gh\ni"], ["abcdef"]],
  ];
  test.each([...cases])("of %j are %j", async (pieces, lines) => {
    const source = (async function* (): AsyncGenerator<string, void> {
      yield* pieces;
    })();
    expect(await Array.fromAsync(linesOf(source, 5))).toEqual(lines);
  });
});
