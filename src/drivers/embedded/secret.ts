/**
 * The secret that nodes of one user on one machine share: loopback can be reached by every local
 * user, so whoever connects must prove that it can read a file that only its user can.
 */
import { randomBytes } from "node:crypto";
import { link, mkdir, readFile, stat, unlink, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { CatgaError } from "../../base/errors.ts";

const OTHERS = 0o077;

/**
 * The secret of `cluster`, made by whoever comes first.
 *
 * @throws {CatgaError} UNSAFE_SECRET when others could read or replace it.
 */
export async function loadSecret(cluster: string): Promise<string> {
  const { uid } = userInfo();
  const base = process.env["XDG_RUNTIME_DIR"] ?? join(tmpdir(), `catga-${uid}`);
  const folder = join(base, "catga");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await checkOwner(folder, uid);
  const path = join(folder, `${cluster}.secret`);
  await create(path);
  await checkOwner(path, uid);
  return readFile(path, "utf8");
}

/** Written aside and linked into place, so that nobody ever reads half a secret. */
async function create(path: string): Promise<void> {
  const draft = `${path}.${randomBytes(8).toString("hex")}`;
  if (await exists(path)) return;
  await writeFile(draft, randomBytes(32).toString("hex"), { mode: 0o600, flag: "wx" });
  try {
    await link(draft, path);
  } catch (error) {
    if ((error as { code?: string }).code !== "EEXIST") throw error;
  } finally {
    await unlink(draft);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false; // Not there, or not to be read: creating it will tell.
  }
}

async function checkOwner(path: string, uid: number): Promise<void> {
  if (process.platform === "win32") return;
  const { uid: owner, mode } = await stat(path);
  const reason =
    owner === uid
      ? (mode & OTHERS) === 0
        ? undefined
        : "others than its owner have access to it"
      : "it belongs to another user";
  if (reason !== undefined) throw new CatgaError("UNSAFE_SECRET", { path, reason });
}
