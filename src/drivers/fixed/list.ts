/**
 * A list of nodes that is the same everywhere and never changes: what its entries mean, and which
 * of them this process is.
 */
import { hostname, networkInterfaces } from "node:os";

/** An entry of the list. */
export interface Member {
  /** Its node id: the host, with the port where several entries share a host. */
  readonly node: string;
  readonly host: string;
  readonly port: number;
  /** `<host>:<port>`. */
  readonly address: string;
}

/** What options say of a list; see `ClusterOptions`. */
export interface ListOptions {
  readonly nodes?: readonly string[];
  readonly nodeId?: string;
  readonly transport?: unknown;
  readonly secret?: string;
  readonly tls?: unknown;
  readonly weight?: number;
  readonly entities?: readonly unknown[];
  readonly handlers?: readonly unknown[];
}

const ENTRY = /^(?:http|tcp):\/\/(\[[0-9a-f:.]+\]|[a-z0-9_.-]+):(\d{1,5})\/?$/i;

/**
 * The list of the options, if they have one.
 *
 * @throws {TypeError} for a list that makes no sense, or options that it does not go with.
 */
export function listOf({ nodes, ...options }: ListOptions): Member[] | undefined {
  if (nodes === undefined) {
    if (options.tls === undefined) return undefined;
    throw new TypeError("Cannot use tls without a list of nodes: a broker's driver has its own");
  }
  const { transport, secret, weight = 1 } = options;
  const why =
    (transport !== undefined && "leave transport out") ||
    (secret === undefined && "they prove by a secret that they belong together, write one") ||
    (weight !== 1 && "each has its share of the entities, leave weight out");
  if (why !== false) throw new TypeError(`Cannot use a list of nodes: ${why}`);
  return readList(nodes);
}

/**
 * Reads `http://<host>:<port>` or `tcp://<host>:<port>`; the order means nothing.
 *
 * @throws {TypeError} for an empty list, and an entry that is no address or stands there twice.
 */
export function readList(urls: readonly string[]): Member[] {
  if (!Array.isArray(urls) || urls.length === 0) {
    throw new TypeError("Cannot use an empty list of nodes");
  }
  const places = urls.map(placeOf);
  const hosts = places.map(({ host }) => host);
  const members = places.map(({ host, port }): Member => {
    const isShared = hosts.indexOf(host) !== hosts.lastIndexOf(host);
    const name = host.replaceAll(/[^\w.-]/g, "-").replace(/^[^a-z0-9]+/, "");
    const address = `${host}:${port}`;
    return { node: isShared ? `${name}-${port}` : name, host, port, address };
  });
  for (const key of ["address", "node"] as const) {
    const twice = members.find((a, i) => members.findIndex((b) => a[key] === b[key]) < i);
    if (twice !== undefined) throw new TypeError(`Cannot use node "${twice.address}" twice`);
  }
  return members.sort((a, b) => (a.node < b.node ? -1 : 1));
}

function placeOf(url: unknown): { readonly host: string; readonly port: number } {
  // Not every object has a text.
  const text = typeof url === "string" ? url : typeof url;
  const [, name = "", digits] = ENTRY.exec(text) ?? [];
  const port = Number(digits);
  if (port > 0 && port < 65_536) return { host: name.replaceAll(/[[\]]/g, "").toLowerCase(), port };
  throw new TypeError(`Cannot use node "${text}": write "http://<host>:<port>"`);
}

/**
 * The id of this process's node: the entry that `nodeId` names by its id, address or URL, or else
 * the only one on this machine. Nothing for a process that is not of the list, which may only call.
 *
 * @throws {TypeError} when a process with entities or handlers cannot be found in the list.
 */
export function nodeOfList(
  list: readonly Member[],
  { nodeId, entities = [], handlers = [] }: ListOptions,
): string | undefined {
  const named = list.find(
    ({ node, address }) => node === nodeId || address === nodeId?.replace(/^\w+:\/\//, ""),
  );
  if (named !== undefined) return named.node;
  if (entities.length + handlers.length === 0) return nodeId;
  const here = list.filter(({ host }) => isHere(host));
  if (nodeId === undefined && here.length === 1) return here[0]!.node;
  const ids = list.map(({ node }) => node).join(", ");
  throw new TypeError(`Cannot tell which node of the list this is: set nodeId to one of ${ids}`);
}

function isHere(host: string): boolean {
  if (host === "localhost" || host === hostname().toLowerCase()) return true;
  return Object.values(networkInterfaces()).some((addresses) =>
    addresses?.some(({ address }) => address.toLowerCase() === host),
  );
}
