/**
 * Who wants to hear of what, as one node knows it: the others tell it their interest, and it tells
 * them that of its process. Whoever has not spoken wants everything; he speaks when he wants
 * something, or is told what he does not want, so a cluster that publishes nothing says nothing.
 *
 * An interest is acknowledged, behind everything that was to be told before: streams are ordered.
 * While something is watched it is repeated with every heartbeat, so a node knows that it hears
 * what happens, or that it was cut off. Of two nodes the one that joins later has heard of the
 * other before it does anything, so those that could tell something are known, or know this one.
 */
import { CatgaError } from "../base/errors.ts";
import { TRACE_CHARS_MAX } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import { charsMaxOfLastCopy } from "../base/plain.ts";
import { traceOf } from "../protocol/frame.ts";
import type { TopicNote } from "../protocol/note.ts";
import { HandlerContext } from "./handler-context.ts";
import { Hearer, type HearerOwner } from "./hearer.ts";
import { copyPayload } from "./call.ts";
import type { NodeContext } from "./node-context.ts";
import type { Peer } from "./peer.ts";
import type { Router } from "./router.ts";
import type { Slices } from "./slices.ts";
import type { Audience, News, PublishedEvent, Topics } from "./topics.ts";

/** What leads to other nodes, and to entities. */
type Way = Pick<Router, "exits" | "send">;

/** Who has to be told of a type: `undefined` for somebody who has not said whether he cares. */
type Target = readonly [other: Hearer, wantsMessage: boolean | undefined];

/** See the file's header. One for each node. */
export class Interest implements Audience, HearerOwner {
  readonly #context: NodeContext;
  readonly #router: Way;
  readonly #topics: Topics;
  readonly #others = new Map<string, Hearer>();
  /** By type, as far as somebody has asked. */
  readonly #targets = new Map<string, readonly Target[]>();
  readonly #entities = new Map<string, readonly string[]>();
  #hasJoined = false;
  #isSpeaking = false;
  #isTicking = false;
  /** What all others have acknowledged, and until when that counts. */
  #heard = Number.POSITIVE_INFINITY;
  #heardUntilMs = Number.POSITIVE_INFINITY;

  constructor(context: NodeContext, router: Way) {
    this.#context = context;
    this.#router = router;
    this.#topics = context.options.topics;
    this.#topics.seat(this);
  }

  get log(): Logger {
    return this.#context.log;
  }

  get slices(): Slices {
    return this.#context.slices;
  }

