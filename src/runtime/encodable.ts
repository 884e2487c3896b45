/** What user code hands over and a link could not carry: refused with a code, for that call only. */
import { CatgaError } from "../base/errors.ts";
import { NotPlainError } from "../base/plain.ts";
import { OversizeError } from "../protocol/codec.ts";
import { detailsOf, type Subject } from "./call.ts";

/** The error of a payload that could not be copied or encoded. */
export function payloadError(subject: Subject, error: unknown): CatgaError {
  if (error instanceof OversizeError) {
    const { bytes, bytesMax } = error;
    return new CatgaError("TOO_LARGE", { what: `message "${subject.type}"`, bytes, bytesMax });
  }
  return new CatgaError("PAYLOAD_NOT_ENCODABLE", { ...detailsOf(subject), ...whyNot(error) });
}

/** The error of a reply that could not be copied or encoded. */
export function replyError(subject: Subject, error: unknown): CatgaError {
  const details = detailsOf(subject);
  if (error instanceof OversizeError) {
    const { bytes, bytesMax } = error;
    return new CatgaError("REPLY_TOO_LARGE", { ...details, bytes, bytesMax });
  }
  return new CatgaError("REPLY_NOT_ENCODABLE", { ...details, ...whyNot(error) });
}

/** A property that throws when it is read is user code's business too. */
function whyNot(error: unknown): { readonly path: string; readonly found: string } {
  if (error instanceof NotPlainError) return error.why;
  return { path: "$", found: `not readable: ${String(error)}` };
}
