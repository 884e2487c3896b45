/**
 * What a cluster does, whoever carries it, seen through the public door: what is sent and answered
 * is copied, its order holds, and an entity elsewhere behaves like one that lives here.
 */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { MESSAGE_BYTES_MAX } from "../../src/base/limits.ts";
import { type CatgaError, isCatgaError } from "../../src/index.ts";
import type { Check } from "./check.ts";
import { copyChecks } from "./copies.ts";
import { orderChecks } from "./order.ts";
import { type ClusterFixture, inWorld, Probe } from "./probes.ts";
import { refusalChecks } from "./refusals.ts";
import { retryChecks } from "./retries.ts";
import { topicChecks } from "./topics.ts";
import { waitUntil } from "./wait-until.ts";
import { watchChecks } from "./watches.ts";

/** The contract. */
export const clusterContract: readonly Check<ClusterFixture>[] = [
  ...copyChecks,
  ...orderChecks,
  ...refusalChecks,
  ...retryChecks,
  ...topicChecks,
  ...watchChecks,
  {
    name: "a value comes out of a message and an answer as JSON would have it, here as elsewhere",
    run: (fixture) =>
      inWorld(fixture, async ({ probe }) => {
        for (const value of values()) {
          const expected: unknown = value === undefined ? value : JSON.parse(JSON.stringify(value));
          for (const where of ["local", "remote"] as const) {
            deepEqual(await probe(where).send({ type: "echo", value }), expected);
          }
        }
      }),
  },
  {
    name: "an id of any legal spelling is an entity of its own, and an illegal one is refused",
    run: (fixture) =>
      inWorld(fixture, async ({ first, second }) => {
        for (const node of [first, second]) {
          await Promise.all(
            LEGAL_IDS.map(async (id) => {
              equal(await node.entity("probe", id).send({ type: "id" }), id);
              const append = { type: "append", from: node.nodeId, n: 0 } as const;
              equal(await node.entity("probe", id).send(append), node === first ? 1 : 2);
            }),
          );
          for (const id of ILLEGAL_IDS) {
            for (const target of [
              node.entity("probe", id as string),
              node.entity(Probe, id as string),
            ]) {
              await rejects(target.send({ type: "id" }), refusedWith("INVALID_ID"));
              await rejects(target.tell({ type: "id" }), refusedWith("INVALID_ID"));
            }
          }
        }
      }),
  },
  {
    name: "a one-way message is accepted, whatever its handler does",
    run: (fixture) =>
      inWorld(fixture, async ({ probe }) => {
        for (const where of ["local", "remote"] as const) {
          const ref = probe(where);
          for (const later of [false, true]) {
            equal(await ref.tell({ type: "fail", what: "throw/an error", later }), undefined);
          }
          equal(await ref.tell({ type: "answer", what: "answer/a Map" }), undefined);
          equal(await ref.tell({ type: "echo", value: 1 }), undefined);
        }
      }),
  },
  {
    name: "an entity that no node hosts is refused with UNKNOWN_ENTITY",
    run: (fixture) =>
      inWorld(fixture, async ({ first }) => {
        const nobody = first.entity("nobody" as "probe", "1");
        await rejects(nobody.send({ type: "id" }), refusedWith("UNKNOWN_ENTITY"));
        await rejects(nobody.tell({ type: "id" }), refusedWith("UNKNOWN_ENTITY"));
      }),
  },
  {
    name: "a flood of one entity is refused where it has no room, and leaves the others alone",
    run: (fixture) =>
      inWorld(fixture, async ({ first, probe }) => {
        const other = probe("remote");
        const flooded = probe("remote");
        const calls = Array.from({ length: 40_000 }, () => flooded.send({ type: "id" }));
        const outcomes = await Promise.allSettled(calls);
        const codes = new Set(
          outcomes.map((outcome) =>
            outcome.status === "rejected" ? (outcome.reason as CatgaError).code : "answered",
          ),
        );
        // Some found no room at the sender; at an owner that is slow others may find none either.
        ok(codes.has("OVERLOADED") && codes.has("answered"));
        codes.delete("MAILBOX_FULL");
        equal(codes.size, 2);
        equal(await other.send({ type: "id" }), other.id);
        equal(first.nodes.length, 2);
      }),
  },
  {
    name: "messages and answers of the largest size pass, many at once",
    run: (fixture) =>
      inWorld(fixture, async ({ probe }) => {
        const value = "x".repeat(
          MESSAGE_BYTES_MAX - JSON.stringify({ type: "echo", value: "" }).length,
        );
        const refs = Array.from({ length: 20 }, () => probe("remote"));
        const calls = refs.map((ref) => ref.send({ type: "echo", value }));
        for (const answer of await Promise.all(calls)) ok(answer === value);
      }),
  },
  {
    name: "failures with long texts arrive, many at once",
    run: (fixture) =>
      inWorld(fixture, async ({ probe }) => {
        const what = "throw/an error with a text of 2 MiB";
        for (const where of ["local", "remote"] as const) {
          const calls = Array.from({ length: 20 }, () => probe(where).send({ type: "fail", what }));
          await Promise.all(calls.map((call) => rejects(call, refusedWith("HANDLER_FAILED"))));
          equal(await probe(where).send({ type: "echo", value: 1 }), 1);
        }
      }),
  },
  {
    name: "a call whose owner leaves before its answer has an unknown outcome",
    run: (fixture) =>
      inWorld(fixture, async ({ first, second, probe }) => {
        const running = probe("remote");
        const call = running.send({ type: "wait", gate: "never" });
        const unknown = rejects(call, refusedWith("OUTCOME_UNKNOWN"));
        await running.send({ type: "id" }, { timeout: 50 }).catch(() => {});
        await second.stop({ deadline: 100 });
        await unknown;
        equal(first.nodes.length, 1);
      }),
  },
  {
    name: "a call that is open when its own node stops has an unknown outcome",
    run: (fixture) =>
      inWorld(fixture, async ({ first, probe }) => {
        const call = probe("remote").send({ type: "wait", gate: "never" });
        const unknown = rejects(call, refusedWith("OUTCOME_UNKNOWN"));
        await probe("remote").send({ type: "id" });
        await first.stop({ deadline: 100 });
        await unknown;
      }),
  },
  {
    name: "a node that has stopped takes no calls",
    run: (fixture) =>
      inWorld(fixture, async ({ first, second, id }) => {
        const [local, remote] = [id("probe", "local"), id("probe", "remote")];
        await second.stop();
        await second.stop();
        for (const each of [local, remote]) {
          const stopped = second.entity("probe", each).send({ type: "id" });
          await rejects(stopped, refusedWith("CLUSTER_STOPPED"));
          if (fixture.nodeIds !== undefined && each === remote) {
            // On a fixed list nobody takes over.
            await waitUntil("the node is gone", () => first.owner("probe", each) === undefined);
            await rejects(
              first.entity("probe", each).send({ type: "id" }),
              refusedWith("NODE_AWAY"),
            );
            continue;
          }
          equal(await first.entity("probe", each).send({ type: "id" }), each);
        }
      }),
  },
];

