/**
 * A shard at the node that serves it, or prepares to: what the hot path asks, beside the state
 * machine that decides. Also the counters of the channels that end here, which move with the shard.
 */
import { NO_SHARD, type ShardState } from "../ownership/shard.ts";
import type { Channel } from "./channel.ts";
import type { PassivationReason } from "./definition.ts";

/** Something of a shard that is in memory. */
export interface Resident {
  /** Ends after the turns that run. */
  passivate(reason: PassivationReason): void;
  /** Ends when every message that was accepted has had its turn. */
  drain(reason: PassivationReason): void;
}

/** How far a sender's channel to a shard has come. */
export interface ChannelCounter {
  /** The sender's number for the channel; a higher one replaces it. */
  readonly channel: number;
  /** The highest message number that was accepted. */
  last: number;
}

/** Counters as they travel: sender, channel, last number. */
export type CounterRow = readonly [sender: string, channel: number, last: number];

/** See the file's header. */
export class OwnedShard {
  readonly number: number;
  state: ShardState = NO_SHARD;
  /** True while this node owns the shard and is not handing it over. */
  accepting = false;
  epoch = 0;
  cleanSince = 0;
  /** This node's own channel to the shard, if it ever sent to it while it lived elsewhere. */
  outbound: Channel | undefined;
  readonly activations: Set<Resident> = new Set();
  #emptied: (() => void)[] = [];
  #counters = new Map<string, ChannelCounter>();
  #staged: readonly CounterRow[] = [];

  constructor(number: number) {
    this.number = number;
  }

  /** The counter of `sender`'s channel, or `undefined` for one that was replaced. */
  counter(sender: string, channel: number): ChannelCounter | undefined {
    const known = this.#counters.get(sender);
    if (known !== undefined && known.channel >= channel) {
      return known.channel === channel ? known : undefined;
    }
    const counter = { channel, last: 0 };
    this.#counters.set(sender, counter);
    return counter;
  }

  /** Calls `run` when nothing of the shard is in memory: now, or when the last activation ends. */
  whenEmpty(run: () => void): void {
    if (this.activations.size === 0) run();
    else this.#emptied.push(run);
  }

  /** An activation is over. */
  forget(activation: Resident): void {
    this.activations.delete(activation);
    if (this.activations.size > 0 || this.#emptied.length === 0) return;
    const emptied = this.#emptied;
    this.#emptied = [];
    for (const run of emptied) run();
  }

  /** Forgets a sender whose session is over: its frames are refused from now on. */
  forgetSender(sender: string): void {
    this.#counters.delete(sender);
  }

  /** The counters, for the next owner. */
  counterRows(): CounterRow[] {
    return [...this.#counters].map(([sender, { channel, last }]) => [sender, channel, last]);
  }

  /** Keeps what a donor sent until the record says that this node owns the shard. */
  stage(rows: readonly CounterRow[]): void {
    this.#staged = rows;
  }

  /** Starts from what was staged, or from nothing. */
  adopt(from: "staged" | "nothing"): void {
    this.#counters = new Map();
    if (from === "staged") {
      for (const [sender, channel, last] of this.#staged) {
        this.#counters.set(sender, { channel, last });
      }
    }
    this.#staged = [];
  }
}
