/** The Redis driver passes the contracts, against a real server. */
import { afterAll, beforeAll, describe, test } from "bun:test";
import { redisCases } from "./fixtures.ts";
import { brokersAreWanted } from "./broker-process.ts";
import { RedisServer } from "./redis-server.ts";

describe.if(brokersAreWanted())("redis", () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await RedisServer.start();
  });
  afterAll(() => server.stop());

  for (const { name, run } of redisCases(() => server)) test(name, run, 30_000);
});
