/**
 * The entity and the handler that answer with what they were sent: what the nodes of the other
 * processes host, and the payload they are sent.
 */
import { command, defineCommand, defineContract, handler } from "../../src/index.ts";

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

/** The same without an entity: any node with a handler answers. */
export const EchoAnywhere = defineCommand<Payload, Payload>("echo.anywhere");
/** For nodes that answer. */
export const echoHandler = handler(EchoAnywhere, ({ from, to, amount, text }) => {
  return { from, to, amount, text };
});

const TEXT = "the rain in spain stays mainly";

/** A message; every call makes its own. */
export function payload(n: number): Payload & { readonly type: "echo" } {
  return { type: "echo", from: "ABQ", to: "ATL", amount: 1_000 + (n % 1_000), text: TEXT };
}

/** A message that finds its handler. */
export function ask(n: number): ReturnType<typeof EchoAnywhere> {
  return EchoAnywhere({ from: "ABQ", to: "ATL", amount: 1_000 + (n % 1_000), text: TEXT });
}
