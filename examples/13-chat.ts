/**
 * A chat: everybody in the room hears what is said, on whichever node they are, and the room is an
 * entity that hears it too and keeps the last lines for those who come later.
 *
 * `npx bun examples/13-chat.ts` prints:
 *
 *     ada (east) hears bob: Is anybody here?
 *     bob (west) hears bob: Is anybody here?
 *     ada (east) hears ada: I am, in the east
 *     bob (west) hears ada: I am, in the east
 *     carol, who came later, reads: bob: Is anybody here? / ada: I am, in the east
 */
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { Cluster, defineEntity, defineEvent, query } from "../src/index.ts";

interface Line {
  readonly room: string;
  readonly from: string;
  readonly text: string;
}
// The key says which entity an event is for, of those that have it among their messages.
const Said = defineEvent<Line>("chat.said", { key: "room" });

const LINES_MAX = 100;
const Room = defineEntity("room", {
  messages: { "chat.said": Said, lines: query<void, readonly string[]>() },
  state: () => ({ lines: [] as string[] }),
  handlers: {
    "chat.said": ({ state }, { from, text }) => {
      state.lines = [...state.lines, `${from}: ${text}`].slice(-LINES_MAX);
    },
    lines: ({ state }) => state.lines,
  },
});

const name = `chat-${process.pid}`;
await using east = await Cluster.start({ name, nodeId: "east", entities: [Room] });
await using west = await Cluster.start({ name, nodeId: "west", entities: [Room] });
// Who listens when an event is published hears it: the two have to know each other first.
while (east.nodes.length + west.nodes.length < 4) await delay(5);

const heard: string[] = [];
for (const [who, node] of [
  ["ada", east],
  ["bob", west],
] as const) {
  node.subscribe(Said, ({ from, text }) => {
    heard.push(`${who} (${node.nodeId}) hears ${from}: ${text}`);
  });
}
const say = async (node: typeof east, line: Line): Promise<void> => {
  const before = heard.length;
  await node.publish(Said(line));
  while (heard.length < before + 2) await delay(1);
  for (const each of heard.slice(before).toSorted()) console.log(each);
};
await say(west, { room: "lobby", from: "bob", text: "Is anybody here?" });
await say(east, { room: "lobby", from: "ada", text: "I am, in the east" });

const room = east.entity("room", "lobby");
let lines = await room.send({ type: "lines" });
while (lines.length < 2) lines = await room.send({ type: "lines" });
console.log(`carol, who came later, reads: ${lines.join(" / ")}`);
