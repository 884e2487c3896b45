/**
 * Serves event streams, and pushes one event to all when it is asked to: `stream-edge.ts node`, a
 * node with an edge whose streams watch one entity; `stream-edge.ts bare`, streams of the runtime
 * alone, without a node. Both are asked at the same paths.
 *
 * Says its port; then `memory` and `cpu` on stdin are answered with what it takes. Ends with its
 * stdin.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { gateway, listen } from "../../src/http/index.ts";
import { Cluster, command, defineEntity, defineEvent } from "../../src/index.ts";
import { settledMemory } from "../measure/memory.ts";
import { say } from "../parent.ts";

const Spoken = defineEvent<{ n: number }>("room.spoken");
const Room = defineEntity("room", {
  messages: { say: command<{ n: number }, number>() },
  state: () => null,
  handlers: {
    say(ctx, { n }) {
      ctx.push(Spoken({ n }));
      return n;
    },
  },
});

const edge = process.argv[2] === "node" ? await node() : bare();
const { port } = await listen(edge, { port: 0 });
say({ port });

for await (const line of createInterface({ input: process.stdin })) {
  say(line === "memory" ? await settledMemory() : process.cpuUsage());
}
process.exit(0);

async function node() {
  const cluster = await Cluster.start({ transport: "memory", entities: [Room] });
  return gateway(cluster, { expose: [Room] });
}

/** The least that could do it. */
function bare() {
  const open = new Set<ReadableStreamDefaultController<Uint8Array>>();
  const encoder = new TextEncoder();
  const begun = encoder.encode("event: @begun\ndata: {}\n\n");
  const stream = (): Response => {
    let own: ReadableStreamDefaultController<Uint8Array>;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        open.add((own = controller));
        controller.enqueue(begun);
      },
      cancel: () => void open.delete(own),
    });
    return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  };
  return {
    async fetch(request: Request): Promise<Response> {
      if (request.method === "GET") return stream();
      const { n } = (await request.json()) as { n: number };
      const data = JSON.stringify({ type: "room.spoken", n });
      const event = encoder.encode(`event: room.spoken\ndata: ${data}\n\n`);
      for (const controller of open) controller.enqueue(event);
      return Response.json(n);
    },
  };
}
