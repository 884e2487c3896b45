/**
 * Stores that are full, slow, away, damaged, or shared with somebody else, and states that cannot
 * be stored or read, over every kind of store: an entity refuses with a stable code, the others go
 * on, nothing is overwritten, and all is well again without a restart when the store is.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { Cluster, type ClusterOf, command, defineEntity } from "../../src/index.ts";
import { memory } from "../../src/drivers/memory/index.ts";
import { everything } from "../contracts/kept.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { SECRET } from "../drivers/fixtures.ts";
import { temporaryFolder } from "../drivers/folders.ts";
import { failureOf, meeting, stopAll, stopped } from "../drivers/nodes.ts";
import { openStore } from "../drivers/store-fixture.ts";
import { counterOf, Through } from "./kept.ts";
import { KeptChild } from "./kept-child.ts";
import { driverOf } from "./kept-process.ts";
import { CLUSTER, kinds, type Patient, SHARDS } from "./patients.ts";

const PATIENCE = { timeoutMs: 15_000 };
const NO_MORE = 40_000;
/** Less than an entity that needs room, and more than any other. */
const MUCH = 10_000;

const Plain = defineEntity("plain", {
  messages: { add: command<{ n: number }, number>() },
  state: () => ({ count: 0 }),
  handlers: { add: ({ state }, { n }) => (state.count += n) },
});

type Node = ClusterOf<typeof Through | typeof Plain>;

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await stopAll();
  for (const end of ends.splice(0).toReversed()) await end();
});

async function patientOf({ start: begin }: { start: () => Promise<Patient> }): Promise<Patient> {
  const patient = await begin();
  ends.push(() => patient.end());
  return patient;
}

function start({ driver: store }: Patient, counter = Through): Promise<Node> {
  const settings = {
    name: CLUSTER,
    nodeId: "n1",
    shardCount: SHARDS,
    heartbeat: "normal",
  } as const;
  const transport = memory() as never;
  return stopped(Cluster.start({ ...settings, transport, store, entities: [counter, Plain] }));
}

const add = (node: Node, id: string, timeout = "10s") =>
  node.entity("counter", id).send({ type: "add", n: 1 }, { timeout: timeout as "10s" });
const look = async (node: Node, id: string): Promise<number> =>
  (await node.entity("counter", id).send({ type: "look" })).count;
const plain = (node: Node) => node.entity("plain", "p").send({ type: "add", n: 1 });
const codeOf = async (work: Promise<unknown>): Promise<unknown> =>
  ((await failureOf(work)) as { code?: string }).code;

