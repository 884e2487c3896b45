/** What broken frames of a node that knows the secret do to another: at most end the connection. */
import { Buffer } from "node:buffer";
import { afterEach, afterAll, beforeAll, describe, test } from "bun:test";
import { FRAME_BYTES_MAX } from "../../src/base/limits.ts";
import { mutated } from "./chance.ts";
import { serves, stopAll } from "./nodes.ts";
import { Target } from "./target.ts";

afterEach(stopAll);

let target: Target;

beforeAll(async () => {
  target = await Target.start();
});

afterAll(() => target.stop());

/** Rows that no donor sends: of what is not there, out of order, with a state that was cut. */
const FORGED: readonly (readonly unknown[])[] = [
  ["fun"],
  ["message", "n1.x", 1, 5, { type: "add" }],
  ["timer", 5, { type: "add" }],
  ["entity", "nobody", "a", "[1]"],
  ["entity", "counter", 5, "[1]"],
  ["entity", "counter", "a", "[{"],
  ["entity", "counter", "a", 7],
  ["entity", "counter", "a", '[["Map",1,99]]'],
];

describe("to the link:", () => {
  const entity = "counter";
  const place = { group: entity, shard: 3, channel: 0, sequence: 1 };
  const redirect = { kind: "redirect", ...place, frame: 1, retryMs: 0 };
  const malformed: readonly [what: string, frame: () => Uint8Array | string][] = [
    ["no UTF-8", () => Uint8Array.of(0x22, 0xc3, 0x28, 0x22)],
    ["nothing", () => ""],
    ["no JSON", () => "[1,"],
    ["no list", () => "{}"],
    ["null", () => "null"],
    ["a head of texts", () => '["1","1","0","a",[]]'],
    [
      "a head with a part missing",
      () => JSON.stringify([target.generation, 1, 0, target.incarnation]),
    ],
    ["a negative number", () => JSON.stringify([target.generation, -1, 0, target.incarnation, []])],
    ["half a number", () => JSON.stringify([target.generation, 1.5, 0, target.incarnation, []])],
    [
      "a list missing",
      () => JSON.stringify([target.generation, 1, 0, target.incarnation, [[], [], []]]),
    ],
    ["a list that is none", () => target.items({ messages: {} })],
    ["half a message", () => target.items({ messages: [1, 1, 0, 1, 1] })],
    [
      "a message whose id is no text",
      () => target.items({ messages: [1, 1, 0, 1, 1, 9, entity, 7, {}, 0] }),
    ],
    [
      "a message for no entity",
      () => target.items({ messages: [1, 1, 0, 1, 1, 9, null, "a", {}, 0] }),
    ],
    [
      "a message with a negative shard",
      () => target.items({ messages: [-1, 1, 0, 1, 1, 9, entity, "a", {}, 0] }),
    ],
    [
      "a message without a deadline",
      () => target.items({ messages: [1, 1, 0, 1, 1, null, entity, "a", {}, 0] }),
    ],
    ["an answer to no call", () => target.items({ replies: ["x", 1] })],
    ["a failure that is null", () => target.items({ notes: [null] })],
    [
      "a failure without a code",
      () => target.items({ notes: [{ kind: "failure", call: 1, details: {} }] }),
    ],
    ["a redirect that is null", () => target.items({ notes: [null] })],
    [
      "a redirect with a part missing",
      () => target.items({ notes: [{ ...redirect, frame: null }] }),
    ],
    ["a control message of nothing", () => target.items({ notes: [null] })],
    [
      "a control message of no kind",
      () => target.items({ notes: [{ kind: "fun", group: "a", handoff: "b" }] }),
    ],
    ["a transfer of half a shard", () => target.items({ notes: [transfer(0.5, [])] })],
    ["a transfer of nothing", () => target.items({ notes: [transfer(1, null)] })],
    ["a transfer of half counters", () => target.items({ notes: [transfer(1, [["a", 1]])] })],
    ["a transfer of text", () => target.items({ notes: [transfer(1, [], "all")] })],
    ["a transfer of no rows", () => target.items({ notes: [transfer(1, [], [1, 2])] })],
    ["more than a frame may hold", () => new Uint8Array(FRAME_BYTES_MAX + 1)],
  ];
  test.each([...malformed])("%s: the connection ends, and the node serves", async (what, frame) => {
    const connection = await target.introduced("link");
    connection.send(frame());
    await connection.closed(what);
    await serves(target.node);
  });

  const harmless: readonly [what: string, frame: () => string][] = [
    [
      "for an unknown entity",
      () => target.items({ messages: [1, 1, 0, 1, 1, 9, "nobody", "a", {}, 0] }),
    ],
    [
      "for a shard beyond the last",
      () => target.items({ messages: [99_999, 1, 0, 1, 1, 9, entity, "a", {}, 0] }),
    ],
    [
      "of an epoch to come",
      () => target.items({ messages: [1, 99, 0, 2, 1, 9, entity, "a", {}, 0] }),
    ],
    [
      "with a message that is null",
      () => target.items({ messages: [1, 1, 0, 1, 1, 9, entity, "a", null, 0] }),
    ],
    [
      "with a message that is a text",
      () => target.items({ messages: [1, 1, 0, 1, 1, 9, entity, "a", "b", 0] }),
    ],
    [
      "with an answer nobody asked for",
      () => target.items({ replies: [12_345, {}], done: [12_346] }),
    ],
    [
      "with a failure nobody asked for",
      () => target.items({ notes: [{ kind: "failure", call: 9, code: "FUN", details: {} }] }),
    ],
    ["with a redirect of nothing", () => target.items({ notes: [redirect] })],
    [
      "with a redirect to nobody",
      () => target.items({ notes: [{ ...redirect, group: "nobody" }] }),
    ],
    [
      "with a transfer of a shard beyond the last",
      () => target.items({ notes: [transfer(99_999, [])] }),
    ],
    ["with a transfer of what the node owns", () => target.items({ notes: [transfer(1, [])] })],
    [
      "with a transfer that never ends",
      () => target.items({ notes: [transfer(1, [], [["entity", "counter", "a", null]], false)] }),
    ],
    ...FORGED.map(
      (rows, n) =>
        [
          `with a transfer of forged rows (${n + 1})`,
          () => target.items({ notes: [transfer(1, [], [rows])] }),
        ] as [string, () => string],
    ),
  ];
  test.each([...harmless])(
    "one %s: the connection stays, and the node serves",
    async (what, frame) => {
      const connection = await target.introduced("link");
      connection.send(frame());
      await target.answers(connection, 2, `after ${what}`);
      await serves(target.node);
    },
  );

  const ignored: readonly [what: string, frame: () => string][] = [
    ["for another node", () => JSON.stringify([target.generation, 1, 0, "somebody", []])],
    [
      "of another generation",
      () => JSON.stringify([target.generation + 1, 1, 0, target.incarnation, []]),
    ],
    ["ahead of its turn", () => target.items({ messages: ["nonsense"] }, 99)],
    [
      "that acknowledges what was never sent",
      () => JSON.stringify([target.generation, 0, 99, target.incarnation, []]),
    ],
  ];
  test.each([...ignored])("one %s: it is ignored, and the node serves", async (what, frame) => {
    const connection = await target.introduced("link");
    connection.send(frame());
    await target.answers(connection, 1, `after ${what}`);
    await serves(target.node);
  });

  test("1,000 random mutations of a good frame: the node serves", async () => {
    const good = Buffer.from(
      target.items({
        messages: await target.message("mutated"),
        replies: [1, {}],
        notes: [
          { kind: "failure", call: 1, code: "OVERLOADED", details: { what: "a", limit: 1 } },
          redirect,
          transfer(1, [["a", 1, 1]]),
        ],
      }),
    );
    for (let round = 0; round < 50; round++) {
      const connection = await target.introduced("link");
      for (let n = 0; n < 20; n++) connection.send(mutated(good, round * 20 + n));
      await serves(target.node, 1);
      connection.close();
    }
    await serves(target.node);
  }, 20_000);
});

describe("to the hub:", () => {
  const malformed: readonly [what: string, frame: () => Uint8Array | string][] = [
    ["no JSON", () => "{"],
    ["nothing", () => ""],
    ["null", () => "null"],
    ["changes that are text", () => '{"id":1,"changes":"abc"}'],
    ["changes that are nothing", () => '{"id":1}'],
    ["a change that is null", () => '{"id":1,"changes":[null]}'],
    ["more than a frame may hold", () => new Uint8Array(FRAME_BYTES_MAX + 1)],
  ];
  test.each([...malformed])("%s: the connection ends, and the node serves", async (what, frame) => {
    const connection = await target.introduced("authority");
    connection.send(frame());
    await connection.closed(what);
    await serves(target.node);
  });
});

function transfer(shard: number, counters: unknown, rows: unknown = [], isLast = true): object {
  const common = { kind: "transfer", group: "counter", handoff: "h", epoch: 1 };
  return { ...common, shard, counters, rows, isLast };
}
