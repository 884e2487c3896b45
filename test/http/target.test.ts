import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { problemOf, refusalOf, serve, type Served } from "./served.ts";

let edge: Served;
beforeAll(async () => {
  edge = await serve();
});
afterAll(() => edge.stop());

const INHERITED = ["constructor", "__proto__", "toString", "hasOwnProperty"];

describe("a name", () => {
  test.each([
    ...INHERITED,
    "Account",
    "account%00",
    "@account",
    "%40account",
    "nobody",
    "hidden",
    "%ff",
  ])("%s that is no exposed entity is unknown, whatever is asked of it", async (name) => {
    const unknown = [404, "UNKNOWN_ENTITY"] as const;
    expect(await refusalOf(await edge.ask(`/entities/${name}/1/ping`))).toEqual(unknown);
    expect(await refusalOf(await edge.post(`/entities/${name}/1/ping`, {}))).toEqual(unknown);
    expect(await refusalOf(await edge.ask(`/cluster/owner/${name}/1`))).toEqual(unknown);
  });
  test.each([...INHERITED, "Balance", "messages", "balance%2F", "x".repeat(3_000)])(
    "%s that is no message of the entity is unknown",
    async (type) => {
      const unknown = [404, "UNKNOWN_MESSAGE"] as const;
      expect(await refusalOf(await edge.ask(`/entities/account/1/${type}`))).toEqual(unknown);
      expect(await refusalOf(await edge.post(`/entities/account/1/${type}`, {}))).toEqual(unknown);
    },
  );
});

describe("an id", () => {
  const legal = [
    ...Array.from("/*>:\\?#&+ %'\"{}|^`~é😀"),
    "a/b",
    "../../admin",
    "a..b",
    "100%",
    "%2F",
    "%252F",
    "%ff",
    "a b",
    "😀",
    "עברית",
    "__proto__",
    "constructor",
    "null",
    "a;b=c",
    "$JS.API.>",
    "\u00c5",
    "A\u030a",
    "x".repeat(256),
    "é".repeat(128),
  ];
  test.each(legal)("%j arrives as it was sent, decoded once", async (id) => {
    const encoded = encodeURIComponent(id);
    const response = await edge.ask(`/entities/account/${encoded}/echo`);
    expect(await response.json()).toEqual({ type: "echo", id });
    const owner = await (await edge.ask(`/cluster/owner/account/${encoded}`)).json();
    expect(owner).toMatchObject({ id, node: edge.cluster.nodeId });
  });
  test.each(["%00", "a%0D%0APUB", "%1F", "%7F", "%C2%80", "a%0Ab", "%09"])(
    "%s has a control character and is refused",
    async (id) => {
      const refused = [400, "INVALID_ID"] as const;
      expect(await refusalOf(await edge.ask(`/entities/account/${id}/balance`))).toEqual(refused);
      expect(await refusalOf(await edge.ask(`/cluster/owner/account/${id}`))).toEqual(refused);
    },
  );
  test.each(["%ff", "%E0%A4%A", "%", "%zz", "%ED%A0%80", "%C0%AF", "a%2"])(
    "%s is not percent-encoded UTF-8 and is refused",
    async (id) => {
      // Raw, because fetch would repair some of them.
      const answer = await raw(`GET /entities/account/${id}/echo HTTP/1.1`);
      expect(answer).toStartWith("HTTP/1.1 400 ");
      expect(answer).toContain("INVALID_ID");
    },
  );
  test.each([257, 5_000])("of %d bytes is refused with 414", async (bytes) => {
    const response = await edge.ask(`/entities/account/${"x".repeat(bytes)}/balance`);
    expect(response.status).toBe(414);
    expect(await problemOf(response)).toMatchObject({
      code: "TOO_LARGE",
      detail: `Cannot send the id: ${bytes} bytes, at most 256`,
    });
  });
  test("is measured in bytes, not in characters", async () => {
    const path = `/entities/account/${"é".repeat(129)}/balance`;
    expect(await refusalOf(await edge.ask(path))).toEqual([414, "TOO_LARGE"]);
  });
});

describe("a path that is none of the routes", () => {
  test.each([
    "/",
    "/entities",
    "/entities/account/1",
    "/entities/account//balance",
    "/entities//1/x",

    "/entities/account/1/balance/",
    "/entities/account/1/balance/2",
    "/Entities/account/1/balance",
    "/cluster",
    "/cluster/nodes/",
    "/cluster/owner/account",
  ])("%s is not found", async (path) => {
    expect(await refusalOf(await edge.ask(path))).toEqual([404, "NOT_FOUND"]);
  });
  test.each(["//entities/account/1/balance", "/entities/account/../../cluster/nodes/x"])(
    "%s is not found when nobody tidies it up first",
    async (path) => {
      const answer = await raw(`GET ${path} HTTP/1.1`);
      expect(answer).toStartWith("HTTP/1.1 404 ");
      expect(answer).toContain("NOT_FOUND");
    },
  );
});

describe("a path that encodes what needs no encoding", () => {
  test.each(["/%63luster/nodes", "/entities/%61ccount/1/balance", "/entities/account/%31/balance"])(
    "%s is refused: there is one way to write it",
    async (path) => {
      const answer = await raw(`GET ${path} HTTP/1.1`);
      expect(answer).toStartWith("HTTP/1.1 400 ");
      expect(answer).toContain("MALFORMED");
    },
  );
  test("is told from what must be encoded, or may be", async () => {
    const unreserved = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code)).filter(
      (character) => /[\w.-]/.test(character),
    );
    for (let code = 32; code < 127; code++) {
      const id = `%${code.toString(16)}`;
      const { status } = await edge.ask(`/entities/account/a${id}/balance`);
      const refused = unreserved.includes(String.fromCharCode(code));
      expect([id, status]).toEqual([id, refused ? 400 : 200]);
    }
  });
  test("is no matter of the query", async () => {
    const reply = await (await edge.ask("/entities/account/1/echo?%61=%62")).json();
    expect(reply).toMatchObject({ a: "b" });
  });
});

/** Sends one request as it is and reads until the server closes. */
function raw(requestLine: string, host = "localhost"): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = connect(edge.port, "127.0.0.1");
    socket.on("data", (chunk) => (text += chunk.toString()));
    socket.on("close", () => resolve(text)).on("error", reject);
    socket.write(`${requestLine}\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  });
}

test.each(["a/b", "a?b", "u@h", "[::1", "a:99999", "a b", "evil.example\r\nHost: localhost"])(
  "a host %j, by which another path would be meant, or none, is refused",
  async (host) => {
    const heard = await raw("GET /aa/entities/account/1/balance HTTP/1.1", host);
    expect(heard).toStartWith("HTTP/1.1 400 ");
    expect(heard).toContain("MALFORMED");
  },
);
