/**
 * A shard at the node that serves it, or prepares to: what the hot path asks, beside the state
 * machine that decides; and how the shard leaves with what is in it.
 *
 * It is frozen until its turns have ended; if they do not soon, it is opened again and tried later,
 * so that one long turn does not keep its neighbours waiting. Then its entities end, and what they
 * are is kept for the way: to the new owner, or back to life here when the handoff does not come
 * about. The counters of the channels that end here go along.
 */
import { CatgaError } from "../base/errors.ts";
import { SEAL_BUDGET_MS, STAGE_TIMEOUT_MS, UNMOVABLE_RETRY_MS } from "../base/limits.ts";
import type { Wait } from "../base/waits.ts";
import type { ChannelCounter } from "../ownership/channel.ts";
import { NO_SHARD, type ShardEvent, type ShardState } from "../ownership/shard.ts";
import { entityKey, tableKey } from "../protocol/ids.ts";
import type { CounterRow, HandoffNote, Row } from "../protocol/note.ts";
import type { ShardRecord } from "../protocol/records.ts";
import type { Channel } from "./channel.ts";
import type { PassivationReason } from "./definition.ts";
import type { EntityHome } from "./entity-home.ts";
import type { NodeContext } from "./node-context.ts";
import { chunksOf, type Packet, rowsOf } from "./packet.ts";
import type { WatchedEntity } from "./watched.ts";
import type { Push, Work } from "./work.ts";

/** An entity in memory, as its shard and its parts know it. */
export interface Resident {
  readonly id: string;
  readonly host: EntityHome;
  readonly shard: OwnedShard;
  /** True when no turn of it runs. */
  readonly isQuiet: boolean;
  /** Queries that run, or -1 while a command or a hook does: the state may be half of its work. */
  readonly running: number;
  /** True when a turn of it waits for a call of that chain; or, if it is named, just that one. */
  awaits(chain: Work["chain"], turn?: object): boolean;
  /** The error of a call that would wait for a turn of it which waits for the call. */
  cycle(work: Work): CatgaError;
  /** Takes a message in; or says why there is no room for it. */
  post(work: Work): CatgaError | undefined;
  /** Starts no turn until it is thawed. */
  freeze(): void;
  thaw(): void;
  /** Ends: after the turns that run, or for a shutdown after all that was accepted. */
  passivate(reason: PassivationReason): void;
}

/** What surrounds a shard at its node. */
export interface ShardHome {
  readonly context: NodeContext;
  readonly group: string;
  /** True when everything has to go, also what cannot travel. */
  readonly isLeaving: boolean;
  happened(shard: OwnedShard, event: ShardEvent): void;
  /** `chars` is about the length of the note, if that matters. */
  send(to: string, note: HandoffNote, chars?: number): void;
  /** Lets the entities in `shard.packets` go on here, and takes messages for the shard. */
  accept(shard: OwnedShard): void;
  /** Nothing of a shard is in memory any more. */
  checkReleased(): void;
}

/** What a donor sent, until the record says that this node owns the shard. */
interface Staged {
  readonly counters: readonly CounterRow[];
  readonly packets: readonly Packet[];
}

const NOTHING: Staged = { counters: [], packets: [] };

/** See the file's header. */
export class OwnedShard {
  readonly number: number;
  state: ShardState = NO_SHARD;
  /** True while this node owns the shard and is not handing it over. */
  accepting = false;
  epoch = 0;
  /** Turns that were given a link of a chain. */
  links = 0;
  cleanSince = 0;
  /** This node's own channel to the shard, if it ever sent to it while it lived elsewhere. */
  outbound: Channel | undefined;
  readonly activations: Set<Resident> = new Set();
  /** Entities that somebody watches, in memory or not. */
  readonly watched: Map<string, WatchedEntity> = new Map();
  /** What all its entities have pushed, heard or not. */
  pushed = 0;
  /** Entities that have ended here to travel, and have not arrived yet. */
  packets: Packet[] = [];
  /** It is to be given away, from the first try on. */
  #leaving: Wait<number, string> | undefined;
  /** Not handed over before this time of the clock. */
  staysUntilMs = 0;
  readonly #home: ShardHome;
  /** Before the shard can travel its turns have to end, then its activations. */
  #awaits: "turns" | "ends" | undefined;
  #cancelBusy = (): void => {};
  #counters = new Map<string, ChannelCounter>();
  #staged = NOTHING;
  #arriving: { readonly handoff: string; readonly rows: Row[] } | undefined;

  constructor(number: number, home: ShardHome) {
    this.number = number;
    this.#home = home;
  }

  /** True while activations end so that they can travel. */
  get isPacking(): boolean {
    return this.#awaits === "ends";
  }

  /** True while it is being given away. */
  get isMoving(): boolean {
    const { kind } = this.state;
    return kind === "sealing" || kind === "staging" || kind === "inDoubt";
  }

