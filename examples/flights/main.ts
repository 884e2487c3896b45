/**
 * The demo: a cluster of processes on this machine, fed with 20,000 real flights.
 *
 * Starts the nodes, waits until the ring has settled, replays the flights from all nodes at once,
 * compares what the airports have counted with a plain loop over the file, and keeps serving.
 * `npm start -- --help` lists the options. However this process ends, its nodes end too.
 */
import process from "node:process";
import { Broker } from "./broker.ts";
import { Story, type Tell } from "./changes.ts";
import { Fleet } from "./fleet.ts";
import { expectedTotals, loadFlights, MESSAGES_PER_FLIGHT } from "./flights.ts";
import { type DemoOptions, parseOptions, USAGE } from "./options.ts";
import type { Tally } from "./replay.ts";
import {
  type Replayed,
  showBroker,
  showBusiest,
  showChange,
  showChanges,
  showNodes,
  showRate,
  showRing,
  showTally,
  showTitle,
  showTries,
  showVerdict,
} from "./report.ts";
import { Screen } from "./screen.ts";
import { busiestOf, compare, isClean } from "./verdict.ts";

const EXIT_DIFFERENT = 1;
const EXIT_BROKEN = 1;
const EXIT_USAGE = 2;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const request = parseOptions(args);
  switch (request.kind) {
    case "help":
      process.stdout.write(`${USAGE}\n`);
      return 0;
    case "wrong":
      process.stderr.write(`${request.reason}\n\n${USAGE}\n`);
      return EXIT_USAGE;
    case "run":
      return run(request.options);
  }
}

async function run(options: DemoOptions): Promise<number> {
  const { stdout: main, stderr: aside } = process;
  const screen = new Screen({ main, aside, noColor: (process.env["NO_COLOR"] ?? "") !== "" });
  try {
    if (options.broker === undefined) return await runFleet(options, screen);
    const broker = await Broker.start(options.broker);
    try {
      return await runFleet({ ...options, transport: broker.url }, screen, broker.broken);
    } finally {
      await broker.stop();
    }
  } catch (error) {
    screen.aside(error instanceof Error ? error.message : String(error));
    return EXIT_BROKEN;
  }
}

/** Rejects when a node is lost, or what else the demo needs, which is `broken` then. */
async function runFleet(
  options: DemoOptions,
  screen: Screen,
  broken?: Promise<never>,
): Promise<number> {
  const fleet = new Fleet(options, (node, line) => screen.aside(`[${node}] ${line}`));
  // The last net: whatever ends this process, nothing of it stays behind.
  process.once("exit", () => fleet.kill());
  const interrupted = untilInterrupted(() => fleet.kill());
  try {
    const ends = [
      demo(options, screen, fleet),
      fleet.broken,
      interrupted,
      ...(broken ? [broken] : []),
    ];
    return await Promise.race(ends);
  } finally {
    screen.endProgress();
    await fleet.stop();
  }
}

async function demo(options: DemoOptions, screen: Screen, fleet: Fleet): Promise<number> {
  const flights = await loadFlights();
  const expected = expectedTotals(flights);
  const airports = [...expected.keys()];
  showTitle(screen, { flights: flights.length, airports: airports.length });
  if (options.transport !== undefined) showBroker(screen, options.transport, fleet.name);
  const nodes = [...(await fleet.start())];
  showNodes(screen, nodes);
  showRing(screen, await fleet.settle(airports));
  const half = flights.length / 2;
  const replayed = await replay(screen, fleet, half);
  showRate(screen, replayed);
  const tell: Tell = (...change) => showChange(screen, ...change);
  const story = new Story(fleet, airports, { from: half, to: flights.length, tell });
  const changes = await story.run((ready) => nodes.push(ready));
  showChanges(screen, changes);
  const found = await fleet.totals(airports);
  const verdict = compare(expected, found);
  showTally(screen, fleet.tally, verdict);
  const busiest = busiestOf(airports, found, await fleet.owners(airports));
  showBusiest(screen, busiest);
  showVerdict(screen, airports.length, verdict);
  if (options.once) return isClean(verdict) ? 0 : EXIT_DIFFERENT;
  const serving = new Set(fleet.serving.map(({ name }) => name));
  const left = nodes.filter(({ node }) => serving.has(node));
  showNodes(screen, left);
  showTries(screen, left, { airport: busiest[0]!.code, flight: flights.length });
  return new Promise(() => {}); // Until it is interrupted.
}

/** The first half, as fast as it goes. */
async function replay(screen: Screen, fleet: Fleet, flights: number): Promise<Replayed> {
  const total = flights * MESSAGES_PER_FLIGHT;
  const startMs = performance.now();
  const seconds = (): number => (performance.now() - startMs) / 1_000;
  const show = ({ answered }: Tally): void => {
    screen.progress({ label: "replay", done: answered, total, perSecond: answered / seconds() });
  };
  fleet.onProgress(show);
  const tally = await fleet.replay({ from: 0, to: flights, airports: null, again: false });
  fleet.onProgress(() => {});
  const replayed = { tally, seconds: seconds() };
  show(tally);
  screen.endProgress();
  return replayed;
}

/** Resolves with the exit code when a signal has come; a second one cannot wait. */
function untilInterrupted(hurry: () => void): Promise<number> {
  return new Promise((resolve) => {
    let count = 0;
    const interrupt = (): void => {
      if (count++ > 0) hurry();
      resolve(0);
    };
    for (const signal of SIGNALS) process.on(signal, interrupt);
    // Nobody looks any more, as behind `| head`.
    process.stdout.once("error", interrupt);
  });
}
