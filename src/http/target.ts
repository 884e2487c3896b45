/**
 * What a path names: an entity, and a message of it. Only what is exposed can be named, and it is
 * looked up where nothing is inherited, so that `constructor` names nothing.
 */
import type { HonoRequest } from "hono";
import { type AnyEntity, CatgaError, type Kind } from "../index.ts";
import { Refusal } from "./problem.ts";

/** The entity types that may be named, by their names. */
export type Exposed = ReadonlyMap<string, AnyEntity>;

/** One entity. */
export interface Target {
  readonly entity: AnyEntity;
  readonly id: string;
}

/** One message for one entity. */
export interface MessageTarget extends Target {
  readonly type: string;
  readonly kind: Kind;
}

/** The core's limit: beyond it the path is at fault, whatever the id says. */
const ID_BYTES_MAX = 256;

/** @throws {TypeError} when `expose` is no list of entity types, or one is there twice. */
export function exposedBy(expose: readonly AnyEntity[]): Exposed {
  const exposed = new Map<string, AnyEntity>();
  for (const entity of expose) {
    if (typeof entity?.name !== "string" || typeof entity.messages !== "object") {
      throw new TypeError("Cannot expose what is not an entity type: use defineEntity");
    }
    if (exposed.has(entity.name)) {
      throw new TypeError(`Cannot expose "${entity.name}" twice`);
    }
    exposed.set(entity.name, entity);
  }
  return exposed;
}

/**
 * Reads `:name` and `:id`.
 *
 * @throws {CatgaError} UNKNOWN_ENTITY, or INVALID_ID when the path is not percent-encoded UTF-8
 * @throws {Refusal} TOO_LARGE with status 414
 */
export function targetOf(request: HonoRequest, exposed: Exposed): Target {
  const name = request.param("name") ?? "";
  const entity = exposed.get(name);
  if (entity === undefined) throw new CatgaError("UNKNOWN_ENTITY", { entity: name });
  // Hono leaves alone what it cannot decode, and then two paths would name one entity.
  if (!isDecodable(request.url)) {
    throw new CatgaError("INVALID_ID", { reason: "is not percent-encoded UTF-8" });
  }
  const id = request.param("id") ?? "";
  const bytes = new TextEncoder().encode(id).length;
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
  return { ...target, type, kind: def.kind };
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
