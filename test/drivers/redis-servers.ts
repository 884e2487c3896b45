/** Redis servers of one test, which are stopped after it. */
import { RedisServer } from "./redis-server.ts";

const servers: RedisServer[] = [];

/** For `afterEach` of every file, after its nodes have stopped. */
export async function stopRedis(): Promise<void> {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
}

/** A server, with `options` of its command line. */
export async function serveRedis(...options: readonly string[]): Promise<RedisServer> {
  const server = await RedisServer.start(...options);
  servers.push(server);
  return server;
}