  handlerContext(): object {
    const bounds = { boundMs: Number.POSITIVE_INFINITY };
    return new HandlerContext(this.#context, this.#router.exits, bounds);
  }

  peerOf(incarnation: string): Peer {
    return this.#router.exits.peerOf(incarnation);
  }

  isHeard(version: number): boolean {
    const { clock, slices } = this.#context;
    const untilMs = Math.min(this.#heardUntilMs, slices.leaseUntilMs);
    return this.#hasJoined && version <= this.#heard && clock.nowMs() < untilMs;
  }

  wantsMessage(type: string): boolean {
    return this.#targetsOf(type).some(([, wantsMessage]) => wantsMessage === true);
  }

  publish({ type, message, key, trace }: PublishedEvent): Promise<void> | undefined {
    const { refusal, slices } = this.#context;
    if (refusal !== undefined) throw refusal;
    const copy = copyPayload({ entity: "topic", id: type, type }, message) as object;
    const charsMax = charsMaxOfLastCopy() + (trace === undefined ? 0 : TRACE_CHARS_MAX);
    const news = { type, message: copy, charsMax, trace };
    this.#deliver({ type, message: copy, key, trace });
    for (const [other, wantsMessage = true] of this.#targetsOf(type)) {
      if (wantsMessage && other.tell(news)) continue;
      if (wantsMessage) other.drop(type);
      other.hint(type);
    }
    this.#topics.told(type, copy, trace);
    return slices.share();
  }

  happened(news: News): void {
    for (const [other, wantsMessage = false] of this.#targetsOf(news.type)) {
      if (!wantsMessage || !other.tell(news)) other.hint(news.type);
    }
  }

  changed(): void {
    if (!this.#hasJoined || this.#isSpeaking || this.#topics.version === 0) return;
    this.#isSpeaking = true;
    // Many changes of one burst are told as one.
    this.#context.clock.yield(() => {
      this.#isSpeaking = false;
      for (const other of this.#others.values()) other.pump();
      if (!this.#isTicking) this.#tick();
    });
  }

  /** Takes in what another node tells. */
  noted(from: string, note: TopicNote): void {
    const other = this.#other(from);
    if (note.kind === "happened") {
      const isWanted = this.#topics.told(note.type, note.message, traceOf(note.trace));
      // He cannot know, if he was never told what is wanted here.
      if (!isWanted && other.told < 0 && this.#hasJoined) this.#ask(other);
    } else if (note.kind === "heard") {
      other.answered(note);
      this.#lookWhoHears();
    } else {
      if (note.names !== undefined) {
        other.names = new Map(note.names);
        this.#targets.clear();
      }
      other.acknowledge(note.version, note.sentMs);
    }
  }

  /** The session of a node has begun, has ended, or is another one now. */
  sessionChanged(incarnation: string): void {
    const { view, self } = this.#context;
    this.#entities.clear();
    if (incarnation === self) {
      const isNew = !this.#hasJoined && view.isAlive(self);
      this.#hasJoined = view.isAlive(self);
      if (isNew) this.#topics.joined(this);
      this.changed();
    } else if (view.isGone(incarnation)) {
      this.#forget(incarnation);
    } else {
      this.speak(this.#other(incarnation));
    }
    this.#lookWhoHears();
  }

  /** The node ends. */
  close(): void {
    this.#hasJoined = false;
    this.#others.clear();
    this.#targets.clear();
    this.#topics.leave(this);
  }

  /** Nobody has to know of a node that wants nothing, and never did. */
  speak(hearer: Hearer): void {
    const { version } = this.#topics;
    if (this.#hasJoined && version > 0 && hearer.told < version) this.#ask(hearer);
  }

  #ask(hearer: Hearer): void {
    const { version, interest: names } = this.#topics;
    hearer.ask({ version, names, sentMs: this.#context.clock.nowMs() });
  }

  /** Repeats the interest, as long as somebody relies on it. */
  #tick(): void {
    this.#isTicking = this.#topics.isWatched && this.#hasJoined;
    if (!this.#isTicking) return;
    const { clock, options } = this.#context;
    const { everyMs, timeoutMs } = options.times;
    const sinceMs = clock.nowMs() - timeoutMs;
    for (const other of this.#others.values()) {
      const isSilent = other.heard >= 0 && other.heardMs < sinceMs;
      if (isSilent && !other.isSilent) this.#topics.lost();
      other.isSilent = isSilent;
      if (other.hasRoom) this.#ask(other);
    }
    this.#context.after(everyMs, () => this.#tick());
  }

  #other(incarnation: string): Hearer {
    let other = this.#others.get(incarnation);
    if (other === undefined) {
      this.#others.set(incarnation, (other = new Hearer(incarnation, this)));
      this.#targets.clear();
    }
    return other;
  }

  #forget(incarnation: string): void {
    if (!this.#others.delete(incarnation)) return;
    this.#targets.clear();
    // Who left has brought home what it had to tell.
    const { state } = this.#context.view.sessions.get(incarnation)!.record;
    if (state === "dead") this.#topics.lost();
  }

  /** Also one that cannot be heard at the moment, or whose session is not known here yet. */
  #lookWhoHears(): void {
    const others = [...this.#others.values()];
    const { timeoutMs } = this.#context.options.times;
    this.#heard = Math.min(...others.map(({ heard }) => heard));
    this.#heardUntilMs = Math.min(...others.map(({ heardMs }) => heardMs)) + timeoutMs;
  }

  #targetsOf(type: string): readonly Target[] {
    let targets = this.#targets.get(type);
    if (targets === undefined) {
      targets = [...this.#others.values()].flatMap((other): Target[] => {
        if (other.names?.has(type) === false) return [];
        return [[other, other.names?.get(type)]];
      });
      this.#targets.set(type, targets);
    }
    return targets;
  }

  /** Brings an event to the entities that have it among their messages. */
  #deliver({ type, message, key: id, trace }: PublishedEvent): void {
    for (const entity of this.#entitiesOf(type)) {
      if (id === undefined) {
        const reason = `entities "${entity}" listen to it, and its definition here has no key`;
        throw new CatgaError("INVALID_KEY", { message: type, reason });
      }
      const nothing = { timeoutMs: undefined, signal: undefined, dedup: undefined };
      const boundMs = Number.POSITIVE_INFINITY;
      const sending = { entity, id, type, message, oneWay: true, boundMs, ...nothing, trace };
      this.#router.send(sending).then(undefined, (error: unknown) => {
        this.#context.log.warn({ err: error, type, entity, id }, "an event missed its entity");
      });
    }
  }

  /** Entity types that have it among their messages, as the sessions of their nodes say. */
  #entitiesOf(type: string): readonly string[] {
    let entities = this.#entities.get(type);
    if (entities === undefined) {
      const handled = [...this.#context.view.living.values()].flatMap(
        ({ record }) => record.handlers ?? [],
      );
      const mine = handled.filter((name) => name.startsWith(`${type}>`));
      entities = [...new Set(mine.map((name) => name.slice(type.length + 1)))];
      this.#entities.set(type, entities);
    }
    return entities;
  }
}
