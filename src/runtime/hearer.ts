/**
 * Another node, as far as it wants to hear what happens here, and what it has heard. To a stream
 * that has no room no events are added. That something happened is never left out: it waits, one
 * line for each type, and acknowledgements wait behind it.
 */
import type { Logger } from "../base/logger.ts";
import { type Batch, traceValue } from "../protocol/frame.ts";
import type { HeardNote, InterestNote, Note } from "../protocol/note.ts";
import type { Peer } from "./peer.ts";
import type { News } from "./topics.ts";

/** What surrounds it. */
export interface HearerOwner {
  readonly log: Logger;
  peerOf(incarnation: string): Peer;
  /** There is room for what `hearer` has to be told. */
  speak(hearer: Hearer): void;
}

/** What this process wants to hear of. */
export type Question = Required<Omit<InterestNote, "kind">>;

/** What a note adds to a batch at most, beside its texts. */
const NOTE_CHARS = 64;
/** Worst case of one character in JSON. */
const ESCAPED = 6;

/** See the file's header. */
export class Hearer {
  readonly incarnation: string;
  /** What it wants; until it has said so, undefined, and it is told of everything. */
  names: ReadonlyMap<string, boolean> | undefined;
  /** The version of our interest that it was told last, and the one it has acknowledged. */
  told = -1;
  heard = -1;
  /** When our last note that it has acknowledged was sent. */
  heardMs: number = Number.NEGATIVE_INFINITY;
  /** True from when it was found not to have answered for a lease. */
  isSilent = false;
  readonly #owner: HearerOwner;
  /** Its own interest, which it does not know yet to have come. */
  #owed: HeardNote | undefined;
  /** What happened while its stream had no room. */
  readonly #late = new Set<string>();
  /** What it is told without a message in this batch. */
  readonly #hinted = new Set<string>();
  #batch: Batch | undefined;
  #isAsked = false;
  #dropped = 0;

  constructor(incarnation: string, owner: HearerOwner) {
    this.incarnation = incarnation;
    this.#owner = owner;
  }

  /** False when what it is told must wait, or is left out. */
  get hasRoom(): boolean {
    return this.#peer.takesNews;
  }

  /** Says what waits, as soon as there is room. */
  pump(): void {
    const peer = this.#peer;
    if (!peer.takesNews) return peer.waitForRoom(this);
    if (this.#dropped > 0) this.#recovered();
    const late = [...this.#late];
    this.#late.clear();
    for (const type of late) this.hint(type);
    if (this.#late.size > 0) return;
    if (this.#owed !== undefined) this.#add(this.#owed);
    this.#owed = undefined;
    this.#owner.speak(this);
  }

  /** Acknowledges its interest. */
  acknowledge(version: number, sentMs: number): void {
    this.#owed = { kind: "heard", version, sentMs };
    this.pump();
  }

  /** Tells it what this process wants to hear of, and asks whether it has heard that. */
  ask({ version, names, sentMs }: Question): void {
    const isNews = this.told !== version;
    // What is not acknowledged will be, unless one of the two dies.
    if (!isNews && this.#isAsked) return;
    this.told = version;
    this.#isAsked = true;
    if (!isNews) return this.#add({ kind: "interest", version, sentMs });
    const chars = names.reduce((sum, [type]) => sum + type.length, 0);
    this.#add({ kind: "interest", version, sentMs, names }, ESCAPED * chars);
  }

  /** It has answered what {@link ask} asked. */
  answered({ version, sentMs }: HeardNote): void {
    this.heard = version;
    this.heardMs = sentMs;
    this.#isAsked = version < this.told;
  }

  /** Tells it the whole, if there is room for that. */
  tell({ type, message, charsMax, trace }: News): boolean {
    if (message === undefined || !this.hasRoom) return false;
    const note = { kind: "happened", type, message } as const;
    const traced = trace === undefined ? note : { ...note, trace: traceValue(trace) };
    this.#add(traced, charsMax + ESCAPED * type.length);
    return true;
  }

  /** Tells it that something happened; as often as it does, that is said once in a frame. */
  hint(type: string): void {
    if (this.#late.has(type)) return;
    const peer = this.#peer;
    if (!peer.takesNews) {
      this.#late.add(type);
      return peer.waitForRoom(this);
    }
    const batch = peer.outbox();
    if (this.#batch !== batch) this.#hinted.clear();
    this.#batch = batch;
    if (this.#hinted.has(type)) return;
    this.#hinted.add(type);
    batch.charsMax += NOTE_CHARS + ESCAPED * type.length;
    batch.notes.push({ kind: "happened", type });
  }

  /** It misses an event. */
  drop(type: string): void {
    if (this.#dropped++ > 0) return;
    const fields = { to: this.incarnation, type };
    this.#owner.log.warn(fields, "a node takes no more events at the moment: they are dropped");
  }

  get #peer(): Peer {
    return this.#owner.peerOf(this.incarnation);
  }

  #add(note: Note, chars = 0): void {
    this.#peer.outbox(NOTE_CHARS + chars).notes.push(note);
  }

  #recovered(): void {
    const fields = { to: this.incarnation, dropped: this.#dropped };
    this.#owner.log.warn(fields, "a node takes events again");
    this.#dropped = 0;
  }
}
