/** A room that is watched over HTTP, on clusters of several nodes, each with an edge. */
import { gateway, type GatewayOptions, listen } from "../../src/http/index.ts";
import {
  Cluster,
  type ClusterOf,
  type ClusterOptions,
  command,
  defineEntity,
  defineEvent,
} from "../../src/index.ts";

/** Pushed by a room, and published. */
export const Spoken = defineEvent<{ n: number; text?: string }>("room.spoken");
/** Published, and not exposed. */
export const Hidden = defineEvent<{ n: number }>("room.hidden");

/** Called as the edge might call what it says of a stream. */
const ODD = {
  begun: defineEvent<{ n: number }>("begun"),
  missed: defineEvent<{ n: number }>("missed"),
  drain: defineEvent<{ n: number }>("drain"),
};

/** Pushes what it is told. */
export const Room = defineEntity("room", {
  messages: { say: command<{ n: number; text?: string; as?: keyof typeof ODD }, number>() },
  state: () => null,
  handlers: {
    say(ctx, { n, text, as }) {
      if (as !== undefined) ctx.push(ODD[as]({ n }));
      else ctx.push(Spoken(text === undefined ? { n } : { n, text }));
      return n;
    },
  },
});

/** A node with an edge. */
export interface Site extends AsyncDisposable {
  readonly cluster: ClusterOf<typeof Room>;
  readonly url: string;
  readonly port: number;
}

/** Starts one. */
export async function site(
  meeting: Partial<ClusterOptions<[]>> = {},
  options: Partial<GatewayOptions> = {},
): Promise<Site> {
  const entities = [Room] as const;
  const cluster = await Cluster.start({ transport: "memory", ...meeting, entities });
  const app = gateway(cluster, { expose: [Room, Spoken], ...options });
  const { url, port, close } = await listen(app, { port: 0 });
  return {
    cluster,
    url,
    port,
    async [Symbol.asyncDispose]() {
      await close();
      await cluster.stop({ deadline: "3s" });
    },
  };
}

/** Says a number in a room, at a node. */
export function say({ cluster }: Site, n: number, id: string = "a"): Promise<number> {
  return cluster.entity(Room, id).send({ type: "say", n });
}
