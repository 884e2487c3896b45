/** A list that is kept: an answer says at which place its line stands, counted from 1. */
import { command, defineEntity, query } from "../../src/index.ts";

/** With `hold`, which is called in the middle of a turn. */
export function listOf(hold: (until: string) => void = () => {}) {
  return defineEntity("list", {
    messages: {
      append: command<{ line: string }, number>(),
      hold: command<{ line: string; until: string }, number>(),
      read: query<void, readonly string[]>(),
    },
    persistence: "write-through",
    state: (): string[] => [],
    handlers: {
      append: ({ state }, { line }) => state.push(line),
      async hold(ctx, { line, until }) {
        hold(until);
        const length = ctx.state.push(line);
        // What a turn did is not written without a lease; what it asks to be written is.
        await ctx.save();
        return length;
      },
      read: ({ state }) => state,
    },
  });
}
