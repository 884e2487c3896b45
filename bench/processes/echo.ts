/**
 * The entity that answers with what it was sent: what the nodes of the `embedded` and `start` cases
 * host, and the payload they send.
 */
import { command, defineContract } from "../../src/index.ts";

/** What is sent and answered: with its `type` 100 bytes of JSON. */
export interface Payload {
  readonly from: string;
  readonly to: string;
  readonly amount: number;
  readonly text: string;
}

const messages = { echo: command<Payload, Payload>() };

/** For callers. */
export const EchoContract = defineContract("echo", messages);

/** For owners. */
export const Echo = EchoContract.implement({
  state: () => ({ echoed: 0 }),
  handlers: {
    echo: ({ state }, { from, to, amount, text }) => {
      state.echoed++;
      return { from, to, amount, text };
    },
  },
});

/** A message; every call makes its own. */
export function payload(n: number): Payload & { readonly type: "echo" } {
  const text = "the rain in spain stays mainly";
  return { type: "echo", from: "ABQ", to: "ATL", amount: 1_000 + (n % 1_000), text };
}
