/**
 * One node of the demo, on whichever runtime runs this file: hosts airports, serves the HTTP edge,
 * and does what the orchestrator asks (see `lines.ts`).
 *
 * It lives as long as its stdin: when the orchestrator ends, however it ends, the node leaves too.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { gateway, listen } from "../../src/http/index.ts";
import { Cluster, type ClusterOf } from "../../src/index.ts";
import { Airport } from "./airport.ts";
import { type Flight, loadFlights } from "./flights.ts";
import type { Command, News, NodePlan, Questions, Ready } from "./lines.ts";
import { replay, type Tally } from "./replay.ts";

/** A node that serves. */
interface Station {
  readonly cluster: ClusterOf<typeof Airport>;
  readonly flights: readonly Flight[];
  readonly ready: Ready;
  readonly leave: () => Promise<void>;
}

const HOST = "127.0.0.1";
const LEAVE_DEADLINE = "5s";

await main(parsePlan(process.argv[2]));

function parsePlan(text: string | undefined): NodePlan {
  return JSON.parse(text ?? "{}") as NodePlan;
}

async function main(plan: NodePlan): Promise<void> {
  // Ctrl-C reaches the whole process group, but when to leave is for the orchestrator to say.
  process.on("SIGINT", () => {});
  // Nobody reads any more: the end of stdin is about to come.
  process.stdout.on("error", () => {});
  const lines = createInterface({ input: process.stdin });
  const closed = new Promise<void>((resolve) => {
    lines.once("close", resolve);
    process.once("SIGTERM", resolve);
  });
  try {
    const station = await Promise.race([start(plan), closed]);
    if (station === undefined) process.exit(0);
    lines.on("line", (line) => obey(station, JSON.parse(line) as Command));
    say({ kind: "ready", ready: station.ready });
    await closed;
    await station.leave();
    process.exit(0);
  } catch (error) {
    say({ kind: "failed", reason: textOf(error) }, () => process.exit(1));
  }
}

async function start({ cluster: name, node: nodeId, port }: NodePlan): Promise<Station> {
  const flights = await loadFlights();
  const cluster = await Cluster.start({
    name,
    nodeId,
    endpoint: `http://${HOST}:${port}`,
    // All nodes of the demo share one machine, which may be busy: a pause is not a death.
    heartbeat: "normal",
    entities: [Airport],
  });
  const app = gateway(cluster, { expose: [Airport] });
  const edge = await listen(app, { port, hostname: HOST }).catch(async (error: unknown) => {
    await cluster.stop({ deadline: LEAVE_DEADLINE });
    throw error;
  });
  const runtime = cluster.nodes.find(({ node }) => node === nodeId)?.runtime ?? "";
  return {
    cluster,
    flights,
    ready: { node: nodeId, runtime, url: edge.url, pid: process.pid },
    // The port is given back last: as long as it is taken, no second demo meets this cluster.
    async leave() {
      await cluster.stop({ deadline: LEAVE_DEADLINE });
      await edge.close();
    },
  };
}

function obey(station: Station, command: Command): void {
  const { id } = command;
  answerTo(station, command).then(
    (answer) => say({ kind: "answer", id, answer }),
    (error: unknown) => say({ kind: "refusal", id, reason: textOf(error) }),
  );
}

function answerTo(station: Station, command: Command): Promise<Questions[Command["do"]]["answer"]> {
  const { cluster, flights } = station;
  switch (command.do) {
    case "owners":
      return Promise.resolve(
        command.airports.map((code) => cluster.owner(Airport.name, code)?.node ?? null),
      );
    case "replay": {
      const progress = (tally: Tally): void => say({ kind: "progress", tally });
      return replay(cluster, flights, { portion: command, progress });
    }
    case "totals":
      return Promise.all(
        command.airports.map((code) => cluster.entity(Airport, code).send({ type: "totals" })),
      );
  }
}

function say(news: News, said?: () => void): void {
  process.stdout.write(`${JSON.stringify(news)}\n`, said);
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
