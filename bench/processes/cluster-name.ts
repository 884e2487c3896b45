/**
 * A cluster of this run alone: a name nobody else uses, which also gives it a port of its own, and
 * a folder for its secret that goes when the case ends.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** A name for a new cluster. */
export function newClusterName(): string {
  return `bench-${randomBytes(6).toString("hex")}`;
}

/** Gives this process, and the children it starts from now on, a folder for secrets. */
export function useOwnSecretFolder(): void {
  const folder = mkdtempSync(join(tmpdir(), "catga-bench-"));
  process.env["XDG_RUNTIME_DIR"] = folder;
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
}
