/**
 * Spans by the API of OpenTelemetry alone: which SDK stands behind it, and where it sends them, is
 * the program's business. What is active is asked of the context manager, which that SDK brings.
 *
 * Between nodes a context travels as W3C `traceparent` and `tracestate`, whatever propagator is
 * registered: both ends are catga. Names and ids of entities and types of messages become
 * attributes, what is in messages does not. `rpc.*` and `error.type` are as in the semantic
 * conventions (https://opentelemetry.io/docs/specs/semconv/rpc/rpc-spans/).
 */
import {
  type Attributes,
  type Context,
  context,
  createTraceState,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
  type TracerProvider,
} from "@opentelemetry/api";
import { isCatgaError, type SpanStart } from "../index.ts";
import type { TraceContext, Tracing, TracingSpan } from "../index.ts";

/** Where spans go. */
export interface OpenTelemetryOptions {
  readonly tracer?: Tracer;
  /** Makes a tracer `catga`. @default the provider that is registered globally */
  readonly provider?: TracerProvider;
}

/**
 * Spans of calls, turns and what lies between them, for {@link ClusterOptions.tracing}.
 *
 * A span is named after what it is and what it is about: `call account/deposit`. Its kind is
 * `CLIENT` for a call, its way to another node and the store, `SERVER` for a turn, `PRODUCER` and
 * `CONSUMER` where nobody waits for an answer, else `INTERNAL`. One that fails has the code of the
 * error in `error.type`; one that ends with a rejection has it, and has not failed.
 *
 * @example
 * const cluster = await Cluster.start({ entities: [Account], tracing: openTelemetry() });
 */
export function openTelemetry(options: OpenTelemetryOptions = {}): Tracing {
  const tracer = options.tracer ?? (options.provider ?? trace).getTracer("catga");
  return {
    active() {
      const active = context.active();
      const span = trace.getSpanContext(active);
      return span && isSpanContextValid(span) ? new Place(active) : undefined;
    },
    begin(what, parent) {
      const { entity, message } = what;
      const about = entity === undefined ? message : `${entity}/${message}`;
      const given = { kind: kindOf(what), attributes: attributesOf(what, about) };
      const around = contextOf(parent);
      const span = tracer.startSpan(`${what.kind} ${about}`, given, around);
      return new OpenSpan(trace.setSpan(around, span), span);
    },
  };
}

/** A context of this process, in which there is a span. */
class Place implements TraceContext {
  readonly context: Context;

  constructor(own: Context) {
    this.context = own;
  }

  get traceparent(): string {
    const span = trace.getSpanContext(this.context);
    if (span === undefined || !isSpanContextValid(span)) return "";
    const flags = (span.traceFlags & FLAGS).toString(HEX).padStart(2, "0");
    return `00-${span.traceId}-${span.spanId}-${flags}`;
  }

  get tracestate(): string | undefined {
    return trace.getSpanContext(this.context)?.traceState?.serialize();
  }
}

class OpenSpan extends Place implements TracingSpan {
  readonly #span: Span;

  constructor(own: Context, span: Span) {
    super(own);
    this.#span = span;
  }

  run<T>(work: () => T): T {
    return context.with(this.context, work);
  }

  end(error?: Error): void {
    const span = this.#span;
    if (error !== undefined) {
      const code = isCatgaError(error) ? error.code : error.name;
      span.setAttribute("error.type", code);
      // What a handler says no with is an answer.
      if (code !== "REJECTED") this.#fail(error);
    }
    span.end();
  }

  #fail({ message, cause }: Error): void {
    this.#span.setStatus({ code: SpanStatusCode.ERROR, message });
    // What a handler has thrown; the stack stays with whoever sees the traces.
    if (cause instanceof Error) this.#span.recordException(cause);
  }
}

const HEX = 16;
const FLAGS = 0xff;

function contextOf(parent: TraceContext | undefined): Context {
  if (parent instanceof Place) return parent.context;
  if (parent === undefined || parent.traceparent === "") return ROOT_CONTEXT;
  // What came from elsewhere was checked on its way in.
  const [, traceId = "", spanId = "", flags = ""] = parent.traceparent.split("-");
  const { tracestate } = parent;
  const state = tracestate === undefined ? {} : { traceState: createTraceState(tracestate) };
  const traceFlags = Number.parseInt(flags, HEX);
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags,
    isRemote: true,
    ...state,
  });
}

function kindOf({ kind, oneWay }: SpanStart): SpanKind {
  if (kind === "call" || kind === "link") return oneWay ? SpanKind.PRODUCER : SpanKind.CLIENT;
  if (kind === "turn") return oneWay ? SpanKind.CONSUMER : SpanKind.SERVER;
  if (kind === "publish") return SpanKind.PRODUCER;
  return kind === "load" || kind === "write" ? SpanKind.CLIENT : SpanKind.INTERNAL;
}

function attributesOf(what: SpanStart, about: string): Attributes {
  const { kind, node, entity, id, message } = what;
  const isRemoteCall = kind === "call" || kind === "link" || kind === "turn";
  return {
    "catga.node": node,
    "catga.message": message,
    ...(entity !== undefined && { "catga.entity": entity }),
    ...(id !== undefined && { "catga.id": id }),
    ...(isRemoteCall && { "rpc.system.name": "catga", "rpc.method": about }),
    ...what.attributes,
  };
}
