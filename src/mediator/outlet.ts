/**
 * Where messages of one type may go: the nodes that have a handler for it, as this node sees them.
 * The list is made anew when the members of the cluster change, and when a circuit does.
 */
import type { View } from "../ownership/view.ts";
import type { LoadFigures, SessionRecord } from "../protocol/records.ts";
import type { Router } from "../runtime/router.ts";
import { type Candidate, smoothedAnswerMs, smoothedFigures } from "./balance.ts";
import { admits, type Circuit, CLOSED } from "./breaker.ts";
import type { NamedSpec } from "./definition.ts";

/** A node with a handler. What it reports is read from its session when it is asked for. */
export class Place implements Candidate {
  readonly incarnation: string;
  readonly node: string;
  readonly weight: number;
  open = 0;
  answerMs = 0;
  circuit: Circuit = CLOSED;
  readonly #view: View;
  #told: LoadFigures;
  #figures: LoadFigures;

  constructor(incarnation: string, record: SessionRecord, view: View) {
    this.incarnation = incarnation;
    this.node = record.node;
    this.weight = record.weight;
    this.#view = view;
    this.#told = this.#figures = record.load;
  }

  get inFlight(): number {
    return this.#load.inFlight;
  }

  get cpu(): number {
    return this.#load.cpu;
  }

  get memoryBytes(): number {
    return this.#load.memoryBytes;
  }

  get messagesPerSecond(): number {
    return this.#load.messagesPerSecond;
  }

  get eventLoopLagMs(): number {
    return this.#load.eventLoopLagMs;
  }

  /** A call has ended after so long. */
  answered(tookMs: number): void {
    this.answerMs = smoothedAnswerMs(this.answerMs, tookMs);
  }

  get #load(): LoadFigures {
    const told = this.#view.sessions.get(this.incarnation)?.record.load ?? this.#told;
    if (told !== this.#told) this.#figures = smoothedFigures(this.#figures, told);
    this.#told = told;
    return this.#figures;
  }
}

/** See the file's header. */
export class Outlet {
  readonly spec: NamedSpec;
  #view: View | undefined;
  #changes = -1;
  #places = new Map<string, Place>();
  #all: readonly Place[] = [];
  #ready: readonly Place[] = [];
  /** When a circuit that is open may admit a call. */
  #readyUntilMs = Number.POSITIVE_INFINITY;
  /** This node, if it has a handler. */
  here: Place | undefined;

  constructor(spec: NamedSpec) {
    this.spec = spec;
  }

  /** All nodes that live and have a handler. */
  all(router: Router): readonly Place[] {
    const { view } = router.context;
    if (view !== this.#view || view.changes !== this.#changes) this.#look(router);
    return this.#all;
  }

  /** Those that may be sent a call: the same list as long as they are the same. */
  ready(router: Router): readonly Place[] {
    this.all(router);
    if (this.#readyUntilMs !== Number.POSITIVE_INFINITY) {
      const nowMs = router.context.clock.nowMs();
      if (nowMs >= this.#readyUntilMs) this.select(nowMs);
    }
    return this.#ready;
  }

  /** A circuit has changed. */
  select(nowMs: number): void {
    const ready = this.#all.filter(({ circuit }) => admits(circuit, nowMs));
    this.#ready = ready.length === this.#all.length ? this.#all : ready;
    this.#readyUntilMs = Number.POSITIVE_INFINITY;
    for (const { circuit } of this.#all) {
      if (circuit.kind !== "open" || circuit.untilMs <= nowMs) continue;
      this.#readyUntilMs = Math.min(this.#readyUntilMs, circuit.untilMs);
    }
  }

  #look({ context }: Router): void {
    const { view, self, clock } = context;
    const before = view === this.#view ? this.#places : new Map<string, Place>();
    this.#view = view;
    this.#changes = view.changes;
    this.#places = new Map();
    for (const [incarnation, { record }] of view.living) {
      if (record.state !== "up" || record.handlers?.includes(this.spec.type) !== true) continue;
      const place = before.get(incarnation) ?? new Place(incarnation, record, view);
      this.#places.set(incarnation, place);
    }
    this.here = this.#places.get(self);
    this.#all = [...this.#places.values()].sort((a, b) => (a.node < b.node ? -1 : 1));
    this.select(clock.nowMs());
  }
}
