/** Attacks on a node with an edge, which runs in a process of its own, on each of the runtimes. */
import { afterAll, beforeAll, describe, test } from "bun:test";
import { attack } from "./attacker.ts";
import { ATTACKS } from "./attacks.ts";
import { type Runtime, Target } from "./process.ts";

const RUNTIMES: readonly Runtime[] = ["bun", "node", "deno"];
const ATTACK_MS_MAX = 60_000;

describe.each(RUNTIMES)("the edge on %s withstands", (runtime) => {
  let target: Target;
  beforeAll(async () => {
    target = await Target.start(runtime);
  });
  afterAll(() => target[Symbol.asyncDispose]());

  for (const each of ATTACKS) {
    test(each.name, () => attack(target, each), ATTACK_MS_MAX);
  }
});
