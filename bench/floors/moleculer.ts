/**
 * Moleculer over the same broker: request and reply by `broker.call`, as its documentation has it.
 * Everything that costs time and is not needed is off, most of it by default: no log, no metrics,
 * no tracing, no validation of parameters, no time-out of calls (a timer each), no cache; JSON, for
 * its other serializers are slower here. It balances by itself, which is its default and faster
 * than the queue groups of the broker.
 */
import { type BrokerOptions, ServiceBroker } from "moleculer";

const HEARTBEAT_S = 5;

/** A service that answers. */
export async function serveMoleculer(
  url: string,
  answer: (body: unknown) => unknown,
): Promise<{ close(): Promise<void> }> {
  const broker = new ServiceBroker(optionsOf(url, "owner"));
  broker.createService({
    name: "echo",
    actions: { echo: ({ params }: { readonly params: unknown }) => answer(params) },
  });
  await broker.start();
  return { close: () => broker.stop() };
}

/** Calls what {@link serveMoleculer} serves. */
export class MoleculerCaller {
  readonly #broker: ServiceBroker;

  private constructor(broker: ServiceBroker) {
    this.#broker = broker;
  }

  static async connect(url: string): Promise<MoleculerCaller> {
    const broker = new ServiceBroker(optionsOf(url, "caller"));
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

function optionsOf(url: string, nodeID: string): BrokerOptions {
  // Its types know the names of transporters; what it takes as well is an address.
  const transporter = url as "NATS";
  return { transporter, nodeID, logger: false, heartbeatInterval: HEARTBEAT_S, validator: false };
}
