/**
 * A process that is a member of a cluster until it is told to end: `member.ts <cluster> hub` hosts
 * nothing, `member.ts <cluster> owner` hosts the echo entity and serves the raw floor beside it. It
 * says `{ port }` (of the floor, 0 for none) when it is ready.
 */
import process from "node:process";
import { Cluster } from "../../src/index.ts";
import { serveRaw } from "../floors/raw-tcp.ts";
import { Echo, type Payload } from "./echo.ts";
import { askedToEnd, say } from "../parent.ts";

const [, , name = "", role = "hub"] = process.argv;
const isOwner = role === "owner";

const cluster = isOwner
  ? await Cluster.start({ name, entities: [Echo] })
  : await Cluster.start({ name });
const raw = isOwner
  ? await serveRaw((body) => {
      const { from, to, amount, text } = body as Payload;
      return { from, to, amount, text };
    })
  : undefined;
say({ port: raw?.port ?? 0 });
await askedToEnd();
raw?.close();
await cluster.stop({ deadline: "2s" });
