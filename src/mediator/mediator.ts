/**
 * The way of a message that has a name of its own, from its sender to whoever handles it. What has
 * a key goes to the owner of that key, as a message of an entity; what has none to any node with a
 * handler, or to all of them.
 */
import { CatgaError, type Executed } from "../base/errors.ts";
import { CALL_TIMEOUT_MS } from "../base/limits.ts";
import { rejected } from "../base/thenable.ts";
import type { View } from "../ownership/view.ts";
import { copyPayload, type Sending } from "../runtime/call.ts";
import type { NamedSpec, Quorum } from "./definition.ts";
import type { Topics } from "../runtime/topics.ts";
import type { Answers, CachedSpec, Question } from "./answers.ts";
import { share } from "../runtime/sharing.ts";
import { type FailoverSettings, Lane, unhandled } from "./lane.ts";
import { type Door, sendAgain } from "./retry.ts";

/** How a message is sent: what its sender has said, and what surrounds him. */
export interface Asking extends Pick<
  Sending,
  "oneWay" | "timeoutMs" | "boundMs" | "signal" | "chain" | "trace"
> {
  /** Tries after the first one; what the cluster was given if the sender says nothing. */
  readonly retries: number | undefined;
  /** Of commands that shall run once. */
  readonly key: string | undefined;
}

/** What one node's answer to a broadcast was. */
export type NodeOutcome<R = unknown> =
  | { readonly node: string; readonly ok: true; readonly reply: R }
  | { readonly node: string; readonly ok: false; readonly code: string };

/** How all are asked. */
interface Canvass extends Asking {
  /** It ends when everybody has answered, even if enough cannot any more. */
  readonly isPatient: boolean;
}

/** How a broadcast ended: of how many nodes it needed an answer, and whether it ran anywhere. */
interface Poll {
  readonly answers: readonly NodeOutcome[];
  readonly needed: number;
  readonly executed: Executed;
}

/** What a mediator works with. */
export interface MediatorParts {
  readonly failover: FailoverSettings;
  readonly topics: Topics;
  readonly answers: Answers;
  /** Whether other nodes may keep answers for this one that such a command makes old. */
  readonly isKeptElsewhere: (type: string) => boolean;
}

/** See the file's header. */
export class Mediator {
  readonly #door: Door;
  readonly #settings: FailoverSettings;
  readonly lanes: Map<NamedSpec, Lane> = new Map();
  /** Which messages with a key somebody handles, as of these changes of this view. */
  readonly #hosted = new Set<string>();
  readonly #topics: Topics;
  readonly #answers: Answers;
  readonly #isKeptElsewhere: (type: string) => boolean;
  #view: View | undefined;
  #changes = -1;

  constructor(door: Door, { failover, topics, answers, isKeptElsewhere }: MediatorParts) {
    this.#door = door;
    this.#settings = failover;
    this.#topics = topics;
    this.#answers = answers;
    this.#isKeptElsewhere = isKeptElsewhere;
  }

  /** Sends to whoever handles it; resolves to the answer, or for a one-way message to nothing. */
  send(spec: NamedSpec, message: object, asking: Asking): Promise<unknown> {
    const { fallback } = spec;
    let answer: Promise<unknown>;
    try {
      answer = this.#answer(spec, message, asking);
    } catch (error) {
      answer = rejected(error);
    }
    // Nobody's taking a message is no answer that could be replaced.
    if (fallback === undefined || asking.oneWay) return answer;
    return answer.catch((error: unknown) => {
      if (mayDegrade(spec, error)) return fallback(message);
      throw error;
    });
  }

