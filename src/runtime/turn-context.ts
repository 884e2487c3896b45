/**
 * What a handler is given: its entity's state and the world, for the length of one turn. One object
 * a turn; everything behind it is looked up when it is asked for.
 */
import { type Duration, durationMs } from "../base/duration.ts";
import { CatgaError } from "../base/errors.ts";
import { KEY_CHARS_MAX, PUSHES_OF_TURN_MAX } from "../base/limits.ts";
import { type Logger, withFields } from "../base/logger.ts";
import { charsMaxOfLastCopy } from "../base/plain.ts";
import { isThenable } from "../base/thenable.ts";
import { type TraceContext, traceFields } from "../protocol/trace.ts";
import { copyPayload, unknownMessage } from "./call.ts";
import type { Channel } from "./channel.ts";
import type { Keeper, KeptEntity } from "./keeper.ts";
import type { Luggage } from "./luggage.ts";
import type { EntityHome } from "./entity-home.ts";
import type { OwnedShard, Resident } from "./owned-shard.ts";
import type { Packet } from "./packet.ts";
import type { Peer } from "./peer.ts";
import type { Turn } from "./turns.ts";

/** The entity whose turn it is. */
export interface TurnEntity extends KeptEntity {
  readonly host: TurnHome;
  state: unknown;
  /** What it has beside its state; made when something is put there. */
  readonly luggage: Luggage;
  chainOf(turn: Turn): readonly string[];
  unlink(chain: readonly string[]): void;
  /** What stores it, if anything does. */
  readonly keeper: Keeper | undefined;
}

/** What surrounds it. */
export interface TurnHome extends EntityHome {
  readonly exits: Exits;
}

/** What leads out of a turn, or of a handler. */
export interface Exits {
  /** A reference for use inside a turn; its calls end with the turn's deadline. */
  refTo(request: RefRequest): unknown;
  /** Sends a message with its own name from inside a turn or a handler. */
  send(message: object, options: object | undefined, bounds: Bounds): Promise<unknown>;
  /** The way to a shard of another node. */
  channel(group: string, shard: number): Channel;
  /** A shard of this node, if it may serve it at this moment. */
  serving(shard: number): OwnedShard | undefined;
  /** A shard is served from now on. */
  opened(shard: OwnedShard): void;
  /** An entity of a shard that has come is watched. */
  watched(shard: OwnedShard, packet: Packet): void;
  /** An entity with a reminder leaves memory. */
  sleeps(entity: Resident, dueMs: number): void;
  /** The way back to the sender of a message. */
  peerOf(incarnation: string): Peer;
}

/** What the calls of a turn are bound by. */
export interface Bounds {
  /** When they end at the latest. */
  readonly boundMs: number;
  /** The turns that wait for them, the oldest first; see `turns.ts`. */
  readonly chain?: readonly string[] | undefined;
  /** The span of the turn, for where nothing is active. */
  readonly trace?: TraceContext | undefined;
}

/** A reference that a turn asks for. */
export interface RefRequest<T = unknown> extends Bounds {
  /** An entity type, or its name. */
  readonly target: T;
  readonly id: string;
}

/** See the file's header. */
export class TurnContext<T extends Turn = Turn> {
  readonly #entity: TurnEntity;
  readonly #turn: T;
  #chain: readonly string[] | "over" | undefined;

  constructor(entity: TurnEntity, turn: T) {
    this.#entity = entity;
    this.#turn = turn;
  }

  /** The handler has ended: it waits for nothing that is sent from now on. What it ran for. */
  static end<T extends Turn>(context: TurnContext<T>): T {
    const chain = context.#chain;
    if (chain !== undefined && chain !== "over") context.#entity.unlink(chain);
    context.#chain = "over";
    return context.#turn;
  }

  /** What it runs for. */
  static turnOf<T extends Turn>(context: TurnContext<T>): T {
    return context.#turn;
  }

  get id(): string {
    return this.#entity.id;
  }

  get node(): string {
    return this.#entity.host.context.options.nodeId;
  }

  get state(): unknown {
    return this.#entity.state;
  }

  set state(state: unknown) {
    this.#entity.state = state;
  }

  get signal(): AbortSignal {
    return this.#entity.luggage.signal;
  }

  /** Fixed-width text, generation then epoch, that rises with every ownership of the shard. */
  get fence(): string {
    return this.#entity.shard.fence();
  }

