/**
 * Where messages of one type may go: the nodes that have a handler for it, as this node sees them.
 * The list is made anew when the members of the cluster change, and when a circuit does.
 */
import { CIRCUITS_KEPT } from "../base/limits.ts";
import type { View } from "../ownership/view.ts";
import type { LoadFigures, SessionRecord } from "../protocol/records.ts";
import type { CircuitChange } from "../runtime/events.ts";
import type { Router } from "../runtime/router.ts";
import { type Candidate, smoothedAnswerMs, smoothedFigures } from "./balance.ts";
import { admits, type Circuit, CLOSED } from "./breaker.ts";
import type { NamedSpec } from "./definition.ts";

/** What is known of a node by its name: whoever comes back under it has a circuit to close. */
interface Health {
  circuit: Circuit;
}

interface PlaceParts {
  readonly view: View;
  readonly health: Health;
}

/** A node with a handler. What it reports is read from its session when it is asked for. */
export class Place implements Candidate {
  readonly incarnation: string;
  readonly node: string;
  readonly weight: number;
  open = 0;
  answerMs = 0;
  readonly health: Health;
  readonly #view: View;
  #told: LoadFigures;
  #figures: LoadFigures;

  constructor(incarnation: string, record: SessionRecord, { view, health }: PlaceParts) {
    this.incarnation = incarnation;
    this.health = health;
    this.node = record.node;
    this.weight = record.weight;
    this.#view = view;
    this.#told = this.#figures = record.load;
  }

  get figures(): LoadFigures {
    const told = this.#view.sessions.get(this.incarnation)?.record.load ?? this.#told;
    if (told !== this.#told) this.#figures = smoothedFigures(this.#figures, told);
    this.#told = told;
    return this.#figures;
  }

  /** A call has ended after so long. */
  answered(tookMs: number): void {
    this.answerMs = smoothedAnswerMs(this.answerMs, tookMs);
  }
}

/** See the file's header. */
export class Outlet {
  readonly spec: NamedSpec;
  #view: View | undefined;
  #changes = -1;
  #places = new Map<string, Place>();
  readonly #health = new Map<string, Health>();
  #all: readonly Place[] = [];
  #ready: readonly Place[] = [];
  /** When a circuit that is open may admit a call. */
  #readyUntilMs = Number.POSITIVE_INFINITY;
  /** This node, if it has a handler. */
  here: Place | undefined;

  constructor(spec: NamedSpec) {
    this.spec = spec;
  }

  /** Nodes that live and are left out, or tried. */
  get openCircuits(): CircuitChange[] {
    const open = this.#all.filter(({ health }) => health.circuit.kind !== "closed");
    return open.map(({ node }) => ({ node, message: this.spec.type }));
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
    const ready = this.#all.filter(({ health }) => admits(health.circuit, nowMs));
    this.#ready = ready.length === this.#all.length ? this.#all : ready;
    this.#readyUntilMs = Number.POSITIVE_INFINITY;
    for (const { circuit } of this.#all.map(({ health }) => health)) {
      if (circuit.kind !== "open" || circuit.untilMs <= nowMs) continue;
      this.#readyUntilMs = Math.min(this.#readyUntilMs, circuit.untilMs);
    }
  }

  #look({ context }: Router): void {
    const { view, self, clock } = context;
    const nowMs = clock.nowMs();
    const before = view === this.#view ? this.#places : new Map<string, Place>();
    this.#view = view;
    this.#changes = view.changes;
    this.#places = new Map();
    for (const [incarnation, { record }] of view.living) {
      if (record.state !== "up" || record.handlers?.includes(this.spec.type) !== true) continue;
      let place = before.get(incarnation);
      if (place === undefined) {
        const health = this.#healthOf(record.node, nowMs);
        place = new Place(incarnation, record, { view, health });
      }
      this.#places.set(incarnation, place);
      this.#health.delete(record.node);
      this.#health.set(record.node, place.health);
    }
    // Those of nodes that are gone stand first.
    for (const node of this.#health.keys()) {
      if (this.#health.size <= this.#places.size + CIRCUITS_KEPT) break;
      this.#health.delete(node);
    }
    this.here = this.#places.get(self);
    this.#all = [...this.#places.values()].sort((a, b) => (a.node < b.node ? -1 : 1));
    this.select(nowMs);
  }

  /** Of a node that has come, or come back: then a call may try at once whether it is well. */
  #healthOf(node: string, nowMs: number): Health {
    const health = this.#health.get(node) ?? { circuit: CLOSED };
    const { circuit } = health;
    if (circuit.kind === "open") health.circuit = { ...circuit, untilMs: nowMs };
    return health;
  }
}
