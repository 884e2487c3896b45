/**
 * Whether anything is kept of requests that were refused. Each request of a round is another one,
 * and large where it may be; so whoever keeps a URL, a token or a body of each has grown by more
 * than is allowed here after three rounds.
 */
import { ok } from "node:assert/strict";
import { type Attack, type Attacker, type Parts } from "./attacker.ts";

const OF_EACH = 200;
const AT_ONCE = 20;
const ROUNDS = 3;
const HEAP_BYTES_MAX = 3_000_000;
/** Freed pages come back when the system wants them: a leak of bodies alone is above it. */
const RSS_BYTES_MAX = 60_000_000;

type Request = readonly [path: string, parts: Parts];

const KINDS: readonly ((text: string) => Request)[] = [
  (text) => [`/entities/account/${text.slice(0, 7_000)}/balance`, {}],
  (text) => [`/nowhere/${text.slice(0, 7_000)}`, {}],
  (text) => [
    "/entities/account/m/balance",
    { as: undefined, headers: `Authorization: Bearer ${text.slice(0, 12_000)}` },
  ],
  (text) => ["/entities/account/m/echo", { method: "POST", body: `{"a":"${text}` }],
  (text) => ["/entities/account/m/echo", { method: "POST", body: `{"${text}":1,"__proto__":1}` }],
  (text) => [
    "/entities/account/m/deposit",
    { method: "POST", headers: `Origin: https://${text.slice(0, 12_000)}` },
  ],
];

/** See the file's header. */
export const MEMORY: Attack = {
  name: "nothing is kept of what is refused",
  async run(attacker) {
    // Code is compiled, and buffers find their size.
    for (let round = 0; round < ROUNDS; round++) await storm(attacker, round);
    const before = await attacker.target.figures("collect");
    for (let round = 0; round < ROUNDS; round++) await storm(attacker, ROUNDS + round);
    const after = await attacker.target.figures("collect");
    const heapBytes = after.heapBytes - before.heapBytes;
    const rssBytes = after.rssBytes - before.rssBytes;
    ok(heapBytes < HEAP_BYTES_MAX, `the heap has grown by ${heapBytes} bytes`);
    ok(rssBytes < RSS_BYTES_MAX, `the process has grown by ${rssBytes} bytes`);
  },
};

async function storm(attacker: Attacker, round: number): Promise<void> {
  let next = 0;
  const caller = async (): Promise<void> => {
    while (next < OF_EACH) {
      const text = `${round}-${next++}-`.repeat(30_000).slice(0, 100_000);
      for (const kind of KINDS) {
        const { status } = await attacker.ask(...kind(text));
        ok(status >= 400 && status < 500, `${status}`);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, caller));
}
