/** The brokers of the fault tests, and how to tell one life of a broker from the next. */
import { createConnection } from "node:net";
import { NatsServer } from "../drivers/nats-server.ts";
import { RedisServer } from "../drivers/redis-server.ts";

/** What nodes meet at. */
export type DriverName = "embedded" | "nats" | "redis";

/** A server that a scenario may do anything to. */
export type Broker = NatsServer | RedisServer;

/**
 * What a Redis keeps: all it has acknowledged, or nothing. With `appendfsync everysec`, its
 * default, it answers up to two seconds before it writes at all, where its disk is busy.
 */
export type Persistence = "appendonly" | "none";

/** Starts the broker of a driver; the embedded one has none. */
export async function startBroker(
  driver: DriverName,
  persistence: Persistence,
): Promise<Broker | undefined> {
  if (driver === "nats") return NatsServer.start();
  if (driver === "embedded") return undefined;
  const isKept = persistence === "appendonly";
  return RedisServer.start(...(isKept ? ["--appendfsync", "always"] : ["--appendonly", "no"]));
}

/** Which process answers at the broker's port; nothing when none does within `timeoutMs`. */
export function lifeOf({ port, url }: Broker, timeoutMs: number): Promise<string | undefined> {
  const socket = createConnection({ host: "127.0.0.1", port, timeout: timeoutMs });
  if (url.startsWith("redis:")) socket.write("INFO server\r\n");
  let text = "";
  return new Promise<string | undefined>((resolve) => {
    socket.on("data", (bytes) => {
      text += bytes.toString();
      const life = /"server_id":"(\w+)"|run_id:(\w+)/.exec(text);
      if (life !== null) resolve(life[1] ?? life[2]);
    });
    for (const event of ["timeout", "error", "close"]) socket.once(event, () => resolve(undefined));
  }).finally(() => socket.destroy());
}
