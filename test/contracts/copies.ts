/** The cluster's contract on copies: nobody shares an object with an entity, wherever it lives. */
import { deepEqual } from "node:assert/strict";
import type { Check } from "./check.ts";
import { type ClusterFixture, inWorld, type World } from "./probes.ts";

type Where = "local" | "remote";

function sample(): { text: string; list: number[]; deep: { deeper: { deepest: string } } } {
  return { text: "as it was", list: [1, 2, 3], deep: { deeper: { deepest: "as it was" } } };
}

function ruin(value: unknown): void {
  const { text: _, ...rest } = value as ReturnType<typeof sample>;
  rest.list.length = 0;
  rest.deep.deeper.deepest = "ruined";
  (value as { text: string }).text = "ruined";
}

function copyCheck(
  name: string,
  run: (world: World, where: Where) => Promise<void>,
): Check<ClusterFixture> {
  return {
    name,
    run: (fixture) =>
      inWorld(fixture, async (world) => {
        for (const where of ["local", "remote"] as const) await run(world, where);
      }),
  };
}

/** See the file's header. */
export const copyChecks: readonly Check<ClusterFixture>[] = [
  copyCheck(
    "a payload that changes after send() changes nothing at the entity",
    async (world, where) => {
      const probe = world.probe(where);
      const value = sample();
      const sent = probe.send({ type: "keep", value });
      ruin(value);
      deepEqual(await sent, { type: "keep", value: sample() });
      ruin(value);
      deepEqual(await probe.send({ type: "kept" }), { type: "keep", value: sample() });
    },
  ),
  copyCheck(
    "a payload that changes after tell() changes nothing at the entity",
    async (world, where) => {
      const probe = world.probe(where);
      const value = sample();
      const told = probe.tell({ type: "keep", value });
      ruin(value);
      await told;
      deepEqual(await probe.send({ type: "kept" }), { type: "keep", value: sample() });
    },
  ),
  copyCheck(
    "a handler that changes its message changes nothing at the sender",
    async (world, where) => {
      const probe = world.probe(where);
      const value = { text: "as it was", list: [1] };
      const answer = await probe.send({ type: "scribble", value });
      deepEqual(answer, { text: "scribbled", list: [1, 99] });
      deepEqual(value, { text: "as it was", list: [1] });
    },
  ),
  copyCheck(
    "an answer that changes after receipt changes nothing at the entity",
    async (world, where) => {
      const probe = world.probe(where);
      const kept = { type: "keep", value: sample() };
      for (const type of ["keep", "echo"] as const) {
        const answer = await probe.send({ type, value: sample() });
        ruin(type === "keep" ? (answer as typeof kept).value : answer);
      }
      ruin(((await probe.send({ type: "kept" })) as typeof kept).value);
      deepEqual(await probe.send({ type: "kept" }), kept);
    },
  ),
  copyCheck("an answer stays as it was when the entity goes on", async (world, where) => {
    const probe = world.probe(where);
    await probe.send({ type: "append", from: "a", n: 1 });
    const log = await probe.send({ type: "log" });
    await probe.send({ type: "append", from: "a", n: 2 });
    deepEqual(log, ["a/1"]);
  }),
  copyCheck("a state that a query returned is not the entity's state", async (world, where) => {
    const probe = world.probe(where);
    await probe.send({ type: "keep", value: sample() });
    const state = (await probe.send({ type: "state" })) as {
      kept: { value: unknown } | null;
      log: string[];
    };
    ruin(state.kept!.value);
    state.kept = null;
    state.log.push("forged");
    deepEqual(await probe.send({ type: "state" }), {
      kept: { type: "keep", value: sample() },
      log: [],
    });
  }),
];
