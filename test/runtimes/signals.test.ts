/** `stopOnSignals()`, in real processes: what becomes of their calls, and how they end. */
import { afterEach, describe, expect, test } from "bun:test";
import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { command, defineContract, isCatgaError } from "../../src/index.ts";
import { Cluster, type ClusterOf } from "../../src/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { failureOf } from "../drivers/nodes.ts";
import { freePort, uniqueName } from "../drivers/port.ts";
import { commandOf, RUNTIMES } from "../faults/runtimes.ts";
import { ends, says, tell, type Told } from "./told.ts";

const Counting = defineContract("counter", {
  count: command<void, number>(),
  linger: command<void, string>(),
  hang: command(),
});
const Counter = Counting.implement({
  state: () => ({ n: 0 }),
  handlers: { count: ({ state }) => ++state.n, linger: ({ node }) => node, hang: () => {} },
});
const IDS = Array.from({ length: 40 }, (_, n) => `c-${n}`);
const RUN_MS_MAX = 60_000;

const children: ChildProcess[] = [];
const nodes: ClusterOf<never>[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await Promise.all(nodes.splice(0).map((node) => node.stop({ deadline: "2s" })));
});

describe.each([...RUNTIMES])("on %s", (runtime) => {
  /** Starts the program. */
  async function start(what: string): Promise<Told> {
    const port = await freePort();
    return run(what, port, uniqueName("told"));
  }
  async function run(what: string, port: number, name: string): Promise<Told> {
    const [binary, ...args] = commandOf(runtime, join(import.meta.dir, "signalled.ts"));
    const told = tell(binary, [...args, what, `${port}`, name]);
    children.push(told.child);
    await says(told, "ready");
    return told;
  }
  /** The same, with a node of this process in its cluster. */
  async function startBeside(what: string): Promise<[Told, ClusterOf<typeof Counter>]> {
    const [port, name] = [await freePort(), uniqueName("told")];
    const told = await run(what, port, name);
    const beside = await Cluster.start({
      transport: `tcp://127.0.0.1:${port}`,
      name,
      nodeId: "beside",
      secret: "a secret of tests",
      heartbeat: "normal",
      shardCount: 32,
      entities: [Counter],
    });
    nodes.push(beside);
    return [told, beside];
  }

  test(
    "SIGTERM under load loses nothing that was answered, fails no call, and ends with 0",
    async () => {
      const [told, beside] = await startBeside("load");
      const answered = new Map(IDS.map((id) => [id, 0]));
      const over = new AbortController();
      const load = IDS.map(async (id) => {
        while (!over.signal.aborted) {
          answered.set(id, await beside.entity(Counting, id).send({ type: "count" }));
          // Calls of this process to itself would keep its sockets and timers waiting.
          await new Promise(setImmediate);
        }
      });
      const owned = (): string | undefined =>
        IDS.find((id) => beside.owner("counter", `l-${id}`)?.node === "told");
      await waitUntil("the process owns some", () => owned() !== undefined);
      const lingering = beside.entity(Counting, `l-${owned()}`).send({ type: "linger" });
      await waitUntil("all are counted", () => [...answered.values()].every((n) => n > 5));

      told.child.kill("SIGTERM");
      expect(await lingering).toBe("told");
      await ends(told);
      const atTheEnd = new Map(answered);
      await waitUntil("the load goes on", () =>
        IDS.every((id) => answered.get(id)! > atTheEnd.get(id)!),
      );
      over.abort();
      await Promise.all(load);
      expect([told.exit, told.said]).toEqual([[0, null], expect.stringContaining("leaving")]);
      const last = IDS.map((id) => beside.entity(Counting, id).send({ type: "count" }));
      expect(await Promise.all(last)).toEqual(IDS.map((id) => answered.get(id)! + 1));
    },
    RUN_MS_MAX,
  );

  test(
    "a handler that never ends does not keep the process",
    async () => {
      const [told, beside] = await startBeside("hang");
      const owned = (): string | undefined =>
        IDS.find((id) => beside.owner("counter", id)?.node === "told");
      await waitUntil("the process owns some", () => owned() !== undefined);
      const hanging = failureOf(beside.entity(Counting, owned()!).send({ type: "hang" }));
      await beside.entity(Counting, owned()!).tell({ type: "count" });
      told.child.kill("SIGTERM");
      await ends(told);
      expect(told.exit).toEqual([0, null]);
      const failure = await hanging;
      expect(isCatgaError(failure) && failure.executed).toBe("maybe");
    },
    RUN_MS_MAX,
  );

  test(
    "a node that leaves as soon as another one is there hands over to it",
    async () => {
      const [told, beside] = await startBeside("hasty");
      await ends(told);
      expect(told.exit).toEqual([0, null]);
      expect(await beside.entity(Counting, "1").send({ type: "count" })).toBe(2);
    },
    RUN_MS_MAX,
  );

  test.each(["SIGTERM", "SIGINT"] as const)(
    "%s stops all nodes of the process, then it ends with 0",
    async (signal) => {
      const told = await start("idle");
      told.child.kill(signal);
      // A terminal and `npm` both tell of one Ctrl-C. Two signals of one kind might come as one.
      told.child.kill(signal === "SIGINT" ? "SIGTERM" : "SIGINT");
      await ends(told);
      expect([told.exit, told.said.trim().split("\n").sort()]).toEqual([
        [0, null],
        ["leaving", "other", "ready"],
      ]);
    },
    RUN_MS_MAX,
  );

  test.each([
    ["SIGTERM", 143],
    ["SIGINT", 130],
  ] as const)(
    "a second %s ends it at once, with %d",
    async (signal, code) => {
      const told = await start("stubborn");
      told.child.kill("SIGTERM");
      await says(told, "leaving");
      const isOver = (): boolean => told.exit !== undefined || !told.child.kill(signal);
      await waitUntil("it ends", isOver, { describe: () => told.said });
      await ends(told);
      expect(told.exit).toEqual([code, null]);
    },
    RUN_MS_MAX,
  );

  test(
    "a process whose nodes have stopped ends by itself",
    async () => {
      const told = await start("alone");
      await ends(told);
      expect(told.exit).toEqual([0, null]);
    },
    RUN_MS_MAX,
  );
});
