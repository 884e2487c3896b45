/** The embedded driver: several processes on one machine, and no broker. */
import { join } from "node:path";
import { hash } from "../../base/hash.ts";
import type { Driver } from "../../ports/driver.ts";
import { TcpLink } from "../tcp/link.ts";
import { HubAuthority } from "./authority.ts";
import { HOST } from "./hub.ts";
import { Register } from "./register.ts";
import { loadSecret, runtimeFolder } from "./secret.ts";

/** Below the range from which the kernel takes ports for outgoing connections. */
const PORT_MIN = 20_000;
const PORT_SPAN = 12_768;
const ANY_PORT = { host: HOST, port: 0 };

/** The processes of this machine and this user; with `port` the hub listens there. */
export function embedded(options: { readonly port?: number } = {}): Driver {
  return {
    name: "embedded",
    async connect({ cluster, incarnation, secret: given, leaseMs, clock, log }) {
      const port = options.port ?? PORT_MIN + (hash(cluster) % PORT_SPAN);
      const who = { cluster, secret: given ?? loadSecret(cluster), incarnation, log };
      const folder = join(runtimeFolder(), `${cluster}-${port}`);
      const register = new Register(folder, incarnation, leaseMs);
      const authority = new HubAuthority({ ...who, port, clock, leaseMs, register });
      return { authority, link: new TcpLink({ ...who, purpose: "link" }, ANY_PORT) };
    },
  };
}
