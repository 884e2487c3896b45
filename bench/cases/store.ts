/**
 * What a store costs: compare-and-sets of records of 300 bytes, 256 callers at a time, each of whom
 * waits until its record is kept.
 *
 * The floor is the store's own compare-and-set, one after the other in the same process: for SQLite
 * a transaction with one statement, which is on the disk when it ends (`full`), or with the
 * operating system (`normal`). One caller alone pays for the way to the thread and back; many share
 * transactions. The last lines say how long the event loop was held up at most, by an interval of
 * 10 ms: while the store writes, beside the same statements on the loop itself; and while another
 * process has the file's lock for a second, beside a second in which nothing is done.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setImmediate as nextTick, setTimeout as wait } from "node:timers/promises";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { systemRandom } from "../../src/base/random.ts";
import { sqlite } from "../../src/drivers/sqlite/index.ts";
import type { Store } from "../../src/ports/store.ts";
import { startHelper } from "../child.ts";
import { atLeast, countFigure, rateFigure } from "../figure.ts";
import { contest, type Load } from "../measure/contest.ts";
import { effort } from "../measure/effort.ts";
import { inFlight, oneByOne } from "../measure/in-flight.ts";
import { say } from "../parent.ts";

const ENTITIES = 4_096;
const IN_FLIGHT = 256;
const FENCE = "0000000001.000000000001";
const DATA = "x".repeat(300);
const TICK_MS = 10;
const HALF = 0.5;
const HELD_UP_MS = 50;
/** As long as the lock is held. */
const IDLE_MS = 1_000;

const ids = Array.from({ length: ENTITIES }, (_, n) => `account-${n}`);
const folder = mkdtempSync(join(tmpdir(), "catga-bench-"));

try {
  for (const synchronous of ["full", "normal"] as const) await measure(synchronous);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function measure(synchronous: "full" | "normal"): Promise<void> {
  const file = join(folder, `${synchronous}.db`);
  const world = { clock: systemClock, random: systemRandom, log: silentLogger, unsafe() {} };
  const driver = sqlite({ file, synchronous });
  const store = await driver.open({ cluster: "bench", shardCount: 32, ...world });
  const raw = rawWrites(join(folder, `${synchronous}-raw.db`), synchronous);
  const write = writesOf(store);
  const many = { subject: inFlight(IN_FLIGHT, write), floor: oneByOne(raw.write) };
  await report(`sqlite ${synchronous}, compare-and-set, 256 callers`, many, true);
  const one = { subject: oneByOne(write), floor: oneByOne(raw.write) };
  await report(`sqlite ${synchronous}, compare-and-set, 1 caller`, one, false);
  if (synchronous === "full") await reportLoop({ store, raw: raw.write, file });
  await store.close();
  raw.close();
}

async function report(
  what: string,
  sides: { readonly subject: Load; readonly floor: Load },
  hasGoal: boolean,
): Promise<void> {
  const outcome = await contest(sides, effort());
  say(rateFigure(what, outcome, hasGoal ? [atLeast(outcome.ratio, HALF, "of the floor")] : []));
}

/** The longest time between two ticks while `load` runs, less what a tick takes. */
async function heldUpMs(load: () => Promise<void>): Promise<number> {
  let lastMs = performance.now();
  let longestMs = 0;
  const timer = setInterval(() => {
    const nowMs = performance.now();
    longestMs = Math.max(longestMs, nowMs - lastMs - TICK_MS);
    lastMs = nowMs;
  }, TICK_MS);
  await load();
  clearInterval(timer);
  return Math.max(longestMs, performance.now() - lastMs - TICK_MS);
}

async function reportLoop(sides: {
  readonly store: Store;
  readonly raw: (n: number) => Promise<void>;
  readonly file: string;
}): Promise<void> {
  const write = writesOf(sides.store, "other");
  const count = effort().rounds * 1_000;
  const load = inFlight(IN_FLIGHT, write);
  const ops = await heldUpMs(() => load(count, []));
  const floor = await heldUpMs(async () => {
    for (let n = 0; n < count; n++) {
      await sides.raw(n);
      await nextTick();
    }
  });
  const goals = [{ goal: `≤ ${HELD_UP_MS} ms`, isReached: ops <= HELD_UP_MS }];
  say(countFigure("sqlite, loop held up by writing", { unit: "ms", ops, n: count, floor }, goals));
  await using holder = startHelper("processes/lock-holder.ts", sides.file);
  await holder.next();
  const lockedMs = await heldUpMs(() => write(0));
  const idleMs = await heldUpMs(() => wait(IDLE_MS));
  const figure = { unit: "ms", ops: lockedMs, n: 1, floor: idleMs } as const;
  const isReached = lockedMs <= HELD_UP_MS;
  say(countFigure("sqlite, loop held up by a lock of 1 s", figure, [{ ...goals[0]!, isReached }]));
}

/** Each call replaces the record of the next entity. */
function writesOf(store: Store, entity = "account"): (n: number) => Promise<void> {
  const versions = new Uint32Array(ENTITIES);
  return async (n) => {
    const at = n % ENTITIES;
    const expected = versions[at]!;
    const key = { entity, id: ids[at]!, shard: at % 32 };
    const write = { ...key, expected, fence: FENCE, data: DATA, dueMs: undefined };
    const [result] = await store.write([write]);
    if (!result?.ok) throw new Error("Cannot trust the store: a write was refused");
    versions[at] = result.version;
  };
}

function rawWrites(
  file: string,
  synchronous: string,
): { readonly write: (n: number) => Promise<void>; close(): void } {
  const database = new DatabaseSync(file);
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous};
    CREATE TABLE record (id TEXT PRIMARY KEY, version INTEGER, fence TEXT, data BLOB)`);
  const insert = database.prepare("INSERT INTO record VALUES (?, 0, '', NULL)");
  database.exec("BEGIN");
  for (const id of ids) insert.run(id);
  database.exec("COMMIT");
  const [begin, commit] = [database.prepare("BEGIN IMMEDIATE"), database.prepare("COMMIT")];
  const update = database.prepare(
    `UPDATE record SET version = version + 1, fence = ?, data = ?
     WHERE id = ? AND version = ? AND fence <= ?`,
  );
  const versions = new Uint32Array(ENTITIES);
  return {
    async write(n) {
      const at = n % ENTITIES;
      begin.run();
      const { changes } = update.run(FENCE, Buffer.from(DATA), ids[at]!, versions[at]!, FENCE);
      commit.run();
      if (changes !== 1) throw new Error("Cannot trust the floor: a write was refused");
      versions[at]!++;
    },
    close: () => database.close(),
  };
}
