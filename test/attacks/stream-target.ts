/**
 * A node whose rooms are watched at its edge, in a process of its own, on any runtime:
 * `stream-target.ts <streams that may be open>`. It prints its port as one line of JSON, and
 * answers each line that it reads with what it is like, after `collect` when all garbage is
 * collected. It ends with its stdin.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { gateway, listen } from "../../src/http/index.ts";
import { Cluster, command, defineEntity, defineEvent } from "../../src/index.ts";

/** How a process is. */
export interface StreamFigures {
  readonly rssBytes: number;
  readonly heapBytes: number;
  /** Streams that have begun and not ended. */
  readonly watching: number;
}

const Spoken = defineEvent<{ n: number; text: string }>("room.spoken");
const Room = defineEntity("room", {
  messages: { shout: command<{ from: number; count: number; characters: number }>() },
  state: () => null,
  handlers: {
    shout(ctx, { from, count, characters }) {
      for (let n = from; n < from + count; n++) {
        ctx.push(Spoken({ n, text: String(n).padEnd(characters, "-") }));
      }
    },
  },
});

const cluster = await Cluster.start({ transport: "memory", entities: [Room] });
let watching = 0;
const watch = cluster.watch.bind(cluster);
cluster.watch = (...args: Parameters<typeof watch>) => {
  watching++;
  const end = watch(...args);
  return () => {
    watching--;
    end();
  };
};
const limits = { streamsMax: Number(process.argv[2]) };
const { port } = await listen(gateway(cluster, { expose: [Room], limits }), { port: 0 });
console.log(JSON.stringify({ port }));

const { Bun: bun, gc } = globalThis as { Bun?: { gc(isSync: boolean): void }; gc?: () => void };
for await (const line of createInterface({ input: process.stdin })) {
  for (let round = line === "collect" ? 3 : 0; round > 0; round--) {
    bun?.gc(true);
    gc?.();
  }
  const { rss: rssBytes, heapUsed, external } = process.memoryUsage();
  const figures: StreamFigures = { rssBytes, heapBytes: heapUsed + external, watching };
  console.log(JSON.stringify(figures));
}
process.exit(0);
