/**
 * What the compose files would run, run by hand: the broker, three nodes and the edge, with their
 * very commands and variables, on ports and in folders of this test. No engine is needed.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { waitUntil } from "../contracts/wait-until.ts";
import { BrokerProcess, brokersAreWanted } from "../drivers/broker-process.ts";
import { freePort, isFree } from "../drivers/port.ts";
import { type Compose, parseCompose, type Service } from "./compose.ts";
import { parseDockerfile } from "./dockerfile.ts";

interface Started {
  readonly child: ChildProcess;
  /** Where it answers, once it serves. */
  port: number;
  readonly ended: Promise<unknown>;
  said: string;
}

const RUN_MS_MAX = 150_000;
/** Processes of a busy machine. */
const PATIENCE = { timeoutMs: 40_000 };
const root = join(import.meta.dir, "../..");
const sources = join(root, "examples/deploy");
const app = mkdtempSync(join(tmpdir(), "catga-deploy-"));
const image = parseDockerfile(readFileSync(join(sources, "Dockerfile"), "utf8"));
const children: ChildProcess[] = [];
const brokers: BrokerProcess[] = [];

/** What the image would hold: the programs, their packages, and catga as it is published. */
beforeAll(() => {
  cpSync(sources, app, { recursive: true });
  const packages = join(app, "node_modules");
  const library = join(packages, "catga");
  mkdirSync(library, { recursive: true });
  cpSync(join(root, "package.json"), join(library, "package.json"));
  const tsc = join(root, "node_modules/.bin/tsc");
  const build = ["--project", join(root, "tsconfig.build.json"), "--outDir", join(library, "dist")];
  expect(spawnSync(tsc, build, { encoding: "utf8" }).stdout).toBe("");
  const needed = ["denque", "devalue", "eventsource-parser", "js-xxhash", "lru-cache"];
  const names = ["@hono", "@nats-io", "hono", "ioredis", ...needed];
  for (const name of names) symlinkSync(join(root, "node_modules", name), join(packages, name));
}, RUN_MS_MAX);
afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  await Promise.all(brokers.map((broker) => broker.stop()));
  rmSync(app, { recursive: true, force: true });
});

describe.if(brokersAreWanted()).each(["nats", "redis"])("the deployment on %s", (name) => {
  test(
    "answers through its edge, survives a node that is killed, and stops when it is told to",
    async () => {
      const { services } = await deployed(name);
      const edge = start(services["edge"]!);
      const replicas = { length: services["node"]!.deploy!.replicas };
      const nodes = Array.from(replicas, () => start(services["node"]!));
      for (const each of [edge, ...nodes]) {
        await serves(each);
        expect(await isHealthy(each)).toBe(true);
      }
      const skus = Array.from({ length: 30 }, (_, number) => `sku-${number}`);
      const received = skus.map((sku) => ask(edge, sku, { pieces: 5 }));
      expect(await Promise.all(received)).toEqual(skus.map(() => ({ left: 5 })));
      const all = async (): Promise<boolean> => (await homes(edge, skus)).size === nodes.length;
      await waitUntil("all nodes own some", all, PATIENCE);

      nodes[0]!.child.kill("SIGKILL");
      await nodes[0]!.ended;
      const others = async (): Promise<boolean> => {
        const at = await homes(edge, skus).catch(() => new Set());
        return at.size === nodes.length - 1;
      };
      await waitUntil("the others serve all", others, PATIENCE);

      const left = [nodes[1]!, nodes[2]!, edge];
      for (const { child } of left) child.kill("SIGTERM");
      await Promise.all(left.map(({ ended }) => ended));
      expect(left.map(({ child }) => [child.exitCode, child.signalCode])).toEqual(
        left.map(() => [0, null]),
      );
      for (const { said } of left) expect(said).toContain('"has left"');
    },
    RUN_MS_MAX,
  );
  test(
    "ends a node at once, with a word, when the broker is away",
    async () => {
      const { services } = await deployed(name);
      await brokers.at(-1)!.stop();
      const node = start(services["node"]!);
      await node.ended;
      expect(node.child.exitCode).toBe(1);
      expect(node.said).toContain("BROKER_UNREACHABLE");
    },
    RUN_MS_MAX,
  );
});

/** The compose file, with its broker running and named as it can be reached here. */
async function deployed(name: string): Promise<Compose> {
  const port = await freePort();
  const text = readFileSync(join(sources, `compose.${name}.yaml`), "utf8")
    .replaceAll(/@broker:\d+/g, `@127.0.0.1:${port}`)
    .replace("--http_port=8222", `--http_port=${await freePort()}`);
  const compose = parseCompose(text, { BROKER_PASSWORD: "a1b2c3" });
  const [program = "", ...words] = compose.services["broker"]!.command as readonly string[];
  const broker = new BrokerProcess(program);
  brokers.push(broker);
  const data = compose.services["broker"]!.volumes![0]!.split(":")[1]!;
  const args = words.map((word) => word.replace(data, broker.folder));
  // Where a container would have all addresses and its volume to itself.
  const place = name === "redis" ? ["--bind", "127.0.0.1", "--dir", broker.folder] : [];
  const host = name === "redis" ? [] : ["--addr=127.0.0.1"];
  const answers = async (): Promise<boolean> => !(await isFree(port));
  await broker.start([...args, "--port", `${port}`, ...place, ...host], answers);
  return compose;
}

/** Starts a service as its container would, on a port of its own. */
function start({ command, environment }: Service): Started {
  const [program = "", ...args] = (command ?? image.command) as readonly string[];
  const child = spawn(programPath(program), args, {
    cwd: app,
    env: { PATH: process.env["PATH"], ...environment, PORT: "0" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  const started: Started = { child, port: 0, ended: once(child, "exit"), said: "" };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => (started.said += text));
  }
  return started;
}

async function serves(started: Started): Promise<void> {
  const describe = (): string => started.said;
  const says = (): boolean => {
    started.port = Number(/"url":"http:[^"]*:(\d+)"/.exec(started.said)?.[1]);
    return started.port > 0;
  };
  await waitUntil("it serves", says, { ...PATIENCE, describe });
}

/** The health check of the compose file, in the container of `started`. */
async function isHealthy({ port }: Started): Promise<boolean> {
  const check = spawn(programPath("node"), ["healthy.ts"], {
    cwd: app,
    env: { PORT: `${port}` },
    stdio: "ignore",
  });
  const [code] = (await once(check, "exit")) as [number];
  return code === 0;
}

/** The Node.js of the image is the one of the set-up. */
function programPath(program: string): string {
  expect(program).toBe("node");
  return join(root, "node_modules/node/bin/node");
}

async function ask({ port }: Started, sku: string, receive?: object): Promise<unknown> {
  const url = `http://127.0.0.1:${port}/entities/stock/${sku}/${receive ? "receive" : "left"}`;
  const headers = { "content-type": "application/json" };
  const how = receive && { method: "POST", headers, body: JSON.stringify(receive) };
  const response = await fetch(url, how);
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

/** The nodes on which these live, each asked through the edge. */
async function homes(edge: Started, skus: readonly string[]): Promise<Set<string>> {
  const answers = await Promise.all(skus.map((sku) => ask(edge, sku)));
  return new Set(answers.map((answer) => (answer as { readonly node: string }).node));
}
