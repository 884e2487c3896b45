/** The command `catga`: as a process on each runtime, as npm has it, and as README shows it. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { sqlite } from "../../src/drivers/sqlite/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { brokersAreWanted } from "../drivers/broker-process.ts";
import { NatsServer } from "../drivers/nats-server.ts";
import { RedisServer } from "../drivers/redis-server.ts";
import { TestFolder } from "../drivers/sqlite-fixture.ts";
import { RUNTIMES } from "../faults/runtimes.ts";
import { ownNode } from "../runtimes/own-node.ts";
import { build, ROOT, run, sourceOf, start } from "./process.ts";
import { cart, contentOf, within } from "./records.ts";
import { startOver } from "./shapes.ts";

// Processes and disks of a machine that has other things to do.
setDefaultTimeout(60_000);

const COUNT = 3_000;

const folder = new TestFolder();
const { file } = folder;
let shopFile: string;
beforeAll(async () => {
  const writes = Array.from({ length: COUNT }, (_, n) => cart(`${n}`));
  await within(sqlite({ file }), (store) => store.write(writes));
  shopFile = join(folder.path, "shop.db");
  const shop = await startOver(sqlite({ file: shopFile }), 1_024);
  await shop.entity("shape", "42").send({ type: "become", shape: "map" });
  await shop.stop();
});
afterAll(() => folder[Symbol.dispose]());

function at(store: string, name = "shop"): string[] {
  return ["--store", store, "--name", name];
}

describe.each([...RUNTIMES])("on %s", (runtime) => {
  const command = sourceOf(runtime);
  test("all goes out and in, and one can be looked at", async () => {
    const out = await run(command, ["export", ...at(file)]);
    expect([out.code, out.stderr]).toEqual([0, `export: ${COUNT} entities of "shop"\n`]);
    expect(out.stdout.trimEnd().split("\n")).toHaveLength(COUNT + 2);
    const copy = join(folder.path, `${runtime}.db`);
    const first = await run(command, ["import", ...at(copy)], out.stdout);
    expect([first.code, first.stderr]).toEqual([0, `import: ${COUNT} imported\n`]);
    expect((await contentOf(sqlite({ file: copy }))).size).toBe(COUNT);
    const again = await run(command, ["import", "--json", ...at(copy)], out.stdout);
    expect(JSON.parse(again.stderr)).toMatchObject({ imported: 0, unchanged: COUNT });
    const look = await run(command, ["stored", ...at(shopFile), "shape", "42"]);
    expect([look.code, look.stderr]).toEqual([0, ""]);
    const { state } = JSON.parse(look.stdout) as { readonly state: unknown };
    expect(state).toMatchObject({
      odd: {
        $map: [
          ["a", { $set: [1] }],
          [{ k: 1 }, {}],
        ],
      },
    });
    expect(look.stdout).toContain('\n  "recordVersion": ');
  });
});

describe("it ends", () => {
  const command = sourceOf("bun");
  const cases: readonly (readonly [what: string, words: string[], code: number, said: string])[] = [
    ["and says how it is used", ["--help"], 0, ""],
    ["when it is not told what to do", [], 0, ""],
    ["with 2 after a word that is none", ["eat", ...at("a")], 2, "no such command\n\ncatga export"],
    ["with 2 after an option that is none", ["export", "--stroe", "a"], 2, "--stroe"],
    ["with 2 when no store is named", ["export"], 2, "no store is named"],
    ["with 2 after a word too many", ["stored", ...at("a"), "b", "c", "d"], 2, "write as below"],
    ["with 2 for a kind of store that is none", ["export", ...at("x://u:pw@h")], 2, "of that kind"],
    ["with 1 for a file that is none", ["export", ...at("none.db")], 1, "STORE_UNAVAILABLE: "],
    ["with 1 for a broker that is none", ["export", ...at("nats://127.0.0.1:1")], 1, "BROKER_UNR"],
    ["with 1 when nothing is stored", ["stored", ...at(file), "cart", "none"], 1, "nothing is st"],
    ["with 1 for an id that is none", ["stored", ...at(file), "cart", "\n"], 1, "INVALID_ID: "],
    ["with 1 after a bad line", ["import", ...at("none.db")], 1, "BAD_LINE: Cannot import line 1"],
    ["with an error as JSON", ["export", "--json", ...at("none.db")], 1, '{"code":"STORE_UNAVAI'],
  ];
  test.each([...cases])("%s", async (_, words, code, said) => {
    const ended = await run(command, words);
    expect(ended.stderr).toContain(said);
    expect(ended.code).toBe(code);
    if (said === "") expect(ended.stdout).toContain("catga stored --store");
    else expect(ended.stdout).toBe("");
    // Of a store that cannot be used nothing is repeated: it may hold a password.
    expect(ended.stderr).not.toContain("u:pw");
  });

  test("with 3 where something is left for a human", async () => {
    const damaged = join(folder.path, "damaged.db");
    const writes = [cart("a", { data: "1 00000000 {}" }), cart("1", { data: cart("x").data })];
    await within(sqlite({ file: damaged }), (store) => store.write(writes));
    const out = await run(command, ["export", ...at(damaged)]);
    expect(out.code).toBe(3);
    expect(out.stderr).toContain("1 records cannot be read; they are kept as they stand");
    const whole = await run(command, ["export", ...at(file)]);
    const refused = await run(command, ["import", ...at(damaged)], whole.stdout);
    expect(refused.code).toBe(3);
    expect(refused.stderr).toContain(`${COUNT - 1} imported, 1 refused`);
    expect(refused.stderr).toContain("1 are there already, and otherwise: cart/1");
    const words = ["import", "--on-conflict", "skip", ...at(damaged)];
    expect((await run(command, words, whole.stdout)).code).toBe(0);
  });

  test("with 1 under a name that nobody has, which is not made by looking", async () => {
    for (const words of [["export"], ["stored"], ["export"]]) {
      const what = words[0] === "stored" ? ["cart", "1"] : [];
      const { code, stderr } = await run(command, [...words, ...at(file, "shpo"), ...what]);
      expect([code, stderr.includes('it keeps nothing of cluster "shpo"')]).toEqual([1, true]);
    }
    await run(command, ["export", ...at("none.db")]);
    expect(existsSync("none.db")).toBe(false);
  });
});

test("an import whose process is killed is made again, and then all is there", async () => {
  const command = sourceOf("node");
  const { stdout } = await run(command, ["export", ...at(file)]);
  const to = join(folder.path, "killed.db");
  const half = stdout.slice(0, stdout.indexOf('"id":"1800"'));
  const { child, ended } = start(command, ["import", ...at(to)]);
  child.stdin!.write(half);
  const target = sqlite({ file: to });
  const count = async (): Promise<number> => {
    return (await within(target, (store) => store.page())).total ?? 0;
  };
  await waitUntil("some are there", async () => (await count()) > 0, { timeoutMs: 20_000 });
  child.kill("SIGKILL");
  expect((await ended).code).not.toBe(0);
  const before = await count();
  expect(before).toBeLessThan(COUNT);
  const again = await run(command, ["import", "--json", ...at(to)], stdout);
  expect(JSON.parse(again.stderr)).toMatchObject({
    imported: COUNT - before,
    unchanged: before,
    refused: 0,
  });
  expect((await contentOf(target)).size).toBe(COUNT);
});

describe.if(brokersAreWanted())("as npm has it", () => {
  let main: string;
  let natsServer: NatsServer;
  let redisServer: RedisServer;
  beforeAll(async () => {
    main = build();
    [natsServer, redisServer] = await Promise.all([
      NatsServer.start(),
      RedisServer.start("--appendfsync", "always"),
    ]);
  });
  afterAll(() => Promise.all([natsServer.stop(), redisServer.stop()]));

  test("on the Node.js of the machine it serves brokers, and files from 22.13 on", async () => {
    const command = [ownNode(), main];
    const { stdout } = await run(sourceOf("bun"), ["export", ...at(file)]);
    for (const { url } of [natsServer, redisServer]) {
      const into = await run(command, ["import", ...at(url)], stdout);
      expect([into.code, into.stderr]).toEqual([0, `import: ${COUNT} imported\n`]);
      const out = await run(command, ["export", ...at(url)]);
      expect(out.code).toBe(0);
      expect(out.stdout.split("\n")).toHaveLength(COUNT + 3);
    }
    const version = spawnSync(ownNode(), ["-p", "process.versions.node"], { encoding: "utf8" });
    const [major = 0, minor = 0] = version.stdout.split(".").map(Number);
    const { code, stderr } = await run(command, ["export", ...at(file)]);
    if (major > 22 || (major === 22 && minor >= 13)) expect(code).toBe(0);
    else expect([code, stderr.slice(0, 16)]).toEqual([1, "RUNTIME_TOO_OLD:"]);
  });

  test("README's commands do what it says", async () => {
    const readme = readFileSync(join(ROOT, "README.md"), "utf8");
    const [, block = ""] = /## Backup and moving[\s\S]*?```sh\n([\s\S]*?)```/.exec(readme) ?? [];
    const commands = block.split("\n").filter((line) => line.includes("catga "));
    expect(commands.length).toBeGreaterThan(2);
    const [node = ""] = sourceOf("node");
    const shim = join(folder.path, "npx");
    writeFileSync(shim, `#!/bin/sh\nshift\nexec "${node}" "${main}" "$@"\n`);
    chmodSync(shim, 0o755);
    const script = block
      .replaceAll("nats://host:4222", natsServer.url)
      .replaceAll("redis://host:6379", redisServer.url)
      .replaceAll("account 42", "shape 42");
    const env = { PATH: `${folder.path}${delimiter}${process.env["PATH"]}` };
    const words = ["-ec", `cd "${folder.path}"\n${script}`];
    const { code, stdout, stderr } = await start(["/bin/sh"], words, { input: "", env }).ended;
    expect([code, stderr]).toEqual([0, expect.stringContaining("import: 1 imported")]);
    expect(stdout).toContain('"$map"');
  });
});
