/** The command line of the demo. */
import { parseArgs } from "node:util";

/** Which runtime the nodes run on; `mixed` takes one after the other. */
export const RUNTIMES = ["bun", "node", "deno"] as const;

/** A runtime that the set-up puts into `node_modules`. */
export type RuntimeName = (typeof RUNTIMES)[number];

/** The brokers that the demo can bring along. */
export const BROKERS = ["nats", "redis"] as const;

/** A broker by its scheme. */
export type BrokerName = (typeof BROKERS)[number];

/** The demo as it was asked for. */
export interface DemoOptions {
  readonly nodes: number;
  readonly runtime: RuntimeName | "mixed";
  /** Of the first node's edge; the others take those that follow. */
  readonly port: number;
  /** Where the nodes meet; without it, on this machine and without a broker. */
  readonly transport: string | undefined;
  /** A broker of this run's own, which becomes the transport. */
  readonly broker: BrokerName | undefined;
  /** To end after the comparison instead of serving on. */
  readonly once: boolean;
}

/** What the command line asks for. */
export type Request =
  | { readonly kind: "run"; readonly options: DemoOptions }
  | { readonly kind: "help" }
  | { readonly kind: "wrong"; readonly reason: string };

/** How to call the demo. */
export const USAGE = `Usage: npm start -- [options]

Replays 20,000 flights through a cluster on this machine: every airport is an entity, every flight
a message to both of its airports. Meanwhile one more node joins, one leaves and one is killed.
Afterwards it compares with a plain loop and keeps serving.

  --nodes N      how many node processes at first, 1 to 16    (3)
  --runtime R    bun, node, deno, or mixed: one of each       (bun)
  --port P       of the first node's edge; node i takes P+i   (3000)
  --transport U  nats://host:port, or redis://host:port, instead of no broker; each run leaves
                 the records of a small cluster there
  --broker B     nats or redis: one is started for this run, on a free port
  --once         ends after the comparison: 0 if all is the same, 1 if not
  --help         prints this`;

const NODES_MAX = 16;
const PORT_MAX = 65_535;

/** Reads the arguments; whatever is not understood is `wrong`, with the reason. */
export function parseOptions(args: readonly string[]): Request {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        nodes: { type: "string", default: "3" },
        runtime: { type: "string", default: "bun" },
        port: { type: "string", default: "3000" },
        transport: { type: "string" },
        broker: { type: "string" },
        once: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) return { kind: "help" };
    const nodes = wholeNumber("--nodes", values.nodes, NODES_MAX);
    // The last node needs a port as well, and so does the one that joins.
    const port = wholeNumber("--port", values.port, PORT_MAX - nodes);
    const runtime = runtimeNamed(values.runtime);
    const broker = brokerNamed(values.broker);
    const transport = transportAt(values.transport);
    if (broker !== undefined && transport !== undefined) {
      throw new RangeError("Cannot use --broker beside --transport: it would be another one");
    }
    const { once } = values;
    return { kind: "run", options: { nodes, runtime, port, transport, broker, once } };
  } catch (error) {
    return { kind: "wrong", reason: error instanceof Error ? error.message : String(error) };
  }
}

/** The runtime of node `index`, counted from 0. */
export function runtimeOf({ runtime }: DemoOptions, index: number): RuntimeName {
  return runtime === "mixed" ? RUNTIMES[index % RUNTIMES.length]! : runtime;
}

function wholeNumber(option: string, text: string, max: number): number {
  const number = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (number >= 1 && number <= max) return number;
  throw new RangeError(`Cannot use ${option} "${text}": write a whole number from 1 to ${max}`);
}

function runtimeNamed(text: string): RuntimeName | "mixed" {
  const known = [...RUNTIMES, "mixed" as const].find((name) => name === text);
  if (known !== undefined) return known;
  throw new RangeError(`Cannot use --runtime "${text}": write bun, node, deno or mixed`);
}

function brokerNamed(text: string | undefined): BrokerName | undefined {
  const known = BROKERS.find((name) => name === text);
  if (known !== undefined || text === undefined) return known;
  throw new RangeError(`Cannot use --broker "${text}": write nats or redis`);
}

function transportAt(text: string | undefined): string | undefined {
  const isBroker = text !== undefined && /^(?:nats|tls|rediss?):/.test(text) && URL.canParse(text);
  if (text === undefined || (isBroker && new URL(text).hostname !== "")) return text;
  // The text may hold a password, so it is not repeated.
  throw new RangeError("Cannot use --transport: write nats://host:port or redis://host:port");
}
