/**
 * A process that is a member of a cluster until it is told to end: `member.ts <cluster> <role>
 * [<url of a broker>]`. A `hub` hosts nothing, an `owner` hosts the echo entity, a `floor` does too
 * and serves the raw TCP floor beside it, a `handler` answers what finds it. It says `{ port, pid
 * }` when it is ready; the port is of the floor, 0 for none.
 */
import process from "node:process";
import { Cluster } from "../../src/index.ts";
import { serveRaw } from "../floors/raw-tcp.ts";
import { askedToEnd, say } from "../parent.ts";
import { placeOf } from "./broker-kind.ts";
import { Echo, echoHandler, type Payload } from "./echo.ts";

const [, , name = "", role = "hub", url = ""] = process.argv;

const place = placeOf(name, url);
const cluster = await Cluster.start({
  ...place,
  entities: role === "owner" || role === "floor" ? [Echo] : [],
  handlers: role === "handler" ? [echoHandler] : [],
});
const raw =
  role === "floor"
    ? await serveRaw((body) => {
        const { from, to, amount, text } = body as Payload;
        return { from, to, amount, text };
      })
    : undefined;
say({ port: raw?.port ?? 0, pid: process.pid });
await askedToEnd();
raw?.close();
await cluster.stop({ deadline: "2s" });
