/** How much a gateway takes: of one request, at once, and of one identity. */

/** What a gateway takes at most. */
export interface GatewayLimits {
  /** Bytes of a body; 413 beyond. @default 262_144 */
  readonly bodyBytesMax: number;
  /** Characters of a URL, as it is encoded; 414 beyond. @default 8_192 */
  readonly urlCharactersMax: number;
  /** Requests under way, without streams; 429 beyond, and for the next two. @default 1_000 */
  readonly requestsMax: number;
  /** Requests of one identity under way. @default 250 */
  readonly requestsPerIdentityMax: number;
  /**
   * Requests of one identity in a second; after a rest, so many at once. How many are fair, only
   * you know. @default as many as come
   */
  readonly requestsPerSecondMax: number;
  /** Streams of events; 429 beyond, as for the next. @default 8_000 */
  readonly streamsMax: number;
  /** Streams of one identity. @default 100 */
  readonly streamsPerIdentityMax: number;
}

const DEFAULTS: GatewayLimits = {
  // Far above what a message needs, far below what hurts, even a thousand times at once.
  bodyBytesMax: 262_144,
  // What proxies and servers take at least; a query that needs more is sent by POST.
  urlCharactersMax: 8_192,
  requestsMax: 1_000,
  // Nobody alone takes the places of all others.
  requestsPerIdentityMax: 250,
  requestsPerSecondMax: Infinity,
  // Each holds a connection, and `listen` takes more of them: calls and health checks get through.
  streamsMax: 8_000,
  streamsPerIdentityMax: 100,
};

/** The limits of a gateway. @throws {RangeError} for one that is not above 0. */
export function limitsOf(given: Partial<GatewayLimits> | undefined): GatewayLimits {
  const limits = { ...DEFAULTS, ...given };
  for (const [name, value] of Object.entries(limits)) {
    if (!(value >= 1)) throw new RangeError(`Cannot limit ${name} to ${value}: write 1 or more`);
  }
  return limits;
}
