/**
 * A limit for the whole cluster: a bucket of tokens for each customer, wherever requests arrive.
 *
 * `npx bun examples/10-rate-limiter.ts` prints:
 *
 *     ada, at two nodes at once: 3 of 8 may
 *     bob: may
 *     ada, after the wait she was told: may
 */
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { Cluster, command, defineEntity } from "../src/index.ts";

/** Requests in a burst. */
const CAPACITY = 3;
/** One more every so often. */
const REFILL_MS = 2_000;

const Bucket = defineEntity("bucket", {
  // The milliseconds to wait; 0 for who may go on.
  messages: { take: command<void, number>() },
  // A bucket that dies with its node is full again: somebody gets one burst more, and nobody waits
  // for a disk at each request. When nodes join and leave it moves, like any entity.
  persistence: "none",
  // Of the bucket it is enough to know when it will be full.
  state: () => ({ fullMs: 0 }),
  // By then it is, and a new one is no different: who stays away costs no memory.
  idle: CAPACITY * REFILL_MS,
  handlers: {
    // One message at a time: nobody comes between looking and taking.
    take({ state }) {
      const nowMs = Date.now();
      const fullMs = Math.max(state.fullMs, nowMs) + REFILL_MS;
      const waitMs = fullMs - nowMs - CAPACITY * REFILL_MS;
      if (waitMs > 0) return waitMs;
      state.fullMs = fullMs;
      return 0;
    },
  },
});

const name = `limiter-${process.pid}`;
await using left = await Cluster.start({ name, nodeId: "left", entities: [Bucket] });
await using right = await Cluster.start({ name, nodeId: "right", entities: [Bucket] });
const take = (node: typeof left, id: string) => node.entity("bucket", id).send({ type: "take" });

const nodes = [left, right, left, right, left, right, left, right];
const waits = await Promise.all(nodes.map((node) => take(node, "ada")));
console.log(`ada, at two nodes at once: ${waits.filter((ms) => ms === 0).length} of 8 may`);
console.log(`bob: ${(await take(right, "bob")) === 0 ? "may" : "must wait"}`);
let waitMs = Math.max(...waits);
while (waitMs > 0) {
  await sleep(waitMs);
  waitMs = await take(right, "ada");
}
console.log("ada, after the wait she was told: may");
