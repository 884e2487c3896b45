/**
 * Another process that has the lock of writers on a SQLite file: `lock-holder.ts <file>`. It takes
 * the lock, says so, and keeps it for a second.
 */
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as wait } from "node:timers/promises";
import { say } from "../parent.ts";

const HELD_MS = 1_000;

const database = new DatabaseSync(process.argv[2] ?? "");
database.exec("BEGIN IMMEDIATE");
say({ locked: true });
await wait(HELD_MS);
database.exec("ROLLBACK");
database.close();
