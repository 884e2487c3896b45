/**
 * Publishing and listening, for as long as the process sits in the cluster: nodes may follow each
 * other on its seat. What other nodes want to hear, and are told, stands in `interest.ts`.
 *
 * There are two ways to listen. A *subscription* is for users: it has a queue, and gets events at
 * most once. A *watch* is for caches: it is told at once that something has happened, an event or a
 * command, on any node. What a watch is told may lack its message, so that it can stand for many;
 * but as long as `isHeard` nothing is missing, and when that could be, `lost` is called.
 */
import type { Logger } from "../base/logger.ts";
import { charsMaxOfLastCopy, copyPlain } from "../base/plain.ts";
import { isThenable } from "../base/thenable.ts";
import { handlerEntity } from "../protocol/ids.ts";
import type { TraceContext } from "../protocol/trace.ts";
import { Listener, type Listening } from "./listener.ts";
import type { Slices } from "./slices.ts";
import type { Tracer } from "./tracing.ts";

/** What is published, as its definition reads it. */
export interface PublishedEvent {
  readonly type: string;
  readonly message: object;
  /** Which entities it is for, if its definition says so. */
  readonly key: string | undefined;
  /** The span that it was published in. */
  readonly trace?: TraceContext | undefined;
}

/** Reads and checks what somebody publishes; may return a promise. */
export type EventReader = (message: unknown) => PublishedEvent | PromiseLike<PublishedEvent>;

/** Something to tell other nodes; nobody changes the message any more. */
export interface News {
  readonly type: string;
  /** Nothing when it does not matter, or stands for many. */
  readonly message?: object | undefined;
  /** An upper bound for its length as JSON. */
  readonly charsMax: number;
  readonly trace?: TraceContext | undefined;
}

/** The node that sits here, and the others behind it. */
export interface Audience {
  readonly slices: Slices;
  /** What the handler of an event is given beside it. */
  handlerContext(): object;
  /** True when another node wants messages of `type`, not just to know that they happened. */
  wantsMessage(type: string): boolean;
  /**
   * Gives an event to all: the others, of whom who takes nothing at the moment misses it, the
   * entities that have it among their messages, and whoever listens here. What it returns is the
   * end of a slice that is over.
   */
  publish(event: PublishedEvent): Promise<void> | undefined;
  /** Tells those who watch; nobody misses it. */
  happened(news: News): void;
  /** The interest of this process is another one. */
  changed(): void;
  /** True when all others know what this process was interested in as of `version`, and live. */
  isHeard(version: number): boolean;
}

/** See the file's header. */
export interface Watch {
  /** False when it is enough to hear that something happened. */
  readonly wantsMessage: boolean;
  /**
   * Something happened. Without its message it may stand for many. What is given must be left as
   * it is.
   */
  readonly heard: (message: object | undefined) => void;
  /** What happened on other nodes may have been missed. */
  readonly lost: () => void;
}

/** What one name is listened to by. */
interface Topic {
  readonly subscriptions: Set<Listener>;
  readonly watches: Set<Watch>;
  /** What others know of it, and since which version of the interest it is there. */
  wantsMessage: boolean;
  readonly since: number;
}

/** A name, and whether its messages are wanted. */
export type InterestRow = readonly [type: string, wantsMessage: boolean];

/** See the file's header. */
export class Topics {
  readonly #log: Logger;
  readonly #read: EventReader;
  readonly #tracer: Tracer | undefined;
  readonly #topics = new Map<string, Topic>();
  /** Types of commands that have ever run here. */
  readonly #happened = new Set<string>();
  #watches = 0;
  #version = 0;
  #audience: Audience | undefined;

  constructor(log: Logger, read: EventReader, tracer?: Tracer) {
    this.#log = log;
    this.#read = read;
    this.#tracer = tracer;
  }

  /** Rises with every change of {@link interest}. */
  get version(): number {
    return this.#version;
  }

