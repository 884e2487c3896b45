/** What foreign bytes do to a node: they lose their connection, it loses nothing. */
import { Buffer } from "node:buffer";
import { afterEach, afterAll, beforeAll, describe, test } from "bun:test";
import { randomBytes } from "./chance.ts";
import { serves, stopAll } from "./nodes.ts";
import { frameOf, RawConnection } from "./raw.ts";
import { Target } from "./target.ts";

afterEach(stopAll);

let target: Target;

beforeAll(async () => {
  target = await Target.start();
});

afterAll(() => target.stop());

describe.each(["hub", "link"] as const)("at the port of the %s", (place) => {
  const foreign: readonly [what: string, bytes: () => Uint8Array][] = [
    ["text", () => Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")],
    ["a length of 4 GiB", () => Buffer.from([255, 255, 255, 255])],
    ["a length beyond that of a handshake", () => Buffer.from([1, 16, 0, 0])],
    ["an empty frame", () => frameOf("")],
    ["a frame that is no JSON", () => frameOf("{")],
    ["a frame that is no UTF-8", () => frameOf(Uint8Array.of(0xff, 0xfe))],
    ["a frame that is no object", () => frameOf("null")],
    ["a frame that is a list", () => frameOf("[]")],
    ["nested lists", () => frameOf("[".repeat(2_000) + "]".repeat(2_000))],
    ["fields of wrong types", () => frameOf('{"protocol":{},"proof":[],"incarnation":7}')],
    ["a wrong proof", () => frameOf(JSON.stringify(hello({ proof: "0".repeat(64) })))],
    ["a proof that is no text", () => frameOf(JSON.stringify(hello({ proof: { length: 64 } })))],
    ["an unknown purpose", () => frameOf(JSON.stringify(hello({ purpose: "fun" })))],
    ["random bytes", () => randomBytes(50_000, 1)],
  ];
  test.each([...foreign])("%s: the connection ends, and the node serves", async (what, bytes) => {
    const connection = new RawConnection(target.ports[place]);
    await connection.frame();
    connection.write(bytes());
    await connection.closed(what);
    await serves(target.node);
  });

  test("half a frame: the connection ends in time, and the node serves", async () => {
    const [silent, half] = [
      new RawConnection(target.ports[place]),
      new RawConnection(target.ports[place]),
    ];
    half.write(frameOf("{}").subarray(0, 5));
    await serves(target.node);
    await silent.closed("silence", 5_000);
    await half.closed("half a frame", 5_000);
    await serves(target.node);
  }, 10_000);

  test("200 callers that hang up at once leave nothing behind", async () => {
    const callers = Array.from({ length: 200 }, () => new RawConnection(target.ports[place]));
    for (const caller of callers) caller.close();
    await serves(target.node);
  });
});

function hello(more: object): object {
  return {
    protocol: 1,
    cluster: target.cluster,
    purpose: "link",
    incarnation: "i",
    nonce: "n",
    proof: "p",
    ...more,
  };
}
