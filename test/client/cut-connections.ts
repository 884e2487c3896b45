/**
 * Clients whose connections are cut at random: whatever they are told is true.
 *
 *   bun test/client/cut-connections.ts 7        the seed
 *
 * An acknowledged command ran once. One of which the client says that it did not run did not; of
 * any other it ran once at most. On Node.js and Deno it is the same program. It prints one line
 * and exits with 0, or fails with what was untrue.
 *
 * What has no key is sent by `fetch` as it likes: that of Deno, as those of some browsers, sends a
 * POST again by itself when the connection that it had kept breaks. There a key alone makes it run
 * once.
 */
import { deepEqual, ok } from "node:assert/strict";
import process from "node:process";
import { clientIn } from "../../src/client/client.ts";
import { webClock } from "../../src/client/clock.ts";
import { isClientError } from "../../src/client/index.ts";
import { gateway, listen } from "../../src/http/index.ts";
import { Cluster, command, defineEntity, query } from "../../src/index.ts";
import { World } from "../../src/testing/world.ts";
import { cuttingProxy, type Fate } from "./cutting-proxy.ts";

const COMMANDS = 240;
const AT_ONCE = 12;
/** Waits are that much shorter than they would be. */
const HASTE = 25;
/** See above. */
const BARE_RUNS_MAX = "deno" in process.versions ? 2 : 1;
const FATES: readonly Fate[] = ["passes", "lost", "unanswered", "half answered"];

const Ledger = defineEntity("ledger", {
  messages: {
    write: command<{ line: number }, number>(),
    lines: query<void, readonly number[]>(),
  },
  state: () => ({ lines: [] as number[] }),
  handlers: {
    write: (ctx, { line }) => ctx.state.lines.push(line),
    lines: (ctx) => ctx.state.lines,
  },
});

const seed = Number(process.argv[2] ?? 1);
const random = new World(seed);
const cluster = await Cluster.start({ transport: "memory", entities: [Ledger] });
const edge = await listen(gateway(cluster, { expose: [Ledger] }), { port: 0 });
const proxies = await Promise.all(
  [1, 2].map(() => cuttingProxy(edge.port, () => random.fraction())),
);
const clock = {
  ...webClock,
  after: (ms: number, run: () => void) => webClock.after(ms / HASTE, run),
};
const url = proxies.map((proxy) => proxy.url);
const api = clientIn({ url, timeout: "120s" }, { clock, random });

/** What the client said of each command: its code for one that failed. */
const told = new Map<number, "done" | "no" | "maybe">();
let next = 0;
await Promise.all(Array.from({ length: AT_ONCE }, () => work()));
for (const proxy of proxies) proxy.close();

const wrong: string[] = [];
const written = new Map<number, number>();
for (const id of ["keyed", "bare"]) {
  const lines = await cluster.entity("ledger", id).send({ type: "lines" });
  for (const line of lines) written.set(line, (written.get(line) ?? 0) + 1);
}
for (const [line, said] of told) {
  const times = written.get(line) ?? 0;
  const timesMax = isKeyed(line) ? 1 : BARE_RUNS_MAX;
  const isTrue = said === "no" ? times === 0 : times <= timesMax && (times > 0 || said === "maybe");
  if (!isTrue)
    wrong.push(`${isKeyed(line) ? "keyed" : "bare"} ${line} ${said}, ran ${times} times`);
}
deepEqual(wrong, [], `seed ${seed}`);
for (const fate of FATES) {
  ok(
    proxies.some(({ fates }) => (fates.get(fate) ?? 0) > 0),
    `nothing is ${fate}`,
  );
}
const kept = [...told.values()].filter((said) => said === "done").length;
ok(kept > COMMANDS / 2, `only ${kept} were done`);
await edge.close();
await cluster.stop();
console.log(`All that ${COMMANDS} callers were told is true, seed ${seed}: ${kept} done`);
process.exit(0);

/** One after the other, until there are no more; every second under a key. */
async function work(): Promise<void> {
  for (let line = next++; line < COMMANDS; line = next++) {
    const ledger = api.entity(Ledger, isKeyed(line) ? "keyed" : "bare");
    const options = isKeyed(line) ? { retries: 8 } : {};
    try {
      await ledger.send({ type: "write", line }, options);
      told.set(line, "done");
    } catch (error) {
      if (!isClientError(error)) throw error;
      told.set(line, error.executed);
    }
  }
}

function isKeyed(line: number): boolean {
  return line % 2 === 0;
}
