/** The embedded driver passes the contracts. */
import { test } from "bun:test";
import { embeddedCases } from "./fixtures.ts";

for (const { name, run } of embeddedCases()) test(name, run, 30_000);
