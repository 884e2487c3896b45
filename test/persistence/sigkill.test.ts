/**
 * Write-through in a file survives that everything is killed at any instant: processes append to
 * lists and say each answer, until all of them are killed at an instant that a seed chooses. Then
 * every answer that was ever heard is looked for in the file.
 */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as wait } from "node:timers/promises";
import { sqlite } from "../../src/drivers/sqlite/index.ts";
import { loadStateCodec } from "../../src/runtime/packet.ts";
import { decodeRecord } from "../../src/runtime/record.ts";
import { everything } from "../contracts/kept.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { SECRET } from "../drivers/fixtures.ts";
import { temporaryFolder } from "../drivers/folders.ts";
import { meeting } from "../drivers/nodes.ts";
import { openStore } from "../drivers/store-fixture.ts";
import { RUNTIMES } from "../runtimes/member-process.ts";
import { KeptChild } from "./kept-child.ts";

const ROUNDS = 24;
const LANES = 8;
const NAMES = Object.keys(RUNTIMES) as (keyof typeof RUNTIMES)[];
/** Another one for each run, told when it fails. */
const SEED = Number(process.env["CATGA_SEED"] ?? Math.floor(Math.random() * 1e9));

/** Lines that were answered, by their list and their place in it. */
type Heard = Map<string, Map<number, string>>;

/** What is kept, by list. */
async function kept(file: string, name: string): Promise<Map<string, readonly string[]>> {
  const store = await openStore(sqlite({ file }), name);
  const all = await everything(store);
  await store.close();
  return new Map(
    all.map(({ id, data }) => [id, decodeRecord(data!, id, 0).state as readonly string[]]),
  );
}

function wrongIn(lists: Awaited<ReturnType<typeof kept>>, heard: Heard): string[] {
  const wrong: string[] = [];
  for (const [id, lines] of heard) {
    const list = lists.get(id) ?? [];
    for (const [at, line] of lines) {
      if (list[at] !== line) wrong.push(`${line} is not at ${at} of ${id}, but ${list[at]}`);
    }
    if (new Set(list).size !== list.length) wrong.push(`a line stands twice in ${id}`);
  }
  return wrong;
}

function integrityOf(file: string): unknown {
  const database = new DatabaseSync(file);
  const row = database.prepare("PRAGMA integrity_check").get() ?? {};
  database.close();
  return Object.values(row)[0];
}

/** A number from 0 up to `below`, of `seed` and `step` alone. */
function draw(seed: number, step: number, below: number): number {
  let mixed = Math.imul(seed ^ Math.imul(step + 1, 0x9e3779b1), 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return ((mixed ^ (mixed >>> 16)) >>> 0) % below;
}

test("no answer is lost when all processes are killed, again and again", async () => {
  await loadStateCodec();
  const file = join(temporaryFolder("sigkill"), "store.db");
  const { options } = await meeting();
  const place = { name: options.name, secret: SECRET, transport: options.transport! };
  const heard: Heard = new Map();
  let answers = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const store = { kind: "sqlite", at: file } as const;
    const children = [0, 1].map((n) => {
      const settings = { ...place, nodeId: `n${n}`, store, lanes: LANES };
      return new KeptChild(NAMES[(round + n) % NAMES.length]!, settings);
    });
    const said = () => children.flatMap((child) => child.said);
    const answered = () => said().filter(({ what }) => what === "answered").length;
    const enough = 1 + draw(SEED, 2 * round, 300);
    await waitUntil("some were answered", () => answered() >= enough, {
      timeoutMs: 60_000,
      describe: () => said().slice(-3),
    });
    await wait(draw(SEED, 2 * round + 1, 10));
    for (const child of children) child.kill();
    for (const child of children) await child.ended();
    for (const each of said()) {
      if (each.what !== "answered") continue;
      const lines = heard.get(each.id) ?? new Map<number, string>();
      heard.set(each.id, lines.set(each.at, each.line));
      answers++;
    }
    const wrong = wrongIn(await kept(file, place.name), heard);
    const found = { seed: SEED, round, wrong, file: integrityOf(file) };
    expect(found).toEqual({ seed: SEED, round, wrong: [], file: "ok" });
  }
  expect(answers).toBeGreaterThan(ROUNDS * 50);
}, 480_000);
