/**
 * Starts a node, calls an entity, says `{ tookMs }` for both together, and leaves: `starter.ts
 * <cluster> [<url of a broker>]`. Imports are not counted: they are evaluated before the clock is
 * read, those of the broker's client too, which catga loads when it is started.
 */
import process from "node:process";
import { Cluster } from "../../src/index.ts";
import { askedToEnd, say } from "../parent.ts";
import { loadClientOf, placeOf } from "./broker-kind.ts";
import { Echo, payload } from "./echo.ts";

const [, , name = "", url = ""] = process.argv;
await loadClientOf(url);

const beganMs = performance.now();
const cluster = await Cluster.start({ ...placeOf(name, url), entities: [Echo] });
await cluster.entity("echo", "first").send(payload(0));
const tookMs = performance.now() - beganMs;

say({ tookMs });
await askedToEnd();
await cluster.stop({ deadline: "2s" });
