/**
 * A process beside a test, on any runtime: `sqlite-program.ts <what> <file> <name>`. It says in
 * lines of JSON what it has done.
 *
 * - `count` raises counters that all processes share, and says how often.
 * - `write` replaces records until it is killed, and says each version that was acknowledged.
 * - `fill` writes records until one fails, and says how many were acknowledged and what failed.
 * - `lock` takes the lock of writers, as any program may, and keeps it until it is told to end.
 */
import { once } from "node:events";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { isCatgaError } from "../../src/base/errors.ts";
import { sqlite } from "../../src/drivers/sqlite/index.ts";
import type { Store } from "../../src/ports/store.ts";
import { COUNTERS, counter, dataOf, RAISES, recordOf } from "./sqlite-load.ts";
import { openStore } from "./store-fixture.ts";

const [what, file = "", name = ""] = process.argv.slice(2);

if (what === "count") await count(await openStore(sqlite({ file }), "shared"));
else if (what === "write") await write(await openStore(sqlite({ file }), "shared"));
else if (what === "fill") await fill(await openStore(sqlite({ file }), "shared"));
else await lock();

async function count(store: Store): Promise<void> {
  let refused = 0;
  const raise = async (n: number): Promise<void> => {
    let { version, data } = (await store.load(counter(n))) ?? { version: 0, data: "0" };
    for (;;) {
      const next = { ...counter(n), expected: version, fence: "1", dueMs: undefined };
      const [result] = await store.write([{ ...next, data: String(Number(data) + 1) }]);
      if (result!.ok) return;
      refused++;
      ({ version, data } = result!.current ?? { version: 0, data: "0" });
    }
  };
  for (let n = 0; n < RAISES; n++) {
    await Promise.all(Array.from({ length: COUNTERS }, (_, i) => raise(i)));
  }
  await store.close();
  say({ raised: RAISES * COUNTERS, refused });
}

async function write(store: Store): Promise<void> {
  const replace = async (n: number): Promise<void> => {
    const key = recordOf(name, n);
    let { version: expected } = (await store.load(key)) ?? { version: 0 };
    for (;;) {
      const data = dataOf(name, expected + 1);
      const [result] = await store.write([
        { ...key, expected, fence: "1", data, dueMs: undefined },
      ]);
      if (!result!.ok) throw new Error("somebody else has written");
      expected = result!.version;
      say({ n, version: expected });
    }
  };
  await Promise.all(Array.from({ length: COUNTERS }, (_, n) => replace(n)));
}

async function fill(store: Store): Promise<void> {
  for (let acknowledged = 0; ; acknowledged++) {
    const data = dataOf(name, acknowledged);
    const write = { ...recordOf(name, acknowledged), expected: 0, fence: "1", dueMs: undefined };
    const code = await store.write([{ ...write, data }]).then(() => undefined, codeOf);
    if (code === undefined) continue;
    const first = await store.load(recordOf(name, 0));
    say({ acknowledged, code, isReadable: first?.data === dataOf(name, 0) });
    await store.close();
    return;
  }
}

function codeOf(error: unknown): string {
  return isCatgaError(error) ? error.code : String(error);
}

async function lock(): Promise<void> {
  const database = new DatabaseSync(file);
  // Others may be writing all the time.
  database.exec("PRAGMA busy_timeout = 10000");
  database.exec("BEGIN IMMEDIATE");
  say({ locked: true });
  process.stdin.resume();
  await once(process.stdin, "end");
  database.exec("ROLLBACK");
  database.close();
}

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
