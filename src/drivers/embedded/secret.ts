/**
 * The secret that nodes of one user on one machine share: loopback can be reached by every local
 * user, so whoever connects must prove that it can read a file that only its user can.
 */
import { randomBytes } from "node:crypto";
import { linkSync, mkdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { CatgaError } from "../../base/errors.ts";

const OTHERS = 0o077;

/**
 * The secret of `cluster`, made by whoever comes first. It is read once, when the node starts, so
 * it is read at once: a thread pool for two small files would cost an idle node two megabytes.
 *
 * @throws {CatgaError} UNSAFE_SECRET when others could read or replace it, or it is empty.
 */
export function loadSecret(cluster: string): string {
  const { uid } = userInfo();
  const folder = runtimeFolder();
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  checkOwner(folder, uid);
  const path = join(folder, `${cluster}.secret`);
  if (statSync(path, { throwIfNoEntry: false }) === undefined) create(path);
  checkOwner(path, uid);
  const secret = readFileSync(path, "utf8");
  if (secret === "") throw new CatgaError("UNSAFE_SECRET", { path, reason: "it is empty" });
  return secret;
}

/** Where the nodes of this user meet: a folder that only the user can read. */
export function runtimeFolder(): string {
  return join(process.env["XDG_RUNTIME_DIR"] || join(tmpdir(), `catga-${userInfo().uid}`), "catga");
}

/** Written aside and linked into place, so that nobody ever reads half a secret. */
function create(path: string): void {
  const draft = `${path}.${randomBytes(8).toString("hex")}`;
  writeFileSync(draft, randomBytes(32).toString("hex"), { mode: 0o600, flag: "wx" });
  try {
    linkSync(draft, path);
  } catch (error) {
    if ((error as { code?: string }).code !== "EEXIST") throw error;
  } finally {
    unlinkSync(draft);
  }
}

function checkOwner(path: string, uid: number): void {
  if (process.platform === "win32") return;
  const { uid: owner, mode } = statSync(path);
  const isOpen = (mode & OTHERS) !== 0;
  if (owner === uid && !isOpen) return;
  const reason = isOpen ? "others than its owner have access to it" : "it belongs to another user";
  throw new CatgaError("UNSAFE_SECRET", { path, reason });
}
