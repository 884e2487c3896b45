/** What callers notice when a node that handles messages leaves, or ends and comes back. */
import { afterEach, expect, test } from "bun:test";
import { Cluster, type ClusterOf, type ClusterOptions } from "../../src/index.ts";
import { defineCommand, handler, isCatgaError } from "../../src/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { meeting, type Meeting, sees, stopAll, stopped } from "../drivers/nodes.ts";

const Job = defineCommand<{ n: number }, string>("leaving.job");

afterEach(stopAll);

/** A node, which handles jobs if `run` is given. */
function startAt(
  { options }: Meeting,
  nodeId: string,
  run?: (n: number) => Promise<void>,
): Promise<ClusterOf<never>> {
  const handled = async (n: number): Promise<string> => {
    await run?.(n);
    return nodeId;
  };
  const handlers = run === undefined ? [] : [handler(Job, ({ n }) => handled(n))];
  const given: ClusterOptions<[]> = { ...options, nodeId, handlers };
  return stopped(Cluster.start(given));
}

test("no call fails while nodes leave that have handlers and nothing else", async () => {
  const place = await meeting();
  const ran = new Map<number, number>();
  const run = async (n: number): Promise<void> => {
    ran.set(n, (ran.get(n) ?? 0) + 1);
    await new Promise<void>((resolve) => setImmediate(resolve));
  };
  const caller = await startAt(place, "caller");
  let [one, other] = [await startAt(place, "a", run), await startAt(place, "b", run)];
  await sees(caller, ["a", "b", "caller"]);
  const state = { isLoading: true, sent: 0 };
  const failures: unknown[] = [];
  const lane = async (): Promise<void> => {
    while (state.isLoading) {
      const n = ++state.sent;
      await caller.send(Job({ n })).catch((error: unknown) => failures.push(error));
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  };
  const lanes = Array.from({ length: 32 }, lane);
  for (const id of ["a", "b", "a"]) {
    await one.stop();
    const begun = state.sent;
    await waitUntil("it goes on without", () => state.sent > begun + 100);
    [one, other] = [other, await startAt(place, id, run)];
    await sees(caller, ["a", "b", "caller"]);
  }
  state.isLoading = false;
  await Promise.all(lanes);
  expect(failures).toEqual([]);
  expect([...ran.values()].filter((times) => times !== 1)).toEqual([]);
  expect(ran.size).toBe(state.sent);
});

test("the circuit of a node that ended is closed by who comes back under its name", async () => {
  const place = await meeting();
  const caller = await startAt(place, "caller");
  const told: string[] = [];
  for (const what of ["circuit-opened", "circuit-closed"] as const) {
    caller.on(what, ({ node, message }) => told.push(`${what} ${node} ${message}`));
  }
  let running = 0;
  const hang = (): Promise<void> => {
    running++;
    return new Promise(() => {});
  };
  const before = await startAt(place, "a", hang);
  await sees(caller, ["a", "caller"]);
  const calls = Array.from({ length: 6 }, (_, n) => caller.send(Job({ n })));
  const settled = Promise.allSettled(calls);
  await waitUntil("all have begun", () => running === calls.length);
  await before.stop({ deadline: "100ms" });
  for (const each of await settled) {
    expect(each.status === "rejected" && isCatgaError(each.reason, "OUTCOME_UNKNOWN")).toBe(true);
  }
  await waitUntil("it was told", () => told.length > 0);
  expect(told).toEqual(["circuit-opened a leaving.job"]);
  await startAt(place, "a", async () => {});
  await sees(caller, ["a", "caller"]);
  expect(await caller.send(Job({ n: 7 }))).toBe("a");
  expect(told).toEqual(["circuit-opened a leaving.job", "circuit-closed a leaving.job"]);
});
