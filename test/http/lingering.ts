/** Entities that answer when they are let, or never. */
import { command, defineEntity } from "../../src/index.ts";

/** What `linger` waits for. */
export const linger: { readonly promise: Promise<void>; readonly resolve: () => void } =
  Promise.withResolvers();

/** See the file's header. */
export const Lingering = defineEntity("lingering", {
  messages: {
    count: command<void, number>(),
    linger: command<void, number>(),
    hang: command(),
  },
  state: () => ({ n: 0 }),
  handlers: {
    count: ({ state }) => ++state.n,
    linger: ({ state }) => linger.promise.then(() => ++state.n),
    hang: () => new Promise<void>(() => {}),
  },
});