function refusedWith(code: CatgaError["code"]): (error: unknown) => boolean {
  return (error) => isCatgaError(error, code);
}

/** New ones each time: whoever changes them changes nobody else's. */
function values(): unknown[] {
  return [
    undefined,
    null,
    true,
    0,
    -0,
    0.1 + 0.2,
    5e-324,
    Number.MAX_VALUE,
    -Number.MAX_SAFE_INTEGER,
    "",
    "Zürich 東京 🛫",
    '\u0000\u001f\u2028\u2029\ufeff\u007f\n\r\t"\\/',
    "lone \ud800 surrogate \udc00",
    [],
    {},
    [[], {}, [null, [0, -0]]],
    { a: undefined, b: { c: undefined, d: [{ e: undefined }] } },
    { "": 1, "a.b": 2, constructor: 3, toString: 4, "🛫": 5, 10: 6, 9: 7, length: 8, type: 9 },
    Object.assign(Object.create(null), { a: 1 }),
    Array.from({ length: 60 }).reduce((inner) => ({ inner }), "deepest"),
    { text: "y".repeat(1_000_000) },
  ];
}

const LEGAL_IDS: readonly string[] = [
  ...Array.from(".*>$# :;,'\"`\\{}[]()|&%~!?+=@^_-"),
  "..",
  "a..b",
  "a/b",
  "/",
  "a,b",
  '","',
  "a b",
  "%2f",
  "{}{a}b",
  "__proto__",
  "constructor",
  "toString",
  "$JS.API.>",
  "_INBOX.x",
  "🛫",
  "👩‍👩‍👧‍👦",
  "é".normalize("NFC"),
  "é".normalize("NFD"),
  "مرحبا",
  "\u202eabc",
  "\u2028",
  "\ufeff",
  "x".repeat(256),
  "é".repeat(128),
  "🛫".repeat(64),
];

const ILLEGAL_IDS: readonly unknown[] = [
  "",
  "\u0000",
  "a\nb",
  "a\rb",
  "\t",
  "\u007f",
  "\u0085",
  "\ud800",
  "a\udc00b",
  "x".repeat(257),
  "é".repeat(129),
  "x".repeat(10_000),
  undefined,
  null,
  7,
  {},
];
