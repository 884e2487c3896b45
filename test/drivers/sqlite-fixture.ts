/** SQLite stores in folders of their own, and the contract over them. */
import { mkdtempSync, rmSync } from "node:fs";
import { rejects } from "node:assert/strict";
import { isBuiltin } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sqlite } from "../../src/drivers/sqlite/index.ts";
import type { Case } from "../contracts/check.ts";
import { failedWith } from "../contracts/kept.ts";
import { openStore, storeCases } from "./store-fixture.ts";

/** A folder for files of one test; whoever asked removes it. */
export class TestFolder implements Disposable {
  readonly path: string = mkdtempSync(join(tmpdir(), "catga-sqlite-"));
  /** A file that nobody has made yet. */
  readonly file: string = join(this.path, "store.db");

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** The contract over SQLite, or on a runtime without it a check that it says so. */
export function sqliteCases(): Case[] {
  if (!isBuiltin("node:sqlite")) {
    return [{ name: "sqlite store: a runtime that is too old is told so", run: isRefused }];
  }
  let folder: TestFolder | undefined;
  return storeCases(
    "sqlite",
    async () => {
      folder = new TestFolder();
      return sqlite({ file: folder.file });
    },
    async () => folder?.[Symbol.dispose](),
  );
}

function isRefused(): Promise<void> {
  return rejects(openStore(sqlite(), "old"), failedWith("RUNTIME_TOO_OLD"));
}
