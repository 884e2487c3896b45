/**
 * Starts a node, calls an entity, says `{ tookMs }` for both together, and leaves. Imports are not
 * counted: they are evaluated before the clock is read.
 */
import process from "node:process";
import { Cluster } from "../../src/index.ts";
import { Echo, payload } from "./echo.ts";
import { askedToEnd, say } from "../parent.ts";

const [, , name = ""] = process.argv;

const beganMs = performance.now();
const cluster = await Cluster.start({ name, entities: [Echo] });
await cluster.entity("echo", "first").send(payload(0));
const tookMs = performance.now() - beganMs;

say({ tookMs });
await askedToEnd();
await cluster.stop({ deadline: "2s" });
