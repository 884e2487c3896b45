/**
 * What must compile and what must not of the client, checked by `tsc` alone (`npm run typecheck`).
 * Each `@ts-expect-error` fails the check as soon as its mistake compiles. Nothing here is ever
 * run.
 */
import { createClient, isEvent, MISSED } from "../../src/client/index.ts";
import {
  command,
  defineCommand,
  defineContract,
  defineEvent,
  defineQuery,
  query,
} from "../../src/contract/index.ts";
import type { ClusterOf, Ref } from "../../src/index.ts";

const Room = defineContract("room", {
  say: command<{ text: string }, number>(),
  close: command(),
  lines: query<{ last: number }, readonly string[]>(),
});
const PlaceOrder = defineCommand<{ orderId: string }, boolean>("orders.place");
const Total = defineQuery<void, number>("orders.total");
const OrderPaid = defineEvent<{ orderId: string }>("orders.paid");
const Said = defineEvent<{ text: string; by: string }>("room.said");

const api = createClient({ url: "https://example.org", token: async () => "t", retries: 2 });
const room = api.entity(Room, "42");

/** A reference of the client serves where one of the cluster does. */
export const ref: Ref<(typeof Room)["messages"]> = room;

/** What is answered has the type that the contract says. */
export async function replies(): Promise<void> {
  const count: number = await room.send({ type: "say", text: "hi" });
  const lines: readonly string[] = await room.send({ type: "lines", last: count });
  const nothing: void = await room.send({ type: "close" }, { timeout: "2s", retries: 1 });
  const told: void = await room.tell({ type: "say", text: lines.join() });
  const placed: boolean = await api.send(PlaceOrder({ orderId: "1" }), { idempotencyKey: "k" });
  const outcomes = await api.broadcast(Total());
  const sum: number[] = outcomes.flatMap((each) => (each.ok ? [each.reply] : []));
  return [nothing, told, placed, sum].length > 0 ? nothing : told;
}

/** With the type alone it is the same. */
export async function byType(): Promise<number> {
  const typed = api.entity<typeof Room>("room", "42");
  // @ts-expect-error no such message
  await typed.send({ type: "shout", text: "hi" });
  // @ts-expect-error another entity type's name
  api.entity<typeof Room>("account", "42");
  // @ts-expect-error a name alone says nothing of the messages
  api.entity("room", "42");
  return typed.send({ type: "say", text: "hi" });
}

/** What the cluster would refuse does not compile. */
export async function mistakes(): Promise<void> {
  // @ts-expect-error no such message
  await room.send({ type: "shout", text: "hi" });
  // @ts-expect-error the payload is missing
  await room.send({ type: "say" });
  // @ts-expect-error the payload is of another type
  await room.send({ type: "say", text: 1 });
  // @ts-expect-error the payload has a field too many
  await room.send({ type: "say", text: "hi", loud: true });
  // @ts-expect-error the reply is a number
  const text: string = await room.send({ type: "say", text: "hi" });
  // @ts-expect-error nothing is answered to what is told
  const count: number = await room.tell({ type: "say", text: "hi" });
  // @ts-expect-error no such option
  await room.send({ type: "close" }, { deadline: 5 });
  // @ts-expect-error no such duration
  await room.send({ type: "close" }, { timeout: "2 seconds" });
  // @ts-expect-error the payload is of another type
  await api.send(PlaceOrder({ orderId: 1 }));
  // @ts-expect-error the reply is a boolean
  const placed: string = await api.send(PlaceOrder({ orderId: "1" }));
  // @ts-expect-error an id is a text
  api.entity(Room, 42);
  // @ts-expect-error an event is published, and not by clients
  await api.send(OrderPaid({ orderId: "1" }));
  // @ts-expect-error a command is no event
  api.events([PlaceOrder]);
  // @ts-expect-error nor is a query
  room.watch({ events: [Total] });
  // @ts-expect-error an edge is somewhere
  createClient({ token: "t" });
  // @ts-expect-error a token is a text
  createClient({ url: "https://example.org", token: 1 });
  return [text, count, placed].length > 0 ? undefined : undefined;
}

/** Events have their types. */
export async function streams(signal: AbortSignal): Promise<string> {
  for await (const item of api.events([OrderPaid], { signal })) {
    if (item === MISSED) continue;
    const id: string = item.orderId;
    // @ts-expect-error no such field
    return id + item.text;
  }
  for await (const item of room.watch({ events: [Said, OrderPaid] })) {
    if (item === MISSED) continue;
    if (isEvent(Said, item)) return item.by;
    // @ts-expect-error it may be the other one
    return item.text;
  }
  for await (const item of room.watch()) {
    // @ts-expect-error it may be the marker
    return item.type;
  }
  for await (const item of api.events<typeof Said>(["room.said"])) {
    if (item !== MISSED) return item.text;
  }
  return "";
}

/** What a cluster sends, a client sends. */
export function same(cluster: ClusterOf<never>): readonly Promise<boolean>[] {
  const message = PlaceOrder({ orderId: "1" });
  return [cluster.send(message), api.send(message)];
}
