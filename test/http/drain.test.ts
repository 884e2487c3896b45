/** How an edge ends with its node: in processes of all runtimes, and what stands around it. */
import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Drain } from "../../src/http/drain.ts";
import { gateway } from "../../src/http/index.ts";
import { Cluster, type ClusterOf } from "../../src/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { freePort, uniqueName } from "../drivers/port.ts";
import { commandOf, RUNTIMES } from "../faults/runtimes.ts";
import { ends, says, tell, type Told } from "../runtimes/told.ts";
import { Lingering } from "./lingering.ts";
import { Account, problemOf, refusalOf } from "./served.ts";

interface Edge extends Told {
  readonly where: { readonly port: number; readonly name: string };
  readonly url: string;
}

const RUN_MS_MAX = 60_000;
const POST = { method: "POST" };
const children: Told["child"][] = [];
const nodes: ClusterOf<never>[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await Promise.all(nodes.splice(0).map((node) => node.stop({ deadline: "2s" })));
});

describe.each([...RUNTIMES])("on %s", (runtime) => {
  async function start(port = 0): Promise<Edge> {
    const where = { port, name: uniqueName("edge") };
    const [binary, ...args] = commandOf(runtime, join(import.meta.dir, "leaving-edge.ts"));
    const told = tell(binary, [...args, `${where.port}`, where.name]);
    children.push(told.child);
    await says(told, "http://");
    return Object.assign(told, { where, url: told.said.trim() });
  }

  test(
    "SIGTERM lets requests under way end, refuses new ones, and says that it is not ready",
    async () => {
      const told = await start();
      const { url, child } = told;
      const lingering = fetch(`${url}/entities/lingering/1/linger`, POST);
      await fetch(`${url}/entities/lingering/2/count`, POST);
      child.kill("SIGTERM");
      await says(told, "leaving");

      const ready = await fetch(`${url}/healthz/ready`);
      expect([ready.status, await ready.json()]).toEqual([
        503,
        { status: "draining", ready: false, reasons: ["joined"] },
      ]);
      expect((await fetch(`${url}/healthz/live`)).status).toBe(200);
      const refused = await fetch(`${url}/entities/lingering/2/count`, POST);
      expect([refused.status, refused.headers.get("Retry-After")]).toEqual([503, "1"]);
      expect(refused.headers.get("Connection")).toBe("close");
      expect(await problemOf(refused)).toMatchObject({ code: "CLUSTER_STOPPED", retryable: true });
      expect(told.exit).toBeUndefined();

      child.stdin.write("go\n");
      const answer = await lingering;
      expect([answer.status, await answer.json()]).toEqual([200, 1]);
      expect(answer.headers.get("Connection")).toBe("close");
      await ends(told);
      expect(told.exit).toEqual([0, null]);
    },
    RUN_MS_MAX,
  );

  test(
    "SIGTERM under load loses nothing that was answered, and answers nothing but 200 and 503",
    async () => {
      const told = await start(await freePort());
      const { port, name } = told.where;
      const beside = await Cluster.start({
        transport: `tcp://127.0.0.1:${port}`,
        name,
        nodeId: "beside",
        secret: "a secret of tests",
        heartbeat: "normal",
        shardCount: 32,
        entities: [Lingering],
      });
      nodes.push(beside);
      const ids = Array.from({ length: 40 }, (_, n) => `c-${n}`);
      const counted = new Map(ids.map((id) => [id, 0]));
      const statuses = new Set<number>();
      const clients = ids.map(async (id) => {
        for (let status = 200; status === 200;) {
          const path = `${told.url}/entities/lingering/${id}/count`;
          // The process may be gone by the time that somebody connects anew.
          const answer = await fetch(path, POST).catch(() => undefined);
          status = answer?.status ?? 503;
          statuses.add(status);
          if (status === 200) counted.set(id, (await answer!.json()) as number);
        }
      });
      await waitUntil("all are counted", () => [...counted.values()].every((n) => n > 5));
      told.child.kill("SIGTERM");
      await Promise.all(clients);
      await ends(told);
      expect([told.exit, [...statuses]]).toEqual([
        [0, null],
        [200, 503],
      ]);
      const next = ids.map((id) => beside.entity(Lingering, id).send({ type: "count" }));
      expect(await Promise.all(next)).toEqual(ids.map((id) => counted.get(id)! + 1));
    },
    RUN_MS_MAX,
  );

  test(
    "a request whose handler never ends does not keep the process",
    async () => {
      const told = await start();
      const hanging = fetch(`${told.url}/entities/lingering/1/hang`, POST).catch(() => undefined);
      await fetch(`${told.url}/entities/lingering/2/count`, POST);
      told.child.kill("SIGTERM");
      await ends(told);
      expect(told.exit).toEqual([0, null]);
      expect((await hanging)?.ok).not.toBe(true);
    },
    RUN_MS_MAX,
  );

  test(
    "PUT /cluster/drain answers 202, and the node leaves",
    async () => {
      const told = await start();
      const answer = await fetch(`${told.url}/cluster/drain`, { method: "PUT" });
      expect([answer.status, await answer.text()]).toEqual([202, ""]);
      await says(told, "leaving");
      const refused = await fetch(`${told.url}/cluster/nodes`);
      expect(await refusalOf(refused)).toEqual([503, "CLUSTER_STOPPED"]);
      told.child.kill("SIGTERM");
      await ends(told);
      expect(told.exit).toEqual([0, null]);
    },
    RUN_MS_MAX,
  );
});

