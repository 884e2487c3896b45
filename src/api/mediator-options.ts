/** Options of `Cluster.start` for messages with a name of their own, and what becomes of them. */
import { type Duration, durationMs } from "../base/duration.ts";
import {
  CIRCUIT_HALF_OPEN,
  CIRCUIT_THRESHOLD,
  FAILOVER_RETRIES,
  RETRIES_MAX,
  RETRY,
} from "../base/limits.ts";
import { isWhole } from "../base/shape.ts";
import type { Handling, Wanted } from "../mediator/hosting.ts";
import type { FailoverSettings } from "../mediator/lane.ts";
import { type Middleware, wrapped } from "../runtime/middleware.ts";
import { type Handler, handlingOf } from "./named.ts";

/** How calls of messages with a name of their own are tried again elsewhere. */
export interface FailoverOptions {
  /** Tries after the first one, of what did not run or may run twice. @default 3 */
  readonly maxRetries?: number;
  /** Before the first of them; doubles, with jitter. @default "50ms" */
  readonly retryDelay?: Duration;
  /** Failures in a row that open a node's circuit for a type of message. @default 5 */
  readonly circuitBreakerThreshold?: number;
  /** After it has opened one call may try; when that fails, after twice as long. @default "1s" */
  readonly circuitHalfOpenAfter?: Duration;
}

/** What a node's mediator is given, besides what the node itself is. */
export interface MediatorSettings extends Pick<Wanted, "handlings" | "routed"> {
  readonly failover: FailoverSettings;
}

const FAILOVER = ["maxRetries", "retryDelay", "circuitBreakerThreshold", "circuitHalfOpenAfter"];

interface Given {
  readonly handlers?: readonly Handler[];
  readonly middleware?: readonly Middleware[];
}

/** Handlers of a node, each once. @throws {TypeError} */
export function handlingsOf({ handlers = [], middleware }: Given): Handling[] {
  if (!Array.isArray(handlers)) throw new TypeError("Cannot start a node: handlers must be a list");
  const types = new Set<string>();
  return handlers.map((each) => {
    const handling = handlingOf(each);
    const { type } = handling.spec;
    if (types.has(type)) throw new TypeError(`Cannot handle "${type}" twice on one node`);
    types.add(type);
    return { ...handling, run: wrapped(handling.run, { target: type, type }, middleware) };
  });
}

/** The options with their defaults. @throws {TypeError | RangeError} */
export function failoverOf(options: FailoverOptions): FailoverSettings {
  const extra = Object.keys(options).find((option) => !FAILOVER.includes(option));
  if (extra !== undefined) throw new TypeError(`Cannot use failover: no option "${extra}"`);
  const { maxRetries = FAILOVER_RETRIES, retryDelay = RETRY.firstMs } = options;
  const { circuitBreakerThreshold: threshold = CIRCUIT_THRESHOLD } = options;
  const { circuitHalfOpenAfter = CIRCUIT_HALF_OPEN.firstMs } = options;
  if (!isWhole(maxRetries) || maxRetries > RETRIES_MAX) {
    throw new RangeError(`Cannot use failover.maxRetries ${maxRetries}: write 0 to ${RETRIES_MAX}`);
  }
  if (!isWhole(threshold) || threshold === 0) {
    throw new RangeError(
      `Cannot use failover.circuitBreakerThreshold ${threshold}: write 1 at least`,
    );
  }
  const retryMs = durationMs(retryDelay, "failover.retryDelay");
  const halfOpenMs = durationMs(circuitHalfOpenAfter, "failover.circuitHalfOpenAfter");
  return {
    maxRetries,
    retry: { firstMs: retryMs, longestMs: Math.max(retryMs, RETRY.longestMs) },
    circuit: {
      threshold,
      halfOpen: {
        firstMs: halfOpenMs,
        longestMs: Math.max(halfOpenMs, CIRCUIT_HALF_OPEN.longestMs),
      },
    },
  };
}
