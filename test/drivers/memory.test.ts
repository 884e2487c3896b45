/** The memory driver passes the contracts: a fake that is kinder than the real thing is no fake. */
import { test } from "bun:test";
import { memoryCases } from "./fixtures.ts";

for (const { name, run } of memoryCases()) test(name, run, 30_000);
