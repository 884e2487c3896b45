/**
 * An entity that is watched, at the node that owns its shard, whether or not it is in memory: which
 * nodes watch it, and the last of what it has pushed.
 *
 * Pushes are numbered without a gap within an *era*, the fence under which the first watch came;
 * era and numbers travel with the shard. Who reads a gap, or another era, asks for what is missing.
 * So a push may be left out where a stream has no room. A new era begins behind everything that the
 * shard has ever pushed: who comes back with a number of it is told whether that is known still.
 */
import Denque from "denque";
import { PUSHES_KEPT, PUSHES_KEPT_CHARS, WATCH_FORGET_MS } from "../base/limits.ts";
import { hasShape } from "../base/shape.ts";
import { WheelEntry } from "../base/timer-wheel.ts";
import { tableKey } from "../protocol/ids.ts";
import type { EntityNote, Row, WatchNote, Watched } from "../protocol/note.ts";
import type { NodeContext } from "./node-context.ts";
import type { WatchedRow } from "./packet.ts";
import type { Push } from "./work.ts";

/** What surrounds it. */
export interface WatchedHome {
  readonly context: NodeContext;
  /** False when a node must be told later; then `waiting` is pumped. */
  hasRoom(to: string, waiting: { pump(): void }): boolean;
  /** `chars` is what the message adds to the note at most. */
  tell(to: string, note: EntityNote, chars?: number): void;
}

/** A node that watches. */
interface Watcher {
  /** The number of the last push that it was sent. */
  sent: number;
  /** It is forgotten then, unless it says that it still watches. */
  untilMs: number;
}

/** See the file's header. */
export class WatchedEntity extends WheelEntry {
  readonly #home: WatchedHome;
  readonly #table: Map<string, WatchedEntity>;
  readonly #subject: Watched;
  readonly #era: string;
  #last: number;
  /** {@link #last} is the number of the last of them. */
  readonly #kept = new Denque<Push>();
  #keptChars = 0;
  readonly #watchers = new Map<string, Watcher>();
  #untilMs = 0;

  /** It stands in `table` until nobody has watched it for a while. */
  constructor(
    home: WatchedHome,
    table: Map<string, WatchedEntity>,
    { entity, id, era, last }: Watched & Pick<WatchedRow, "era" | "last">,
  ) {
    super();
    this.#home = home;
    this.#table = table;
    this.#subject = { entity, id };
    this.#era = era;
    this.#last = last;
    table.set(tableKey(entity, id), this);
    this.#touch();
    home.context.idleWheel.add(this, this.#untilMs);
  }

  /** Begins to tell `from` what comes after what it knows, and says which that is. */
  watch(from: string, { call, era, after }: WatchNote): void {
    const last = this.#last;
    const first = last - this.#kept.length;
    const isKnown = era === this.#era && after >= first && after <= last;
    const sent = isKnown ? after : era === "" ? last : first;
    this.#watchers.set(from, { sent, untilMs: this.#touch() });
    const answer = { kind: "watched", ...this.#subject, call, era: this.#era, last } as const;
    this.#home.tell(from, { ...answer, after: sent });
    this.pump();
  }

  /** `from` still watches; `false` when that is not known here. */
  renew(from: string): boolean {
    const watcher = this.#watchers.get(from);
    if (watcher !== undefined) watcher.untilMs = this.#touch();
    return watcher !== undefined;
  }

  /** `from` watches no more. */
  leave(from: string): void {
    this.#watchers.delete(from);
  }

  /** The entity has pushed. */
  push(pushes: readonly Push[]): void {
    for (const push of pushes) {
      this.#keep(push);
      this.pump();
    }
  }

  /** Tells all who watch what they have not been told. */
  pump(): void {
    for (const [node, watcher] of this.#watchers) this.#bring(node, watcher);
  }

  /** As it travels; {@link arrive} is the other half. */
  rows(): Row[] {
    const { entity, id } = this.#subject;
    const kept = this.#kept.toArray().map(({ message }) => message);
    const watchers = [...this.#watchers.keys()];
    return [
      ["entity", entity, id, null],
      ["watched", this.#era, this.#last, watchers, kept],
    ];
  }

  /** It has come from another node. */
  arrive({ last, watchers, kept }: WatchedRow): void {
    for (const message of kept) {
      if (!hasShape(message, {})) continue;
      this.#keep({ message: message as object, charsMax: JSON.stringify(message).length });
    }
    this.#last = last;
    const untilMs = this.#touch();
    for (const node of watchers) this.#watchers.set(String(node), { sent: last, untilMs });
  }

  /** Some who watch may be gone. */
  override expire(): void {
    const { idleWheel, view } = this.#home.context;
    const { nowMs } = idleWheel;
    for (const [node, { untilMs }] of this.#watchers) {
      if (untilMs <= nowMs || view.isGone(node)) this.#watchers.delete(node);
    }
    if (this.#untilMs <= nowMs) return this.stop();
    idleWheel.add(this, this.#untilMs);
  }

  /** It is not watched here any more. */
  stop(): void {
    const { entity, id } = this.#subject;
    this.#watchers.clear();
    this.#table.delete(tableKey(entity, id));
    this.#home.context.idleWheel.remove(this);
  }

  #touch(): number {
    return (this.#untilMs = this.#home.context.idleWheel.nowMs + WATCH_FORGET_MS);
  }

  #keep(push: Push): void {
    this.#last++;
    this.#kept.push(push);
    this.#keptChars += push.charsMax;
    const isFull = (): boolean =>
      this.#kept.length > PUSHES_KEPT || this.#keptChars > PUSHES_KEPT_CHARS;
    while (this.#kept.length > 1 && isFull()) this.#keptChars -= this.#kept.shift()!.charsMax;
  }

  #bring(node: string, watcher: Watcher): void {
    while (watcher.sent < this.#last) {
      if (!this.#home.hasRoom(node, this)) return;
      const { length } = this.#kept;
      // What is not kept any more is a gap.
      watcher.sent = Math.max(watcher.sent, this.#last - length) + 1;
      const { message, charsMax } = this.#kept.peekAt(length - 1 - (this.#last - watcher.sent))!;
      const pushed = { kind: "pushed", ...this.#subject, era: this.#era, message } as const;
      this.#home.tell(node, { ...pushed, number: watcher.sent }, charsMax);
    }
  }
}
