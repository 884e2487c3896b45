/**
 * A web page that watches a room: the room pushes what is said in it, and the edge tells every
 * browser, by server-sent events, wherever the room lives or moves.
 *
 * `npx bun examples/16-live-room.ts` prints:
 *
 *     GET / 200 text/html
 *     @begun
 *     room.spoken ada: is anybody here?
 *     room.spoken bob: I am
 *     missed nothing: room.spoken bob: good night
 *
 * With `--serve` it stays and prints its address, for a browser.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { Hono } from "hono";
import { secureHeaders } from "hono/secure-headers";
import { gateway, listen } from "../src/http/index.ts";
import { Cluster, command, defineEntity, defineEvent } from "../src/index.ts";

interface Line {
  readonly who: string;
  readonly text: string;
}

const Spoken = defineEvent<Line>("room.spoken");
const Room = defineEntity("room", {
  messages: { say: command<Line>() },
  state: () => ({ lines: 0 }),
  handlers: {
    say(ctx, { who, text }) {
      ctx.state.lines++;
      // To whoever watches this room at this moment, when this turn has ended.
      ctx.push(Spoken({ who, text }));
    },
  },
});

const cluster = await Cluster.start({ transport: "memory", entities: [Room] });
const app = new Hono();
// The page may load its script and talk to its own host, and nothing else.
const csp = { defaultSrc: ["'none'"], scriptSrc: ["'self'"], connectSrc: ["'self'"] };
const safe = secureHeaders({ contentSecurityPolicy: { ...csp, frameAncestors: ["'none'"] } });
app.get("/", safe, (c) => c.html(file("page.html")));
app.get("/page.js", safe, (c) =>
  c.body(file("page.js"), 200, { "Content-Type": "text/javascript" }),
);
app.route("/", gateway(cluster, { expose: [Room] }));
const edge = await listen(app, { port: 0 });

if (process.argv.includes("--serve")) console.log(edge.url);
else await show();

function file(name: string): string {
  return readFileSync(join(import.meta.dirname, "live-room", name), "utf8");
}

/** Does what a page does, without a browser, and ends. */
async function show(): Promise<void> {
  const page = await fetch(edge.url);
  console.log(`GET / ${page.status} ${page.headers.get("content-type")?.split(";")[0]}`);
  await page.text();
  const first = await watch();
  console.log((await first.next()).text);
  await say("ada", "is anybody here?");
  console.log((await first.next()).text);
  await say("bob", "I am");
  const last = await first.next();
  console.log(last.text);
  await first.close();
  await say("bob", "good night");
  // As EventSource does by itself.
  const again = await watch(last.id);
  await again.next();
  console.log(`missed nothing: ${(await again.next()).text}`);
  await again.close();
  await edge.close();
  await cluster.stop();
}

async function say(who: string, text: string): Promise<void> {
  await cluster.entity(Room, "lobby").send({ type: "say", who, text });
}

/** Reads a stream of events; in a browser EventSource does. */
async function watch(lastId?: string) {
  const headers = lastId === undefined ? undefined : { "Last-Event-ID": lastId };
  const response = await fetch(`${edge.url}/watch/room/lobby`, headers && { headers });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  return {
    close: () => reader.cancel(),
    async next(): Promise<{ id: string | undefined; text: string }> {
      for (;;) {
        const [event, ...rest] = text.split("\n\n");
        const [, name] = /^event: (.*)$/m.exec(event!) ?? [];
        if (rest.length === 0) text += (await reader.read()).value ?? "";
        else text = rest.join("\n\n");
        if (rest.length === 0 || name === undefined) continue;
        const { who, text: said } = JSON.parse(/^data: (.*)$/m.exec(event!)![1]!) as Partial<Line>;
        const id = /^id: (.*)$/m.exec(event!)?.[1];
        return { id, text: who === undefined ? name : `${name} ${who}: ${said}` };
      }
    },
  };
}
