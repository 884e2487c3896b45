/** One file under several processes of all runtimes: they write at once, are killed, hold locks. */
import { describe, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { sqlite } from "../../src/drivers/sqlite/index.ts";
import type { Store } from "../../src/ports/store.ts";
import { failedWith, put, someKey, versionOf, writeOne } from "../contracts/kept.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { RUNTIMES } from "../runtimes/member-process.ts";
import { TestFolder } from "./sqlite-fixture.ts";
import { COUNTERS, counter, dataOf, RAISES, recordOf } from "./sqlite-load.ts";
import { openStore } from "./store-fixture.ts";

const PROGRAM = join(import.meta.dir, "sqlite-program.ts");
const KILLS = 12;
const TICK_MS = 10;

type RuntimeName = keyof typeof RUNTIMES;
const NAMES = Object.keys(RUNTIMES) as RuntimeName[];

/** A process of the program, and what it says. */
class Helper implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(runtime: RuntimeName, ...args: readonly string[]) {
    const [command, ...flags] = RUNTIMES[runtime].slice(0, -1);
    this.#process = spawn(command!, [...flags, PROGRAM, ...args], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#lines = createInterface({ input: this.#process.stdout! })[Symbol.asyncIterator]();
  }

  /** What it says next; `undefined` when it has ended. */
  async next(): Promise<Record<string, unknown> | undefined> {
    const { value, done } = await this.#lines.next();
    return done === true ? undefined : (JSON.parse(value) as Record<string, unknown>);
  }

  kill(): void {
    this.#process.kill("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.stdin!.end();
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      await once(this.#process, "exit");
    }
  }
}

async function withStore<T>(file: string, run: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore(sqlite({ file }), "shared");
  try {
    return await run(store);
  } finally {
    await store.close();
  }
}

function integrityOf(file: string): unknown {
  const database = new DatabaseSync(file);
  try {
    return Object.values(database.prepare("PRAGMA integrity_check").get() ?? {})[0];
  } finally {
    database.close();
  }
}

test("processes of three runtimes that write the same entities lose nothing", async () => {
  using folder = new TestFolder();
  const { file } = folder;
  const helpers = NAMES.map((runtime) => new Helper(runtime, "count", file, runtime));
  for (const helper of helpers) {
    expect(await helper.next()).toMatchObject({ raised: RAISES * COUNTERS });
    await helper[Symbol.asyncDispose]();
  }
  await withStore(file, async (store) => {
    for (let n = 0; n < COUNTERS; n++) {
      const total = RAISES * NAMES.length;
      const kept = { version: total, fence: "1", data: `${total}` };
      expect(await store.load(counter(n))).toEqual(kept);
    }
  });
  expect(integrityOf(file)).toBe("ok");
}, 60_000);

describe("killed at any instant, all at once,", () => {
  test("processes lose nothing that was acknowledged, and leave a sound file", async () => {
    using folder = new TestFolder();
    const { file } = folder;
    for (let round = 0; round < KILLS; round++) {
      const names = [NAMES[round % 3]!, NAMES[(round + 1) % 3]!];
      const helpers = names.map((runtime) => new Helper(runtime, "write", file, runtime));
      const heard = names.map(() => new Map<number, number>());
      // Whatever they still have said when they are killed counts as well.
      let said = 0;
      const enough = Math.floor(Math.random() * 600);
      await Promise.all(
        helpers.map(async (helper, i) => {
          for (let line = await helper.next(); line; line = await helper.next()) {
            heard[i]!.set(line["n"] as number, line["version"] as number);
            if (++said > enough) for (const each of helpers) each.kill();
          }
          await helper[Symbol.asyncDispose]();
        }),
      );
      expect(said).toBeGreaterThan(enough);
      expect(integrityOf(file)).toBe("ok");
      await withStore(file, async (store) => {
        for (const [i, name] of names.entries()) {
          for (const [n, version] of heard[i]!) {
            const kept = await store.load(recordOf(name, n));
            expect(kept!.version).toBeGreaterThanOrEqual(version);
            expect(kept!.data).toBe(dataOf(name, kept!.version));
          }
        }
      });
    }
  }, 120_000);
});

describe("while another process has the lock of writers", () => {
  test("the event loop and reads go on, and writes are carried out afterwards", async () => {
    using folder = new TestFolder();
    const { file } = folder;
    await withStore(file, async (store) => {
      const key = someKey();
      const version = versionOf(await writeOne(store, put(key)));
      await using holder = new Helper("bun", "lock", file);
      expect(await holder.next()).toEqual({ locked: true });
      let ticks = 0;
      const timer = setInterval(() => ticks++, TICK_MS);
      let isWritten = false;
      const writing = writeOne(store, put(key, { expected: version, data: "new" })).then(
        (result) => {
          isWritten = true;
          return result;
        },
      );
      await waitUntil("the loop has ticked for a second", () => ticks >= 1_000 / TICK_MS);
      clearInterval(timer);
      expect((await store.load(key))?.data).toBe("{}");
      expect(isWritten).toBe(false);
      await holder[Symbol.asyncDispose]();
      versionOf(await writing);
      expect((await store.load(key))?.data).toBe("new");
    });
  }, 30_000);

  test("a write gives up in the end, and the next one is carried out", async () => {
    using folder = new TestFolder();
    const { file } = folder;
    await withStore(file, async (store) => {
      const key = someKey();
      await using holder = new Helper("bun", "lock", file);
      expect(await holder.next()).toEqual({ locked: true });
      const outcome = await store.write([put(key)]).catch((error: unknown) => error);
      expect(failedWith("STORE_UNAVAILABLE")(outcome)).toBe(true);
      expect(await store.load(key)).toBeUndefined();
      await holder[Symbol.asyncDispose]();
      versionOf(await writeOne(store, put(key)));
    });
  }, 30_000);
});
