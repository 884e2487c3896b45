/** The Redis driver passes the contracts, against a real server. */
import { afterAll, beforeAll, describe, test } from "bun:test";
import { redisCases } from "./fixtures.ts";
import { RedisServer, SKIPS_BROKERS } from "./redis-server.ts";

if (SKIPS_BROKERS) console.warn("CATGA_SKIP_BROKERS=1: the contracts of Redis are skipped");

describe.skipIf(SKIPS_BROKERS)("redis", () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await RedisServer.start();
  });
  afterAll(() => server.stop());

  for (const { name, run } of redisCases(() => server)) test(name, run, 30_000);
});
