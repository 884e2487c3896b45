/**
 * Trace context as it travels beside a message: W3C `traceparent` and `tracestate`
 * (https://www.w3.org/TR/trace-context/). What is malformed is ignored, for a trace is never a
 * reason to refuse a message.
 */
import { TRACESTATE_CHARS_MAX } from "../base/limits.ts";

/** Which span something is caused by, in whichever process that is. */
export interface TraceContext {
  /** Version, trace id, span id and flags; empty for no trace. */
  readonly traceparent: string;
  /** What systems that trace have put beside it, up to 512 characters. */
  readonly tracestate?: string | undefined;
}

const IDS = "(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}";
/** Later versions may have more behind it. */
const TRACEPARENT = new RegExp(`^(?:00-${IDS}|(?!00|ff)[0-9a-f]{2}-${IDS}(?:-.*)?)$`);
const PRINTABLE = /^[\x20-\x7e]+$/;
/** Version 00, whose parts have fixed lengths: the ids, and flags of which the first bit counts. */
const CHARS = 55;

/** The context, or nothing where that makes no sense; a state that makes none is left out. */
export function readTrace(traceparent: unknown, tracestate: unknown): TraceContext | undefined {
  if (typeof traceparent !== "string" || !TRACEPARENT.test(traceparent)) return undefined;
  const own = `00${traceparent.slice(2, CHARS)}`;
  const isLegal = typeof tracestate === "string" && PRINTABLE.test(tracestate);
  if (!isLegal || tracestate.length > TRACESTATE_CHARS_MAX) return { traceparent: own };
  return { traceparent: own, tracestate };
}

/** The context as fields of a log line. */
export function traceFields(trace: TraceContext | undefined): object {
  if (trace === undefined || trace.traceparent === "") return {};
  const [, traceId, spanId] = trace.traceparent.split("-");
  return { traceId, spanId };
}
