/**
 * The entity whose writes are measured: a command changes two numbers of a state that is some 300
 * bytes as it is stored, and its answer waits until that is kept.
 */
import { command, defineEntity, query } from "../../src/index.ts";

/** See the file's header. */
export const StoredAccount = defineEntity("account", {
  messages: {
    deposit: command<{ amount: number }, number>(),
    balance: query<void, number>(),
    /** It is gone from memory afterwards. */
    leave: command(),
  },
  persistence: "write-through",
  state: (id) => ({ owner: id, note: "n".repeat(160), balance: 0, deposits: 0 }),
  handlers: {
    deposit: ({ state }, { amount }) => {
      state.deposits++;
      return (state.balance += amount);
    },
    balance: ({ state }) => state.balance,
    leave: (context) => context.passivate(),
  },
});

/** A text as long as its record, as a store is given it. */
export const RECORD: string = "x".repeat(300);
