/** What the options of a message with a name of its own come to: all checked, all defaults set. */
import { durationMs } from "../base/duration.ts";
import { CatgaError, cut, describeError } from "../base/errors.ts";
import { hash } from "../base/hash.ts";
import { DEDUP_MS, HANDLERS_AT_ONCE } from "../base/limits.ts";
import { isWhole } from "../base/shape.ts";
import { wholeKey } from "../mediator/answers.ts";
import type {
  CacheSpec,
  InvalidationSpec,
  KeyFunction,
  NamedSpec,
  RouteSpec,
} from "../mediator/definition.ts";
import type { Balancer, Strategy } from "../mediator/balance.ts";
import { checkEntityId, checkName, handlerEntity } from "../protocol/ids.ts";
import type { AnyEntity } from "./entity.ts";
import type { Kind } from "./messages.ts";

type Fields = Readonly<Record<string, unknown>>;
type Refuse = (why: string) => TypeError;

const COMMON = "input reply timeout route fallback concurrency ";
const OPTIONS: Readonly<Record<Kind, string>> = {
  command: `${COMMON}idempotency`,
  query: `${COMMON}cache`,
  event: "input key",
};
/** What each strategy takes. */
const STRATEGIES: Readonly<Record<string, string>> = {
  consistentHash: "key",
  roundRobin: "",
  random: "",
  leastConnections: "",
  leastLoad: "",
  localFirst: "fallback",
  custom: "balancer",
  broadcast: "quorum",
  entity: "entity key",
};

/**
 * Checks a message with its own name.
 *
 * @throws {TypeError | RangeError} that says what is wrong.
 */
export function namedSpecOf(kind: Kind, type: string, options: object): NamedSpec {
  checkName(type, "message type");
  const refuse: Refuse = (why) => new TypeError(`Cannot define "${type}": ${why}`);
  refuseOthers(options as Fields, OPTIONS[kind], refuse);
  const { timeout, fallback, concurrency = HANDLERS_AT_ONCE, key } = options as Fields;
  const { route, idempotency, cache } = options as Readonly<Record<string, Fields | undefined>>;
  if (fallback !== undefined && typeof fallback !== "function") {
    throw refuse("fallback must be a function");
  }
  if (!isWhole(concurrency) || concurrency === 0) {
    throw refuse("concurrency must be a whole number from 1");
  }
  const once = idempotency === undefined ? undefined : onceOf(idempotency, type, refuse);
  const kept = cache === undefined ? undefined : cacheOf(cache, type, refuse);
  const way = routeOf(route, type, refuse);
  if (way.to === "entity" && (once?.windowMs ?? 0) > DEDUP_MS) {
    throw refuse("an entity remembers keys for 10 minutes");
  }
  return {
    type,
    entity: handlerEntity(type),
    kind,
    timeoutMs: timeout === undefined ? undefined : durationMs(timeout as number, "timeout"),
    route: withKey(way, once?.key ?? sharedKey(kept, type), refuse),
    cache: kept,
    fallback: fallback as NamedSpec["fallback"],
    concurrency,
    idempotency: once,
    key: key === undefined ? undefined : keyFunction(key, type),
  };
}

function onceOf(once: Fields, type: string, refuse: Refuse): NamedSpec["idempotency"] {
  refuseOthers(once, "key window", refuse);
  const windowMs = durationMs(once["window"] as number, "idempotency.window");
  return { key: keyFunction(once["key"], type), windowMs };
}

/**
 * The function that reads the key of a message.
 *
 * @throws {TypeError} when `key` is neither a name nor a function
 */
export function keyFunction(key: unknown, type: string): KeyFunction {
  if (typeof key !== "function" && (typeof key !== "string" || key === "")) {
    throw new TypeError(`Cannot define "${type}": a key is the name of a field, or a function`);
  }
  const read =
    typeof key === "function"
      ? (key as (message: object) => unknown)
      : (message: object) => (message as Fields)[key];
  const from = typeof key === "string" ? `field "${key}"` : "function";
  const refuse = (why: string, cause?: unknown): CatgaError => {
    const details = { message: type, reason: `its key, of the ${from}, ${why}` };
    return new CatgaError("INVALID_KEY", details, { cause });
  };
  return (message) => {
    let found: unknown;
    try {
      found = read(message);
    } catch (error) {
      const { name, text } = describeError(error);
      throw refuse(`threw ${name}: ${text}`, error);
    }
    const isKey = typeof found === "string" || typeof found === "bigint" || Number.isFinite(found);
    if (!isKey) {
      const { type: _, ...fields } = message as Fields;
      const others = found === undefined ? `; the message has ${Object.keys(fields).join()}` : "";
      throw refuse(`is ${typeof found === "number" ? found : kindOf(found)}${cut(others)}`);
    }
    const text = String(found);
    checkEntityId(text);
    return text;
  };
}

