/** What every part of the edge is given: the cluster, what may be named, who may do what. */
import type { Context } from "hono";
import {
  type AnyEntity,
  CatgaError,
  type ClusterOf,
  type Logger,
  type MaybePromise,
} from "../index.ts";
import type { GatewayLimits } from "./limits.ts";
import type { Exposed } from "./target.ts";

/** What the edge needs of a cluster. */
export type GatewayCluster = Pick<
  ClusterOf<AnyEntity>,
  | "beforeStop"
  | "broadcast"
  | "entity"
  | "figures"
  | "health"
  | "nodeId"
  | "nodes"
  | "on"
  | "owner"
  | "plan"
  | "send"
  | "stop"
  | "subscribe"
  | "tell"
  | "watch"
>;

/** Who asks. A gateway's `auth` may return more than that, for its `authorize`. */
export interface Identity {
  /** One text for one user or program: what is limited or remembered per user goes by it. */
  readonly subject: string;
}

/** Finds out who asks; `undefined` for nobody that is known. */
export type Authenticate = (request: Request) => MaybePromise<Identity | undefined>;

/** What somebody wants to do. */
export interface Access {
  /** `inspect` reads how the cluster is; `drain` makes this node leave. */
  readonly action: "send" | "query" | "watch" | "subscribe" | "inspect" | "drain";
  /** An entity type by its name, with `id`. */
  readonly entity?: string;
  readonly id?: string;
  /** The message, or the event. */
  readonly message?: string;
}

/** Whether `identity` may do that. One that throws has said no. */
export type Authorize = (identity: Identity, access: Access) => MaybePromise<boolean>;

/** What the handlers of a request are told by those before them. */
export interface Told {
  readonly Variables: {
    /** Aborts when the caller hangs up. */
    signal: AbortSignal;
    /** Nobody in particular where the gateway has no `auth`. */
    identity: Identity | undefined;
    /** What stands on every answer; `headers.ts` alone uses it, and `atOnce`. */
    safe: Readonly<Record<string, string>>;
    atOnce: Response | undefined;
  };
}

/** Whether the node is about to leave, and what has to end before. */
export interface Draining {
  /** True from the moment that the node is told to stop. */
  readonly isDraining: boolean;
  /** Waits for something to end: the result says that it has. `end` is how it is told to. */
  hold(end?: () => void): () => void;
}

/** See the file's header. */
export interface Edge {
  readonly cluster: GatewayCluster;
  readonly exposed: Exposed;
  readonly log: Logger | undefined;
  readonly management: "off" | "read" | "full";
  readonly authorize: Authorize | undefined;
  readonly drain: Draining;
  readonly limits: GatewayLimits;
}

/**
 * Lets only those pass who may do that.
 *
 * @throws {CatgaError} FORBIDDEN
 */
export async function guard(c: Context<Told>, edge: Edge, access: Access): Promise<void> {
  const identity = c.get("identity");
  if (edge.authorize === undefined) return;
  let mayPass: unknown = false;
  try {
    if (identity !== undefined) mayPass = await edge.authorize(identity, access);
  } catch (error) {
    edge.log?.warn({ requestId: c.get("requestId"), access, err: error }, "authorize failed");
  }
  // Not just something true: a forgotten `await` inside would be.
  if (mayPass !== true) throw new CatgaError("FORBIDDEN", { action: access.action });
}