  /** What this process wants to hear of. */
  get interest(): InterestRow[] {
    return [...this.#topics].map(([type, { wantsMessage }]) => [type, wantsMessage]);
  }

  /** True while somebody has to know whether all others tell what happens there. */
  get isWatched(): boolean {
    return this.#watches > 0;
  }

  /** Calls `run` for each event of `type`, one after the other; the result ends that. */
  subscribe(type: string, run: Listening): () => void {
    // Each listener owns what it is given.
    const tracer = this.#tracer;
    const hear = (message: object): unknown => run(copyPlain(message) as object);
    const trace = (message: object): unknown => tracer!.heard(type, message, hear);
    const subscription = new Listener(tracer === undefined ? hear : trace, {
      what: "a topic",
      type,
      log: this.#log,
      ready: (listener) => this.#runReady(listener),
    });
    this.#change(type, ({ subscriptions }) => subscriptions.add(subscription));
    return () => {
      subscription.clear();
      this.#change(type, ({ subscriptions }) => subscriptions.delete(subscription));
    };
  }

  /** What a handler is given, on the node that sits here now. */
  handlerContext(): object {
    return this.#audience!.handlerContext();
  }

  /** Tells `watch` whenever `type` happens, before any promise goes on; the result ends that. */
  watch(type: string, watch: Watch): () => void {
    // The same one may be there twice.
    const own = { ...watch };
    this.#watches++;
    this.#change(type, ({ watches }) => watches.add(own));
    // Also where somebody listens already: from now on the interest is repeated.
    this.#audience?.changed();
    return () => {
      this.#change(type, ({ watches }) => {
        if (watches.delete(own)) this.#watches--;
      });
    };
  }

  /**
   * True while this process hears of everything of `type` that happens elsewhere; it must be
   * watched. A node that was cut off says so within its lease. Costs two look-ups and the clock.
   */
  isHeard(type: string): boolean {
    const topic = this.#topics.get(type);
    return topic !== undefined && this.#audience?.isHeard(topic.since) === true;
  }

  /** True when somebody of this process listens to `type`. */
  has(type: string): boolean {
    return this.#topics.has(type);
  }

  /** True when somebody wants the message of what happens, not just to know that it did. */
  wantsMessage(type: string): boolean {
    const here = this.#topics.get(type)?.wantsMessage === true;
    return here || this.#audience?.wantsMessage(type) === true;
  }

  /** What an entity pushes, checked. @throws {TypeError} for what is checked later */
  checked(message: unknown): object {
    const event = this.#read(message);
    if (!isThenable(event)) return event.message;
    throw new TypeError("Cannot push what a schema checks later: its answer must be no promise");
  }

  /**
   * Gives an event to everybody who listens at this moment. Resolves when it was handed to the
   * streams; whoever waits for that lets other work go first. With the span of a turn, if one
   * publishes it.
   */
  async publish(message: unknown, trace?: TraceContext): Promise<void> {
    const read = this.#read(message);
    const event = isThenable(read) ? await read : read;
    if (this.#tracer === undefined) return this.#audience!.publish(event);
    const { type, key: id = "" } = event;
    const what = { ...event, entity: handlerEntity(type), id, oneWay: true, trace };
    return this.#tracer.call("publish", what, async (traced) => this.#audience!.publish(traced));
  }

  /**
   * A command ran here, with this plain message: tells those who watch its type, everywhere. Here
   * they have heard when it returns, elsewhere before anything that leaves this node later.
   */
  happened(type: string, message: object | undefined): void {
    this.#happened.add(type);
    // Before anybody here is told, who might change it.
    const isWanted = message !== undefined && this.#audience?.wantsMessage(type) === true;
    const copy = isWanted ? (copyPlain(message) as object) : undefined;
    const charsMax = copy === undefined ? 0 : charsMaxOfLastCopy();
    this.#tellWatches(type, message);
    this.#audience?.happened({ type, message: copy, charsMax });
  }

  /** A node has joined: what its former one ran at last may have been told to nobody. */
  joined(audience: Audience): void {
    for (const type of this.#happened) audience.happened({ type, charsMax: 0 });
  }

  /** Something happened on another node; `false` when nobody here cares. */
  told(type: string, message: object | undefined, trace?: TraceContext): boolean {
    this.#tellWatches(type, message);
    if (message !== undefined && trace !== undefined) this.#tracer?.carries(message, trace);
    if (message !== undefined) this.#post(type, message);
    return this.#topics.has(type);
  }

  /** What happened on other nodes may have been missed. */
  lost(): void {
    for (const [type, { watches }] of this.#topics) {
      for (const { lost } of watches) this.#call(type, lost);
    }
  }

  /** Another node sits here. */
  seat(audience: Audience): void {
    this.#audience = audience;
  }

  /** The node that sits here ends: what it was told, and what its turns have said, is over. */
  leave(audience: Audience): void {
    if (this.#audience !== audience) return;
    for (const { subscriptions } of this.#topics.values()) {
      for (const each of subscriptions) each.clear();
    }
    this.lost();
  }

  #post(type: string, message: object): void {
    const subscriptions = this.#topics.get(type)?.subscriptions;
    // One that another of them adds begins with the next event, one that it ends hears no more.
    const now = [...(subscriptions ?? [])];
    for (const each of now) {
      if (subscriptions?.has(each) === true) each.post(message);
    }
  }

  #runReady(listener: Listener): void {
    while (listener.isReady) {
      const { slices } = this.#audience!;
      if (!slices.enter()) return slices.later(listener);
      listener.next();
      slices.leave();
    }
  }

  #tellWatches(type: string, message: object | undefined): void {
    for (const { heard, wantsMessage } of this.#topics.get(type)?.watches ?? []) {
      this.#call(type, () => heard(wantsMessage ? message : undefined));
    }
  }

  /** Nobody who listens may hurt the others. */
  #call(type: string, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#log.error({ err: error, type }, "a watch of a topic failed");
    }
  }

  /** Changes who listens to `type`, and tells others when that changes what they must tell. */
  #change(type: string, change: (topic: Topic) => void): void {
    const known = this.#topics.get(type);
    const since = this.#version + 1;
    const none = { subscriptions: new Set<Listener>(), watches: new Set<Watch>() };
    const topic = known ?? { ...none, wantsMessage: false, since };
    change(topic);
    const { subscriptions, watches } = topic;
    const isEmpty = subscriptions.size + watches.size === 0;
    const wantsMessage = subscriptions.size > 0 || [...watches].some((each) => each.wantsMessage);
    if (isEmpty === (known === undefined) && wantsMessage === topic.wantsMessage) return;
    topic.wantsMessage = wantsMessage;
    if (isEmpty) this.#topics.delete(type);
    else this.#topics.set(type, topic);
    this.#version++;
    this.#audience?.changed();
  }
}
