/** The cluster's contract on commands that are sent more than once: under a key they run once. */
import { deepEqual, equal, rejects, throws } from "node:assert/strict";
import { type CallOptions, isCatgaError } from "../../src/index.ts";
import type { Check } from "./check.ts";
import { type ClusterFixture, gate, inWorld } from "./probes.ts";

const append = (n: number) => ({ type: "append", from: "first", n }) as const;
const PLACES = ["local", "remote"] as const;

/** See the file's header. */
export const retryChecks: readonly Check<ClusterFixture>[] = [
  {
    name: "commands with one key run once, and all are answered as the first was",
    run: (fixture) =>
      inWorld(fixture, async ({ first, second, probe }) => {
        for (const where of PLACES) {
          const { id } = probe(where);
          const appendTo = (from: string, idempotencyKey?: string): Promise<number> => {
            const message = { type: "append", from, n: 0 } as const;
            const options = idempotencyKey === undefined ? {} : { idempotencyKey };
            const node = from === "second" ? second : first;
            return node.entity("probe", id).send(message, options);
          };
          equal(await appendTo("first", "k"), 1);
          equal(await appendTo("first", "k"), 1);
          // From wherever it comes.
          equal(await appendTo("second", "k"), 1);
          equal(await appendTo("second", "other"), 2);
          equal(await appendTo("first"), 3);
          const together = Array.from({ length: 20 }, () => appendTo("first", "together"));
          deepEqual(new Set(await Promise.all(together)), new Set([4]));
          await first.entity("probe", id).tell(
            { type: "append", from: "first", n: 0 },
            {
              idempotencyKey: "k",
            },
          );
          equal((await first.entity("probe", id).send({ type: "log" })).length, 4);
        }
      }),
  },
  {
    name: "an answer that is kept is a copy, and a failure of the handler is kept as well",
    run: (fixture) =>
      inWorld(fixture, async ({ probe }) => {
        for (const where of PLACES) {
          const ref = probe(where);
          const options: CallOptions = { idempotencyKey: "k" };
          const echo = { type: "echo", value: { list: [1] } } as const;
          const answer = (await ref.send(echo, options)) as { list: number[] };
          answer.list.push(2);
          deepEqual(await ref.send(echo, options), { list: [1] });
          const fail = { type: "fail", what: "throw/an error" } as const;
          await rejects(ref.send(fail, options), (error) => isCatgaError(error, "HANDLER_FAILED"));
          await rejects(ref.send(fail, options), (error) => isCatgaError(error, "HANDLER_FAILED"));
        }
      }),
  },
  {
    name: "a command that is tried again because its answer was late has run once",
    run: (fixture) =>
      inWorld(fixture, async ({ first, probe }) => {
        for (const where of PLACES) {
          const ref = probe(where);
          const door = gate(`late-${where}`);
          const options = { timeout: 30, retries: 40 };
          const busy = ref.send({ type: "wait", gate: `late-${where}` });
          const calls = [1, 2].map((n) => ref.send(append(n), options));
          // When this one has failed twice, the two before it have been late as well.
          const third = ref.send(append(3), { timeout: 60, retries: 1 });
          await rejects(third, (error) => isCatgaError(error, "CALL_TIMEOUT"));
          door.open();
          await busy;
          await Promise.all(calls);
          const log = await first.entity("probe", ref.id).send({ type: "log" });
          const times = [1, 2, 3].map((n) => log.filter((line) => line === `first/${n}`).length);
          deepEqual(times.slice(0, 2), [1, 1]);
          equal(times[2]! <= 1, true);
        }
      }),
  },
  {
    name: "keys and retries that make no sense are refused",
    run: (fixture) =>
      inWorld(fixture, async ({ probe }) => {
        const ref = probe("local");
        for (const idempotencyKey of ["", "x".repeat(257), 5 as unknown as string]) {
          throws(() => ref.send({ type: "id" }, { idempotencyKey }), TypeError);
        }
        for (const retries of [-1, 1.5, 101, Number.NaN]) {
          throws(() => ref.send({ type: "id" }, { retries }), RangeError);
        }
        equal(
          await ref.send({ type: "id" }, { idempotencyKey: "é".repeat(256), retries: 3 }),
          ref.id,
        );
      }),
  },
];
