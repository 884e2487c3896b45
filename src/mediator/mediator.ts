/**
 * The way of a message that has a name of its own, from its sender to whoever handles it. What has
 * a key goes to the owner of that key, as a message of an entity; what has none to any node with a
 * handler, or to all of them.
 */
import { CatgaError, type Executed } from "../base/errors.ts";
import { rejected } from "../base/thenable.ts";
import type { View } from "../ownership/view.ts";
import { handlerEntity } from "../protocol/ids.ts";
import type { Sending } from "../runtime/call.ts";
import type { NamedSpec } from "./definition.ts";
import { type FailoverSettings, Lane, unhandled } from "./lane.ts";
import { type Door, sendAgain } from "./retry.ts";

/** How a message is sent: what its sender has said, and what surrounds him. */
export interface Asking extends Pick<
  Sending,
  "oneWay" | "timeoutMs" | "boundMs" | "signal" | "chain"
> {
  /** Tries after the first one; what the cluster was given if the sender says nothing. */
  readonly retries: number | undefined;
  /** Of commands that shall run once. */
  readonly key: string | undefined;
}

/** What one node answered to a broadcast. */
export type Answer =
  | { readonly node: string; readonly ok: true; readonly reply: unknown }
  | { readonly node: string; readonly ok: false; readonly code: string };

/** How a broadcast ended: of how many nodes it needed an answer. */
interface Poll {
  readonly answers: readonly Answer[];
  readonly needed: number;
}

/** See the file's header. */
export class Mediator {
  readonly #door: Door;
  readonly #settings: FailoverSettings;
  readonly #lanes = new Map<NamedSpec, Lane>();
  /** Which messages with a key somebody handles, as of these changes of this view. */
  readonly #hosted = new Set<string>();
  #view: View | undefined;
  #changes = -1;

  constructor(door: Door, settings: FailoverSettings) {
    this.#door = door;
    this.#settings = settings;
  }

  /** Sends to whoever handles it; resolves to the answer, or for a one-way message to nothing. */
  send(spec: NamedSpec, message: object, asking: Asking): Promise<unknown> {
    const { fallback } = spec;
    let answer: Promise<unknown>;
    try {
      answer = this.#route(spec, message, asking);
    } catch (error) {
      answer = rejected(error);
    }
    if (fallback === undefined) return answer;
    return answer.catch((error: unknown) => {
      if (mayDegrade(spec, error)) return fallback(message);
      throw error;
    });
  }

  /**
   * Asks every node that has a handler; resolves to what they answered so far when enough have, or
   * cannot any more.
   *
   * @throws {CatgaError} NO_HANDLER, NO_QUORUM; then nobody was asked.
   */
  async broadcast(spec: NamedSpec, message: object, asking: Asking): Promise<readonly Answer[]> {
    return (await this.#askAll(spec, message, asking)).answers;
  }

  async #askAll(spec: NamedSpec, message: object, asking: Asking): Promise<Poll> {
    const lane = this.#lane(spec);
    const places = lane.outlet.all(this.#door.router);
    if (places.length === 0) throw unhandled(spec.type);
    const needed = neededOf(spec, places.length);
    if (needed > places.length) {
      throw new CatgaError("NO_QUORUM", { message: spec.type, answered: 0, needed });
    }
    const sending = sendingOf(spec, message, asking);
    const answers: Answer[] = [];
    let oks = 0;
    return new Promise((resolve) => {
      const heard = (answer: Answer): void => {
        if (answer.ok) oks++;
        const left = places.length - answers.push(answer);
        if (oks >= needed || oks + left < needed) resolve({ answers: [...answers], needed });
      };
      for (const place of places) {
        const { node } = place;
        lane.at(place, sending).then(
          (reply) => heard({ node, ok: true, reply }),
          ({ code }: CatgaError) => heard({ node, ok: false, code }),
        );
      }
    });
  }

  #route(spec: NamedSpec, message: object, asking: Asking): Promise<unknown> {
    const { route, type } = spec;
    const sending = sendingOf(spec, message, asking);
    if (route.to === "all") return this.#toAll(spec, message, asking);
    if (route.to === "node") return this.#lane(spec).send(sending, asking.retries);
    const entity = route.to === "entity" ? route.entity : this.#ownedEntity(type);
    return this.#toEntity(spec, { ...sending, entity, id: route.key(message) }, asking);
  }

  #toEntity(spec: NamedSpec, sending: Sending, asking: Asking): Promise<unknown> {
    const { kind, idempotency } = spec;
    const { retries = this.#settings.maxRetries } = asking;
    const key = asking.key ?? idempotency?.key(sending.message as object);
    return sendAgain(this.#door, sending, { retries, kind, key });
  }

  /** The first good answer, if enough nodes have answered. */
  async #toAll(spec: NamedSpec, message: object, asking: Asking): Promise<unknown> {
    const { answers, needed } = await this.#askAll(spec, message, asking);
    const good = answers.filter((answer) => answer.ok);
    if (good.length >= needed) return good[0]!.reply;
    const executed: Executed = good.length > 0 ? "yes" : "maybe";
    const details = { message: spec.type, answered: good.length, needed, executed };
    throw new CatgaError("NO_QUORUM", details);
  }

  /** @throws {CatgaError} NO_HANDLER */
  #ownedEntity(type: string): string {
    const entity = handlerEntity(type);
    const { view } = this.#door.router.context;
    if (view !== this.#view || view.changes !== this.#changes) this.#hosted.clear();
    this.#view = view;
    this.#changes = view.changes;
    if (this.#hosted.has(entity)) return entity;
    const group = view.groupOf(entity);
    if (group === undefined || !view.isHosted(group)) throw unhandled(type);
    this.#hosted.add(entity);
    return entity;
  }

  #lane(spec: NamedSpec): Lane {
    let lane = this.#lanes.get(spec);
    if (lane === undefined) {
      lane = new Lane(spec, this.#door, this.#settings);
      this.#lanes.set(spec, lane);
    }
    return lane;
  }
}

function sendingOf({ type, timeoutMs }: NamedSpec, message: object, asking: Asking): Sending {
  const { oneWay, boundMs, signal, chain } = asking;
  return {
    entity: handlerEntity(type),
    id: "",
    type,
    message,
    oneWay,
    timeoutMs: asking.timeoutMs ?? timeoutMs,
    boundMs,
    signal,
    dedup: undefined,
    chain,
  };
}

function neededOf({ route }: NamedSpec, nodes: number): number {
  const quorum = route.to === "all" ? route.quorum : "all";
  if (quorum === "majority") return Math.floor(nodes / 2) + 1;
  return quorum === "all" ? nodes : quorum;
}

/** A command that may have run has no other answer than that. */
function mayDegrade({ kind }: NamedSpec, error: unknown): boolean {
  if (!(error instanceof CatgaError) || error.code === "CANCELLED") return false;
  return kind === "query" || error.executed === "no";
}
