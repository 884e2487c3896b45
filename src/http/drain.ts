/**
 * How an edge ends with its node. From the moment that the node is told to stop it is not ready,
 * takes no new requests, and tells streams to go elsewhere; the node begins to leave when all that
 * was under way has ended, or half of the deadline of its stop has passed.
 */
import type { MiddlewareHandler } from "hono";
import { CatgaError } from "../index.ts";
import type { Draining, GatewayCluster, Told } from "./edge.ts";

/** What is under way at one edge. */
export class Drain implements Draining {
  readonly #held = new Set<() => void>();
  #requests = 0;
  #drained: (() => void) | undefined;

  constructor(cluster: GatewayCluster) {
    cluster.beforeStop(() => this.#begin());
  }

  get isDraining(): boolean {
    return this.#drained !== undefined;
  }

  hold(end: () => void = () => {}): () => void {
    const held = (): void => end();
    this.#held.add(held);
    if (this.isDraining) held();
    return () => {
      this.#held.delete(held);
      this.#left();
    };
  }

  /** How many requests are under way. */
  get requests(): number {
    return this.#requests;
  }

  /** A request begins. */
  enter(): void {
    this.#requests++;
  }

  /** A request has ended. */
  leave(): void {
    this.#requests--;
    this.#left();
  }

  #left(): void {
    if (this.#requests === 0 && this.#held.size === 0) this.#drained?.();
  }

  #begin(): Promise<void> {
    return new Promise((resolve) => {
      this.#drained = resolve;
      for (const end of Array.from(this.#held)) end();
      this.#left();
    });
  }
}

/** Stands before everything that is taken no more, or is one too many, and holds what was taken. */
export function heldBy(drain: Drain, node: string, requestsMax: number): MiddlewareHandler<Told> {
  return async (c, next) => {
    if (drain.isDraining) {
      c.header("Connection", "close");
      throw new CatgaError("CLUSTER_STOPPED", { node });
    }
    if (drain.requests >= requestsMax) {
      throw new CatgaError("OVERLOADED", { what: "requests at once", limit: requestsMax });
    }
    drain.enter();
    try {
      await next();
    } finally {
      drain.leave();
      // Whoever keeps the connection would ask a node that leaves.
      if (drain.isDraining) c.header("Connection", "close");
    }
  };
}
