/**
 * The examples do what they say: each numbered one prints what its header shows, and the demo of
 * `npm start` replays its flights without a difference.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { brokersAreWanted } from "./drivers/broker-process.ts";
import { NatsServer } from "./drivers/nats-server.ts";
import { RedisServer } from "./drivers/redis-server.ts";
import {
  allFree,
  type Command,
  COMMANDS,
  DEMO,
  EXAMPLES,
  ExampleRuns,
  freePorts,
  listening,
} from "./example-process.ts";

const EXAMPLE_MS_MAX = 20_000;
const DEMO_MS_MAX = 60_000;
/** The three of the beginning, and one that joins. */
const NODES = 3;
const PORTS = NODES + 1;

const withBrokers = brokersAreWanted();
const numbered = readdirSync(EXAMPLES)
  .filter((name) => /^\d\d-.*\.ts$/.test(name))
  .toSorted();
const examples = numbered.filter((name) => withBrokers || !/nats|redis/.test(name));
/** Those about state that survives, and what need not. */
const stateful = examples.filter((name) => name >= "08");
const runs = new ExampleRuns();
const servers: { stop(): Promise<void> }[] = [];
beforeAll(async () => {
  if (!withBrokers) return;
  const [nats, redis] = await Promise.all([NatsServer.start(), RedisServer.start()]);
  servers.push(nats, redis);
  Object.assign(runs.env, { NATS_URL: nats.url, REDIS_URL: redis.url });
});
afterAll(async () => {
  runs.endAll();
  await Promise.all(servers.map((server) => server.stop()));
});

describe("a numbered example", () => {
  test("is there for each of the first ideas", () => {
    const numbers = numbered.map((name) => name.slice(0, 2)).join(" ");
    expect(numbers).toBe("01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 17 18 19 20");
  });
  test.each(examples)(
    "%s prints what its header shows, and leaves no file behind",
    async (name) => {
      expect(textOf(name)).toContain(`\`npx bun examples/${name}\` prints:`);
      await expectShown(name);
    },
    EXAMPLE_MS_MAX,
  );
  test.each(examples)("%s is short", (name) => {
    // What survives takes a file, a second start, and for the bank a process that dies.
    const linesMax = stateful.includes(name) ? 130 : 60;
    expect(textOf(name).trimEnd().split("\n").length).toBeLessThanOrEqual(linesMax);
  });
});

describe.each(["node", "deno"] as const)("on %s a numbered example of state", (runtime) => {
  test.each(stateful)(
    "%s prints the same",
    (name) => expectShown(name, COMMANDS[runtime]),
    EXAMPLE_MS_MAX,
  );
});

describe("the demo", () => {
  test(
    "replays all flights through three processes: none is lost, none is doubled",
    async () => {
      const port = await freePorts(PORTS);
      const { code, stdout, stderr } = await runs.demo("--once", "--nodes", NODES, "--port", port);
      expect(stderr).toBe("");
      expect(stdout).toContain("   0 lost   0 doubled\n");
      expect(stdout).toMatch(/change {3}node-4 joins: [1-9]\d* airports moved/);
      expect(stdout).toMatch(/change {3}node-2 leaves: [1-9]\d* airports moved/);
      expect(stdout).toMatch(/change {3}node-3 is killed: [1-9]\d* airports moved/);
      expect(stdout).toMatch(/died {5}[1-9]\d* airports in memory/);
      expect(stdout).toContain("All 224 airports agree with a plain loop over the file.");
      expect(stdout).toMatch(/node-1 .*http:.*\n.*node-2 .*http:.*\n.*node-3 .*http:/);
      expect(stdout.split("\n").every((line) => line.length <= 100)).toBe(true);
      expect(code).toBe(0);
    },
    DEMO_MS_MAX,
  );
  test("says so when a port is taken, and starts nothing", async () => {
    await using taken = await listening(0);
    const { code, stdout, stderr } = await runs.demo("--once", "--nodes", 1, "--port", taken.port);
    expect(stderr).toStartWith(`Cannot use port ${taken.port}: it is taken`);
    expect(stdout).not.toContain("node-1");
    expect(code).toBe(1);
  });
  test.each([
    ["--nodes 0", 'Cannot use --nodes "0": write a whole number from 1 to 16'],
    ["--nodes three", 'Cannot use --nodes "three"'],
    ["--port 65534", 'Cannot use --port "65534": write a whole number from 1 to 65532'],
    ["--runtime perl", 'Cannot use --runtime "perl": write bun, node, deno or mixed'],
    ["--transport http://u:p@h", "Cannot use --transport: write nats://host:port or redis://"],
    ["--transport nats://", "Cannot use --transport: write nats://host:port or redis://"],
    ["--broker kafka", 'Cannot use --broker "kafka": write nats or redis'],
    ["--broker nats --transport nats://h", "Cannot use --broker beside --transport"],
    ["--twice", "'--twice'"],
    ["now", "'now'"],
  ])("refuses %s with its usage", async (line, reason) => {
    const { code, stdout, stderr } = await runs.demo(...line.split(" "));
    expect(stderr).toContain(reason);
    expect(stderr).toContain("Usage: npm start");
    expect(stdout).toBe("");
    expect(code).toBe(2);
  });
  test("prints its usage when asked for it", async () => {
    const { code, stdout } = await runs.demo("--help");
    expect(stdout).toStartWith("Usage: npm start");
    expect(code).toBe(0);
  });
});

