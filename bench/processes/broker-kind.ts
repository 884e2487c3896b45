/** The brokers that are measured, how the bench names them, and how a process is told of one. */

/** A part of the bench, and the scheme of the broker's address. */
export type BrokerKind = "nats" | "redis";

/** An address, as `Cluster.start` takes it. */
export type BrokerUrl = `${BrokerKind}://${string}`;

/** Which broker is at `url`. */
export function kindOf(url: string): BrokerKind {
  return url.startsWith("nats:") ? "nats" : "redis";
}

/** Where the nodes of a cluster meet: at the broker at `url`, without one on this machine. */
export function placeOf(
  name: string,
  url: string,
): { readonly name: string; readonly transport?: BrokerUrl } {
  return url === "" ? { name } : { name, transport: url as BrokerUrl };
}

/** Loads what a node loads when it is started with `url`. */
export async function loadClientOf(url: string): Promise<void> {
  if (url === "") return;
  if (kindOf(url) === "nats") await import("../../src/drivers/nats/index.ts");
  else await Promise.all([import("../../src/drivers/redis/index.ts"), import("ioredis")]);
}
