/**
 * Nodes whose time the test owns: the real runtime on the memory driver with a virtual clock, so
 * that ten idle minutes pass at once and nothing depends on the machine.
 */
import type { AnyEntity, ClusterOptions, Logger, Ref } from "../../src/index.ts";
import { EntityRef, type RefTarget } from "../../src/api/ref.ts";
import { settingsOf } from "../../src/api/options.ts";
import type { Clock } from "../../src/base/clock.ts";
import { systemRandom } from "../../src/base/random.ts";
import { memory } from "../../src/drivers/memory/index.ts";
import { Node } from "../../src/runtime/node.ts";
import { loadStateCodec } from "../../src/runtime/packet.ts";
import type { RefRequest } from "../../src/runtime/turn-context.ts";

interface Timer {
  readonly atMs: number;
  readonly run: () => void;
}

/** Time that moves only when it is told to; what is due runs in its order, microtasks between. */
export class VirtualClock implements Clock {
  #nowMs = 1_000;
  #timers: Timer[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  }

  yield(run: () => void): void {
    this.after(0, run);
  }

  /** Lets time pass without anything running in it: user code that blocks the event loop. */
  block(ms: number): void {
    this.#nowMs += ms;
  }

  /** Moves on by `ms` and runs everything that becomes due, and what that makes due. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      await settled();
      const next = this.#timers.toSorted((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#timers.splice(this.#timers.indexOf(next), 1);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
    }
    this.#nowMs = untilMs;
  }

  /** Runs until `promise` has settled, as long as it takes; its value or its error. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const done = (): void => {
      isSettled = true;
    };
    promise.then(done, done);
    for (let i = 0; i < 100_000; i++) {
      await settled();
      if (isSettled) return promise;
      await this.advance(1);
    }
    throw new Error("what was waited for never happened");
  }
}

/** Gives every promise that is ready its turn. */
async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

/** A node, its clock, and typed references to its entities. */
export interface VirtualNode {
  readonly clock: VirtualClock;
  readonly node: Node;
  readonly entity: <E extends AnyEntity>(target: E, id: string) => Ref<E["messages"]>;
}

/** What a virtual node may be given. */
export interface VirtualOptions extends Omit<ClusterOptions<readonly AnyEntity[]>, "log"> {
  readonly clock?: VirtualClock;
  readonly log?: Logger;
}

/** Starts a node in virtual time. */
export async function startVirtual(options: VirtualOptions): Promise<VirtualNode> {
  const { clock = new VirtualClock(), ...rest } = options;
  const settings = settingsOf({ transport: memory(), ...rest }, systemRandom);
  const starting = Node.start({ ...settings, clock, random: systemRandom }, (router, request) => {
    return new EntityRef({ router }, request as RefRequest<RefTarget>);
  });
  // It would be loaded in real time, which no clock of a test can wait for.
  await loadStateCodec();
  let isStarted = false;
  const started = starting.finally(() => (isStarted = true));
  for (;;) {
    await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(1);
    if (isStarted) break;
  }
  const node = await started;

  return {
    clock,
    node,
    entity: (target, id) =>
      new EntityRef(node, { target, id, boundMs: Number.POSITIVE_INFINITY }) as never,
  };
}