  /**
   * Asks every node that has a handler; resolves to what they answered so far when enough have, or
   * cannot any more. Where all must answer, the caller is told of each who did not.
   *
   * @throws {CatgaError} NO_HANDLER, NO_QUORUM, or the message cannot travel; nobody was asked.
   * @throws {TypeError} for a message with a key, which is for one node.
   */
  async broadcast(spec: NamedSpec, message: object, asking: Asking): Promise<Poll["answers"]> {
    const isPatient = quorumOf(spec) === "all";
    const ask = (): Promise<Poll> => this.#askAll(spec, message, { ...asking, isPatient });
    return (await (this.#isTold(spec) ? this.#telling(spec, message, ask) : ask())).answers;
  }

  async #askAll(spec: NamedSpec, message: object, asking: Canvass): Promise<Poll> {
    const { type, route } = spec;
    if (route.to === "owner" || route.to === "entity") {
      throw new TypeError(`Cannot broadcast "${type}": it goes to the owner of its key`);
    }
    checkKeyless(spec, asking);
    const lane = this.#lane(spec);
    const places = lane.outlet.all(this.#door.router);
    if (places.length === 0) throw unhandled(type, this.#door.router);
    const needed = neededOf(spec, places.length);
    if (needed > places.length) {
      throw new CatgaError("NO_QUORUM", { message: type, answered: 0, needed });
    }
    const sending = sendingOf(spec, message, asking);
    const copy = { ...sending, message: copyPayload(sending, message) };
    const answers: NodeOutcome[] = [];
    let oks = 0;
    let executed: Executed = "no";
    return new Promise((resolve) => {
      const heard = (answer: NodeOutcome, ran: Executed): void => {
        if (answer.ok) oks++;
        if (executed !== "yes" && ran !== "no") executed = ran;
        const left = places.length - answers.push(answer);
        const isOpen = asking.isPatient ? left > 0 : oks + left >= needed;
        if (oks < needed && isOpen) return;
        // Those that have not answered may run it.
        if (executed === "no" && left > 0) executed = "maybe";
        resolve({ answers: [...answers], needed, executed });
      };
      for (const place of places) {
        const { node } = place;
        lane.at(place, copy).then(
          (reply) => heard({ node, ok: true, reply }, "yes"),
          ({ code, executed: ran }: CatgaError) => heard({ node, ok: false, code }, ran),
        );
      }
    });
  }

  #answer(spec: NamedSpec, message: object, asking: Asking): Promise<unknown> {
    if (this.#isTold(spec)) {
      return this.#telling(spec, message, () => this.#route(spec, message, asking));
    }
    if (!isCached(spec) || asking.oneWay) return this.#route(spec, message, asking);
    return this.#cached(spec, message, asking);
  }

  /**
   * Whoever sends what makes answers old is told none of them afterwards: not from here, and not
   * by those who keep answers for all, who hear of it from this node before they hear its query.
   */
  #telling<T>(spec: NamedSpec, message: object, send: () => Promise<T>): Promise<T> {
    const { type, entity } = spec;
    const topics = this.#topics;
    const copy = topics.wantsMessage(type)
      ? (copyPayload({ entity, id: "", type }, message) as object)
      : undefined;
    return send().finally(() => {
      if (this.#isKeptElsewhere(type)) topics.happened(type, copy);
      else topics.told(type, copy);
    });
  }

  /** True for a command that makes answers old, of this node or of those that keep them for all. */
  #isTold({ kind, type }: NamedSpec): boolean {
    return kind === "command" && (this.#topics.has(type) || this.#isKeptElsewhere(type));
  }

  #cached(spec: CachedSpec, message: object, asking: Asking): Promise<unknown> {
    const { context } = this.#door.router;
    if (context.refusal !== undefined) throw context.refusal;
    const pause = context.slices.share();
    const answer = this.#answers.answer(spec, this.#question(spec, message, asking));
    return pause === undefined ? answer : Promise.all([answer, pause]).then(([first]) => first);
  }

  #question(spec: CachedSpec, message: object, asking: Asking): Question {
    if (asking.chain !== undefined) {
      return { message, isOfTurn: true, fill: () => this.#route(spec, message, asking) };
    }
    const { context } = this.#door.router;
    const patienceMs = asking.timeoutMs ?? spec.timeoutMs ?? CALL_TIMEOUT_MS;
    const untilMs = Math.min(asking.boundMs, context.slices.nowMs + patienceMs);
    // What others wait for as well ends with nobody's signal, and is tried again as usual.
    const free = { signal: undefined, retries: undefined };
    return {
      message,
      isOfTurn: false,
      untilMs,
      fill: () => this.#route(spec, message, { ...asking, ...free }),
      wait: (answer) => share(answer, sendingOf(spec, message, asking), context),
    };
  }

  #route(spec: NamedSpec, message: object, asking: Asking): Promise<unknown> {
    const { route } = spec;
    const sending = sendingOf(spec, message, asking);
    if (route.to === "node" || route.to === "all") {
      checkKeyless(spec, asking);
      if (route.to === "all") return this.#toAll(spec, message, asking);
      return this.#lane(spec).send(sending, asking.retries);
    }
    const entity = route.to === "entity" ? route.entity : spec.entity;
    const { timeoutMs = CALL_TIMEOUT_MS } = sending;
    // All tries together end with the deadline of the call.
    const untilMs = this.#door.router.context.clock.nowMs() + timeoutMs;
    const boundMs = Math.min(sending.boundMs, untilMs);
    return this.#toEntity(spec, { ...sending, entity, id: route.key(message), boundMs }, asking);
  }

