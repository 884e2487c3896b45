/** Rooms that push what is said in them, in simulated time, and a judge of what watchers heard. */
import { command, defineEntity, defineEvent, type WatchEvent } from "../../src/index.ts";
import { TestCluster, type TestOptions } from "../../src/testing/index.ts";

/** What a room pushes. */
export const Spoken = defineEvent<{ n: number; text?: string }>("room.spoken");

const messages = {
  say: command<{ n: number; text?: string; times?: number }, number>(),
  fail: command<{ n: number }>(),
  pushes: command<{ count: number }>(),
  leave: command(),
};

/** Pushes what it is told. */
export const Room = defineEntity("room", {
  messages,
  state: () => ({ last: 0 }),
  idle: "2s",
  handlers: {
    say(ctx, { n, text }) {
      ctx.state.last = n;
      ctx.push(Spoken(text === undefined ? { n } : { n, text }));
      return n;
    },
    fail(ctx, { n }) {
      ctx.push(Spoken({ n }));
      throw new Error("a handler's own");
    },
    pushes(ctx, { count }) {
      for (let n = 1; n <= count; n++) ctx.push(Spoken({ n }));
    },
    leave: (ctx) => ctx.passivate(),
  },
});

/** A cluster of rooms. */
export type Rooms = TestCluster<readonly [typeof Room]>;

/** Starts nodes; all have heard of each other, and each owns what it should. */
export async function start(
  options: Partial<TestOptions<readonly [typeof Room]>> = {},
): Promise<Rooms> {
  const cluster = await TestCluster.start({ entities: [Room], shardCount: 16, ...options });
  await cluster.advance("2s");
  return cluster;
}

/** One who watches a room. */
export class Watcher {
  /** What it was given, in order: numbers, `begun` and `missed`. */
  readonly heard: (number | "begun" | "missed")[] = [];
  readonly ids: string[] = [];
  readonly events: WatchEvent[] = [];
  readonly end: () => void;

  constructor(
    cluster: Rooms,
    name: string,
    { id = "a", after }: { id?: string; after?: string } = {},
  ) {
    const run = (event: WatchEvent): void => {
      this.events.push(event);
      this.ids.push(event.id);
      if (event.message !== undefined) this.heard.push(event.message["n"] as number);
      else this.heard.push(event.missed ? "missed" : "begun");
    };
    this.end = cluster.node(name).watch(Room, id, run, after === undefined ? {} : { after });
  }

  /** The id of what it was given last. */
  get last(): string | undefined {
    return this.ids.at(-1);
  }
}

/** Says the numbers from `from` to `to`, one after the other, at `name`. */
export async function say(
  cluster: Rooms,
  name: string,
  [from, to]: readonly [number, number],
  id: string = "a",
): Promise<void> {
  const room = cluster.node(name).entity(Room, id);
  for (let n = from; n <= to; n++) await cluster.run(room.send({ type: "say", n }));
}

/** The numbers from `from` to `to`. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

/** The node that owns a room, and one that does not. */
export function placesOf(cluster: Rooms, id: string = "a"): { owner: string; other: string } {
  const owner = cluster.node(cluster.names[0]!).owner("room", id)!.node;
  return { owner, other: cluster.names.find((name) => name !== owner)! };
}
