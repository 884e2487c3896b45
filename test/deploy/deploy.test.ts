/**
 * The files of examples/deploy say what they mean: checked by the schema of the Compose
 * specification and a parser of Dockerfiles, and by what this deployment needs beyond.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { settingsOf } from "../../src/api/options.ts";
import { STOP_DEADLINE_MS } from "../../src/base/limits.ts";
import { systemRandom } from "../../src/base/random.ts";
import { durationMsOf, offencesIn, parseCompose, schemaOffences, variablesIn } from "./compose.ts";
import { parseDockerfile } from "./dockerfile.ts";

const root = join(import.meta.dir, "../..");
const folder = join(root, "examples/deploy");
const read = (name: string): string => readFileSync(join(folder, name), "utf8");
const ENVIRONMENT = { BROKER_PASSWORD: "word", EDGE_PORT: "3000" };
/** Two seconds for the edge to close, and one to spare. */
const GRACE_MS_MIN = STOP_DEADLINE_MS + 3_000;

interface Package {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly version: string;
}
const ours = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Package;

describe.each(["compose.nats.yaml", "compose.redis.yaml"])("%s", (name) => {
  const text = read(name);
  const compose = parseCompose(text, ENVIRONMENT);
  const { broker, node, edge } = compose.services;

  test("obeys the schema of the Compose specification", () => {
    expect(schemaOffences(compose)).toEqual([]);
  });
  test("pins its images, waits, checks, restarts, and names nothing that is not there", () => {
    expect(offencesIn(compose)).toEqual([]);
    expect(Object.keys(compose.services)).toEqual(["broker", "node", "edge"]);
    expect(node?.deploy?.replicas).toBe(3);
  });
  test("asks for nothing that .env.example does not show, and has no password of its own", () => {
    const shown = Array.from(read(".env.example").matchAll(/^(\w+)=/gm), ([, name = ""]) => name);
    expect(variablesIn(text)).toEqual(shown);
    expect(() => parseCompose(text, {})).toThrow("BROKER_PASSWORD is not set");
  });
  test("lets nobody from outside to the broker and the nodes", () => {
    expect(compose.networks?.["cluster"]?.internal).toBe(true);
    expect([broker?.networks, node?.networks]).toEqual([["cluster"], ["cluster"]]);
    expect([broker?.ports, node?.ports]).toEqual([undefined, undefined]);
    expect(edge?.ports).toEqual(["127.0.0.1:3000:3000"]);
  });
  test("keeps what the broker knows", () => {
    expect(broker?.volumes).toEqual(["broker:/data"]);
    expect(broker?.command).toContain(name.includes("nats") ? "--store_dir=/data" : "--appendonly");
  });
  test("gives nodes and edge the time that cluster.stop() may take", () => {
    expect(durationMsOf(node?.stop_grace_period)).toBeGreaterThanOrEqual(GRACE_MS_MIN);
    expect(durationMsOf(edge?.stop_grace_period)).toBeGreaterThanOrEqual(GRACE_MS_MIN);
  });
  test("names variables that the programs or catga read, with values that catga takes", () => {
    const environment = node?.environment ?? {};
    const known = new Set([
      ...variablesOf(join(root, "src/api/options.ts"), /\b(?:CLUSTER|NODE)_[A-Z]+\b/g),
      ...variablesOf(join(folder, "program.ts"), /(?<=process\.env\[")\w+/g),
    ]);
    expect(Object.keys(environment).filter((variable) => !known.has(variable))).toEqual([]);
    const transport = environment["CLUSTER_TRANSPORT"] as "memory";
    const { driver } = settingsOf({ transport, name: environment["CLUSTER_NAME"]! }, systemRandom);
    expect(driver.name).toBe(name.split(".")[1]!);
    expect(compose.services[new URL(transport).hostname]).toBe(broker);
    expect(edge?.environment).toEqual(environment);
  });
  test("builds what is there, and runs programs that are there", () => {
    const { context = "", dockerfile = "" } = node?.build ?? {};
    expect(existsSync(join(folder, context, dockerfile))).toBe(true);
    expect(existsSync(join(folder, context, `${dockerfile}.dockerignore`))).toBe(true);
    const programs = [edge?.command?.[1], node?.healthcheck?.test[2]].map(String);
    for (const program of programs) expect(readdirSync(folder)).toContain(program);
  });
});

describe("the Dockerfile", () => {
  const image = parseDockerfile(read("Dockerfile"));
  test("builds in stages, and runs without root, shell and compiler", () => {
    expect(image.offences).toEqual([]);
    expect([...image.stages.keys()]).toEqual(["base", "library", "packages", "app"]);
    expect(image.command).toEqual(["node", "node.ts"]);
  });
  test("runs on the Node.js that everything is tested on", () => {
    expect(image.stages.get("base")).toStartWith(`node:${ours.devDependencies["node"]}-`);
  });
  test("copies from the checkout what the build may see", () => {
    const seen = Array.from(
      read("Dockerfile.dockerignore").matchAll(/^!(.+)$/gm),
      ([, path]) => path,
    );
    const sources = Array.from(read("Dockerfile").matchAll(/^COPY (?!--from)(.+) \S+$/gm));
    const copied = sources.flatMap(([, paths = ""]) => paths.split(" "));
    expect(new Set(copied)).toEqual(new Set(seen as string[]));
  });
  test("installs the versions that everything is tested with", () => {
    const { dependencies } = JSON.parse(read("package.json")) as Package;
    const tested = { ...ours.devDependencies, catga: ours.version };
    expect(tested).toMatchObject(dependencies);
  });
});

describe("an offence is found", () => {
  test("by the schema", () => {
    const planted = parseCompose("services:\n  a:\n    imagine: b:1.0.0\n", {});
    expect(schemaOffences(planted).join()).toContain("/services/a");
  });
  test("in a compose file", () => {
    const lines = [
      "services:",
      "  a:",
      "    image: a:latest",
      "    command: run --fast",
      "    depends_on: { c: { condition: service_started } }",
      "    networks: [n]",
      "    volumes: ['v:/data', './x:/x']",
      "    ports: ['80:80']",
      "volumes: { w: {} }",
    ];
    expect(offencesIn(parseCompose(lines.join("\n"), {}))).toEqual([
      'a: image "a:latest" is not pinned',
      "a: has no health check without a shell",
      "a: is not started again",
      "a: has a command for a shell",
      "a: has no grace period",
      "a: does not wait until c is healthy",
      "a: publishes 80:80 to everybody",
      "a: waits for c, which is no service",
      "a: network n is not declared",
      "a: volume v is not declared",
      "volume w: nobody uses it",
    ]);
  });
  test("in YAML that says something twice", () => {
    expect(() => parseCompose("a: 1\na: 2\n", {})).toThrow("Map keys must be unique");
  });
  test("in a Dockerfile", () => {
    const planted =
      "FROM node AS a\nFROM a\nCOPY --from=b /x /y\nRUN make\nUSER root\nCMD node a.ts\n";
    expect(parseDockerfile(planted).offences).toEqual([
      'image "node" is not pinned',
      'copies from "b", which is no earlier stage',
      "runs as root",
      "has no CMD in exec form",
      "line 4: builds in the last stage",
    ]);
  });
});

function variablesOf(path: string, pattern: RegExp): string[] {
  return readFileSync(path, "utf8").match(pattern) ?? [];
}
