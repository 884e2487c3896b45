/** The driver of a fixed list passes the contracts. */
import { test } from "bun:test";
import { fixedCases } from "./fixtures.ts";

for (const { name, run } of fixedCases()) test(name, run, 30_000);
