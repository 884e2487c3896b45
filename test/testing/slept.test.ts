/** A machine that sleeps stops the monotonic clock of its node, not the wall clock (A1). */
import { expect, test } from "bun:test";
import { IDS, start } from "./counters.ts";

const DAY_MS = 86_400_000;

test("a node whose machine slept acts for nothing before its lease is renewed", async () => {
  await using cluster = await start({ nodes: 1 });
  await cluster.advance("1s");
  const node = cluster.node("n1");
  const led: string[] = [];
  node.singleton("task", async (signal) => {
    led.push("begins");
    await new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    led.push("ends");
  });
  await cluster.advance("1s");
  cluster.isolate("n1");
  cluster.jumpWall("n1", DAY_MS);
  await cluster.advance(100);
  expect(led).toEqual(["begins", "ends"]);
  let answers = 0;
  const calls = IDS.map((id) => node.entity("counter", id).send({ type: "add", n: 1 }));
  for (const call of calls)
    call.then(
      () => answers++,
      () => {},
    );
  await cluster.advance(100);
  expect(answers).toBe(0);
  cluster.heal();
  await cluster.run(Promise.all(calls));
  await cluster.advance(100);
  expect(led).toEqual(["begins", "ends", "begins"]);
});

test("a renewal that was under way while its machine slept gives no lease", async () => {
  await using cluster = await start({ nodes: 1 });
  await cluster.advance("1s");
  cluster.authority({ delay: [60, 61] });
  for (let n = 0; n < 50; n++) {
    await cluster.advance(10);
    cluster.jumpWall("n1", DAY_MS);
    await cluster.advance(60);
    // Whatever was answered by now was asked for before.
    expect(cluster.leaseHolds("n1")).toBe(false);
    await cluster.advance(1_000);
    expect(cluster.leaseHolds("n1")).toBe(true);
  }
});
