/**
 * A world in which a chooser decides what comes next, not a seed.
 *
 * What is on its way takes no time: it may arrive in any order, or late, after the timer that is
 * due first. A node has its timers in their order, and at most one fault happens. Names of events
 * and draws of chance depend on their cause alone (the event in which they were made, and how many
 * were made there before), so that two events which touch different places do the same in either
 * order.
 */
import { type Event, type EventKind, World } from "../../src/testing/world.ts";
import type { Footprint, Option } from "./explore.ts";

/** What may come next. */
export interface Choice extends Option {
  readonly kind: "run" | "hold" | Mishap;
  readonly event: Event;
}

/** Decides which of the choices comes next. */
export interface Chooser {
  choose(choices: readonly Choice[]): Choice;
  /** Told what the last choice has touched. */
  touched(footprint: Footprint): void;
}

/** Something that may happen to a node, at any time. */
export interface NodeFault {
  readonly kind: "kill" | "leave";
  readonly node: string;
  readonly run: () => void;
}

/** When the order of events is open. */
export interface Window {
  readonly chooser: Chooser;
  /** Events that come in their default order before. */
  readonly skip: number;
  /** What happens when it opens. */
  readonly begin: () => void;
  /** Events whose order is open, at most one fault among them. */
  readonly depth: number;
  readonly faults: readonly NodeFault[];
  /** True when what travels may be held back for {@link HOLD_MS}; that is no fault. */
  readonly mayHold: boolean;
  /** Called when it has closed. */
  readonly end: () => void;
}

/** So much later than its time anything may come: the retransmission of a frame may come before. */
const LATE_MS_MAX = 300;

/** What is held back comes after all that follows from the rest, and before it is sent again. */
const HOLD_MS = 100;

type Mishap = "lose" | "double";

const MISHAPS: { readonly [K in EventKind]: readonly Mishap[] } = {
  frame: ["lose", "double"],
  request: ["lose", "double"],
  answer: ["lose"],
  // News come without gaps: schedules cut nodes off from them.
  news: [],
  timer: [],
};

interface Known {
  /** See the file's header. */
  readonly name: number;
  /** How many were made before. */
  readonly number: number;
  /** Gives up waiting for what this is a part of: a request, or its answer. */
  readonly timeout: Event | undefined;
}

/** See the file's header. */
export class ChoiceWorld extends World {
  /** True when the event that runs has looked at other places than its own. */
  looksAround = false;
  readonly #known = new WeakMap<Event, Known>();
  #window: Window | undefined;
  /** Events since the window was announced. */
  #passed = 0;
  #hasFailed = false;
  #last: { readonly choice: Choice; readonly atMs: number } | undefined;
  #running: Event | undefined;
  #added: Event | undefined;
  /** The name of what runs, and how much it has made and drawn. */
  #cause = 1;
  #made = 0;
  #drawn = 0;
  #count = 0;

  /** Announces when the order of events will be open. */
  open(window: Window): void {
    this.#window = window;
  }

