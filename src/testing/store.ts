/**
 * The store of a simulated cluster: a place of its own, which requests reach late or never, and
 * whose answers may be lost. What is on its way arrives also for a node that has died meanwhile, or
 * was told that the outcome is unknown: so a zombie writes late. Nothing arrives twice. Chance is
 * asked for nothing before a node asks the store for something.
 */
import { CatgaError } from "../base/errors.ts";
import { Shelf } from "../drivers/memory/shelf.ts";
import type { Store, StoredEntity, StoreWrite } from "../ports/store.ts";
import { checkSizes } from "../protocol/state-size.ts";
import type { World } from "./world.ts";

/** What requests to the store and its answers suffer; as in `Network`. */
export interface StoreNetwork {
  /** @default 0 */
  readonly drop?: number;
  /** Shortest and longest, each way. @default [0.1, 1] */
  readonly delay?: readonly [min: number, max: number];
}

/** How the store stands in cuts of the network. */
export const STORE = "store";

/** Who was not answered by then is told that nobody knows. */
const ANSWER_TIMEOUT_MS = 1_000;
/** Below that of real ones, so that a test finds what is too large with little. */
const BYTES_MAX = 262_144;

interface Request<T> {
  readonly carryOut: () => T;
  /** What becomes of it when it does not arrive whole. */
  readonly breakOff?: () => void;
}

/** See the file's header. */
export class SimulatedStore {
  network: StoreNetwork = {};
  readonly #shelf = new Shelf();
  readonly #world: World;
  readonly #isCutOff: (node: string) => boolean;

  constructor(world: World, isCutOff: (node: string) => boolean) {
    this.#world = world;
    this.#isCutOff = isCutOff;
  }

  /** What is kept of an entity. */
  stored(entity: string, id: string): StoredEntity | undefined {
    return this.#shelf.get({ entity, id });
  }

  /** The store as one start of a node has it. */
  connect(node: string): Store {
    const underWay = new Set<Promise<unknown>>();
    let isClosed = false;
    const ask = async <T>(request: Request<T>): Promise<T> => {
      if (isClosed) throw unavailable("it is closed");
      const asked = this.#ask(node, request);
      underWay.add(asked);
      try {
        return await asked;
      } finally {
        underWay.delete(asked);
      }
    };
    const shelf = this.#shelf;
    return {
      identity: STORE,
      bytesMax: BYTES_MAX,
      load: (key) => ask({ carryOut: () => shelf.load(key) }),
      write: async (writes) => {
        checkSizes(writes, BYTES_MAX);
        const sent = [...writes];
        const carryOut = () => sent.map((write) => shelf.write(write, this.#world.nowMs));
        return ask({ carryOut, breakOff: () => this.#begin(sent) });
      },
      due: (where, untilMs, limit) => ask({ carryOut: () => shelf.due(where, untilMs, limit) }),
      page: (after) => ask({ carryOut: () => shelf.page(after) }),
      async close() {
        isClosed = true;
        await Promise.allSettled(underWay);
      },
    };
  }

  /** Carries out the first of `writes`, as many as it happens, and never all of them. */
  #begin(writes: readonly StoreWrite[]): void {
    if (writes.length < 2) return;
    const count = Math.floor(this.#world.fraction() * writes.length);
    for (const write of writes.slice(0, count)) this.#shelf.write(write, this.#world.nowMs);
  }

  #ask<T>(node: string, { carryOut, breakOff }: Request<T>): Promise<T> {
    const world = this.#world;
    const aheadMs = world.aheadMs(node);
    return new Promise((resolve, reject) => {
      const late = () => reject(unavailable("it did not answer"));
      const stopWaiting = world.schedule(node, aheadMs + ANSWER_TIMEOUT_MS, late);
      if (this.#isCutOff(node)) return;
      const isLost = this.#isLost();
      const delayMs = aheadMs + this.#delay();
      world.carry({ to: STORE, kind: "request", delayMs }, () => {
        if (isLost) return breakOff?.();
        const result = carryOut();
        if (this.#isCutOff(node) || this.#isLost()) return;
        world.carry({ to: node, kind: "answer", delayMs: this.#delay() }, () => {
          stopWaiting();
          resolve(result);
        });
      });
    });
  }

  #isLost(): boolean {
    return this.#world.fraction() < (this.network.drop ?? 0);
  }

  #delay(): number {
    const [min, max] = this.network.delay ?? [0.1, 1];
    return min + this.#world.fraction() * (max - min);
  }
}

function unavailable(reason: string): CatgaError<"STORE_UNAVAILABLE"> {
  return new CatgaError("STORE_UNAVAILABLE", { store: "simulation", reason });
}
