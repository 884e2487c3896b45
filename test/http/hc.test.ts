import { afterAll, beforeAll, expect, test } from "bun:test";
import { Hono } from "hono";
import { hc } from "hono/client";
import { z } from "zod";
import { gateway, type Listening, listen } from "../../src/http/index.ts";
import { Cluster, type ClusterOf, command, defineEntity, query } from "../../src/index.ts";

const Counter = defineEntity("counter", {
  messages: {
    add: command<{ n: number }, { total: number }>(),
    reset: command(),
    total: query<void, number>(),
    since: query<{ day: number; label?: string | undefined }, { at: string; label: string }>({
      input: z.object({ day: z.number(), label: z.string().optional() }),
    }),
  },
  state: () => ({ total: 0 }),
  handlers: {
    add: (ctx, { n }) => ({ total: (ctx.state.total += n) }),
    reset(ctx) {
      ctx.state.total = 0;
    },
    total: (ctx) => ctx.state.total,
    since: (_, { day, label = "" }) => ({ at: new Date(day).toISOString(), label }),
  },
});
const Lamp = defineEntity("lamp", {
  messages: { flip: command<void, boolean>() },
  state: () => ({ isOn: false }),
  handlers: { flip: (ctx) => (ctx.state.isOn = !ctx.state.isOn) },
});

/** The app's type alone, as a program without server code has it. */
type App = ReturnType<typeof appOf>;
function appOf(cluster: ClusterOf<typeof Counter | typeof Lamp>) {
  return new Hono().route("/api", gateway(cluster, { expose: [Counter, Lamp] }));
}

let cluster: ClusterOf<typeof Counter | typeof Lamp>;
let served: Listening;
beforeAll(async () => {
  cluster = await Cluster.start({ transport: "memory", entities: [Counter, Lamp] });
  served = await listen(appOf(cluster), { port: 0 });
});
afterAll(async () => {
  await served.close();
  await cluster.stop();
});

test("hc is typed by what is exposed, and asks over a socket", async () => {
  const client = hc<App>(served.url);
  const { counter, lamp } = client.api.entities;
  // Hono puts it into the path as it is.
  const param = { id: encodeURIComponent("a/b") };
  const added = await counter[":id"].add.$post({ param, json: { n: 2 } });
  const { total }: { total: number } = await added.json();
  expect(total).toBe(2);
  const asked = await counter[":id"].total.$get({ param });
  const now: number = await asked.json();
  expect(now).toBe(2);
  expect((await counter[":id"].reset.$post({ param })).status).toBe(204);
  const flipped: boolean = await (await lamp[":id"].flip.$post({ param })).json();
  expect(flipped).toBe(true);
  const fields = await counter[":id"].since.$get({ param, query: { day: "0" } });
  const { at }: { at: string } = await fields.json();
  expect(at).toBe("1970-01-01T00:00:00.000Z");
  const whole = await counter[":id"].since.$get({ param, query: { payload: '{"day":1}' } });
  expect((await whole.json()).label).toBe("");
});

/** Never runs: what must not compile. */
export async function refused(): Promise<void> {
  const app = gateway(cluster, { expose: [Counter, Lamp] });
  const { counter, lamp } = hc<typeof app>("").entities;
  const param = { id: "a" };
  // @ts-expect-error there is no such message
  await counter[":id"].take.$post({ param });
  // @ts-expect-error a command is not asked by GET
  await counter[":id"].add.$get({ param });
  // @ts-expect-error a payload is missing
  await counter[":id"].add.$post({ param });
  // @ts-expect-error a field is of another type
  await counter[":id"].add.$post({ param, json: { n: "2" } });
  // @ts-expect-error there is no id
  await lamp[":id"].flip.$post({});
  // @ts-expect-error a query string has texts
  await counter[":id"].since.$get({ param, query: { day: 1 } });
  // @ts-expect-error a reply is of another type
  const text: string = await (await counter[":id"].total.$get({ param })).json();
  // @ts-expect-error not exposed
  throw new Error(text, { cause: hc<typeof app>("").entities["other"] });
}
