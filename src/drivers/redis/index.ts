/** `catga/redis`: several machines that meet at a Redis server, or keep their entities there. */
import { sayExposure } from "../tcp/exposure.ts";
import type { Driver } from "../../ports/driver.ts";
import type { StoreDriver } from "../../ports/store.ts";
import { checkName } from "../../protocol/ids.ts";
import { accessOf, type RedisOptions } from "./access.ts";
import { RedisAuthority } from "./authority.ts";
import { PubSubLink } from "./link.ts";
import { keysOf } from "./scripts.ts";
import { RedisStore } from "./store.ts";

export type { RedisOptions } from "./access.ts";

const OPTIONS = "url host port username password tls client prefix".split(" ");

/**
 * A transport for `Cluster.start`, a store, or both: nodes of one cluster name meet at one Redis
 * server, 6.2 or newer, or keep the state of their entities there.
 *
 * @throws {TypeError} for an option that is not known, an address or a prefix that is not legal.
 */
export function redis(options: string | RedisOptions = {}): Driver & StoreDriver {
  const given = typeof options === "string" ? { url: options } : options;
  const extra = Object.keys(given).find((option) => !OPTIONS.includes(option));
  if (extra !== undefined) throw new TypeError(`Cannot use Redis: no option "${extra}"`);
  const { prefix = "catga" } = given;
  checkName(prefix, "prefix");
  const access = accessOf(given);
  const gates = new Map<string, number>();
  return {
    name: "redis",
    async connect({ cluster, leaseMs, clock, random, log, unsafe }) {
      const keys = keysOf(prefix, cluster);
      const parts = { access, clock, random, log, unsafe };
      await sayExposure(access, unsafe);
      return {
        authority: new RedisAuthority({ ...parts, keys, leaseMs, gates }),
        link: new PubSubLink({ ...parts, channels: `{${prefix}:${cluster}}:to:` }),
      };
    },
    async open({ cluster, shardCount, clock, random, log, unsafe }) {
      await sayExposure(access, unsafe);
      const tag = `{${prefix}:${cluster}}`;
      return RedisStore.open({ access, clock, random, log, unsafe, tag, shardCount });
    },
  };
}
