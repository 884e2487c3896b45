/** What is looked at before a way to others is used: its age, and who can reach it. */
import { lookup } from "node:dns/promises";
import { CatgaError } from "../../base/errors.ts";

/** A way to others, as it was found. */
export interface Exposure {
  /** For people: no password. */
  readonly address: string;
  /** Names or addresses of its hosts, without ports. */
  readonly hosts: readonly string[];
  /** True when it asks who is there. */
  readonly hasLogin: boolean;
  readonly hasTls: boolean;
}

/** Where only this machine listens; who connects to nowhere comes out there, too. */
const LOOPBACK = /^(?:127\.|::ffff:127\.|::1?$|0\.0\.0\.0$)/;

/**
 * Says what is wrong with using it over a network, private ones included, without a login or
 * without TLS, if that is so. A host that nobody knows counts as one of a network.
 */
export async function sayExposure(
  found: Exposure,
  unsafe: (what: string) => void,
  remedy = "use tls:// or rediss://",
): Promise<void> {
  const { address, hosts, hasLogin, hasTls } = found;
  if ((await Promise.all(hosts.map(isLoopback))).every(Boolean)) return;
  const login =
    "without credentials, so whoever can reach it can act as a node: let it ask for them";
  const tls = `without TLS, so others may read what nodes say: ${remedy}`;
  const lacks = [...(hasLogin ? [] : [login]), ...(hasTls ? [] : [tls])].join("; and ");
  if (lacks !== "") unsafe(`${address} is used over a network ${lacks}`);
}

/**
 * Refuses a broker that is too old for `purpose`.
 *
 * @throws {CatgaError} BROKER_TOO_OLD
 */
export function checkAge(broker: string, version: string, needs: readonly [string, string]): void {
  const [minimum, purpose] = needs;
  if (version.localeCompare(minimum, "en", { numeric: true }) >= 0) return;
  throw new CatgaError("BROKER_TOO_OLD", { broker, purpose, minimum });
}

async function isLoopback(host: string): Promise<boolean> {
  const found = await lookup(host, { all: true }).catch(() => []);
  return found.length > 0 && found.every(({ address }) => LOOPBACK.test(address));
}
