/** What the environment says of options that the program leaves out. */
import { afterEach, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { withEnvironment } from "../../src/api/options.ts";
import { systemRandom } from "../../src/base/random.ts";
import { Cluster } from "../../src/index.ts";

const VARIABLES = [
  "CLUSTER_TRANSPORT",
  "CLUSTER_NAME",
  "CLUSTER_SECRET",
  "NODE_ID",
  "NODE_ENDPOINT",
  "CLUSTER_NODES",
] as const;
const before = VARIABLES.map((name) => [name, process.env[name]] as const);
afterEach(() => {
  for (const [name, value] of before) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});

const root = join(import.meta.dir, "../..");
const settled = (given?: Parameters<typeof withEnvironment>[0]) =>
  withEnvironment(given, systemRandom);

async function failureOf(starting: Promise<unknown>): Promise<Error> {
  const failure = await starting.then(
    () => undefined,
    (error: Error) => error,
  );
  if (failure === undefined) throw new Error("it has started");
  return failure;
}

function setAll(values: readonly string[]): void {
  for (const [at, name] of VARIABLES.entries()) process.env[name] = values[at] ?? "";
}

describe("the environment", () => {
  test("says where the nodes meet, their secret, and who this one is", () => {
    setAll(["nats://broker:4222", "shop", "of the shop", "node-1", "http://node-1:3000"]);
    expect(settled()).toEqual({
      transport: "nats://broker:4222",
      name: "shop",
      secret: "of the shop",
      nodeId: "node-1",
      endpoint: "http://node-1:3000",
    });
  });

  test("has no say in what the program says", () => {
    setAll(["redis://broker", "shop", "of the shop", "node-1", "http://node-1:3000"]);
    const given = { name: "code", nodeId: "n", secret: "s", endpoint: "http://n" };
    expect(settled({ ...given, transport: "memory" })).toEqual({ ...given, transport: "memory" });
    expect(settled("memory")).toMatchObject({ transport: "memory", name: "shop" });
    // As programs write it that read a variable of their own.
    expect(settled({ nodeId: undefined } as never)).toMatchObject({ nodeId: "node-1" });
  });

  test("lists the nodes, unless the program says where they meet", () => {
    setAll(["", "", "of the shop", "a", "", "http://a:1,http://b:2"]);
    const nodes = ["http://a:1", "http://b:2"];
    expect(settled()).toEqual({ nodes, secret: "of the shop", nodeId: "a" });
    expect(settled("memory").nodes).toBeUndefined();
    process.env["CLUSTER_TRANSPORT"] = "nats://broker";
    expect(settled({ nodes: ["http://c:3"] })).not.toHaveProperty("transport");
  });

  test("says nothing by a variable that is empty or absent", () => {
    setAll(["", "", "", "", ""]);
    expect(settled()).toEqual({});
    for (const name of VARIABLES) delete process.env[name];
    expect(settled({ name: "code" })).toEqual({ name: "code" });
  });

  test("leaves what it was given as it is", () => {
    setAll(["memory", "shop", "", "", ""]);
    const given = Object.freeze({ nodeId: "n" });
    expect(settled(given)).toEqual({ transport: "memory", name: "shop", nodeId: "n" });
  });

  test.each([
    ["CLUSTER_TRANSPORT", "kafka://broker", 'Cannot use the transport: write "nats://'],
    ["CLUSTER_TRANSPORT", "nats://", 'Cannot use the transport: write "nats://'],
    ["CLUSTER_TRANSPORT", "redis://h:port", 'Cannot use the transport: write "nats://'],
    ["CLUSTER_TRANSPORT", "broker:4222", 'Cannot use the transport: write "nats://'],
    ["CLUSTER_NODES", "http://a:1,b:2", 'Cannot use node "b:2": write "http://<host>:<port>"'],
    ["CLUSTER_NAME", "my shop", 'Cannot use cluster name "my shop": write 1 to 64'],
    ["NODE_ID", "-1", 'Cannot use node id "-1": write 1 to 64'],
  ] as const)("is named when %s is %p", async (variable, value, reason) => {
    for (const name of VARIABLES) delete process.env[name];
    process.env[variable] = value;
    const failure = await failureOf(Cluster.start());
    expect(failure).toBeInstanceOf(TypeError);
    expect(failure.message).toStartWith(reason);
    expect(failure.message).toEndWith(`(${variable} of the environment)`);
  });

  test("is not named for what the program says", async () => {
    process.env["CLUSTER_NAME"] = "shop";
    const starting = Cluster.start({ transport: "kafka://u:secret@h" as "memory" });
    expect((await failureOf(starting)).message).toMatch(/^Cannot use the transport: [^()]*$/);
  });
});

test("a node starts by what the environment says", async () => {
  setAll(["memory", "shop", "", "node-1", "http://node-1:3000"]);
  await using cluster = await Cluster.start();
  expect(cluster.nodeId).toBe("node-1");
  expect(cluster.nodes[0]).toMatchObject({ node: "node-1", endpoint: "http://node-1:3000" });
});

describe("Deno, which allows no variable but those it is told to", () => {
  test.each([
    ["--allow-sys=hostname", /^(?!allowed)/],
    ["--allow-env=NODE_ID", /^allowed$/],
    ["--allow-env", /^allowed$/],
  ])("starts a node under %s", (permission, nodeId) => {
    const program = `
      import { Cluster } from "./src/index.ts";
      await using cluster = await Cluster.start("memory");
      console.log(cluster.nodeId);`;
    const deno = join(root, "node_modules/.bin/deno");
    const args = ["run", "--no-prompt", "--no-check", "--quiet", permission, "-"];
    const env = { ...process.env, NODE_ID: "allowed", NO_COLOR: "1" };
    const run = spawnSync(deno, args, { cwd: root, encoding: "utf8", env, input: program });
    expect(run.stderr).toBe("");
    expect(run.stdout.trim()).toMatch(nodeId);
    expect(run.status).toBe(0);
  });
});
