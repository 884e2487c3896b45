/** The secret that the nodes of one user on one machine share. */
import { execFile } from "node:child_process";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { loadSecret } from "../../src/drivers/embedded/secret.ts";
import { Cluster } from "../../src/index.ts";
import { freePort } from "./port.ts";

const KEY = "XDG_RUNTIME_DIR";
let before: string | undefined;
let base = "";
let folder = "";

beforeEach(() => {
  before = process.env[KEY];
  base = mkdtempSync(join(tmpdir(), "catga-secret-"));
  folder = join(base, "catga");
  process.env[KEY] = base;
});

afterEach(() => {
  if (before === undefined) delete process.env[KEY];
  else process.env[KEY] = before;
  rmSync(base, { recursive: true });
});

function refusal(cluster: string): unknown {
  try {
    return loadSecret(cluster);
  } catch (error) {
    return error;
  }
}

describe("the secret of a cluster", () => {
  test("is the same for every process that asks, however many do so at once", async () => {
    const module = join(import.meta.dir, "../../src/drivers/embedded/secret.ts");
    const script = `console.log((await import(${JSON.stringify(module)})).loadSecret("shared"))`;
    const secrets = await Promise.all(
      Array.from({ length: 6 }, () => promisify(execFile)(process.execPath, ["-e", script])),
    );
    expect(secrets[0]!.stdout).toMatch(/^[0-9a-f]{64}\n$/);
    expect(new Set(secrets.map(({ stdout }) => stdout)).size).toBe(1);
    expect(loadSecret("shared")).toBe(secrets[0]!.stdout.trim());
    expect(loadSecret("another")).not.toBe(loadSecret("shared"));
    expect(readdirSync(folder).sort()).toEqual(["another.secret", "shared.secret"]);
  });

  test("is for its user's eyes only", () => {
    loadSecret("mine");
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(join(folder, "mine.secret")).mode & 0o777).toBe(0o600);
  });

  test("is refused with UNSAFE_SECRET when the file is empty", () => {
    loadSecret("hollow");
    const path = join(folder, "hollow.secret");
    writeFileSync(path, "");
    const details = { path, reason: "it is empty" };
    expect(refusal("hollow")).toMatchObject({ code: "UNSAFE_SECRET", details });
  });

  test.each([0o640, 0o604, 0o620, 0o601])("is refused with UNSAFE_SECRET at mode %o", (mode) => {
    loadSecret("open");
    const path = join(folder, "open.secret");
    chmodSync(path, mode);
    expect(refusal("open")).toMatchObject({
      code: "UNSAFE_SECRET",
      details: { path, reason: "others than its owner have access to it" },
    });
  });

  test("is refused with UNSAFE_SECRET in a folder that others can write to", () => {
    mkdirSync(folder);
    chmodSync(folder, 0o770);
    expect(refusal("any")).toMatchObject({
      code: "UNSAFE_SECRET",
      details: { path: folder },
    });
    expect(readdirSync(folder)).toEqual([]);
  });

  test("is refused with UNSAFE_SECRET when another user could have made it", () => {
    mkdirSync(folder, { mode: 0o700 });
    const path = join(folder, "foreign.secret");
    if (userInfo().uid === 0) {
      writeFileSync(path, "x", { mode: 0o600 });
      chownSync(path, 1, 1);
    } else {
      symlinkSync("/etc/passwd", path);
    }
    expect(refusal("foreign")).toMatchObject({ code: "UNSAFE_SECRET", details: { path } });
  });

  test("that is unsafe keeps a node from starting", async () => {
    loadSecret("unsafe");
    chmodSync(join(folder, "unsafe.secret"), 0o644);
    const transport = `tcp://127.0.0.1:${await freePort()}` as const;
    const starting = Cluster.start({ transport, name: "unsafe" });
    const outcome = await starting.catch((error: unknown) => error);
    expect(outcome).toMatchObject({ code: "UNSAFE_SECRET" });
  });

  test("lets nodes without one of their own find each other", async () => {
    const transport = `tcp://127.0.0.1:${await freePort()}` as const;
    await using first = await Cluster.start({ transport, name: "found", nodeId: "first" });
    await using second = await Cluster.start({ transport, name: "found", nodeId: "second" });
    expect(second.nodes.map(({ node }) => node)).toEqual(["first", "second"]);
    expect(first.nodeId).toBe("first");
  });
});