  get log(): Logger {
    const { host, id } = this.#entity;
    const fields = { node: this.node, entity: host.definition.name, id };
    return withFields(host.context.log, { ...fields, ...traceFields(this.#span) });
  }

  /** A reference whose calls end with this turn's deadline. */
  entity(target: unknown, id: string): unknown {
    return this.#entity.host.exits.refTo({ target, id, ...this.#bounds() });
  }

  /** A message with its own name; the call ends with this turn's deadline. */
  send(message: object, options?: object): Promise<unknown> {
    return this.#entity.host.exits.send(message, options, this.#bounds());
  }

  /** Tells everybody who listens; what leaves this node leaves under a valid lease. */
  publish(message: unknown): Promise<void> {
    return this.#entity.host.context.options.topics.publish(message, this.#span);
  }

  /** Tells those who watch this entity, when the answer may leave. */
  push(message: { readonly type: string }): void {
    const { host, id } = this.#entity;
    const { definition, context } = host;
    const turn: Turn = this.#turn;
    if (!("spec" in turn) || this.#chain === "over") {
      throw new TypeError(`Cannot push: no turn of "${host.keyOf(id)}" runs`);
    }
    const valid = context.options.topics.checked(message);
    const pushes = (turn.pushes ??= []);
    if (pushes.length === PUSHES_OF_TURN_MAX) {
      const what = `pushes of one turn of "${host.keyOf(id)}"`;
      throw new CatgaError("OVERLOADED", { what, limit: PUSHES_OF_TURN_MAX });
    }
    const subject = { entity: definition.name, id, type: message.type };
    const copy = copyPayload(subject, valid) as object;
    pushes.push({ message: copy, charsMax: charsMaxOfLastCopy() });
  }

  peer(id: string): unknown {
    return this.entity(this.#entity.host.definition.name, id);
  }

  passivate(): void {
    this.#entity.passivate("idle");
  }

  save(): Promise<void> {
    return this.#keeper("save").save();
  }

  delete(): Promise<void> {
    const keeper = this.#keeper("delete");
    this.passivate();
    return keeper.delete();
  }

  /** Sends `message` to this entity later, or again and again, whoever has it by then. */
  remind(name: string, when: When, message: { readonly type: string }): Promise<void> {
    const keeper = this.#keeper("remind");
    const { host, luggage } = this.#entity;
    const copy = this.#copy(message);
    const key = host.keyOf(this.id);
    if (typeof name !== "string" || name === "" || name.length > KEY_CHARS_MAX) {
      throw new TypeError(`Cannot use a reminder's name: write 1 to ${KEY_CHARS_MAX} characters`);
    }
    if ((when.every === undefined) === (when.in === undefined)) {
      throw new TypeError(`Cannot remind "${key}": write "in" or "every"`);
    }
    const everyMs = when.every === undefined ? 0 : durationMs(when.every, "every");
    const leftMs = when.in === undefined ? everyMs : durationMs(when.in, "in");
    if (when.every !== undefined && everyMs < EVERY_MS_MIN) {
      throw new RangeError(`Cannot remind "${key}" every ${everyMs} ms: 1 s at least`);
    }
    const dueMs = host.context.clock.wallMs() + leftMs;
    luggage.remind({ name, dueMs, everyMs, message: copy });
    return keeper.save();
  }

  /** There is no reminder of that name any more. */
  forget(name: string): Promise<void> {
    const keeper = this.#keeper("forget");
    this.#entity.luggage.forget(name);
    return keeper.save();
  }

  /** Sends `message` to this entity after `delay`, as long as it stays in memory. */
  after(delay: Duration, message: { readonly type: string }): () => void {
    const { host, luggage } = this.#entity;
    const dueMs = host.context.wheel.nowMs + durationMs(delay, "delay");
    const timer = luggage.start({ message: this.#copy(message), dueMs });
    return () => timer?.cancel();
  }

  #bounds(): Bounds {
    this.#chain ??= this.#entity.chainOf(this.#turn);
    const chain = this.#chain === "over" ? undefined : this.#chain;
    return { boundMs: this.#turn.deadlineMs, chain, trace: this.#span };
  }

  get #span(): TraceContext | undefined {
    return this.#entity.host.context.tracer?.spanOf(this);
  }

  #keeper(what: string): Keeper {
    const { keeper, host } = this.#entity;
    if (keeper?.isDeleting === false) return keeper;
    const why = keeper === undefined ? "it has no persistence" : "it was deleted";
    throw new TypeError(`Cannot ${what} "${host.keyOf(this.id)}": ${why}`);
  }

  /** A copy of a message of this entity to itself. */
  #copy(message: { readonly type: string }): unknown {
    const { name, messages } = this.#entity.host.definition;
    const subject = { entity: name, id: this.id, type: message.type };
    if (!messages.has(message.type)) throw unknownMessage(subject);
    return copyPayload(subject, message);
  }
}

/** Runs a hook of an entity, which may return a promise; `ended` hears what it threw. */
export function runHook(
  entity: TurnEntity,
  hook: (context: TurnContext) => unknown,
  ended: (thrown?: { readonly error: unknown }) => void,
): void {
  const context = new TurnContext(entity, { deadlineMs: Number.POSITIVE_INFINITY });
  const over = (thrown?: { readonly error: unknown }): void => {
    TurnContext.end(context);
    ended(thrown);
  };
  const failed = (error: unknown): void => over({ error });
  let promise: Promise<unknown> | undefined;
  try {
    const result = hooked(entity, () => hook(context));
    // What behaves like a promise may throw where it is asked, or answer twice.
    if (isThenable(result)) promise = Promise.resolve(result);
  } catch (error) {
    return failed(error);
  }
  if (promise === undefined) over();
  else promise.then(() => over(), failed);
}

/** A hook runs for no message: it is a trace of its own. */
function hooked({ host, id }: TurnEntity, hook: () => unknown): unknown {
  const { tracer } = host.context;
  return tracer === undefined ? hook() : tracer.hook({ entity: host.definition.name, id }, hook);
}

/** When a reminder comes: once, or again and again. */
interface When {
  readonly in?: Duration;
  readonly every?: Duration;
}

/** What comes more often belongs into a timer. */
const EVERY_MS_MIN = 1_000;
