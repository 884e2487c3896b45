/**
 * A node of three with an edge, in a process of its own: `path-node.ts <settings>`. Its ledgers
 * outlive it, for an answer leaves when what its turn did is stored. It says where its edge is.
 */
import process from "node:process";
import { sqlite } from "../../src/drivers/sqlite/index.ts";
import { gateway, listen } from "../../src/http/index.ts";
import { Cluster, command, defineEntity, query } from "../../src/index.ts";

/** What a process is told at its start. */
export interface PathSettings {
  readonly name: string;
  readonly nodeId: string;
  readonly secret: string;
  readonly transport: `tcp://${string}`;
  readonly file: string;
}

/** Lists of lines. */
export const Ledger = defineEntity("ledger", {
  messages: {
    write: command<{ line: string }, number>(),
    lines: query<void, readonly string[]>(),
  },
  state: () => ({ lines: [] as string[] }),
  persistence: "write-through",
  handlers: {
    write: (ctx, { line }) => ctx.state.lines.push(line),
    lines: (ctx) => ctx.state.lines,
  },
});

if (import.meta.main) {
  const { file, ...place } = JSON.parse(process.argv[2]!) as PathSettings;
  const store = sqlite({ file });
  const cluster = await Cluster.start({ ...place, shardCount: 64, store, entities: [Ledger] });
  const { url } = await listen(gateway(cluster, { expose: [Ledger] }), { port: 0 });
  console.log(url);
}
