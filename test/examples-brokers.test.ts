/**
 * The demo over brokers: one that it brings along, which ends with it, and one that it is told of,
 * where others may be as well.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { brokersAreWanted } from "./drivers/broker-process.ts";
import { NatsServer } from "./drivers/nats-server.ts";
import { RedisServer } from "./drivers/redis-server.ts";
import { allFree, DEMO, ExampleRuns, freePorts } from "./example-process.ts";

const DEMO_MS_MAX = 120_000;
/** The three of the beginning, and one that joins. */
const PORTS = 4;

const runs = new ExampleRuns();
const servers: { stop(): Promise<void> }[] = [];
afterAll(async () => {
  runs.endAll();
  await Promise.all(servers.map((server) => server.stop()));
});

const BROKERS = [
  ["nats", NatsServer],
  ["redis", RedisServer],
] as const;

describe.if(brokersAreWanted()).each(BROKERS)("the demo over %s", (broker, Server) => {
  let transport: string;
  beforeAll(async () => {
    const server = await Server.start();
    servers.push(server);
    transport = server.url;
  });

  test(
    "brings a broker along: none of the flights is lost, none is doubled",
    async () => {
      const port = await freePorts(PORTS);
      const how = ["--broker", broker, "--runtime", "mixed", "--port", port];
      const { code, stdout, stderr } = await runs.demo("--once", ...how);
      expect(stderr).toBe("");
      expect(stdout).toMatch(/broker {3}(?:NATS|Redis) at 127\.0\.0\.1:\d+, as cluster flights-/);
      expect(stdout).toContain("   0 lost   0 doubled\n");
      expect(stdout).toMatch(/change {3}node-4 joins: [1-9]\d* airports moved/);
      expect(stdout).toMatch(/change {3}node-2 leaves: [1-9]\d* airports moved/);
      expect(stdout).toMatch(/change {3}node-3 is killed: [1-9]\d* airports moved/);
      expect(stdout).toContain("All 224 airports agree with a plain loop over the file.");
      expect(stdout).toContain("Deno 2");
      expect(code).toBe(0);
      await allFree([brokerPortIn(stdout)]);
    },
    DEMO_MS_MAX,
  );
  test(
    "meets at the broker it is told, where two of them do not get into each other's way",
    async () => {
      const port = await freePorts(4);
      const both = await Promise.all(
        [port, port + 2].map((port) =>
          runs.demo("--once", "--transport", transport, "--nodes", 1, "--port", port),
        ),
      );
      for (const { code, stdout, stderr } of both) {
        expect(stderr).toBe("");
        expect(stdout).toContain(`at ${new URL(transport).host}, as cluster flights-`);
        expect(stdout).toContain("All 224 airports agree with a plain loop over the file.");
        expect(code).toBe(0);
      }
    },
    DEMO_MS_MAX,
  );
  test(
    "takes its broker along when it is killed",
    async () => {
      const port = await freePorts(2);
      const args = ["--broker", broker, "--nodes", 1, "--port", port];
      const running = runs.start(DEMO, args);
      const stdout = await running.until("as cluster");
      running.child.kill("SIGKILL");
      await running.ended;
      await allFree([port, brokerPortIn(stdout)]);
    },
    DEMO_MS_MAX,
  );
});

function brokerPortIn(stdout: string): number {
  return Number(/broker .* at 127\.0\.0\.1:(\d+)/.exec(stdout)?.[1]);
}
