/** A process that is of no list, and calls its nodes. */
import { afterEach, describe, expect, test } from "bun:test";
import { silentLogger } from "../../src/base/logger.ts";
import { readList } from "../../src/drivers/fixed/list.ts";
import { openDoor } from "../../src/drivers/tcp/handshake.ts";
import { Cluster, type ClusterOf } from "../../src/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { listOf, SECRET } from "./fixtures.ts";
import { Counter, failureOf, stopAll, stopped } from "./nodes.ts";

afterEach(stopAll);

const session = { state: "up", group: "counter", weight: 1, leaseMs: 1, load: {} };

/** A node of a list that says who it is, and nothing else ever. */
async function mute(): Promise<{
  readonly node: string;
  readonly guest: ClusterOf<never>;
  readonly close: () => void;
}> {
  const { options } = await listOf(1);
  const { node, host, port, address } = readList(options.nodes)[0]!;
  const incarnation = `${node}.1`;
  const said = { cluster: options.name, secret: SECRET, log: silentLogger };
  const who = { ...said, incarnation, purpose: "node" } as const;
  const lists = { nodes: [address], entities: ["counter"], epochs: {}, connected: {} };
  const news = {
    epoch: 7,
    session: { ...session, node, address },
  };
  const door = await openDoor({ host, port }, who, (_, wire) => {
    wire.writeJson({ incarnation, node, shardCount: 32, ...lists });
    wire.write(new TextEncoder().encode(JSON.stringify(news)), true);
  });
  const guest = await stopped(Cluster.start({ ...options, shardCount: 32, entities: [] }));
  return { node, guest, close: () => door.close() };
}

describe("a guest", () => {
  test("places a node whose session comes in one piece with its greeting", async () => {
    const { node, guest, close } = await mute();
    await waitUntil("the owner is known", () => guest.owner("counter", "a") !== undefined);
    expect(guest.owner("counter", "a")).toMatchObject({ node, epoch: 7 });
    close();
  });

  test("takes a node for away that holds the line and says nothing", async () => {
    const { node, guest, close } = await mute();
    await waitUntil("the owner is known", () => guest.owner("counter", "a") !== undefined);
    const call = failureOf(guest.entity(Counter, "a").send({ type: "count" }));
    expect(await call).toMatchObject({ code: "OUTCOME_UNKNOWN", executed: "maybe" });
    const next = failureOf(guest.entity(Counter, "a").send({ type: "count" }));
    expect(await next).toMatchObject({ code: "NODE_AWAY", executed: "no", details: { node } });
    close();
  });
});
