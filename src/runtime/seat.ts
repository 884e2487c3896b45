/**
 * A process's place in the cluster. A node whose session is over (it was stopped for longer than
 * its lease, or the authority lost what it knew) ends with everything it had in memory; another one
 * takes its seat, so that the program goes on as a member.
 */
import { backoffMs } from "../base/backoff.ts";
import { RETRY, silenceMsMax } from "../base/limits.ts";
import { type FenceReason, Node } from "./node.ts";
import type { NodeOptions } from "./node-context.ts";
import type { Router, Ways } from "./router.ts";
import { type NodeInfo, nodesOf } from "./survey.ts";

/** See the file's header. */
export class Seat {
  readonly #options: NodeOptions;
  readonly #ways: Ways;
  #node: Node | undefined;
  readonly #before = new Set<() => Promise<void>>();
  #stopped: Promise<void> | undefined;
  readonly #failed = (error: unknown): void =>
    this.#options.log.error({ err: error }, "what was to be done before stopping failed");

  constructor(options: NodeOptions, ways: Ways) {
    this.#options = options;
    this.#ways = ways;
  }

  /** The node that sits here now; it takes no calls while the next one joins. */
  get node(): Node {
    return this.#node!;
  }

  /** Where calls go. */
  get router(): Router {
    return this.#node!.router;
  }

  /** Resolves when the node has joined. */
  async take(): Promise<void> {
    const fenced = (reason: FenceReason): void => {
      this.#takeAgain(reason).catch((error: unknown) => {
        this.#options.log.error({ err: error }, "cannot join anew, and will not try again");
      });
    };
    const node = await Node.start(this.#options, this.#ways, fenced);
    // Stopped meanwhile: nobody will ask this one to leave.
    if (this.#stopped !== undefined) return node.stop(0);
    this.#node = node;
  }

  /** Leaves for good; ends within `deadlineMs` from now. Twice is once. */
  stop(deadlineMs: number): Promise<void> {
    if (this.#stopped !== undefined) return this.#stopped;
    this.node.context.isStopping = true;
    let begun: (end: Promise<void>) => void;
    // There before anything begins: what is to be done before may ask for this very stop.
    this.#stopped = new Promise<void>((resolve) => (begun = resolve));
    begun!(this.#before.size === 0 ? this.node.stop(deadlineMs) : this.#prepare(deadlineMs));
    return this.#stopped;
  }

  /** Calls `run` before the node begins to leave; the result ends that. */
  beforeStop(run: () => unknown): () => void {
    if (typeof run !== "function") {
      throw new TypeError("Cannot call it before the node stops: it must be a function");
    }
    const call = async (): Promise<void> => void (await run());
    this.#before.add(call);
    // Too late to be waited for, but what it is to end shall not go on.
    if (this.#stopped !== undefined) call().catch(this.#failed);
    return () => void this.#before.delete(call);
  }

  async #prepare(deadlineMs: number): Promise<void> {
    const { clock } = this.#options;
    const endMs = clock.nowMs() + deadlineMs;
    const prepared = Promise.all(Array.from(this.#before, (call) => call().catch(this.#failed)));
    // The rest is for handing over, or one request that hangs would cost everything in memory.
    await new Promise<void>((resolve) => {
      const cancel = clock.after(deadlineMs / 2, resolve);
      prepared.finally(cancel).then(() => resolve(), resolve);
    });
    await this.node.stop(Math.max(0, endMs - clock.nowMs()));
  }

  async #takeAgain(reason: FenceReason): Promise<void> {
    const { clock, log, random, times } = this.#options;
    const before = nodesOf(this.node.context);
    // Of another authority nobody can ask who still may act under the one before.
    let waitMs = reason === "generation" ? silenceMsMax(times.timeoutMs) : 0;
    for (let tries = 0; ; tries++) {
      await new Promise<void>((resolve) => void clock.after(waitMs, resolve));
      if (this.#stopped !== undefined) return;
      try {
        await this.take();
        return this.#tell(before);
      } catch (error) {
        log.error({ err: error }, "cannot join anew, this is tried again");
        waitMs = backoffMs(tries, RETRY, random);
      }
    }
  }

  /** What happened to the cluster in the meantime. */
  #tell(before: readonly NodeInfo[]): void {
    const { events } = this.#options;
    const after = nodesOf(this.node.context);
    for (const { node } of without(after, before)) {
      events.emit("node-left", { node, reason: "failed" });
    }
    for (const { node, endpoint } of without(before, after)) {
      events.emit("node-joined", { node, endpoint });
    }
  }
}

/** Those of `nodes` that are not among `others`. */
function without(others: readonly NodeInfo[], nodes: readonly NodeInfo[]): NodeInfo[] {
  return nodes.filter((info) => !others.some(({ node }) => node === info.node));
}
