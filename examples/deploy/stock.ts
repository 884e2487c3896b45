/**
 * The entity of this app: what is left of one article. The contract is all that a caller needs; the
 * code is for the nodes that host it.
 */
import { command, defineContract, query } from "catga";

/** What callers share with the hosts. */
export const Stock = defineContract("stock", {
  receive: command<{ pieces: number }, { left: number }>(),
  take: command<{ pieces: number }, { taken: boolean; left: number }>(),
  left: query<void, { left: number; node: string }>(),
});

/** What hosts run. */
export const HostedStock = Stock.implement({
  state: () => ({ left: 0 }),
  handlers: {
    receive: ({ state }, { pieces }) => ({ left: (state.left += pieces) }),
    take({ state }, { pieces }) {
      // One message at a time per article: nobody takes what somebody else has taken.
      const taken = pieces <= state.left;
      if (taken) state.left -= pieces;
      return { taken, left: state.left };
    },
    left: ({ state, node }) => ({ left: state.left, node }),
  },
});
