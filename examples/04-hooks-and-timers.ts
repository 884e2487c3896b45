/**
 * What an entity does by itself: when it enters memory, when time has passed, when it leaves.
 *
 * `npx bun examples/04-hooks-and-timers.ts` prints:
 *
 *     egg: enters memory
 *     egg: set to 20ms
 *     egg: rings
 *     egg: leaves memory (idle)
 *     egg: enters memory
 *     egg: set to 1h
 *     egg: leaves memory (shutdown)
 */
import { Cluster, command, defineEntity, type Duration } from "../src/index.ts";

const left = Promise.withResolvers<void>();

const Alarm = defineEntity("alarm", {
  messages: {
    set: command<{ to: Duration }>(),
    ring: command(),
  },
  // The state of an entity that is not persistent lives as long as the activation.
  state: () => ({ rings: 0 }),
  idle: "50ms",
  activated: ({ id }) => console.log(`${id}: enters memory`),
  deactivated({ id }, reason) {
    console.log(`${id}: leaves memory (${reason})`);
    left.resolve();
  },
  handlers: {
    set(context, { to }) {
      // A message to itself, later. As long as it is pending, the entity is not idle.
      context.after(to, { type: "ring" });
      console.log(`${context.id}: set to ${to}`);
    },
    ring({ id, state }) {
      state.rings++;
      console.log(`${id}: rings`);
    },
  },
});

const cluster = await Cluster.start({ transport: "memory", entities: [Alarm] });
const egg = cluster.entity("alarm", "egg");
await egg.send({ type: "set", to: "20ms" });
await left.promise;
await egg.send({ type: "set", to: "1h" });
await cluster.stop();