  #toEntity(spec: NamedSpec, sending: Sending, asking: Asking): Promise<unknown> {
    const { kind, idempotency, route } = spec;
    const { retries = this.#settings.maxRetries } = asking;
    const key = asking.key ?? idempotency?.key(sending.message as object);
    const check = route.to === "owner" ? () => this.#findOwners(sending) : undefined;
    return sendAgain(this.#door, sending, { retries, kind, key, check });
  }

  /** The first good answer, if enough nodes have answered. */
  async #toAll(spec: NamedSpec, message: object, asking: Asking): Promise<unknown> {
    const canvass = { ...asking, isPatient: false };
    const { answers, needed, executed } = await this.#askAll(spec, message, canvass);
    const good = answers.filter((answer) => answer.ok);
    if (good.length >= needed) return good[0]!.reply;
    const details = { message: spec.type, answered: good.length, needed, executed };
    throw new CatgaError("NO_QUORUM", details);
  }

  /** @throws {CatgaError} NO_HANDLER */
  #findOwners({ entity, type }: Sending): void {
    const { view } = this.#door.router.context;
    if (view !== this.#view || view.changes !== this.#changes) this.#hosted.clear();
    this.#view = view;
    this.#changes = view.changes;
    if (this.#hosted.has(entity)) return;
    const group = view.groupOf(entity);
    if (group === undefined || !view.isHosted(group)) throw unhandled(type, this.#door.router);
    this.#hosted.add(entity);
  }

  #lane(spec: NamedSpec): Lane {
    let lane = this.lanes.get(spec);
    if (lane === undefined) {
      lane = new Lane(spec, this.#door, this.#settings);
      this.lanes.set(spec, lane);
    }
    return lane;
  }
}

/** True for a query whose answers are kept by those who ask. */
function isCached(spec: NamedSpec): spec is CachedSpec {
  return spec.cache?.isShared === false;
}

/** @throws {TypeError} for a key that no window would remember */
function checkKeyless({ kind, type }: NamedSpec, { key }: Asking): void {
  if (key === undefined || kind !== "command") return;
  throw new TypeError(`Cannot send "${type}" under a key: it declares no idempotency`);
}

function sendingOf(spec: NamedSpec, message: object, asking: Asking): Sending {
  const { entity, type, timeoutMs } = spec;
  const { oneWay, boundMs, signal, chain, trace } = asking;
  return {
    entity,
    id: "",
    type,
    message,
    oneWay,
    timeoutMs: asking.timeoutMs ?? timeoutMs,
    boundMs,
    signal,
    dedup: undefined,
    chain,
    trace,
  };
}

function quorumOf({ route }: NamedSpec): Quorum {
  return route.to === "all" ? route.quorum : "all";
}

function neededOf(spec: NamedSpec, nodes: number): number {
  const quorum = quorumOf(spec);
  if (quorum === "majority") return Math.floor(nodes / 2) + 1;
  return quorum === "all" ? nodes : quorum;
}

/** A command that may have run has no other answer than that. */
function mayDegrade({ kind }: NamedSpec, error: unknown): boolean {
  if (!(error instanceof CatgaError) || error.code === "CANCELLED") return false;
  return kind === "query" || error.executed === "no";
}
