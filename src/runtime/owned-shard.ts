/**
 * A shard at the node that serves it, or prepares to: what the hot path asks, beside the state
 * machine that decides. Also what moves with the shard: the counters of the channels that end here,
 * and on the way its entities.
 */
import type { ChannelCounter } from "../ownership/channel.ts";
import { NO_SHARD, type ShardState } from "../ownership/shard.ts";
import type { Channel } from "./channel.ts";
import type { PassivationReason, Row } from "./definition.ts";
import type { Packet } from "./packet.ts";

/** Something of a shard that is in memory. */
export interface Resident {
  /** True when no turn of it runs. */
  readonly isQuiet: boolean;
  /** Starts no turn until it is thawed. */
  freeze(): void;
  thaw(): void;
  /** Ends after the turns that run. */
  passivate(reason: PassivationReason): void;
  /** Ends when every message that was accepted has had its turn. */
  drain(reason: PassivationReason): void;
}

/** Counters as they travel: sender, channel, last number. */
export type CounterRow = readonly [sender: string, channel: number, last: number];

/** What a donor sent, until the record says that this node owns the shard. */
interface Staged {
  readonly counters: readonly CounterRow[];
  readonly packets: Packet[];
}

const NOTHING: Staged = { counters: [], packets: [] };

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
  /** True while activations end so that they can travel. */
  isPacking = false;
  /** Entities that have ended here to travel, and have not arrived yet. */
  packets: Packet[] = [];
  /** Not handed over before this time of the clock. */
  staysUntilMs = 0;
  #emptied: (() => void)[] = [];
  #quieted: (() => void) | undefined;
  #counters = new Map<string, ChannelCounter>();
  #staged = NOTHING;
  #arriving: { readonly handoff: string; readonly rows: Row[] } | undefined;

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

  /** Starts no turn any more; calls `run` once none runs, unless the shard is thawed before. */
  freeze(run: () => void): void {
    this.accepting = false;
    this.#quieted = run;
    for (const activation of this.activations) activation.freeze();
    this.quieted();
  }

  /** Turns may start again. */
  thaw(): void {
    this.#quieted = undefined;
    for (const activation of this.activations) activation.thaw();
  }

  /** A turn has ended while the shard is frozen. */
  quieted(): void {
    const run = this.#quieted;
    if (run === undefined) return;
    for (const activation of this.activations) if (!activation.isQuiet) return;
    this.#quieted = undefined;
    run();
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

  /** Keeps rows of a transfer, which may come in several messages; all that have come so far. */
  arrive(handoff: string, rows: readonly Row[]): readonly Row[] {
    if (this.#arriving?.handoff !== handoff) this.#arriving = { handoff, rows: [] };
    this.#arriving.rows.push(...rows);
    return this.#arriving.rows;
  }

  /** Keeps what a donor sent until the record says that this node owns the shard. */
  stage(staged: Staged = NOTHING): void {
    this.#staged = staged;
    this.#arriving = undefined;
  }

  /** Starts from what was staged, or from nothing. */
  adopt(from: "staged" | "nothing"): void {
    const { counters, packets } = from === "staged" ? this.#staged : NOTHING;
    this.#counters = new Map();
    for (const [sender, channel, last] of counters) this.#counters.set(sender, { channel, last });
    this.packets = packets;
    this.stage();
  }
}
