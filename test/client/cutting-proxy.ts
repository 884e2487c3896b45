/** A proxy before an edge that cuts connections where chance wants it. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** What becomes of a piece of a request, and of the answer to it. */
export type Fate = "passes" | "lost" | "unanswered" | "half answered";

/** A proxy that runs. */
export interface CuttingProxy {
  readonly url: string;
  /** How often each fate has come. */
  readonly fates: Map<Fate, number>;
  readonly close: () => void;
}

const FATES: readonly (readonly [Fate, number])[] = [
  ["lost", 0.12],
  ["unanswered", 0.12],
  ["half answered", 0.12],
];

/** Stands before the edge at `port`; `fraction` is chance. */
export async function cuttingProxy(port: number, fraction: () => number): Promise<CuttingProxy> {
  const fates = new Map<Fate, number>();
  const sockets = new Set<Socket>();
  const draw = (): Fate => {
    let left = fraction();
    const fate = FATES.find(([, part]) => (left -= part) < 0)?.[0] ?? "passes";
    fates.set(fate, (fates.get(fate) ?? 0) + 1);
    return fate;
  };
  const server = createServer((client) => {
    const edge = connect(port, "127.0.0.1");
    let fate: Fate = "passes";
    const cut = (): void => {
      client.destroy();
      edge.destroy();
    };
    for (const socket of [client, edge]) {
      sockets.add(socket);
      socket.on("error", cut).on("close", () => {
        sockets.delete(socket);
        cut();
      });
    }
    client.on("data", (bytes) => {
      fate = draw();
      if (fate === "lost") cut();
      else edge.write(bytes);
    });
    edge.on("data", (bytes) => {
      if (fate === "unanswered") return cut();
      if (fate !== "half answered") return void client.write(bytes);
      const half = bytes.subarray(0, Math.floor(bytes.length * fraction()));
      client.end(half, cut);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fates,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
