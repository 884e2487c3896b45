/** What a web page has of catga: a contract, messages, a client. `bundle.test.ts` bundles it. */
import { createClient, isClientError, isEvent, MISSED } from "../../src/client/index.ts";
import {
  command,
  defineCommand,
  defineContract,
  defineEvent,
  query,
} from "../../src/contract/index.ts";

const Room = defineContract("room", {
  say: command<{ text: string }, number>(),
  lines: query<void, readonly string[]>(),
});
const Greet = defineCommand<{ name: string }, string>("greet");
const Said = defineEvent<{ text: string }>("room.said");

/** Says something, greets, and reads the first line that is said. */
export async function visit(url: string, fetch: typeof globalThis.fetch): Promise<unknown[]> {
  const api = createClient({ url, fetch: (to, init) => fetch(to, init) });
  const room = api.entity(Room, "42");
  const count = await room.send({ type: "say", text: "hi" });
  const greeting = await api.send(Greet({ name: "Ada" }));
  const lines = await room.send({ type: "lines" }).catch((error: unknown) => {
    return isClientError(error) ? error.code : error;
  });
  for await (const item of room.watch({ events: [Said] })) {
    if (item !== MISSED && isEvent(Said, item)) return [count, greeting, lines, item.text];
  }
  return [];
}
