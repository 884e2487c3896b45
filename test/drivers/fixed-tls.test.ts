/** Certificates between the nodes of a list: who is believed, and what is said of whom is not. */
import { afterEach, expect, test } from "bun:test";
import { silentLogger } from "../../src/base/logger.ts";
import { dial } from "../../src/drivers/tcp/handshake.ts";
import { Cluster } from "../../src/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { ownCertificate } from "./certificates.ts";
import { listOf } from "./fixtures.ts";
import { Counter, failureOf, start, stopAll, stopped } from "./nodes.ts";
import { RawConnection } from "./raw.ts";

afterEach(stopAll);

const ours = ownCertificate();
const strangers = ownCertificate();
const elsewhere = ownCertificate("IP:192.0.2.1");
const BOTH = [ours, elsewhere].map(({ ca }) => String(ca)).join("");

test.each([
  ["that another authority has signed", strangers],
  ["that is another host's", { ...elsewhere, ca: BOTH }],
])("a node with a certificate %s is not joined, and both say why", async (_, tls) => {
  const list = await listOf(2);
  const said: string[] = [];
  const error = (fields: object): void => void said.push(String((fields as { err: Error }).err));
  const trusting = { ...ours, ca: BOTH };
  const first = await start(list, { nodeId: list.ids[0]!, tls: trusting, log: logOf(error) });
  const second = Cluster.start({
    ...list.options,
    nodeId: list.ids[1]!,
    tls,
    shardCount: 32,
    entities: [Counter],
  });
  const failure = await failureOf(second.then((node) => stopped(Promise.resolve(node))));
  await waitUntil("the first one says so", () => said.length > 0, { describe: () => failure });
  expect(said[0]).toMatch(/Cannot join with tls on: it is refused \(.+\) here/);
  expect(first.nodes.filter(({ state }) => state === "up")).toHaveLength(1);
});

test("a node that shows none is not joined", async () => {
  const list = await listOf(2);
  const first = await start(list, { nodeId: list.ids[0]!, tls: ours });
  const second = await start(list, { nodeId: list.ids[1]! });
  for (const node of [first, second])
    expect(node.nodes.filter(({ state }) => state === "up")).toHaveLength(1);
});

test("who knows the secret still has to have a certificate", async () => {
  const list = await listOf(1);
  await start(list, { nodeId: list.ids[0]!, tls: ours });
  const address = list.options.nodes[0]!.replace("http://", "");
  const { name: cluster, secret } = list.options;
  const who = { cluster, secret, incarnation: "guest.1", purpose: "node" } as const;
  const tls = { ...strangers, ca: ours.ca };
  const failure = await failureOf(dial(address, { ...who, tls, log: silentLogger }));
  expect(failure).toBeInstanceOf(Error);
  const wire = await dial(address, { ...who, tls: ours, log: silentLogger });
  wire.destroy();
});

test("who has the certificate still has to know the secret", async () => {
  const list = await listOf(2);
  await start(list, { nodeId: list.ids[0]!, tls: ours });
  const options = { ...list.options, secret: "guessed", tls: ours, nodeId: list.ids[1]! };
  expect(await failureOf(Cluster.start({ ...options, entities: [Counter] }))).toMatchObject({
    code: "WRONG_SECRET",
  });
});

test("who speaks in plain text hears nothing, and no log says that others may read", async () => {
  const list = await listOf(1);
  const warned: string[] = [];
  const log = { ...silentLogger, warn: (_: object, text: string) => void warned.push(text) };
  const nodes = [...list.options.nodes, "http://no-such-host.invalid:1"];
  const options = { ...list.options, nodes, tls: ours, log, entities: [Counter] };
  await stopped(Cluster.start(options));
  const caller = new RawConnection(Number(list.options.nodes[0]!.split(":").at(-1)));
  caller.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
  await caller.closed("plain text");
  expect(caller.frames).toEqual([]);
  expect(warned).toEqual([]);
}, 10_000);

test.each([
  ["a key that is none", { tls: { ...ours, key: "none" } }, "tls: write ca, cert and key as PEM"],
  ["nothing in it", { tls: {} }, "tls: write ca, cert and key as PEM"],
  ["no list", { tls: ours, nodes: undefined }, "tls without a list of nodes"],
])("tls with %s is refused", async (_, more, text) => {
  const { options } = await listOf(1);
  const starting = Cluster.start({ ...options, ...more, entities: [Counter] } as never);
  expect(String(await failureOf(starting))).toStartWith(`TypeError: Cannot use ${text}`);
});

function logOf(error: (fields: object, text: string) => void): typeof silentLogger {
  return { ...silentLogger, error };
}