describe("the demo that keeps serving", () => {
  test(
    "answers the requests it prints, and leaves no node behind after Ctrl-C",
    async () => {
      const { running, ports, stdout } = await serving();
      const [totals, departure, owner, nodes] = stdout.match(/(?<=curl )http:\S+/g) ?? [];
      const before = await answerOf(totals);
      expect(before).toMatchObject({ departures: 1095, arrivals: 1160, doubled: 0 });
      const flight = /(?<=-d ')[^']+/.exec(stdout)?.[0] ?? "";
      expect(await answerOf(departure, flight)).toBe("counted");
      expect(await answerOf(departure, flight)).toBe("doubled");
      expect(await answerOf(totals)).toMatchObject({ departures: 1096, doubled: 1 });
      expect(await answerOf(owner)).toMatchObject({ node: expect.stringMatching(/^node-[14]$/) });
      expect(await answerOf(nodes)).toHaveLength(2);
      running.child.kill("SIGINT");
      expect(await running.ended).toMatchObject({ code: 0, stderr: "" });
      await allFree(ports);
    },
    DEMO_MS_MAX,
  );
  test(
    "ends with a node that dies, says which one, and stops the others",
    async () => {
      const { running, ports, stdout } = await serving();
      process.kill(Number(/node-1 .* (\d+)$/m.exec(stdout)?.[1]), "SIGKILL");
      const { code, stderr } = await running.ended;
      expect(stderr).toBe("Cannot go on with node-1: it ended with SIGKILL\n");
      expect(code).toBe(1);
      await allFree(ports);
    },
    DEMO_MS_MAX,
  );
  test(
    "takes its nodes along when it is killed",
    async () => {
      const { running, ports } = await serving();
      running.child.kill("SIGKILL");
      await running.ended;
      await allFree(ports);
    },
    DEMO_MS_MAX,
  );
});

const textOf = (name: string): string => readFileSync(join(EXAMPLES, name), "utf8");

/** Runs an example: it says what its header shows, nothing else, and cleans up. */
async function expectShown(name: string, command?: Command): Promise<void> {
  const run = await runs.start(name, [], command).ended;
  expect(run).toEqual({ code: 0, stdout: shownIn(textOf(name)), stderr: "" });
  expect(readdirSync(runs.temporary)).toEqual([]);
}

/** The output in a header: what is indented by five columns. */
function shownIn(text: string): string {
  const [header = ""] = text.split("*/");
  return Array.from(header.matchAll(/^ \* {5}(.*\n)/gm), ([, line]) => line).join("");
}

/** The demo at the point where it has replayed everything. */
async function serving() {
  const first = await freePorts(PORTS);
  const ports = Array.from({ length: PORTS }, (_, index) => first + index);
  const running = runs.start(DEMO, ["--port", first]);
  return { running, ports, stdout: await running.until("/cluster/nodes\n") };
}

async function answerOf(url = "", body?: string): Promise<unknown> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(url, body === undefined ? {} : { method: "POST", headers, body });
  return response.json();
}
