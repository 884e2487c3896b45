/**
 * A client with types: it knows what may be said and what is answered, by the contract alone. It
 * needs nothing of the server, so a web page can have it too.
 *
 * `npx bun examples/19-typed-client.ts` prints:
 *
 *     bob reads what was said: 0 lines
 *     ada says a line, the room has 1
 *     bob is told: ada: Hello
 *     bob says a line, the room has 2
 *     bob is told: bob: Hi Ada
 *     the same line again, under its key: the room still has 2
 *     nobody says nothing: EMPTY, 409
 *     an entity that is not there: UNKNOWN_ENTITY, 404
 */
import { createClient, isClientError, MISSED } from "../src/client/index.ts";
import { command, defineContract, defineEvent, query } from "../src/contract/index.ts";
import { gateway, listen } from "../src/http/index.ts";
import { Cluster, Rejection } from "../src/index.ts";

// What both sides have. It stands in a file of its own, which a page imports as well.
const Said = defineEvent<{ from: string; text: string }>("room.said");
const Room = defineContract("room", {
  say: command<{ from: string; text: string }, number>(),
  lines: query<void, readonly string[]>(),
});

// What the server alone has.
const RoomEntity = Room.implement({
  state: () => ({ lines: [] as string[] }),
  handlers: {
    say(ctx, { from, text }) {
      if (text === "") throw new Rejection("EMPTY");
      ctx.push(Said({ from, text }));
      return ctx.state.lines.push(`${from}: ${text}`);
    },
    lines: (ctx) => ctx.state.lines,
  },
});
const cluster = await Cluster.start({ transport: "memory", entities: [RoomEntity] });
const edge = await listen(gateway(cluster, { expose: [Room] }), { port: 0 });

// What the client has. With several urls it goes on to the next when one does not answer.
const api = createClient({ url: [edge.url], timeout: "5s" });
const lobby = api.entity(Room, "lobby");

const script: readonly (readonly [from: string, text: string])[] = [
  ["ada", "Hello"],
  ["bob", "Hi Ada"],
];
let next = 0;
const say = async (): Promise<void> => {
  const [from, text] = script[next++]!;
  // Under a key it may be sent again as often as it takes.
  const count = await lobby.send({ type: "say", from, text }, { idempotencyKey: `line-${next}` });
  console.log(`${from} says a line, the room has ${count}`);
};
for await (const event of lobby.watch({ events: [Said] })) {
  if (event === MISSED) {
    // At the beginning, and where something may be missing: what was before is asked for.
    console.log(`bob reads what was said: ${(await lobby.send({ type: "lines" })).length} lines`);
  } else {
    console.log(`bob is told: ${event.from}: ${event.text}`);
  }
  if (next === script.length) break;
  await say();
}
const again = { type: "say", from: "bob", text: "Hi Ada" } as const;
const count = await lobby.send(again, { idempotencyKey: "line-2" });
console.log(`the same line again, under its key: the room still has ${count}`);
await failing(lobby.send({ type: "say", from: "nobody", text: "" }), "nobody says nothing");
const other = api.entity(defineContract("hall", { enter: command() }), "1");
await failing(other.send({ type: "enter" }), "an entity that is not there");

await edge.close();
await cluster.stop();

async function failing(call: Promise<unknown>, what: string): Promise<void> {
  await call.catch((error: unknown) => {
    if (isClientError(error)) console.log(`${what}: ${error.code}, ${error.status}`);
  });
}
