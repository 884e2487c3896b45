/**
 * Moleculer, over the same broker or within one process: request and reply by `broker.call`, as its
 * documentation has it.
 * Everything that costs time and is not needed is off, most of it by default: no log, no metrics,
 * no tracing, no validation of parameters, no time-out of calls (a timer each), no cache; JSON, for
 * its other serializers are slower here. It balances by itself, which is its default and faster
 * than the queue groups of the broker.
 */
import { type BrokerOptions, ServiceBroker } from "moleculer";

const HEARTBEAT_S = 5;

/** What every call of catga has: a deadline, tries elsewhere, a circuit, a limit of how many. */
export const GUARDED: BrokerOptions = {
  requestTimeout: 10_000,
  retryPolicy: { enabled: true, retries: 3 },
  circuitBreaker: { enabled: true },
  bulkhead: { enabled: true, concurrency: 1_024 },
};

/** A service that answers. */
export async function serveMoleculer(
  url: string,
  answer: (body: unknown) => unknown,
): Promise<{ close(): Promise<void> }> {
  const broker = new ServiceBroker(optionsOf("owner", url));
  await serve(broker, answer);
  return { close: () => broker.stop() };
}

/** Calls what {@link serveMoleculer} serves. */
export class MoleculerCaller {
  readonly #broker: ServiceBroker;

  private constructor(broker: ServiceBroker) {
    this.#broker = broker;
  }

  /** One that answers its own calls. */
  static async alone(
    answer: (body: unknown) => unknown,
    more: BrokerOptions = {},
  ): Promise<MoleculerCaller> {
    const broker = new ServiceBroker({ ...optionsOf("alone"), ...more });
    await serve(broker, answer);
    return new MoleculerCaller(broker);
  }

  static async connect(url: string): Promise<MoleculerCaller> {
    const broker = new ServiceBroker(optionsOf("caller", url));
    await broker.start();
    await broker.waitForServices("echo", 10_000, 20);
    return new MoleculerCaller(broker);
  }

  call(body: unknown): Promise<unknown> {
    return this.#broker.call("echo.echo", body as Record<string, unknown>);
  }

  async close(): Promise<void> {
    await this.#broker.stop();
  }
}

async function serve(broker: ServiceBroker, answer: (body: unknown) => unknown): Promise<void> {
  broker.createService({
    name: "echo",
    actions: { echo: ({ params }: { readonly params: unknown }) => answer(params) },
  });
  await broker.start();
}

function optionsOf(nodeID: string, url?: string): BrokerOptions {
  const options = { nodeID, logger: false, heartbeatInterval: HEARTBEAT_S, validator: false };
  // Its types know the names of transporters; what it takes as well is an address.
  return url === undefined ? options : { ...options, transporter: url as "NATS" };
}
