/** What one node does for watches: of its process, and of the entities that it owns. */
import { WATCHED_MAX } from "../base/limits.ts";
import { tableKey } from "../protocol/ids.ts";
import type { EntityNote, Watched } from "../protocol/note.ts";
import type { NodeContext } from "./node-context.ts";
import type { OwnedShard } from "./owned-shard.ts";
import type { Packet } from "./packet.ts";
import type { Router } from "./router.ts";
import type { Slices } from "./slices.ts";
import { WatchedEntity, type WatchedHome } from "./watched.ts";
import type { Watches, WatchPost } from "./watches.ts";

/** What a note adds to a batch at most, beside its message: names, an id, numbers. */
const NOTE_CHARS = 2_048;

/** See the file's header. */
export class WatchDesk implements WatchPost, WatchedHome {
  readonly context: NodeContext;
  readonly #router: Router;
  readonly #watches: Watches;

  constructor(context: NodeContext, router: Router) {
    this.context = context;
    this.#router = router;
    this.#watches = context.options.watches;
    this.#watches.seat(this);
  }

  get slices(): Slices {
    return this.context.slices;
  }

  ownerOf({ entity, id }: Watched): string | undefined {
    const { view, self, refusal } = this.context;
    const owner = this.context.recordOf(entity, id)?.owner ?? "";
    const isMember = refusal === undefined && view.isAlive(self);
    return isMember && view.isAlive(owner) ? owner : undefined;
  }

  after(delayMs: number, run: () => void): void {
    if (delayMs > 0) this.context.after(delayMs, run);
    else this.context.clock.yield(run);
  }

  hasRoom(to: string, waiting?: { pump(): void }): boolean {
    const { self, view } = this.context;
    if (to === self || view.isGone(to)) return to === self;
    const peer = this.#router.exits.peerOf(to);
    if (!peer.takesNews && waiting !== undefined) peer.waitForRoom(waiting);
    return peer.takesNews;
  }

  tell(to: string, note: EntityNote, chars = 0): void {
    const { self, view } = this.context;
    if (to === self) this.noted(to, note);
    else if (!view.isGone(to)) {
      this.#router.exits
        .peerOf(to)
        .outbox(NOTE_CHARS + chars)
        .notes.push(note);
    }
  }

  /** Takes in what another node tells, or this one. */
  noted(from: string, note: EntityNote): void {
    const { entity, id } = note;
    if (note.kind === "watched") return this.#watches.answered(from, note);
    if (note.kind === "pushed") {
      if (!this.#watches.pushed(note)) this.tell(from, { kind: "unwatch", entity, id });
      return;
    }
    const watched = this.#watchedBy(note);
    if (note.kind === "unwatch") return watched?.leave(from);
    if (note.kind === "watch") watched?.watch(from, note);
    if (watched !== undefined && (note.kind === "watch" || watched.renew(from))) return;
    const unknown = { call: 0, era: "", after: 0, last: 0 };
    this.tell(from, { kind: "watched", entity, id, ...unknown });
  }

  /** An entity that is watched has come with its shard. */
  arrive(shard: OwnedShard, { entity, id, watched }: Packet): void {
    new WatchedEntity(this, shard.watched, { entity, id, ...watched! }).arrive(watched!);
  }

  /** What is known of a watched entity; made for a watch, if this node serves the entity. */
  #watchedBy({ kind, entity, id }: EntityNote): WatchedEntity | undefined {
    if (!this.#router.hosts.has(entity)) return undefined;
    const shard = this.#router.exits.serving(this.context.shardOf(entity, id));
    const known = shard?.watched.get(tableKey(entity, id));
    if (known !== undefined || shard === undefined || kind !== "watch") return known;
    if (shard.watched.size >= WATCHED_MAX) return undefined;
    const subject = { entity, id, era: shard.fence(), last: shard.pushed };
    return new WatchedEntity(this, shard.watched, subject);
  }
}
