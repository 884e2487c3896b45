/** What is secret is told to nobody: not in a log, an error, an event or a list of nodes. */
import { afterEach, describe, expect, test } from "bun:test";
import { inspect } from "node:util";
import { nats } from "../../src/drivers/nats/index.ts";
import { redis } from "../../src/drivers/redis/index.ts";
import { Cluster, type ClusterOptions, type Logger } from "../../src/index.ts";
import { adopt, stopAll as stopNodes } from "../drivers/broker-nodes.ts";
import { brokersAreWanted } from "../drivers/broker-process.ts";
import { listOf, openBucket, settledRedis } from "../drivers/fixtures.ts";
import { serve, stopAll } from "../drivers/nats-nodes.ts";
import { Counter, failureOf, meeting } from "../drivers/nodes.ts";
import { freePort, uniqueName } from "../drivers/port.ts";
import { serveRedis, stopRedis } from "../drivers/redis-servers.ts";

afterEach(async () => {
  await stopNodes();
  await stopAll();
  await stopRedis();
});

const SECRET = "hunter2-secret";
const WRONG = "hunter3-guess";
const PASSWORD = "hunter4-password";

/** Everything a node says: its log with all fields and causes, events, nodes, figures, failure. */
async function saidBy(options: ClusterOptions<[]>): Promise<{ text: string; joined: boolean }> {
  const said: unknown[] = [];
  const keep = (fields: object, message: string): void => void said.push(fields, message);
  const log: Logger = { debug: keep, info: keep, warn: keep, error: keep };
  const starting = Cluster.start({ ...options, log, entities: [Counter] });
  const failure = await failureOf(starting.then((node) => adopt(node)));
  const node = await starting.catch(() => undefined);
  if (node !== undefined) {
    node.on("unsafe", (event) => said.push(event));
    await node.entity("counter", "a").send({ type: "count" });
    said.push(node.nodes, node.figures(), node.health());
    await node.stop();
    said.push(await failureOf(node.entity("counter", "a").send({ type: "count" })));
  }
  said.push(failure, String(failure), JSON.stringify(failure));
  return { text: inspect(said, { depth: 20, showHidden: true }), joined: node !== undefined };
}

function keepsSilent({ text }: { readonly text: string }): void {
  for (const secret of [SECRET, WRONG, PASSWORD]) expect(text).not.toContain(secret);
}

test("of nodes of one machine", async () => {
  const { options } = await meeting();
  adopt(await Cluster.start({ ...options, secret: SECRET, nodeId: "first", entities: [Counter] }));
  const fine = await saidBy({ ...options, secret: SECRET });
  const refused = await saidBy({ ...options, secret: WRONG });
  expect([fine.joined, refused.joined]).toEqual([true, false]);
  for (const each of [fine, refused]) keepsSilent(each);
});

test("of nodes of a list", async () => {
  const { ids, options } = await listOf(2);
  const first = { ...options, secret: SECRET, nodeId: ids[0]!, shardCount: 32 };
  adopt(await Cluster.start({ ...first, entities: [Counter] }));
  const refused = await saidBy({ ...first, nodeId: ids[1]!, secret: WRONG });
  expect(refused.joined).toBe(false);
  keepsSilent(refused);
});

describe.if(brokersAreWanted())("of a broker", () => {
  test("of NATS, that takes, refuses, or cannot be reached", async () => {
    const server = await serve(`authorization { user: "a", password: "${PASSWORD}" }`);
    const at = (password: string, port = server.port): string =>
      `nats://a:${password}@127.0.0.1:${port}`;
    const name = uniqueName("secret");
    await openBucket(nats(at(PASSWORD)), name);
    const fine = await saidBy({ transport: nats(at(PASSWORD)), name });
    const refused = await saidBy({ transport: nats(at(WRONG)), name });
    const away = await saidBy({ transport: nats(at(WRONG, await freePort())), name });
    expect([fine.joined, refused.joined, away.joined]).toEqual([true, false, false]);
    for (const each of [fine, refused, away]) keepsSilent(each);
  }, 20_000);

  test("of Redis, that takes, refuses, or cannot be reached", async () => {
    const server = await serveRedis("--requirepass", PASSWORD);
    const url = (password: string, port = server.port): string =>
      `redis://:${password}@127.0.0.1:${port}`;
    const name = uniqueName("secret");
    const fine = await saidBy({ transport: settledRedis(server, { url: url(PASSWORD) }), name });
    const refused = await saidBy({ transport: redis(url(WRONG)), name });
    const away = await saidBy({ transport: redis(url(WRONG, await freePort())), name });
    expect([fine.joined, refused.joined, away.joined]).toEqual([true, false, false]);
    for (const each of [fine, refused, away]) keepsSilent(each);
  }, 20_000);
});