function kindOf(value: unknown): string {
  return value === null ? "null" : typeof value;
}

/** The event that an invalidation is by, and its key. */
function invalidationOf(given: unknown, refuse: Refuse): InvalidationSpec {
  const { by = given, key } = (given ?? {}) as { by?: unknown; key?: KeyFunction };
  const { type, kind } = (by ?? {}) as { type?: unknown; kind?: unknown };
  const isKeyed = typeof given === "function" || typeof key === "function";
  if (!isKeyed || typeof by !== "function" || typeof type !== "string" || kind === "query") {
    throw refuse("invalidatedBy must list commands, events or invalidate(…)");
  }
  return { type, key: typeof given === "function" ? undefined : key };
}

function cacheOf(cache: Fields, type: string, refuse: Refuse): CacheSpec {
  refuseOthers(cache, "ttl key scope staleWhileRevalidate invalidatedBy", refuse);
  const { ttl, key, scope = "local", staleWhileRevalidate: stale = 0, invalidatedBy = [] } = cache;
  if (scope !== "local" && scope !== "cluster") throw refuse(`no scope "${String(scope)}"`);
  if (!Array.isArray(invalidatedBy)) throw refuse("invalidatedBy must be a list");
  return {
    ttlMs: durationMs(ttl as number, "cache.ttl"),
    staleMs: durationMs(stale as number, "cache.staleWhileRevalidate"),
    key: key === undefined ? undefined : keyFunction(key, type),
    isShared: scope === "cluster",
    invalidatedBy: invalidatedBy.map((each) => invalidationOf(each, refuse)),
  };
}

/** What all nodes keep together lies with the owner of its key, or of the whole payload. */
function sharedKey(cache: CacheSpec | undefined, type: string): KeyFunction | undefined {
  if (cache?.isShared !== true) return undefined;
  return cache.key ?? ((message) => String(hash(wholeKey(type, message))));
}

/** An idempotency key leads to its owner, if the message has no other key. */
function withKey(route: RouteSpec, key: KeyFunction | undefined, refuse: Refuse): RouteSpec {
  if (key === undefined || route.to === "owner" || route.to === "entity") return route;
  if (route.to === "all") throw refuse("a broadcast has no idempotency, and no cache for all");
  return { to: "owner", key };
}

function routeOf(route: Fields = ROUND_ROBIN, type: string, refuse: Refuse): RouteSpec {
  if (route === null) throw refuse("an option is no object");
  const { strategy, key, balancer, quorum = "all", fallback = "roundRobin" } = route;
  if (typeof strategy !== "string" || !Object.hasOwn(STRATEGIES, strategy)) {
    const known = Object.keys(STRATEGIES).join(", ");
    throw refuse(`no strategy "${String(strategy)}", there are ${known}`);
  }
  refuseOthers(route, `strategy ${STRATEGIES[strategy]}`, refuse);
  switch (strategy) {
    case "consistentHash":
      return { to: "owner", key: keyFunction(key, type) };
    case "entity":
      return { to: "entity", entity: entityOf(route, type, refuse), key: keyFunction(key, type) };
    case "broadcast":
      if (quorum === "all" || quorum === "majority" || (isWhole(quorum) && quorum > 0)) {
        return { to: "all", quorum };
      }
      throw refuse('quorum must be "all", "majority" or a whole number from 1');
    case "custom":
      if (typeof balancer !== "function") throw refuse("balancer must be a function");
      return { to: "node", strategy: balancer as Balancer, local: undefined };
    case "localFirst":
      if (fallback === "fail") return { to: "node", strategy: "random", local: "only" };
      if (fallback !== "roundRobin" && fallback !== "leastLoad") {
        throw refuse('fallback must be "roundRobin", "leastLoad" or "fail"');
      }
      return { to: "node", strategy: fallback, local: "preferred" };
    default:
      return { to: "node", strategy: strategy as Strategy, local: undefined };
  }
}

function entityOf({ entity }: Fields, type: string, refuse: Refuse): string {
  const { name, messages } = (entity ?? {}) as Partial<AnyEntity>;
  if (typeof name === "string" && messages !== undefined && Object.hasOwn(messages, type)) {
    return name;
  }
  throw refuse("route.entity must be an entity that has it among its messages");
}

function refuseOthers(given: Fields, allowed: string, refuse: Refuse): void {
  if (typeof given !== "object" || given === null) throw refuse("an option is no object");
  const known = allowed.trim().split(" ");
  const extra = Object.keys(given).find((option) => !known.includes(option));
  if (extra !== undefined) throw refuse(`no option "${extra}" there, only ${known.join(", ")}`);
}

const ROUND_ROBIN = { strategy: "roundRobin" };
