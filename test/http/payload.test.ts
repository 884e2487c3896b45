import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { problemOf, refusalOf, serve, type Served } from "./served.ts";

let edge: Served;
beforeAll(async () => {
  edge = await serve();
});
afterAll(() => edge.stop());

const ECHO = "/entities/account/1/echo";
const malformed = [400, "MALFORMED"] as const;

describe("a body", () => {
  test.each(['{"a":', "hello", " ", "[]", "[1]", "null", "1", '"a"', "{}{}", "{'a':1}", "\u0000"])(
    "%j is not a JSON object and is refused",
    async (body) => {
      expect(await refusalOf(await edge.post(ECHO, body))).toEqual(malformed);
    },
  );
  test("that is not UTF-8 is refused", async () => {
    const body = new Uint8Array([...new TextEncoder().encode('{"a":"'), 0xff, 0x22, 0x7d]);
    const headers = { "Content-Type": "application/json" };
    const response = await edge.ask(ECHO, { method: "POST", headers, body });
    expect(await refusalOf(response)).toEqual(malformed);
  });
  test.each(['{"type":"deposit"}', '{"type":null}', '{"\\u0074ype":1}'])(
    "%s has the tag among its fields and is refused",
    async (body) => {
      expect(await refusalOf(await edge.post(ECHO, body))).toEqual(malformed);
    },
  );
  test.each([
    '{"__proto__":{"polluted":1}}',
    '{"\\u005f_proto__":{"polluted":1}}',
    '{"a":[{"b":{"__proto__":null}}]}',
    '{"constructor":{"prototype":{"polluted":1}}}',
    '{"a":{"constructor":{"prototype":{"polluted":1}}}}',
  ])("%s reaches for a prototype and is refused", async (body) => {
    expect(await refusalOf(await edge.post(ECHO, body))).toEqual(malformed);
    expect("polluted" in {}).toBe(false);
  });
  test.each(['{"constructor":"McLaren"}', '{"prototype":{"n":1}}', '{"toString":1,"hasOwn":{}}'])(
    "%s only looks dangerous and arrives",
    async (body) => {
      const reply: unknown = await (await edge.post(ECHO, body)).json();
      expect(reply).toEqual({ type: "echo", id: "1", ...JSON.parse(body) });
    },
  );
  test("nested 100,000 levels deep is refused", async () => {
    const body = `{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
    const response = await edge.post(ECHO, body);
    expect(response.status).toBe(400);
    expect(["MALFORMED", "PAYLOAD_NOT_ENCODABLE"]).toContain((await problemOf(response)).code);
  });
  test("nested beyond the core's limit is refused by the core", async () => {
    const body = `{"a":${"[".repeat(80)}${"]".repeat(80)}}`;
    expect(await refusalOf(await edge.post(ECHO, body))).toEqual([400, "PAYLOAD_NOT_ENCODABLE"]);
  });
  test.each(["application/json; charset=utf-8", "Application/JSON", "application/json ;a=b"])(
    "of the content type %s is read",
    async (type) => {
      const response = await edge.post(ECHO, { n: 1 }, { "Content-Type": type });
      expect(await response.json()).toMatchObject({ n: 1 });
    },
  );
  test.each(["text/plain", "application/jsonp", "application/x-www-form-urlencoded", "a"])(
    "of the content type %s is refused with 415",
    async (type) => {
      const response = await edge.post(ECHO, { n: 1 }, { "Content-Type": type });
      expect(await refusalOf(response)).toEqual([415, "MALFORMED"]);
    },
  );
  test("without a content type is refused with 415", async () => {
    const body = new TextEncoder().encode("{}");
    const response = await edge.ask(ECHO, { method: "POST", body });
    expect(await refusalOf(response)).toEqual([415, "MALFORMED"]);
  });
  test("of the largest size is read", async () => {
    const response = await edge.post(ECHO, { a: "x".repeat(262_144 - 8) });
    expect(response.status).toBe(200);
  });
  test("one byte larger is refused with 413", async () => {
    const response = await edge.post(ECHO, { a: "x".repeat(262_144 - 7) });
    expect(response.status).toBe(413);
    expect(await problemOf(response)).toMatchObject({
      code: "TOO_LARGE",
      detail: "Cannot send the body: 262145 bytes, at most 262144",
    });
  });
  test("without a length is refused with 413 as soon as it is too large", async () => {
    const body = new Blob([new Uint8Array(300_000)]).stream();
    const headers = { "Content-Type": "application/json" };
    const response = await edge.ask(ECHO, { method: "POST", headers, body });
    expect(await refusalOf(response)).toEqual([413, "TOO_LARGE"]);
  });
});

describe("an empty body", () => {
  test("is no payload, whatever its content type", async () => {
    const headers = { "Content-Type": "text/plain" };
    const response = await edge.ask(ECHO, { method: "POST", headers });
    expect(await response.json()).toEqual({ type: "echo", id: "1" });
  });
});

test.each(["gzip", "br", "identity, gzip"])(
  "a body of the encoding %s is refused with 415",
  async (encoding) => {
    const response = await edge.post(ECHO, { n: 1 }, { "Content-Encoding": encoding });
    expect(await refusalOf(response)).toEqual([415, "MALFORMED"]);
  },
);
test("a body of the encoding identity is read", async () => {
  const response = await edge.post(ECHO, { n: 1 }, { "Content-Encoding": "identity" });
  expect(await response.json()).toMatchObject({ n: 1 });
});

describe("a query", () => {
  test.each([
    "payload=",
    "payload=1",
    "payload=[]",
    "payload=%7B",
    'payload={"type":"x"}',
    'payload={"__proto__":1}',
    "payload={}&n=1",
    "payload={}&payload={}",
    "n=1&n=2",
    "type=deposit",
    "__proto__=1",
    "a=1&__proto__[b]=2&a=3",
  ])("?%s is refused", async (fields) => {
    expect(await refusalOf(await edge.ask(`${ECHO}?${fields}`))).toEqual(malformed);
  });
  test("with a field that only looks like a prototype's arrives", async () => {
    const reply = await (await edge.ask(`${ECHO}?constructor=1&__proto__[a]=2`)).json();
    expect(reply).toEqual({ type: "echo", id: "1", constructor: "1", "__proto__[a]": "2" });
  });
});
