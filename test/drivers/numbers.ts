/** An entity that is sent numbers, and remembers how often each came. */
import { command, defineEntity } from "../../src/index.ts";

/** What has run in this process: the sender and its number, in their order. */
export const ran: string[] = [];

/** See the file's header. */
export const Numbers = defineEntity("numbers", {
  messages: { add: command<{ readonly from: string; readonly n: number }, number>() },
  state: () => ({}),
  handlers: {
    add: (_, { from, n }) => ran.push(`${from}/${n}`),
  },
});
