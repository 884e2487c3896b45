/**
 * The calls of one type of message to the nodes that handle it: which one, whether it is well, and
 * who is next when it is not.
 */
import { CatgaError } from "../base/errors.ts";
import { CALL_TIMEOUT_MS } from "../base/limits.ts";
import { rejected } from "../base/thenable.ts";
import type { Sending } from "../runtime/call.ts";
import type { Router } from "../runtime/router.ts";
import { createCustomPicker, createPicker, type Picker } from "./balance.ts";
import { type CircuitEvent, type CircuitLimits, CLOSED, stepCircuit } from "./breaker.ts";
import type { NamedSpec, RouteSpec } from "./definition.ts";
import { excluded, type FailedCall, failover, type FailoverLimits, verdictOn } from "./failover.ts";
import { Outlet, type Place } from "./outlet.ts";
import { again, type Door, pause } from "./retry.ts";

/** How calls are tried again, and when nodes are left out. */
export interface FailoverSettings extends FailoverLimits {
  readonly circuit: CircuitLimits;
}

type NodeRoute = Extract<RouteSpec, { readonly to: "node" }>;

/** A call at a node. */
interface Trial {
  readonly place: Place;
  readonly answer: Promise<unknown>;
}

const DONE: Promise<undefined> = Promise.resolve(undefined);
const ROUND_ROBIN: NodeRoute = { to: "node", strategy: "roundRobin", local: undefined };

/** See the file's header. */
export class Lane {
  readonly outlet: Outlet;
  readonly #spec: NamedSpec;
  readonly #route: NodeRoute;
  readonly #door: Door;
  readonly #settings: FailoverSettings;
  readonly #picker: Picker;
  #trials = 0;

  constructor(spec: NamedSpec, door: Door, settings: FailoverSettings) {
    this.#spec = spec;
    this.#route = spec.route.to === "node" ? spec.route : ROUND_ROBIN;
    this.#door = door;
    this.#settings = settings;
    this.outlet = new Outlet(spec);
    const { strategy } = this.#route;
    this.#picker =
      typeof strategy === "string"
        ? createPicker(strategy, door.router.context.options.random)
        : createCustomPicker(spec.type, strategy);
  }

  /**
   * Sends to one of the nodes, and to another one if that may help.
   *
   * @throws {CatgaError} NO_HANDLER, UNAVAILABLE, BALANCER_FAILED
   */
  send(sending: Sending, retries: number | undefined): Promise<unknown> {
    const { router } = this.#door;
    const place = this.#pick(router, []);
    if (place !== this.outlet.here) {
      return this.#follow(sending, { place, answer: this.at(place, sending) }, retries);
    }
    // The usual call within a process has ended when it returns.
    let answer: Promise<unknown>;
    try {
      const call = router.handlers.call(sending);
      if (call === undefined) return router.context.slices.pause() ?? DONE;
      answer = call.promise();
      if (call.isSettled && call.failure === undefined && place.health.circuit === CLOSED)
        return answer;
    } catch (error) {
      answer = rejected(error);
    }
    return this.#follow(sending, { place, answer }, retries);
  }

  /** Sends to that node alone. */
  at(place: Place, sending: Sending): Promise<unknown> {
    const { router } = this.#door;
    try {
      if (place !== this.outlet.here) return router.ask(place.incarnation, sending).promise();
      return router.handlers.call(sending)?.promise() ?? DONE;
    } catch (error) {
      return rejected(error);
    }
  }

