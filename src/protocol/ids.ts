/** Names and ids: what is legal, checked once at the door, and how they are written in keys. */
import { CatgaError } from "../base/errors.ts";
import { ID_BYTES_MAX } from "../base/limits.ts";
import type { Random } from "../base/random.ts";

const PRINTABLE_ASCII = /^[\x20-\x7e]{1,256}$/;
const CONTROL = /\p{Cc}/u;
const LONE_SURROGATE = /\p{Surrogate}/u;
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

/**
 * Refuses what cannot be an entity's id: legal are 1 to 256 bytes of UTF-8 without control
 * characters and lone surrogates. Nothing is normalised: two spellings are two entities.
 *
 * @throws {CatgaError} INVALID_ID
 */
export function checkEntityId(id: unknown): asserts id is string {
  if (typeof id === "string" && PRINTABLE_ASCII.test(id)) return;
  const reason = whyIllegal(id);
  if (reason !== undefined) throw new CatgaError("INVALID_ID", { reason });
}

/** True for what {@link checkEntityId} lets pass. */
export function isEntityId(id: unknown): id is string {
  return whyIllegal(id) === undefined;
}

function whyIllegal(id: unknown): string | undefined {
  if (typeof id !== "string") return `is a ${typeof id}, not a string`;
  if (id === "") return "is empty";
  if (LONE_SURROGATE.test(id)) return "has a lone surrogate";
  if (CONTROL.test(id)) return "has a control character";
  const bytes = new TextEncoder().encode(id).length;
  if (bytes > ID_BYTES_MAX) return `has ${bytes} bytes, at most ${ID_BYTES_MAX} are allowed`;
  return undefined;
}

/**
 * Refuses what cannot name an entity type, a message or a cluster: 1 to 64 letters, digits, `_`,
 * `.` or `-`, the first a letter or digit.
 *
 * @throws {TypeError}
 */
export function checkName(name: unknown, what: string): asserts name is string {
  if (typeof name === "string" && NAME.test(name)) return;
  throw new TypeError(
    `Cannot use ${what} ${JSON.stringify(name)}: write 1 to 64 letters, digits, "_", "." or "-"`,
  );
}

/** Begins the entity type that messages of a key are handled by; no user's type begins so. */
const INTERNAL = "@";

/** The entity type that stands for the handler of a message: what has a key is one of its ids. */
export function handlerEntity(type: string): string {
  return `${INTERNAL}${type}`;
}

/** True for an entity type that is none of a user. */
export function isInternal(name: string): boolean {
  return name.startsWith(INTERNAL);
}

/** An entity as a key of tables: other than {@link entityKey} it keeps internal types apart. */
export function tableKey(name: string, id: string): string {
  return `${name}/${id}`;
}

/** An entity in errors and logs: `account/42`; of a message with its own name `orders.place`. */
export function entityKey(name: string, id: string): string {
  const shown = isInternal(name) ? name.slice(INTERNAL.length) : name;
  return id === "" ? shown : `${shown}/${id}`;
}

/** Entity types in errors. */
export function namesShown(names: readonly string[]): string {
  return names.map((name) => entityKey(name, "")).join(", ");
}

/**
 * The identity of one start of a node, `<node id>.<time><chance>`: unique, never reused, and legal
 * in a key of every authority. It sorts by time for equal node ids.
 */
export function incarnationOf(nodeId: string, wallMs: number, random: Random): string {
  const time = Math.floor(wallMs).toString(32).padStart(10, "0");
  return `${nodeId}.${time}${random.text(16)}`;
}

/** When `incarnation` began, by its own wall clock; not a number for what is no incarnation. */
export function begunMs(incarnation: string): number {
  const [, time = ""] = /\.([0-9a-v]{10})[0-9a-v]{16}$/.exec(incarnation) ?? [];
  return Number.parseInt(time, 32);
}
