/** The SQLite store passes the contract of stores. */
import { test } from "bun:test";
import { sqliteCases } from "./sqlite-fixture.ts";

for (const { name, run } of sqliteCases()) test(name, run, 30_000);
