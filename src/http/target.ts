/**
 * What a path names: an entity, and a message of it, or a message with a name of its own. Only what
 * is exposed can be named, and it is looked up where nothing is inherited, so that `constructor`
 * names nothing.
 */
import type { HonoRequest } from "hono";
import { type AnyEntity, type AnyNamed, CatgaError, describeMessage } from "../index.ts";
import type { MessageDescription } from "../index.ts";
import { Refusal } from "./problem.ts";

/** What may be exposed: an entity type, or a message with a name of its own. */
export type Exposable = AnyEntity | AnyNamed;

/** What may be named, by its names. */
export interface Exposed {
  readonly entities: ReadonlyMap<string, AnyEntity>;
  /** Commands and queries. */
  readonly messages: ReadonlyMap<string, AnyNamed>;
  readonly events: ReadonlyMap<string, AnyNamed>;
}

/** One entity. */
export interface Target {
  readonly entity: AnyEntity;
  readonly id: string;
}

/** One message for one entity. */
export interface MessageTarget extends Target, MessageDescription {
  readonly type: string;
}

/** The core's limit: beyond it the path is at fault, whatever the id says. */
const ID_BYTES_MAX = 256;

/** @throws {TypeError} when one cannot be exposed, or is there twice. */
export function exposedBy(expose: readonly Exposable[]): Exposed {
  const entities = new Map<string, AnyEntity>();
  const messages = new Map<string, AnyNamed>();
  const events = new Map<string, AnyNamed>();
  for (const each of expose) {
    if (typeof each === "function") {
      const named = describeMessage(each).kind === "event" ? events : messages;
      addOnce(named, each.type, each);
    } else if (typeof each?.name === "string" && typeof each.messages === "object") {
      addOnce(entities, each.name, each);
    } else {
      throw new TypeError("Cannot expose what is neither an entity type nor a message");
    }
  }
  return { entities, messages, events };
}

function addOnce<T>(map: Map<string, T>, name: string, value: T): void {
  if (map.has(name)) throw new TypeError(`Cannot expose "${name}" twice`);
  map.set(name, value);
}

/**
 * Reads `:name` and `:id`.
 *
 * @throws {CatgaError} UNKNOWN_ENTITY, or INVALID_ID when the path is not percent-encoded UTF-8
 * @throws {Refusal} TOO_LARGE with status 414
 */
export function targetOf(request: HonoRequest, { entities }: Exposed): Target {
  const name = request.param("name") ?? "";
  const entity = entities.get(name);
  if (entity === undefined) throw new CatgaError("UNKNOWN_ENTITY", { entity: name });
  // Hono leaves alone what it cannot decode, and then two paths would name one entity.
  if (!isDecodable(request.url)) {
    throw new CatgaError("INVALID_ID", { reason: "is not percent-encoded UTF-8" });
  }
  const id = request.param("id") ?? "";
  const bytes = bytesOf(id);
  if (bytes > ID_BYTES_MAX) {
    const details = { what: "id", bytes, bytesMax: ID_BYTES_MAX };
    throw new Refusal(new CatgaError("TOO_LARGE", details), 414);
  }
  return { entity, id };
}

/**
 * Reads `:name`, `:id` and `:type`.
 *
 * @throws {CatgaError} as {@link targetOf}, and UNKNOWN_MESSAGE
 */
export function messageTargetOf(request: HonoRequest, exposed: Exposed): MessageTarget {
  const target = targetOf(request, exposed);
  const { name, messages } = target.entity;
  const type = request.param("type") ?? "";
  const def = Object.hasOwn(messages, type) ? messages[type] : undefined;
  if (def === undefined) throw new CatgaError("UNKNOWN_MESSAGE", { entity: name, message: type });
  return { ...target, ...describeMessage(def), type };
}

/**
 * Reads `:type` of a message with a name of its own.
 *
 * @throws {CatgaError} UNKNOWN_MESSAGE
 */
export function namedTargetOf(request: HonoRequest, { messages }: Exposed): AnyNamed {
  const message = request.param("type") ?? "";
  const def = messages.get(message);
  if (def === undefined) throw new CatgaError("UNKNOWN_MESSAGE", { entity: "messages", message });
  return def;
}

/** Most are so short that nobody has to encode them. */
function bytesOf(id: string): number {
  return id.length * 3 <= ID_BYTES_MAX ? id.length : new TextEncoder().encode(id).length;
}

function isDecodable(url: string): boolean {
  if (!url.includes("%")) return true;
  try {
    decodeURIComponent(new URL(url).pathname);
    return true;
  } catch {
    return false;
  }
}
