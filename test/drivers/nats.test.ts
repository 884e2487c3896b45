/** The NATS driver passes the contracts. */
import { afterAll, beforeAll, test } from "bun:test";
import { natsCases } from "./fixtures.ts";
import { NatsServer } from "./nats-server.ts";

let server: NatsServer;

beforeAll(async () => {
  server = await NatsServer.start();
});

afterAll(() => server.stop());

for (const { name, run } of natsCases(() => server.url)) test(name, run, 30_000);
