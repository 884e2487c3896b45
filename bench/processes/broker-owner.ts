/**
 * The process that answers: `broker-owner.ts <url> <cluster>` hosts the echo entity and its handler
 * over the broker at `url`, and serves the raw frames and Moleculer over the same one. Says `{}`
 * when it is ready.
 */
import process from "node:process";
import { Cluster } from "../../src/index.ts";
import { serveMoleculer } from "../floors/moleculer.ts";
import { openWire, serveRawFrames } from "../floors/raw-broker.ts";
import { askedToEnd, say } from "../parent.ts";
import type { BrokerUrl } from "./broker-kind.ts";
import { Echo, echoHandler, type Payload } from "./echo.ts";

const [, , url = "", name = ""] = process.argv;
const answer = (body: unknown): Payload => {
  const { from, to, amount, text } = body as Payload;
  return { from, to, amount, text };
};

// Processes that are kept from running by the load itself are not dead.
const cluster = await Cluster.start({
  transport: url as BrokerUrl,
  name,
  heartbeat: "normal",
  entities: [Echo],
  handlers: [echoHandler],
});
const wire = await openWire(url);
await serveRawFrames(wire, answer);
const moleculer = await serveMoleculer(url, answer);
say({});
await askedToEnd();
await moleculer.close();
await wire.close();
await cluster.stop({ deadline: "2s" });
process.exit(0);
