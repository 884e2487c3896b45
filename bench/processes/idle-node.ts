/**
 * A whole node at rest: embedded driver or a broker's, one entity type, the HTTP edge listening:
 * `idle-node.ts <cluster> [<url of a broker>]`. Says what memory it takes and ends.
 */
import process from "node:process";
import { gateway, listen } from "../../src/http/index.ts";
import { Cluster } from "../../src/index.ts";
import { settledMemory } from "../measure/memory.ts";
import { say } from "../parent.ts";
import { placeOf } from "./broker-kind.ts";
import { Echo } from "./echo.ts";

const [, , name = "", url = ""] = process.argv;

await using cluster = await Cluster.start({ ...placeOf(name, url), entities: [Echo] });
const edge = await listen(gateway(cluster, { expose: [Echo] }), { port: 0 });
say(await settledMemory());
await edge.close();
