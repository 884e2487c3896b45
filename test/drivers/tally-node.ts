/** A node in a process of its own, until that is killed: `tally-node.ts <place as JSON> <id>`. */
import process from "node:process";
import { tally, type TallyPlace } from "./tally.ts";

const [place = "", nodeId = ""] = process.argv.slice(2);
await tally(JSON.parse(place) as TallyPlace, nodeId);
process.stdout.write(`${JSON.stringify("joined")}\n`);
