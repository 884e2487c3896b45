/**
 * The NATS driver: nodes of any machines that reach one broker, or one cluster of brokers, or keep
 * their entities there.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import { sayExposure } from "../tcp/exposure.ts";
import { CatgaError } from "../../base/errors.ts";
import type { Clock } from "../../base/clock.ts";
import type { Driver } from "../../ports/driver.ts";
import type { StoreDriver } from "../../ports/store.ts";
import { type Access, exposureTo, openConnection, serversOf } from "./access.ts";
import { NatsAuthority } from "./authority.ts";
import { Bucket } from "./bucket.ts";
import { NatsLink } from "./link.ts";
import type { Connection } from "./connection.ts";
import { NatsStore } from "./store.ts";
import { namesOf, storeBucketsOf } from "./subject.ts";

/** See each option; all have defaults. */
export interface NatsOptions extends Access {
  /** A connection of one's own instead of `servers`; the driver never closes it. */
  readonly connection?: NatsConnection;
  /** Letters and digits. Clusters under different prefixes never meet. @default "catga" */
  readonly prefix?: string;
  /**
   * How many servers of a NATS cluster keep the records; several need nats-server 2.9.21.
   *
   * @default 1 for a new bucket; one that is there is taken as it is
   */
  readonly replicas?: number;
}

const OPTIONS = "servers user pass token credentials tls connection prefix replicas".split(" ");

/**
 * A transport for `Cluster.start`, a store, or both, at a NATS server with JetStream. `secret`
 * has no say here, the broker's accounts have. Takes a URL, or options.
 *
 * @throws {TypeError} for an unknown option, an address that is none, a prefix that is not legal
 */
export function nats(given: string | NatsOptions = {}): Driver & StoreDriver {
  const options: NatsOptions = typeof given === "string" ? { servers: given } : given;
  const extra = Object.keys(options).find((option) => !OPTIONS.includes(option));
  if (extra !== undefined) throw new TypeError(`Cannot use NATS: no option "${extra}"`);
  const { connection: ready, prefix = "catga", replicas } = options;
  if (!/^[A-Za-z0-9]{1,32}$/.test(prefix)) {
    throw new TypeError(`Cannot use prefix ${JSON.stringify(prefix)}: write letters and digits`);
  }
  if (replicas !== undefined && ![1, 2, 3, 4, 5].includes(replicas)) {
    throw new RangeError(`Cannot use replicas ${replicas}: write 1 to 5`);
  }
  const servers = ready ? [new URL(`nats://${ready.getServer()}`)] : serversOf(options);
  const address = servers.map(({ host }) => host).join(", ");
  const open = async (
    name: string,
    clock: Clock,
    unsafe: (what: string) => void,
  ): Promise<Connection> => {
    if (ready?.isClosed()) {
      throw new CatgaError("BROKER_UNREACHABLE", { address, reason: "it is closed" });
    }
    const client = ready ?? (await openConnection(options, servers, name));
    await sayExposure(exposureTo(servers, client.info, options), unsafe);
    return { client, clock, address, isOwn: ready === undefined };
  };
  return {
    name: "nats",
    async connect({ cluster, incarnation, leaseMs, clock, unsafe }) {
      const connection = await open(incarnation, clock, unsafe);
      const names = namesOf(prefix, cluster);
      const bucket = new Bucket({ connection, names, replicas });
      return {
        authority: new NatsAuthority({ connection, bucket, leaseMs, feed: names.feed }),
        link: new NatsLink(connection, names.nodes),
      };
    },
    async open({ cluster, shardCount, clock, random, unsafe }) {
      const connection = await open(`store of ${cluster}`, clock, unsafe);
      const buckets = storeBucketsOf(prefix, cluster);
      return NatsStore.open({ connection, random, buckets, shardCount, replicas });
    },
  };
}
