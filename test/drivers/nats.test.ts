/** The NATS driver passes the contracts. */
import { afterAll, beforeAll, describe, test } from "bun:test";
import { natsCases } from "./fixtures.ts";
import { brokersAreWanted } from "./broker-process.ts";
import { NatsServer } from "./nats-server.ts";

describe.if(brokersAreWanted())("over one server", () => {
  let server: NatsServer;

  beforeAll(async () => {
    server = await NatsServer.start();
  });

  afterAll(() => server.stop());

  for (const { name, run } of natsCases(() => server.url)) test(name, run, 30_000);
});
