/** Replies and payloads on their way out of user code: copied or encoded, or refused with a code. */
import { CatgaError } from "../base/errors.ts";
import { NotPlainError } from "../base/plain.ts";
import { copyValue, encodeValue, type Oversize } from "../protocol/codec.ts";

/** What a value belongs to, for errors. */
export interface MessageName {
  readonly entity: string;
  readonly message: string;
}

/** A copy of plain data, wrapped, since a payload may be nothing. */
export interface Copied {
  readonly copy: unknown;
}

/** A copy of `message` that shares nothing with it, or why it cannot be sent. */
export function copyPayload(message: unknown, name: MessageName): Copied | CatgaError {
  return guarded(() => copyValue(message), "PAYLOAD_NOT_ENCODABLE", name);
}

/** `message` as text, or why it cannot be sent. */
export function encodePayload(message: unknown, name: MessageName): string | CatgaError {
  return guarded(() => encodeValue(message), "PAYLOAD_NOT_ENCODABLE", name);
}

/** A copy of `reply` that shares nothing with it, or why it cannot be answered. */
export function copyReply(reply: unknown, name: MessageName): Copied | CatgaError {
  return guarded(() => copyValue(reply), "REPLY_NOT_ENCODABLE", name);
}

/** `reply` as text, or why it cannot be answered. */
export function encodeReply(reply: unknown, name: MessageName): string | CatgaError {
  return guarded(() => encodeValue(reply), "REPLY_NOT_ENCODABLE", name);
}

function guarded<T extends string | Copied>(
  convert: () => T | Oversize,
  code: "PAYLOAD_NOT_ENCODABLE" | "REPLY_NOT_ENCODABLE",
  name: MessageName,
): T | CatgaError {
  try {
    const converted = convert();
    return isOversize(converted) ? tooLarge(code, name, converted) : converted;
  } catch (error) {
    if (!(error instanceof NotPlainError)) return getterFailed(code, name, error);
    return new CatgaError(code, { ...name, ...error.why });
  }
}

function isOversize(converted: string | Copied | Oversize): converted is Oversize {
  return typeof converted === "object" && "bytesMax" in converted;
}

function tooLarge(code: string, name: MessageName, { bytes, bytesMax }: Oversize): CatgaError {
  return code === "PAYLOAD_NOT_ENCODABLE"
    ? new CatgaError("TOO_LARGE", { what: `message "${name.message}"`, bytes, bytesMax })
    : new CatgaError("REPLY_TOO_LARGE", { ...name, bytes, bytesMax });
}

/** A property that throws when it is read is user code's business, but this call's only. */
function getterFailed(
  code: "PAYLOAD_NOT_ENCODABLE" | "REPLY_NOT_ENCODABLE",
  name: MessageName,
  cause: unknown,
): CatgaError {
  const found = `not readable: ${String(cause)}`;
  return new CatgaError(code, { ...name, path: "$", found }, { cause });
}
