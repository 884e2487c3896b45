/** Turns whose write is refused, since somebody else has written, and handlers that do not look. */
import { afterEach, expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { systemRandom } from "../../src/base/random.ts";
import { memory } from "../../src/drivers/memory/index.ts";
import { memoryStore } from "../../src/drivers/memory/store.ts";
import { Cluster, command, defineEntity } from "../../src/index.ts";
import { failureOf, stopAll, stopped } from "../drivers/nodes.ts";

afterEach(stopAll);

const unheard: unknown[] = [];

const Careless = defineEntity("careless", {
  messages: {
    touch: command(),
    ignore: command<{ what: "save" | "delete" }, string>(),
    forget: command<{ what: "save" | "delete" }, string>(),
  },
  persistence: "write-through",
  state: () => ({ count: 0 }),
  handlers: {
    touch: ({ state }) => void state.count++,
    /** The error is caught, and said to nobody. */
    async ignore(ctx, { what }) {
      await ctx[what]().catch(() => {});
      return "done";
    },
    /** Nobody waits for it. */
    forget(ctx, { what }) {
      unheard.push(ctx[what]());
      return "done";
    },
  },
});

test.each([
  ["ignore", "save"],
  ["ignore", "delete"],
  ["forget", "save"],
  ["forget", "delete"],
] as const)("who does %s what becomes of %s() has answered nothing", async (type, what) => {
  const store = memoryStore();
  const options = { shardCount: 4, transport: memory(), store, entities: [Careless] } as const;
  const node = await stopped(Cluster.start({ ...options, name: "careless" }));
  const ref = node.entity("careless", "a");
  await ref.send({ type: "touch" });
  const world = { clock: systemClock, random: systemRandom, log: silentLogger, unsafe() {} };
  const other = await store.open({ ...world, cluster: "careless", shardCount: 4 });
  const key = { entity: "careless", id: "a", shard: node.owner("careless", "a")!.shard };
  const { version: expected, fence, data } = (await other.load(key))!;
  await other.write([{ ...key, expected, fence, data: `${data} `, dueMs: undefined }]);
  expect(await failureOf(ref.send({ type, what }))).toMatchObject({ code: "OUTCOME_UNKNOWN" });
});
