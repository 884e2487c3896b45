/**
 * A whole node at rest: embedded driver, one entity type, the HTTP edge listening. Says what memory
 * it takes and ends.
 */
import process from "node:process";
import { gateway, listen } from "../../src/http/index.ts";
import { Cluster } from "../../src/index.ts";
import { settledMemory } from "../measure/memory.ts";
import { Echo } from "./echo.ts";
import { say } from "../parent.ts";

const [, , name = ""] = process.argv;

await using cluster = await Cluster.start({ name, entities: [Echo] });
const edge = await listen(gateway(cluster, { expose: [Echo] }), { port: 0 });
say(await settledMemory());
await edge.close();