/** Of a record, as its store has it. */
const DAMAGES: readonly (readonly [what: string, make: (raw: string) => string])[] = [
  ["was cut at its end", (raw) => raw.slice(0, -9)],
  ["was cut at its beginning", (raw) => raw.slice(9)],
  ["was cut to a part of its head", (raw) => raw.slice(0, 5)],
  ["was cut where its data begins", (raw) => raw.slice(0, raw.search(/1 [0-9a-f]{8} \{/))],
  ["lost its data and the line's end", (raw) => raw.slice(0, raw.search(/\n?1 [0-9a-f]{8} \{/))],
  ["has a flipped bit in its first line", (raw) => flipped(raw, 3)],
  ["is empty", () => ""],
  ["has a flipped bit in its state", (raw) => flipped(raw, raw.length - 40)],
  ["has a flipped bit in its checksum", (raw) => flipped(raw, raw.indexOf("{") - 3)],
  ["is somebody else's", () => '{"count":7}'],
  ["is of another format", (raw) => raw.replace(/1 ([0-9a-f]{8} \{)/, "2 $1")],
];

function flipped(raw: string, at: number): string {
  return raw.slice(0, at) + String.fromCharCode(raw.charCodeAt(at) ^ 1) + raw.slice(at + 1);
}

describe.each(kinds())("an entity kept by $name", (kind) => {
  test(
    "whose record is damaged is refused and left as it is, until that is mended",
    async () => {
      const patient = await patientOf(kind);
      const first = await start(patient);
      for (const id of ["a", "b"]) await add(first, id);
      await first.stop();
      const sound = await patient.raw("a");
      const node = await start(patient);
      let count = 1;
      for (const [what, make] of DAMAGES) {
        const damaged = make(sound);
        expect(damaged).not.toBe(sound);
        await patient.spoil("a", damaged);
        for (const call of [() => add(node, "a"), () => look(node, "a")]) {
          expect({ what, code: await codeOf(call()) }).toEqual({ what, code: "STATE_CORRUPT" });
        }
        expect(await add(node, "b")).toBe(++count);
        expect(await patient.raw("a")).toBe(damaged);
      }
      await patient.spoil("a", sound);
      expect(await add(node, "a")).toBe(2);
    },
    NO_MORE,
  );

  // In a file, and in memory, whoever has the entity knows better than what was put there.
  if (kind.name === "nats" || kind.name === "redis") {
    test("whose record somebody writes while it is in memory ends, and leaves it", async () => {
      const patient = await patientOf(kind);
      const node = await start(patient);
      await add(node, "a");
      const sound = await patient.raw("a");
      await patient.spoil("a", "hello");
      expect(await codeOf(add(node, "a"))).toBe("OUTCOME_UNKNOWN");
      expect(await codeOf(add(node, "a"))).toBe("STATE_CORRUPT");
      expect(await patient.raw("a")).toBe("hello");
      expect(await add(node, "b")).toBe(1);
      await patient.spoil("a", sound);
      expect(await add(node, "a")).toBe(2);
    });
  }

  test("goes on though things of somebody else are kept beside it", async () => {
    const patient = await patientOf(kind);
    const first = await start(patient);
    await add(first, "a");
    await patient.litter();
    const stranger = await patient.raw("stranger");
    expect(await add(first, "a")).toBe(2);
    await first.stop();
    const node = await start(patient);
    expect(await add(node, "a")).toBe(3);
    expect(await add(node, "b")).toBe(1);
    expect(await codeOf(add(node, "stranger"))).toBe("STATE_CORRUPT");
    expect(await patient.raw("stranger")).toBe(stranger);
  });

  // How a file is filled: see below.
  if (kind.name !== "sqlite") {
    test(
      "takes nothing while its store is full, and goes on when there is room",
      async () => {
        const patient = await patientOf(kind);
        const node = await start(patient);
        await add(node, "a");
        const heal = await patient.fill!();
        const ref = node.entity("counter", "a");
        const growing = ref.send({ type: "spoil", with: "much" }, { timeout: "500ms" });
        expect(await codeOf(growing)).toBe("CALL_TIMEOUT");
        expect((await patient.raw("a")).length).toBeLessThan(MUCH);
        // What needs no room goes on.
        expect(await look(node, "new")).toBe(0);
        expect(await plain(node)).toBe(1);
        await heal();
        // What was accepted is carried out, though nobody waits for it any more.
        expect(await look(node, "a")).toBe(1);
        expect((await patient.raw("a")).length).toBeGreaterThan(MUCH);
        expect(await add(node, "a")).toBe(2);
      },
      NO_MORE,
    );
  }

  test("answers late while its store is slow, and holds up nobody else", async () => {
    const patient = await patientOf(kind);
    const node = await start(patient);
    await add(node, "a");
    const order: string[] = [];
    const heal = await patient.slow();
    const adding = add(node, "a").then((n) => order.push(`kept ${n}`));
    for (let n = 1; n <= 20; n++) await plain(node);
    order.push("plain");
    await adding;
    expect(order).toEqual(["plain", "kept 2"]);
    await heal();
    expect(await add(node, "a")).toBe(3);
  });

  test(
    "refuses while its store is away, and goes on when it is there again",
    async () => {
      const patient = await patientOf(kind);
      const node = await start(patient);
      await add(node, "a");
      await add(node, "awake");
      const heal = await patient.leave();
      expect(await codeOf(add(node, "a", "500ms"))).toBe("CALL_TIMEOUT");
      expect(await codeOf(add(node, "new"))).toBe("STORE_UNAVAILABLE");
      expect(await look(node, "awake")).toBe(1);
      expect(await plain(node)).toBe(1);
      await heal();
      await waitUntil(
        "it answers",
        async () => (await codeOf(look(node, "new"))) === undefined,
        PATIENCE,
      );
      expect(await look(node, "a")).toBe(2);
      expect(await add(node, "a")).toBe(3);
    },
    NO_MORE,
  );

  test.each([
    ["function", "STATE_NOT_ENCODABLE"],
    ["size", "STATE_TOO_LARGE"],
  ] as const)("whose state cannot be stored (%s) loses nothing that is", async (what, code) => {
    const patient = await patientOf(kind);
    const node = await start(patient);
    for (const id of ["a", "b"]) await add(node, id);
    const before = await patient.raw("a");
    const spoiling = node.entity("counter", "a").send({ type: "spoil", with: what });
    // Beside it, in the same burst.
    const beside = [add(node, "b"), add(node, "c")];
    expect(await codeOf(spoiling)).toBe(code);
    expect(await Promise.all(beside)).toEqual([2, 1]);
    expect(await patient.raw("a")).toBe(before);
    expect(await add(node, "a")).toBe(2);
  });

  test("whose migration throws is left as it is, until better code comes", async () => {
    const patient = await patientOf(kind);
    const first = await start(patient);
    await add(first, "a");
    await first.stop();
    const before = await patient.raw("a");
    const broken = counterOf("write-through", 2, {
      migrate: (_, from) => {
        throw new Error(`nobody knows version ${from}`);
      },
    });
    const node = await start(patient, broken);
    expect(await failureOf(add(node, "a"))).toMatchObject({
      code: "ACTIVATION_FAILED",
      executed: "no",
      details: { entity: "counter/a", text: "nobody knows version 1" },
    });
    expect(await add(node, "b")).toBe(1);
    expect(await patient.raw("a")).toBe(before);
    await node.stop();
    const better = await start(patient, counterOf("write-through", 2));
    expect(await add(better, "a")).toBe(1_002);
    await better.stop();
    const old = await start(patient);
    const newer = await patient.raw("a");
    expect(await codeOf(add(old, "a"))).toBe("STATE_TOO_NEW");
    expect(await add(old, "c")).toBe(1);
    expect(await patient.raw("a")).toBe(newer);
  });
});

// A limit of one process, which only Linux lets another one raise again.
test.if(process.platform === "linux")(
  "an entity kept by sqlite takes nothing while its file is full, and goes on when there is room",
  async () => {
    const { options } = await meeting();
    const place = { name: options.name, secret: SECRET, transport: options.transport! };
    const file = join(temporaryFolder("full"), "store.db");
    const store = { kind: "sqlite", at: file } as const;
    // Files of 512 kB; without the trap the system would end who goes beyond.
    const limited = ["sh", "-c", `trap "" XFSZ; ulimit -S -f 1024; exec "$@"`, "sh"];
    await using child = new KeptChild("node", { ...place, nodeId: "n1", store }, limited);
    await child.says("ready");
    const append = (id: string, timeout: "500ms" | "10s") =>
      child.append({ id, line: `${id} ${"x".repeat(20_000)}`, timeout });
    let count = 0;
    while ((await append(`l${count}`, "500ms")).what === "answered") count++;
    expect(count).toBeGreaterThan(5);
    const last = `l${count}`;
    expect(child.said.at(-1)).toMatchObject({ what: "failed", id: last, code: "CALL_TIMEOUT" });
    const raised = spawnSync("prlimit", ["--pid", `${child.pid}`, "--fsize=unlimited"]);
    expect(raised.status).toBe(0);
    // What was accepted is carried out, though nobody waits for it any more.
    expect(await append(last, "10s")).toMatchObject({ what: "answered", at: 1 });
    expect(await append("new", "10s")).toMatchObject({ what: "answered", at: 0 });
    const opened = await openStore(driverOf(store), place.name, { shardCount: 32 });
    expect(await everything(opened)).toHaveLength(count + 2);
    await opened.close();
  },
  NO_MORE,
);
