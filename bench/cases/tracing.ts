/**
 * What spans cost: sends to entities of the same node, 256 in flight, with a tracer that does
 * nothing and with one that keeps every span in memory; the floor is the same without tracing, in
 * the same process. One process is another matter than what tracing costs where it is off: for that
 * two versions of the source have to be set against each other.
 */
import { context, ProxyTracerProvider } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { Cluster, command, defineEntity, type Tracing } from "../../src/index.ts";
import { openTelemetry } from "../../src/otel/index.ts";
import { rateFigure } from "../figure.ts";
import { compete, type Load, outcomeOf } from "../measure/contest.ts";
import { effort } from "../measure/effort.ts";
import { inFlight } from "../measure/in-flight.ts";
import { say } from "../parent.ts";

const IN_FLIGHT = 256;
/** Spans are thrown away after so many calls, each of which has two. */
const CALLS_KEPT = 1_000;

const Account = defineEntity("account", {
  messages: { deposit: command<{ amount: number }, number>() },
  state: () => ({ balance: 0 }),
  handlers: { deposit: ({ state }, { amount }) => (state.balance += amount) },
});
const ids = Array.from({ length: 1_000 }, (_, n) => `account-${n}`);

context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
const exporter = new InMemorySpanExporter();
const kept = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });

async function sender(tracing?: Tracing): Promise<{ load: Load; stop: () => Promise<void> }> {
  const cluster = await Cluster.start({
    transport: "memory",
    entities: [Account],
    ...(tracing !== undefined && { tracing }),
  });
  const load = inFlight(IN_FLIGHT, (n) => {
    if (n % CALLS_KEPT === 0) exporter.reset();
    return cluster.entity("account", ids[n % ids.length]!).send({ type: "deposit", amount: 1 });
  });
  return { load, stop: () => cluster.stop() };
}

const senders = [
  await sender(),
  // Without an SDK behind it, its tracer does nothing.
  await sender(openTelemetry({ provider: new ProxyTracerProvider() })),
  await sender(openTelemetry({ provider: kept })),
];
const [plain, idle, full] = await compete(
  senders.map(({ load }) => load),
  effort(),
);
say(rateFigure("local send, spans of no one", outcomeOf(idle!, plain!)));
say(rateFigure("local send, spans kept", outcomeOf(full!, plain!)));
await Promise.all(senders.map(({ stop }) => stop()));