  override fraction(): number {
    return mix(this.#cause, -++this.#drawn) / 2 ** 53;
  }

  protected override add(event: Event): void {
    // A request is made together with its time-out, and an answer by its request.
    const origin = event.kind === "answer" ? this.#running : undefined;
    const timeout = event.kind === "request" ? this.#added : this.#known.get(origin!)?.timeout;
    const name = mix(this.#cause, ++this.#made);
    this.#known.set(event, { name, number: ++this.#count, timeout });
    this.#added = event;
    super.add(event);
  }

  protected override next(events: readonly Event[]): Event | undefined {
    const candidates = this.#candidates(events);
    const [first] = candidates;
    if (first === undefined) return undefined;
    const window = this.#window;
    const at = window === undefined ? -1 : this.#passed++ - window.skip;
    if (window === undefined || at < 0) return this.#begins(first, this.#nameOf(first));
    if (at === 0) return this.#begins(madeUp(first.owner, window.begin), mix(1, 1));
    if (this.#last !== undefined) window.chooser.touched(this.#footprint(this.#last));
    if (at > window.depth) {
      this.#window = undefined;
      window.end();
      return this.#begins(first, this.#nameOf(first));
    }
    const choice = window.chooser.choose(this.#choices(candidates, window));
    this.#last = { choice, atMs: this.nowMs };
    this.#hasFailed ||= choice.isFault;
    if (choice.kind === "lose" || choice.kind === "hold") return this.#withhold(choice);
    return this.#begins(choice.event, choice.name);
  }

  /** The event does not happen, or later. */
  #withhold({ kind, event, name }: Choice): Event {
    const { owner: to, run } = event;
    event.run = undefined;
    this.#begins(event, name);
    if (kind === "lose") return event;
    this.carry({ to, kind: event.kind, delayMs: HOLD_MS }, run!);
    const later = this.#added!;
    const { timeout } = this.#known.get(event)!;
    this.#known.set(later, { ...this.#known.get(later)!, timeout });
    return event;
  }

  #begins(event: Event, name: number): Event {
    this.#cause = name;
    this.#made = this.#drawn = 0;
    this.#running = event;
    this.looksAround = false;
    const timeout = this.#known.get(event)?.timeout;
    if (event.kind === "answer" && event.run !== undefined && timeout !== undefined) {
      timeout.run = undefined;
    }
    return event;
  }

  /** What is due, in its order, and then what is due next, if nothing is too late by then. */
  #candidates(events: readonly Event[]): Event[] {
    const due: Event[] = [];
    let next: Event[] = [];
    for (const event of events.toReversed()) {
      if (event.run === undefined || this.healthOf(event.owner) === "dead") continue;
      if (event.atMs <= this.nowMs) due.push(event);
      else if (next.length === 0 || next[0]!.atMs === event.atMs) next.push(event);
      else break;
    }
    const number = (event: Event): number => this.#known.get(event)!.number;
    due.sort((a, b) => a.atMs - b.atMs || number(a) - number(b));
    next.sort((a, b) => number(a) - number(b));
    if (due.length > 0 && next.length > 0 && next[0]!.atMs > due[0]!.atMs + LATE_MS_MAX) next = [];
    const seen = new Set<string>();
    return [...due, ...next].filter(({ kind, owner }) => {
      if (kind !== "news" && kind !== "timer") return true;
      // News come in their order, and a process has its timers in theirs.
      const queue = `${kind} ${owner}`;
      return !seen.has(queue) && seen.add(queue);
    });
  }

  #choices(candidates: readonly Event[], { faults, mayHold }: Window): Choice[] {
    const counts = new Map<string, number>();
    const choices = candidates.map((event): Choice => {
      const { kind, owner } = event;
      const text = kind === "timer" ? `timer of ${owner}` : `${kind} to ${owner}`;
      const count = (counts.get(text) ?? 0) + 1;
      counts.set(text, count);
      const label = count === 1 ? text : `${text} (${count})`;
      return { kind: "run", event, name: this.#nameOf(event), label, isFault: false };
    });
    const held = choices.filter(({ event }) => mayHold && event.kind !== "timer").map(holdOf);
    if (this.#hasFailed) return [...choices, ...held];
    const mishaps = choices.flatMap((choice) =>
      MISHAPS[choice.event.kind].map((kind) => this.#mishapOf(choice, kind)),
    );
    const blows = faults.map(({ kind, node, run }, index): Choice => {
      const event = madeUp(node, run);
      return { kind: "run", event, name: mix(2, index), label: `${kind} ${node}`, isFault: true };
    });
    return [...choices, ...held, ...mishaps, ...blows];
  }

  #mishapOf({ event, name, label }: Choice, kind: Mishap): Choice {
    // What is doubled comes now, and once more.
    const copy = kind === "double" ? { ...event } : event;
    this.#known.set(copy, this.#known.get(event)!);
    const own = mix(name, kind === "double" ? -1_000 : -2_000);
    return { kind, event: copy, name: own, label: `${kind} ${label}`, isFault: true };
  }

  #footprint({ choice, atMs }: { readonly choice: Choice; readonly atMs: number }): Footprint {
    const { event, isFault } = choice;
    const { looksAround } = this;
    return { place: event.owner, looksAround, tookTime: this.nowMs > atMs, isFault };
  }

  #nameOf(event: Event): number {
    return this.#known.get(event)!.name;
  }
}

function holdOf({ event, name, label }: Choice): Choice {
  return { kind: "hold", event, name: mix(name, -3_000), label: `hold ${label}`, isFault: false };
}

function madeUp(owner: string, run: () => void): Event {
  // Now, for nothing that has to come is older.
  return { owner, atMs: 0, tie: 0, kind: "timer", run };
}

/** A number below 2^53 that depends on both. Source: cyrb53, bryc. */
function mix(cause: number, number: number): number {
  let one = 0xdeadbeef;
  let other = 0x41c6ce57;
  for (const part of [cause, Math.floor(cause / 2 ** 32), number]) {
    one = Math.imul(one ^ part, 2_654_435_761);
    other = Math.imul(other ^ part, 1_597_334_677);
    one = (one << 13) | (one >>> 19);
    other = (other << 15) | (other >>> 17);
  }
  one =
    Math.imul(one ^ (one >>> 16), 2_246_822_507) ^ Math.imul(other ^ (other >>> 13), 3_266_489_909);
  other =
    Math.imul(other ^ (other >>> 16), 2_246_822_507) ^ Math.imul(one ^ (one >>> 13), 3_266_489_909);
  return 2 ** 32 * (other & 0x1fffff) + (one >>> 0);
}
