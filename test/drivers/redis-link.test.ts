/** What the link over pub/sub does beyond its contract. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { waitUntil } from "../contracts/wait-until.ts";
import { brokersAreWanted } from "./broker-process.ts";
import { connectPorts, settledRedis } from "./fixtures.ts";
import { uniqueName } from "./port.ts";
import { RedisServer } from "./redis-server.ts";

describe.if(brokersAreWanted())("a link over pub/sub", () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await RedisServer.start();
  });
  afterAll(() => server.stop());

  test("answers a node whose frame came before the news of its session", async () => {
    const cluster = uniqueName("early");
    const [asker, owner] = await Promise.all(
      [1, 2].map(() => connectPorts(settledRedis(server), cluster)),
    );
    const answers: number[] = [];
    await asker!.link.open(asker!.incarnation, {
      received: (_, [byte = 0]) => answers.push(byte) > 0,
      connected() {},
    });
    await owner!.link.open(owner!.incarnation, {
      received(incarnation) {
        // Only the session would tell its address; the answer does not wait for that.
        owner!.link.send({ incarnation, address: "" }, Uint8Array.of(7));
        return true;
      },
      connected() {},
    });
    const { incarnation } = owner!;
    asker!.link.send({ incarnation, address: incarnation }, Uint8Array.of(1));
    await waitUntil("it is answered", () => answers.length > 0);
    expect(answers).toEqual([7]);
    for (const { link } of [asker!, owner!]) await link.close();
  }, 20_000);
});
