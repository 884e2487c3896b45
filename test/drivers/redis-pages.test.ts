/** An export from Redis goes on where the server starts again: its cursors mean nothing then. */
import { afterAll, expect, test } from "bun:test";
import { redis } from "../../src/drivers/redis/index.ts";
import { put, someKey, versionOf } from "../contracts/kept.ts";
import { brokersAreWanted } from "./broker-process.ts";
import { RedisServer } from "./redis-server.ts";
import { openStore } from "./store-fixture.ts";

let server: RedisServer | undefined;
afterAll(() => server?.stop());

test.if(brokersAreWanted())(
  "what a Redis server has is shown whole, though it is started again between two pages",
  async () => {
    server = await RedisServer.start();
    const store = await openStore(redis(server.url), "pages");
    const keys = Array.from({ length: 2_000 }, () => someKey());
    for (const result of await store.write(keys.map((key) => put(key)))) versionOf(result);
    const seen = new Set<string>();
    let after: string | undefined;
    for (let pages = 0; pages === 0 || after !== undefined; pages++) {
      if (pages === 8 || pages === 20) {
        await server.kill();
        await server.resume();
      }
      const { found, next } = await store.page(after);
      for (const { id } of found) seen.add(id);
      after = next;
    }
    expect(keys.filter(({ id }) => !seen.has(id))).toEqual([]);
    await store.close();
  },
  20_000,
);
