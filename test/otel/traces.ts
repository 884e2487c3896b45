/** Spans of a test, kept in memory, and the trees they make. */
import { context, type Span, SpanKind, SpanStatusCode } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import type { Tracing } from "../../src/index.ts";
import { openTelemetry } from "../../src/otel/index.ts";

/** A span with those below it, the one that began first first. */
export interface Tree {
  readonly span: ReadableSpan;
  readonly below: readonly Tree[];
}

/** Makes spans, and remembers them. */
export class Traces {
  readonly #exporter = new InMemorySpanExporter();
  readonly provider: BasicTracerProvider = new BasicTracerProvider({
    spanProcessors: [new SimpleSpanProcessor(this.#exporter)],
  });
  readonly tracing: Tracing = openTelemetry({ provider: this.provider });

  constructor() {
    this.begin();
  }

  /** From now on it is known what is active. */
  begin(): void {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  }

  /** Of all spans that have ended. */
  get spans(): readonly ReadableSpan[] {
    return this.#exporter.getFinishedSpans();
  }

  /** One for each span whose parent has not been seen, the one that began first first. */
  get trees(): readonly Tree[] {
    const all = [...this.spans].sort((a, b) => startOf(a) - startOf(b));
    const ids = new Set(all.map((span) => span.spanContext().spanId));
    const below = (id: string): Tree[] =>
      all
        .filter(({ parentSpanContext }) => parentSpanContext?.spanId === id)
        .map((span) => ({ span, below: below(span.spanContext().spanId) }));
    return all
      .filter(({ parentSpanContext }) => !ids.has(parentSpanContext?.spanId ?? ""))
      .map((span) => ({ span, below: below(span.spanContext().spanId) }));
  }

  /** {@link trees}, each span as a line. */
  get drawn(): string[] {
    return this.trees.flatMap((tree) => draw(tree));
  }

  /** The one span of that name. */
  named(name: string): ReadableSpan {
    const found = this.spans.filter((span) => span.name === name);
    if (found.length !== 1) throw new Error(`${found.length} spans are called "${name}"`);
    return found[0]!;
  }

  /** Runs `run` in a span of the user. */
  within<T>(name: string, run: (span: Span) => Promise<T>): Promise<T> {
    const end = (span: Span): Promise<T> => run(span).finally(() => span.end());
    return this.provider.getTracer("user").startActiveSpan(name, end);
  }

  /** Forgets all. */
  clear(): void {
    this.#exporter.reset();
  }

  /** Nothing is active any more, for the tests that come later in this process. */
  end(): void {
    context.disable();
  }
}

/** `call account/deposit CLIENT on a` for a span, and below it those it is the parent of. */
export function draw({ span, below }: Tree, indent = ""): string[] {
  const { name, kind, status, attributes } = span;
  const isFailed = status.code === SpanStatusCode.ERROR;
  const where = attributes["catga.node"];
  const what = [name, SpanKind[kind], ...(where === undefined ? [] : ["on", where])];
  const failure = isFailed ? ["failed:", attributes["error.type"]] : [];
  const line = indent + [...what, ...failure].join(" ");
  return [line, ...below.flatMap((tree) => draw(tree, `${indent}  `))];
}

function startOf({ startTime: [seconds, nanos] }: ReadableSpan): number {
  return seconds * 1e9 + nanos;
}