  /** Its state may have changed. A move that failed is tried again, unless the shard may stay. */
  count(wasMoving: boolean, mayStay: boolean): void {
    const { isMoving } = this;
    const { moves, leaving, clock } = this.#home.context;
    moves.underway += Number(isMoving) - Number(wasMoving);
    const isHere = this.state.kind === "active";
    if (wasMoving && !isMoving) moves[isHere ? "failed" : "finished"]++;
    const nowMs = clock.nowMs();
    if (isMoving) this.#leaving ??= leaving.begin(this.number, this.#home.group, nowMs);
    const isOver = !isMoving && (!isHere || mayStay || nowMs < this.staysUntilMs);
    if (this.#leaving === undefined || !isOver) return;
    leaving.end(this.#leaving);
    this.#leaving = undefined;
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

  /** The fence of an ownership of the shard: fixed-width text, generation then epoch. */
  fence(epoch: number = this.epoch): string {
    const { generation } = this.#home.context;
    return [generation, epoch].map((n) => `${n}`.padStart(16, "0")).join(".");
  }

  /** Forgets a sender whose session is over: its frames are refused from now on. */
  forgetSender(sender: string): void {
    this.#counters.delete(sender);
  }

  /** A turn or an activation has ended: what waits for that goes on. */
  changed(): void {
    if (this.#awaits === "turns" && this.#isQuiet()) this.#pack();
    if (this.activations.size > 0) return;
    if (this.isPacking) this.#packed();
    this.#home.checkReleased();
  }

  /** An entity has pushed: who watches is told. */
  push({ host, id }: Resident, pushes: readonly Push[]): void {
    this.pushed += pushes.length;
    this.watched.get(tableKey(host.definition.name, id))?.push(pushes);
  }

  /** Makes the shard ready to travel; answers with `drained` or `busy`. */
  seal(): void {
    if (this.isPacking) return;
    this.accepting = false;
    this.#awaits = "turns";
    const busy = (): void => this.#happened({ kind: "busy" });
    this.#cancelBusy = this.#home.context.after(SEAL_BUDGET_MS, busy);
    for (const activation of this.activations) activation.freeze();
    this.changed();
  }

  /** Serves the shard, with the entities that came or stayed. */
  resume(): void {
    if (this.isPacking) return;
    this.#thaw();
    this.#home.accept(this);
  }

  /** Sends the entities; the shard's owner is who it was until the record says otherwise. */
  transfer(to: string, handoff: string): void {
    const { context, group } = this.#home;
    const timeout = (): void => this.#happened({ kind: "timeout", handoff });
    const rows = this.#rows();
    if (rows === undefined) return timeout();
    const { number: shard, epoch } = this;
    const all = [...this.#counters];
    const counters = all.map(([sender, { channel, last }]) => [sender, channel, last] as const);
    for (const [chunk, chars, isLast] of chunksOf(rows)) {
      const content = { epoch, counters: isLast ? counters : [], rows: chunk, isLast };
      this.#home.send(to, { kind: "transfer", group, shard, handoff, ...content }, chars);
    }
    context.after(STAGE_TIMEOUT_MS, timeout);
  }

  /** The shard belongs to another node: what is still here does not count any more. */
  close(): void {
    this.accepting = false;
    this.packets = [];
    for (const each of this.watched.values()) each.stop();
    for (const activation of this.activations) activation.passivate("moved");
    this.#thaw();
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

  /** This node owns the shard, and starts from what was staged for its handoff, or from nothing. */
  open({ epoch, cleanSince }: ShardRecord, handoff: string | undefined): void {
    this.epoch = epoch;
    this.cleanSince = cleanSince;
    const { counters, packets } = handoff === undefined ? NOTHING : this.#staged;
    this.#counters = new Map();
    for (const [sender, channel, last] of counters) this.#counters.set(sender, { channel, last });
    this.packets = [...packets];
    this.stage();
    this.resume();
  }

  #isQuiet(): boolean {
    for (const activation of this.activations) if (!activation.isQuiet) return false;
    return true;
  }

  #happened(event: ShardEvent): void {
    this.#home.happened(this, event);
  }

  #thaw(): void {
    if (this.#awaits === "turns") this.#awaits = undefined;
    for (const activation of this.activations) activation.thaw();
  }

  /** No turn runs: the entities end, and what they are is kept for the way. */
  #pack(): void {
    this.#cancelBusy();
    this.#awaits = "ends";
    // Of the last one's end the shard may come back to life, with others.
    for (const each of Array.from(this.activations)) each.passivate("moved");
  }

  #packed(): void {
    this.#awaits = undefined;
    const { kind } = this.state;
    const handoff = this.#home.context.nextOperation();
    if (kind === "sealing") this.#happened({ kind: "drained", handoff });
    else if (kind === "active") this.resume();
    else this.packets = [];
  }

  #rows(): Row[] | undefined {
    const nowMs = this.#home.context.clock.nowMs();
    const rows: Row[] = [];
    for (const packet of this.packets) {
      const found = rowsOf(packet, nowMs);
      if (typeof found !== "string") rows.push(...found);
      else if (!this.#mayLose(packet, found)) return undefined;
    }
    for (const each of this.watched.values()) rows.push(...each.rows());
    return rows;
  }

  /** An entity whose state cannot travel stays with its shard, unless this node has to go. */
  #mayLose({ entity, id, works }: Packet, reason: string): boolean {
    const { log, clock, events } = this.#home.context;
    const fields = { entity: entityKey(entity, id), reason };
    events.emit("stuck", { what: `the move of ${fields.entity}: ${reason}`, sinceMs: 0 });
    if (!this.#home.isLeaving) {
      this.staysUntilMs = clock.nowMs() + UNMOVABLE_RETRY_MS;
      log.error(fields, "a shard stays: the state of an entity cannot travel");
      return false;
    }
    log.error(fields, "an entity is lost: its state cannot travel");
    const lost = `the state of ${fields.entity} cannot travel`;
    for (const work of works) work.fail(new CatgaError("UNAVAILABLE", { reason: lost }));
    return true;
  }
}
