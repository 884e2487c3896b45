/**
 * Payloads as they come over HTTP: a JSON object in the body or in the query, or plain query
 * fields.
 *
 * What comes out of here is an object without a `type`, which is the tag and stands in the path,
 * and without keys that reach a prototype when somebody merges it carelessly. Depth and size are
 * left to the core, which holds every caller to the same limits.
 */
import type { HonoRequest } from "hono";
import { CatgaError } from "../index.ts";
import type { Fields } from "./json-schema.ts";
import { Refusal } from "./problem.ts";

const UTF8 = new TextDecoder("utf-8", { fatal: true });
/** What a text must hold, in letters or escaped, if one of its keys reaches a prototype. */
const PROTOTYPE = /__proto__|constructor|\\u/;
/** As JSON writes it. */
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const JSON_TYPE = /^application\/json\s*(?:;|$)/i;

/**
 * The payload in the body, `undefined` when there is none.
 *
 * @throws {CatgaError} MALFORMED
 * @throws {Refusal} MALFORMED with status 415
 */
export async function payloadOfBody(request: HonoRequest): Promise<object | undefined> {
  const bytes = await request.arrayBuffer();
  const isEmpty = bytes.byteLength === 0;
  if (!isEmpty && !isJson(request)) {
    throw new Refusal(malformed("body", 'its content type is not "application/json"'), 415);
  }
  return isEmpty ? undefined : parsePayload(decoded(bytes), "body");
}

/**
 * The payload in the query: the JSON object in the field `payload`, or else all fields; `undefined`
 * when there is none. A field is a string, unless its schema wants a number or a boolean and it
 * looks like one in JSON.
 *
 * @throws {CatgaError} MALFORMED
 */
export function payloadOfQuery(fields: URLSearchParams, schemas?: Fields): object | undefined {
  const json = fields.get("payload");
  if (json !== null) {
    if (fields.size > 1) throw malformed("query", '"payload" must be its only field');
    return parsePayload(json, 'query field "payload"');
  }
  const payload: object = Object.fromEntries(
    Array.from(fields, ([name, text]) => [name, typed(text, schemas?.get(name)?.["type"])]),
  );
  if (Object.keys(payload).length < fields.size) {
    throw malformed("query", "a field is there twice; write the payload as JSON");
  }
  return fields.size === 0 ? undefined : checked(payload, "query");
}

function typed(text: string, type: unknown): unknown {
  if ((type === "number" || type === "integer") && NUMBER.test(text)) return Number(text);
  return type === "boolean" && /^(?:true|false)$/.test(text) ? text === "true" : text;
}

function isJson(request: HonoRequest): boolean {
  return JSON_TYPE.test(request.header("Content-Type") ?? "");
}

/** Strictly: what is no UTF-8 would arrive as something else than was sent. */
function decoded(bytes: ArrayBuffer): string {
  try {
    return UTF8.decode(bytes);
  } catch (error) {
    throw malformed("body", "it is not UTF-8", error);
  }
}

function parsePayload(text: string, what: string): object {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw malformed(what, "it is not JSON", error);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw malformed(what, "it is not a JSON object");
  }
  // To look through the text is quicker, and most say nothing of the kind.
  return PROTOTYPE.test(text) ? checked(value, what) : untagged(value, what);
}

function checked(payload: object, what: string): object {
  if (reachesPrototype(payload)) throw malformed(what, "it has a key that reaches a prototype");
  return untagged(payload, what);
}

function untagged(payload: object, what: string): object {
  if (Object.hasOwn(payload, "type")) {
    throw malformed(what, '"type" is the name of the message, which stands in the path');
  }
  return payload;
}

/** Not recursive: JSON nests deeper than the stack is. */
function reachesPrototype(payload: object): boolean {
  const left = [payload];
  for (let value = left.pop(); value !== undefined; value = left.pop()) {
    for (const [key, item] of Object.entries(value) as [string, unknown][]) {
      if (key === "__proto__") return true;
      if (typeof item !== "object" || item === null) continue;
      if (key === "constructor" && Object.hasOwn(item, "prototype")) return true;
      left.push(item);
    }
  }
  return false;
}

function malformed(what: string, reason: string, cause?: unknown): CatgaError {
  return new CatgaError("MALFORMED", { what, reason }, { cause });
}
