/**
 * Messages that find their handler in another process, over NATS, 256 in flight, about 100 bytes of
 * payload each way. The process that answers serves Moleculer and raw frames over the same broker
 * too, so all of them run between the same two processes, in turns.
 */
import { Cluster } from "../../src/index.ts";
import { Broker } from "../broker.ts";
import { startHelper } from "../child.ts";
import { atLeast, type Goal, rateFigure } from "../figure.ts";
import { MoleculerCaller } from "../floors/moleculer.ts";
import { BURSTS, openWire, RawFramesCaller } from "../floors/raw-broker.ts";
import { compete, type Contestant, outcomeOf } from "../measure/contest.ts";
import { effort } from "../measure/effort.ts";
import { inFlight } from "../measure/in-flight.ts";
import { newClusterName } from "../processes/cluster-name.ts";
import { ask, payload } from "../processes/echo.ts";
import { say } from "../parent.ts";

const IN_FLIGHT = 256;
const MOLECULER_GOAL = 4;

await using broker = await Broker.start("nats");
const { url } = broker;
const name = newClusterName();
await using owner = startHelper("processes/broker-owner.ts", url, name);
await owner.next();
await using cluster = await Cluster.start({ transport: url, name, heartbeat: "normal" });
const wire = await openWire(url);
const moleculer = await MoleculerCaller.connect(url);

const calls: ((n: number) => Promise<unknown>)[] = [
  (n) => cluster.send(ask(n)),
  (n) => moleculer.call(payload(n)),
];
for (const burst of BURSTS) {
  const raw = await RawFramesCaller.connect(wire, burst);
  calls.push((n) => raw.call(payload(n)));
}
const loads = calls.map((call) => inFlight(IN_FLIGHT, call));
const [subject, other, ...floors] = await compete(loads, effort());
beside(other!, "Moleculer", (ratio) => [atLeast(ratio, MOLECULER_GOAL, "× Moleculer")]);
const rates = floors.map((floor) => floor.sum().opsPerSecond);
const best = rates.indexOf(Math.max(...rates));
beside(floors[best]!, `raw per ${BURSTS[best]}`);

await moleculer.close();
await wire.close();

function beside(floor: Contestant, what: string, goals?: (ratio: number) => Goal[]): void {
  const outcome = outcomeOf(subject!, floor);
  say(rateFigure(`mediator send over nats, ÷ ${what}`, outcome, goals?.(outcome.ratio) ?? []));
}