  async #follow(sending: Sending, first: Trial, retries: number | undefined): Promise<unknown> {
    const { clock } = this.#door.router.context;
    const { boundMs, timeoutMs = CALL_TIMEOUT_MS } = sending;
    let beganMs = clock.nowMs();
    const untilMs = Math.min(boundMs, beganMs + timeoutMs);
    const tried: string[] = [];
    for (let trial = first; ; beganMs = clock.nowMs()) {
      const { place, answer } = trial;
      const call = this.#begin(place);
      try {
        const reply = await answer;
        const nowMs = clock.nowMs();
        place.answered(nowMs - beganMs);
        this.#end(place, { kind: "succeeded", call, nowMs });
        return reply;
      } catch (error) {
        const nowMs = clock.nowMs();
        const isKnown = error instanceof CatgaError;
        this.#end(place, { kind: isKnown ? verdictOn(error) : "given-up", call, nowMs });
        tried.push(place.node);
        if (!isKnown) throw error;
        const { signal } = sending;
        await this.#wait({ error, tried, leftMs: untilMs - nowMs, signal }, retries);
      }
      const { router } = this.#door;
      const next = this.#pick(router, tried);
      const send = (each: Sending): Promise<unknown> => this.at(next, each);
      const late = { ...sending, boundMs: untilMs };
      trial = { place: next, answer: again(router, late, { tries: tried.length, send }) };
    }
  }

  /** Until the next try. @throws what the last one failed with, if there is none */
  async #wait(
    failed: Pick<FailedCall, "error" | "tried" | "leftMs"> & Pick<Sending, "signal">,
    retries: number = this.#settings.maxRetries,
  ): Promise<void> {
    const { router } = this.#door;
    const { clock, options } = router.context;
    const candidates = this.#candidates(router).map(({ node }) => node);
    const mayRunTwice = this.#spec.kind === "query";
    const limits = { ...this.#settings, maxRetries: retries };
    const waitMs = failover({ ...failed, candidates, mayRunTwice }, limits, options.random);
    if (waitMs === undefined || candidates.length === 0) throw failed.error;
    if (waitMs > 0) await pause(clock, waitMs, failed.signal);
  }

  #pick(router: Router, tried: readonly string[]): Place {
    const ready = this.#candidates(router);
    const { here } = this.outlet;
    if (ready.length === 0) throw this.#nobody(router);
    if (this.#route.local === "preferred" && here !== undefined && !tried.includes(here.node)) {
      if (ready === this.outlet.all(router) || ready.includes(here)) return here;
    }
    if (tried.length === 0) return this.#picker.pick(ready);
    const out = excluded(
      tried,
      ready.map(({ node }) => node),
    );
    return this.#picker.pick(ready.filter(({ node }) => !out.includes(node)));
  }

  /** Who may be sent a call now. */
  #candidates(router: Router): readonly Place[] {
    const ready = this.outlet.ready(router);
    return this.#route.local === "only" ? ready.filter((each) => each === this.outlet.here) : ready;
  }

  #nobody(router: Router): CatgaError {
    const { type } = this.#spec;
    if (this.#route.local === "only" && this.outlet.here === undefined) {
      return unhandled(type, router, "this node has none");
    }
    if (this.outlet.all(router).length === 0) return unhandled(type, router);
    const reason = `all nodes that handle "${type}" have failed of late`;
    return new CatgaError("UNAVAILABLE", { reason });
  }

  #begin(place: Place): number {
    place.open++;
    const call = ++this.#trials;
    if (place.health.circuit.kind === "open") {
      this.#step(place, { kind: "sent", call, nowMs: this.#door.router.context.clock.nowMs() });
    }
    return call;
  }

  #end(place: Place, event: CircuitEvent): void {
    place.open--;
    if (event.kind !== "succeeded" || place.health.circuit !== CLOSED) this.#step(place, event);
  }

  #step(place: Place, event: CircuitEvent): void {
    const { health } = place;
    const [circuit, effect] = stepCircuit(health.circuit, event, this.#settings.circuit);
    const isSame = circuit.kind === health.circuit.kind;
    health.circuit = circuit;
    if (!isSame || circuit.kind === "open") this.outlet.select(event.nowMs);
    if (effect !== undefined) {
      const event = { node: place.node, message: this.#spec.type };
      this.#door.router.context.events.emit(`circuit-${effect}`, event);
    }
  }
}

/** No live node has a handler; a node that has stopped knows none. */
export function unhandled(
  message: string,
  { context }: Router,
  reason: string = "no node that lives has one",
): CatgaError {
  return context.refusal ?? new CatgaError("NO_HANDLER", { message, reason });
}