test("a request that has not come to its entity yet is served before the node leaves", async () => {
  await using cluster = await Cluster.start({ transport: "memory", entities: [Account] });
  const [asked, known] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const auth = async (): Promise<{ subject: string }> => {
    asked.resolve();
    await known.promise;
    return { subject: "ada" };
  };
  const app = gateway(cluster, { expose: [Account], auth });
  const answering = app.request("/entities/account/1/balance");
  await asked.promise;
  const stopped = cluster.stop();
  // A stop that waits for nobody has ended long before.
  for (let asks = 0; asks < 50; asks++) {
    expect((await app.request("/healthz/ready")).status).toBe(503);
    await new Promise((resolve) => setImmediate(resolve));
  }
  known.resolve();
  expect((await answering).status).toBe(200);
  await stopped;
});

describe("PUT /cluster/drain", () => {
  test.each(["off", "read"] as const)("is not there with management %s", async (management) => {
    await using cluster = await Cluster.start({ transport: "memory", entities: [Account] });
    const app = gateway(cluster, { expose: [Account], management });
    const answer = await app.request("/cluster/drain", { method: "PUT" });
    expect(await refusalOf(answer)).toEqual([404, "NOT_FOUND"]);
    await cluster.entity(Account, "1").send({ type: "balance" });
  });
  test("is asked for by no other method", async () => {
    await using cluster = await Cluster.start({ transport: "memory" });
    const app = gateway(cluster, { expose: [], management: "full" });
    const answer = await app.request("/cluster/drain", POST);
    expect(answer.headers.get("Allow")).toBe("PUT");
    expect(await refusalOf(answer)).toEqual([405, "MALFORMED"]);
  });
  test("is for those who may", async () => {
    await using cluster = await Cluster.start({ transport: "memory", entities: [Account] });
    const asked: unknown[] = [];
    const app = gateway(cluster, {
      expose: [Account],
      management: "full",
      auth: () => ({ subject: "ada" }),
      authorize: (_, access) => asked.push(access) === 0,
    });
    const answer = await app.request("/cluster/drain", { method: "PUT" });
    expect([await refusalOf(answer), asked]).toEqual([[403, "FORBIDDEN"], [{ action: "drain" }]]);
    await cluster.entity(Account, "1").send({ type: "balance" });
  });
});

describe("GET /cluster/ring", () => {
  test("says which part of the shards each node should own", async () => {
    const options = { transport: "memory", nodeId: "a", weight: 3, shardCount: 64 } as const;
    await using cluster = await Cluster.start({ ...options, entities: [Account] });
    const app = gateway(cluster, { expose: [Account] });
    const answer = await app.request("/cluster/ring");
    expect(await answer.json()).toEqual({
      shardCount: 64,
      moving: 0,
      nodes: [{ node: "a", weight: 3, state: "up", share: 1 }],
    });
  });
  test("names no share at a node that serves none", async () => {
    await using cluster = await Cluster.start({ transport: "memory", nodeId: "a" });
    const app = gateway(cluster, { expose: [Account] });
    expect(await (await app.request("/cluster/ring")).json()).toMatchObject({
      moving: 0,
      nodes: [{ node: "a", share: 0 }],
    });
  });
});

test("a drain ends when the last request has ended, and the last that is held", async () => {
  let begin: (() => Promise<void>) | undefined;
  const beforeStop = (run: () => Promise<void>): (() => void) => {
    begin = run;
    return () => {};
  };
  const drain = new Drain({ beforeStop } as never);
  const release = drain.hold();
  drain.enter();
  const steps: string[] = [];
  const over = begin!().then(() => steps.push("over"));
  release();
  await Promise.resolve();
  steps.push("released");
  drain.leave();
  await over;
  expect(steps).toEqual(["released", "over"]);
});
