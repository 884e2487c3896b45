/**
 * Attacks a node with an edge, in a process of its own, with everything there is; prints a line for
 * each attack, and exits with 1 when one was not answered as it must be.
 *
 *   bun test/attacks/main.ts [bun|node|deno]
 *   node test/attacks/main.ts [bun|node|deno]
 *   deno run -A test/attacks/main.ts [bun|node|deno]
 *
 * The word says where the target runs; without one it is where the attacker runs.
 */
import process from "node:process";
import { attack } from "./attacker.ts";
import { ATTACKS } from "./attacks.ts";
import { type Runtime, Target } from "./process.ts";

const { bun, deno } = process.versions as Record<string, string | undefined>;
const own = bun ? "bun" : deno ? "deno" : "node";
const runtime = (process.argv[2] ?? own) as Runtime;

let failed = 0;
const target = await Target.start(runtime);
for (const each of ATTACKS) {
  try {
    await attack(target, each);
    console.log(`ok      ${each.name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${each.name}: ${(error as Error).message}`);
  }
}
const { heapBytes, rssBytes } = await target.figures("collect");
const megabytes = [heapBytes, rssBytes].map((bytes) => Math.round(bytes / 1e6));
await target[Symbol.asyncDispose]();
console.log(
  `${ATTACKS.length - failed} of ${ATTACKS.length} attacks on ${runtime} from ${own} answered as ` +
    `they must be; the target has ${megabytes[0]} MB of heap, ${megabytes[1]} MB in all`,
);
process.exit(failed === 0 ? 0 : 1);
