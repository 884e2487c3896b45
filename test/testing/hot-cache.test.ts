/** Answers of hot entities that are given again, in simulated time. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { HOT_CACHE_ENTRIES_MAX } from "../../src/base/limits.ts";
import { type Duration, isCatgaError } from "../../src/index.ts";
import { failureOf } from "../drivers/nodes.ts";
import { AGE_MS, ref, runs, start } from "./prices.ts";

const get = { type: "get" } as const;

const codeOf = (error: unknown): unknown => (error as { readonly code?: unknown }).code;

describe("answers to queries of a hot entity", () => {
  test("are given again until they are too old, each time as a copy", async () => {
    const { cluster, others } = await start();
    await using _ = cluster;
    const hot = ref(cluster, others[0]!);
    // However long a caller would wait.
    const ask = (timeout: Duration = "10s") => cluster.run(hot.send(get, { timeout }));
    const first = await ask();
    first.by.push("the caller");
    await cluster.advance(AGE_MS / 2);
    const second = await ask("1m");
    expect(second).toEqual({ value: 99, by: [first.by[0]!] });
    expect(runs.count).toBe(1);
    await cluster.advance(AGE_MS / 2 + 1);
    await ask("1s");
    expect(runs.count).toBe(2);
    await ask("5s");
    expect(runs.count).toBe(2);
  });

  test("are told apart by the whole message, not by the order of its fields", async () => {
    const { cluster, others } = await start();
    await using _ = cluster;
    const hot = ref(cluster, others[0]!);
    await cluster.run(hot.send({ type: "get", of: "a", in: "b" }));
    await cluster.run(hot.send({ in: "b", of: "a", type: "get" }));
    expect(runs.count).toBe(1);
    await cluster.run(hot.send({ type: "get", of: "b", in: "a" }));
    await cluster.run(hot.send({ type: "get", of: 'a","in":"b' }));
    await cluster.run(ref(cluster, others[1]!).send({ type: "get", of: "a", in: "b" }));
    expect(runs.count).toBe(4);
  });

  test("are kept of hot entities alone", async () => {
    const { cluster } = await start();
    await using _ = cluster;
    for (let n = 0; n < 5; n++) await cluster.run(ref(cluster, "n1", "cold").send(get));
    expect(runs.count).toBe(5);
  });

  test("are dropped by a command of the same node, also while they are on their way", async () => {
    const { cluster, others } = await start();
    await using _ = cluster;
    const hot = ref(cluster, others[0]!);
    await cluster.run(hot.send(get));
    const early = hot.send({ type: "slow", ms: 50 });
    const set = hot.send({ type: "set", value: 7 });
    const late = hot.send({ type: "slow", ms: 50 });
    expect(await cluster.run(hot.send(get))).toMatchObject({ value: 7 });
    expect(await cluster.run(Promise.all([early, set, late]))).toEqual([99, 7, 7]);
  });

  test("are asked for once by all who come while the query is under way", async () => {
    const { cluster, others } = await start();
    await using _ = cluster;
    const hot = ref(cluster, others[0]!);
    const calls = Array.from({ length: 20 }, () => hot.send({ type: "slow", ms: 100 }));
    expect(await cluster.run(Promise.all(calls))).toEqual(calls.map(() => 99));
    expect(runs.count).toBe(1);
    const failures = Array.from({ length: 3 }, () => failureOf(hot.send({ type: "fail", ms: 9 })));
    for (const error of await cluster.run(Promise.all(failures))) {
      expect(isCatgaError(error, "HANDLER_FAILED") && error.details.text).toBe("not today");
    }
    expect(runs.count).toBe(2);
    await cluster.run(failureOf(hot.send({ type: "fail", ms: 9 })));
    expect(runs.count).toBe(3);
  });

  test("are waited for by each as long as it likes", async () => {
    const { cluster, others } = await start();
    await using _ = cluster;
    const hot = ref(cluster, others[0]!);
    const slow = { type: "slow", ms: 20_000 } as const;
    const abort = new AbortController();
    const [usual, brief, cancelled, patient] = [
      failureOf(hot.send(slow)),
      failureOf(hot.send(slow, { timeout: "1s" })),
      failureOf(hot.send(slow, { signal: abort.signal })),
      hot.send(slow, { timeout: "1m" }),
    ];
    const beganMs = cluster.nowMs;
    expect(codeOf(await cluster.run(brief))).toBe("CALL_TIMEOUT");
    expect(cluster.nowMs - beganMs).toBeLessThan(1_100);
    abort.abort();
    expect(codeOf(await cluster.run(cancelled))).toBe("CANCELLED");
    expect(cluster.nowMs - beganMs).toBeLessThan(1_100);
    expect(codeOf(await cluster.run(usual))).toBe("CALL_TIMEOUT");
    expect(cluster.nowMs - beganMs).toBeLessThan(10_100);
    expect(await cluster.run(patient)).toBe(99);
  });

  test("are waited for as long as the first who asked likes", async () => {
    const { cluster, others } = await start();
    await using _ = cluster;
    const first = ref(cluster, others[0]!).send({ type: "slow", ms: 20_000 }, { timeout: "1m" });
    expect(await cluster.run(first)).toBe(99);
  });

  test("come for others when the first who asked has given up", async () => {
    const { cluster, others } = await start();
    await using _ = cluster;
    const hot = ref(cluster, others[0]!);
    const abort = new AbortController();
    const slow = { type: "slow", ms: 500 } as const;
    const first = failureOf(hot.send(slow, { signal: abort.signal, timeout: "100ms" }));
    const second = hot.send(slow);
    abort.abort();
    expect(codeOf(await cluster.run(first))).toBe("CANCELLED");
    expect(await cluster.run(second)).toBe(99);
    expect(runs.count).toBe(1);
  });

  test("keep their entity hot where they are given", async () => {
    const { cluster, others } = await start();
    await using _ = cluster;
    const hot = ref(cluster, others[0]!);
    const seconds = 180;
    for (let n = 0; n < seconds * 10; n++) {
      await cluster.run(Promise.all(Array.from({ length: 50 }, () => hot.send(get))));
      await cluster.advance("100ms");
    }
    expect(cluster.node(others[0]!).hotKeys()).toEqual([]);
    expect(runs.count).toBeLessThanOrEqual((seconds * 1_000) / AGE_MS + 1);
  });

  test("are given by nobody whose lease has lapsed", async () => {
    const { cluster, others } = await start();
    await using _ = cluster;
    const name = others[0]!;
    const hot = ref(cluster, name);
    cluster.isolate(name);
    while (cluster.leaseHolds(name)) {
      await cluster.run(hot.send(get));
      await cluster.advance("20ms");
    }
    const answers: unknown[] = [];
    const late = failureOf(hot.send(get).then((answer) => answers.push(answer)));
    await cluster.advance("20ms");
    expect(answers).toEqual([]);
    cluster.heal();
    // Its node may have been declared dead by now.
    await cluster.run(late);
  });

  test("are not more than fit, what was not asked for the longest goes first", async () => {
    const { cluster, others } = await start();
    await using _ = cluster;
    const hot = ref(cluster, others[0]!);
    const ask = (n: number): Promise<unknown> => hot.send({ type: "get", of: `${n}` });
    const count = HOT_CACHE_ENTRIES_MAX + 1;
    await cluster.run(Promise.all(Array.from({ length: count }, (_each, n) => ask(n))));
    expect(runs.count).toBe(count);
    await cluster.run(ask(count - 1));
    expect(runs.count).toBe(count);
    await cluster.run(ask(0));
    expect(runs.count).toBe(count + 1);
  });

  test("are not larger than what there is room for", async () => {
    const { cluster, others } = await start();
    await using _ = cluster;
    const hot = ref(cluster, others[0]!);
    for (const n of [1, 2, 2, 1, 3]) await cluster.run(hot.send({ type: "much", n }));
    expect(runs.count).toBe(3);
    await cluster.run(hot.send({ type: "much", n: 3 }));
    expect(runs.count).toBe(3);
    await cluster.run(hot.send({ type: "much", n: 2 }));
    expect(runs.count).toBe(4);
  });

  test("are asked for by messages that could be sent, and by no others", async () => {
    const { cluster, others } = await start();
    await using _ = cluster;
    const hot = ref(cluster, others[0]!);
    await cluster.run(hot.send(get));
    const odd = { type: "get", of: Number.NaN as never } as const;
    const error = await cluster.run(failureOf(hot.send(odd)));
    expect(codeOf(error)).toBe("PAYLOAD_NOT_ENCODABLE");
  });

  test("are given by nobody who has stopped", async () => {
    const { cluster, others } = await start();
    await using _ = cluster;
    const hot = ref(cluster, others[0]!);
    await cluster.run(hot.send(get));
    await cluster.leave(others[0]!);
    const error = await failureOf(hot.send(get));
    expect(isCatgaError(error, "CLUSTER_STOPPED")).toBe(true);
  });

  test("hold what is no older than the age, whoever changes it", async () => {
    const step = fc.oneof(
      fc.record({ what: fc.constant("get"), waitMs: fc.integer({ min: 0, max: 120 }) }),
      fc.record({ what: fc.constant("slow"), waitMs: fc.integer({ min: 0, max: 120 }) }),
      fc.record({ what: fc.constant("set"), waitMs: fc.integer({ min: 0, max: 120 }) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), readWhileWritten),
      {
        numRuns: 8,
        seed: 1,
      },
    );
  });
});

/** Reads at one node while another one writes: nobody reads what is too old. */
async function readWhileWritten(
  steps: readonly { readonly what: string; readonly waitMs: number }[],
): Promise<void> {
  const { cluster, others } = await start();
  await using _ = cluster;
  const [reader, writer] = others.map((node) => ref(cluster, node));
  const written = [{ value: 99, atMs: cluster.nowMs }];
  const reads: Promise<void>[] = [];
  for (const [n, { what, waitMs }] of steps.entries()) {
    const value = 1_000 + n;
    if (what === "set") {
      await cluster.run(writer!.send({ type: "set", value }));
      written.push({ value, atMs: cluster.nowMs });
    } else {
      const askedMs = cluster.nowMs;
      const atLeast = written.findLast(({ atMs }) => atMs <= askedMs - AGE_MS)?.value ?? 0;
      const read =
        what === "get"
          ? reader!.send(get).then((answer) => answer.value)
          : reader!.send({ type: "slow", ms: 70 });
      reads.push(read.then((seen) => expect(seen).toBeGreaterThanOrEqual(atLeast)));
    }
    await cluster.advance(waitMs);
  }
  await cluster.run(Promise.all(reads));
}
