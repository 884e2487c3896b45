/** A NATS server that comes back with older data than it had confirmed. */
import { afterEach, describe, expect, test } from "bun:test";
import { waitUntil } from "../contracts/wait-until.ts";
import {
  allOwn,
  askAll,
  countAll,
  IDS,
  join,
  neverTwoCopies,
  placeAt,
  type WitnessNode,
} from "./broker-nodes.ts";
import { brokersAreWanted } from "./broker-process.ts";
import { serve, stopAll } from "./nats-nodes.ts";

afterEach(stopAll);

describe.if(brokersAreWanted())("a server that comes back with older data", () => {
  test("is another authority: entities begin anew, and their fences never fall", async () => {
    const server = await serve();
    const place = placeAt(server.url);
    const nodes: WitnessNode[] = [];
    for (const id of ["n1", "n2", "n3"]) nodes.push(await join(place, id));
    await allOwn(nodes);
    await server.kill("SIGTERM");
    server.remember();
    await server.resume();
    expect(await countAll(nodes[0]!)).toEqual(IDS.map(() => 1));
    // What it will forget: the epochs of all shards that move to this node, and back.
    const passing = await join(place, "n4");
    await allOwn([...nodes, passing]);
    expect(await countAll(nodes[0]!)).toEqual(IDS.map(() => 2));
    await passing.stop();
    await allOwn(nodes);
    const before = await askAll(nodes[1]!);
    await server.kill();
    server.goBack();
    await server.resume();
    let last: unknown;
    await waitUntil(
      "all entities begin anew",
      async () => {
        const asked = nodes.map((node) => askAll(node));
        const after = await Promise.all(asked).catch((error: unknown) => void (last = error));
        return after?.every((each) => each.every(({ copy }, i) => copy > before[i]!.copy)) === true;
      },
      { timeoutMs: 20_000, describe: () => String(last) },
    );
    await allOwn(nodes);
    neverTwoCopies();
  }, 60_000);
});
