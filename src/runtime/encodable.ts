/** What user code hands over: copied, or refused with a code, for that call only. */
import { CatgaError } from "../base/errors.ts";
import { NotPlainError } from "../base/plain.ts";
import { copyValue, OversizeError } from "../protocol/codec.ts";
import { detailsOf, type Subject } from "./call.ts";

/** A copy of a payload. @throws {CatgaError} TOO_LARGE or PAYLOAD_NOT_ENCODABLE */
export function copyPayload(subject: Subject, payload: unknown): unknown {
  try {
    return copyValue(payload);
  } catch (error) {
    if (!(error instanceof OversizeError)) {
      throw new CatgaError("PAYLOAD_NOT_ENCODABLE", { ...detailsOf(subject), ...whyNot(error) });
    }
    const { bytes, bytesMax } = error;
    throw new CatgaError("TOO_LARGE", { what: `message "${subject.type}"`, bytes, bytesMax });
  }
}

/** A copy of a reply. @throws {CatgaError} REPLY_TOO_LARGE or REPLY_NOT_ENCODABLE */
export function copyReply(subject: Subject, reply: unknown): unknown {
  try {
    return copyValue(reply);
  } catch (error) {
    const details = detailsOf(subject);
    if (!(error instanceof OversizeError)) {
      throw new CatgaError("REPLY_NOT_ENCODABLE", { ...details, ...whyNot(error) });
    }
    const { bytes, bytesMax } = error;
    throw new CatgaError("REPLY_TOO_LARGE", { ...details, bytes, bytesMax });
  }
}

/** A property that throws when it is read is user code's business too. */
function whyNot(error: unknown): { readonly path: string; readonly found: string } {
  if (error instanceof NotPlainError) return error.why;
  return { path: "$", found: `not readable: ${String(error)}` };
}
