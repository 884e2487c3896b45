/**
 * What becomes of messages with a name of their own, whoever carries them, seen through the public
 * door: who handles them, and what their sender is told.
 */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import {
  command,
  defineCommand,
  defineEntity,
  defineQuery,
  handler,
  isCatgaError,
  type NodeLoad,
  type Route,
} from "../../src/index.ts";
import { callChecks } from "./asked.ts";
import type { Check } from "./check.ts";
import { type Hall, inHall, inTurn, tally } from "./hall.ts";
import type { ClusterFixture } from "./probes.ts";
import { waitUntil } from "./wait-until.ts";

const Even = defineQuery<void, string>("hall.even");
const Keyed = defineQuery<{ key: string }, string>("hall.keyed", {
  route: { strategy: "consistentHash", key: "key" },
});
const Everybody = defineQuery<void, string>("hall.everybody", { route: { strategy: "broadcast" } });

let chosen = "";
let offered: readonly NodeLoad[] = [];
const Chosen = defineQuery<void, string>("hall.chosen", {
  route: {
    strategy: "custom",
    balancer(candidates) {
      offered = candidates;
      return candidates.find(({ node }) => node === chosen)!;
    },
  },
});

const Purse = defineEntity("purse", {
  messages: { "purse.put": command<{ purse: string; amount: number }, number>() },
  state: () => ({ amount: 0 }),
  handlers: { "purse.put": ({ state }, { amount }) => (state.amount += amount) },
});
const PutIn = defineCommand<{ purse: string; amount: number }, number>("purse.put", {
  route: { strategy: "entity", entity: Purse, key: "purse" },
});

/** The contract. */
export const mediatorContract: readonly Check<ClusterFixture>[] = [
  ...spreading(),
  ...localFirst(),
  ...broadcasts(),
  {
    name: "a custom balancer is asked for each message, and given what the nodes report",
    run: (fixture) =>
      inHall(fixture, { handlers: [handler(Chosen, (_, ctx) => ctx.node)] }, async (hall) => {
        const { nodes, names } = hall;
        for (const node of nodes) {
          for (const name of [...names, names[0]!]) {
            chosen = name;
            equal(await node.send(Chosen()), name);
          }
        }
        deepEqual(offered.map(({ node }) => node).sort(), names);
        for (const { inFlight, cpu, memoryBytes, messagesPerSecond } of offered) {
          ok([inFlight, cpu, memoryBytes, messagesPerSecond].every(Number.isFinite));
        }
      }),
  },
  {
    name: "a message with a key goes to the owner of the key, whoever sends it",
    run: (fixture) =>
      inHall(fixture, { handlers: [handler(Keyed, (_, ctx) => ctx.node)] }, async (hall) => {
        const { nodes, names, caller } = hall;
        const keys = Array.from({ length: 60 }, (_, n) => `key-${n}`);
        const placesFor = (node: Hall["one"]): Promise<string[]> =>
          Promise.all(keys.map((key) => node.send(Keyed({ key }))));
        await waitUntil("both own some keys, and all know which", async () => {
          const all = await Promise.all(nodes.map(placesFor));
          ok(all.flat().every((place) => names.includes(place)));
          const isSettled = all.every((places) => String(places) === String(all[0]));
          return isSettled && new Set(all[0]).size === 2;
        });
        // Nothing joins or leaves any more.
        const before = await placesFor(caller);
        deepEqual(await placesFor(nodes[0]!), before);
      }),
  },
  {
    name: "a message that is bound to an entity is one of its own",
    run: (fixture) =>
      inHall(fixture, { entities: [Purse] }, async ({ nodes, one }) => {
        const answers = await inTurn(6, (n) =>
          nodes[n % 3]!.send(PutIn({ purse: "p", amount: n + 1 })),
        );
        deepEqual(answers, [1, 3, 6, 10, 15, 21]);
        const again = { type: "purse.put", purse: "p", amount: 1 } as const;
        equal(await one.entity(Purse, "p").send(again), 22);
      }),
  },
  {
    name: "only nodes that have a handler are asked",
    run: (fixture) =>
      inHall(fixture, { own: [handler(Even, (_, ctx) => ctx.node)] }, async ({ nodes, one }) => {
        for (const node of nodes) {
          deepEqual(
            await inTurn(4, () => node.send(Even())),
            new Array<string>(4).fill(one.nodeId),
          );
        }
      }),
  },
  {
    name: "a message nobody handles is refused at once, with a key or without",
    run: (fixture) =>
      inHall(fixture, { handlers: [handler(Even, () => "here")] }, async ({ nodes }) => {
        for (const node of nodes) {
          for (const message of [Chosen(), Keyed({ key: "k" }), Everybody()]) {
            await rejects(node.send(message), unhandled);
            await rejects(node.tell(message), unhandled);
          }
          await rejects(node.broadcast(Everybody()), unhandled);
        }
      }),
  },
  ...callChecks,
];

function unhandled(error: unknown): boolean {
  return isCatgaError(error, "NO_HANDLER") && error.executed === "no";
}

/** Strategies that use both nodes, and how evenly. */
function spreading(): Check<ClusterFixture>[] {
  const routes: readonly (readonly [Route<void> | undefined, number])[] = [
    [undefined, 10],
    [{ strategy: "roundRobin" }, 10],
    [{ strategy: "localFirst" }, 10],
    [{ strategy: "random" }, 1],
    [{ strategy: "leastConnections" }, 1],
    [{ strategy: "leastLoad" }, 1],
    [{ strategy: "localFirst", fallback: "leastLoad" }, 1],
  ];
  return routes.map(([route, least], n) => {
    const Spread = defineQuery<void, string>(`hall.spread-${n}`, route && { route });
    const how = route === undefined ? "no route" : Object.values(route).join(" and ");
    return {
      name: `a node without a handler spreads its messages over those that have one by ${how}`,
      run: (fixture) =>
        inHall(fixture, { handlers: [handler(Spread, (_, ctx) => ctx.node)] }, async (hall) => {
          // By load, one of two nodes that are alike may get more for a while.
          const rounds = least === 1 ? 200 : 20;
          const counts = tally(await inTurn(rounds, () => hall.caller.send(Spread())));
          deepEqual(Object.keys(counts).sort(), hall.names);
          ok(Object.values(counts).every((count) => count >= least));
        }),
    };
  });
}

function near(type: string, fallback?: "fail"): typeof Even {
  const route = { strategy: "localFirst", ...(fallback && { fallback }) } as const;
  return defineQuery<void, string>(type, { route });
}

function localFirst(): Check<ClusterFixture>[] {
  const [Near, Nearest] = [near("hall.near"), near("hall.nearest", "fail")];
  const own = [Near, Nearest].map((each) => handler(each, (_, ctx) => ctx.node));
  return [
    {
      name: "local first stays on a node that has a handler",
      run: (fixture) =>
        inHall(fixture, { handlers: own }, async ({ one, other, caller }) => {
          for (const node of [one, other]) {
            is(await inTurn(5, () => node.send(Near())), node.nodeId);
            is(await inTurn(5, () => node.send(Nearest())), node.nodeId);
          }
          await rejects(caller.send(Nearest()), unhandled);
        }),
    },
    {
      name: "local first goes elsewhere from a node that has no handler, unless it is to fail",
      run: (fixture) =>
        inHall(fixture, { own }, async ({ one, other }) => {
          is(await inTurn(5, () => other.send(Near())), one.nodeId);
          await rejects(other.send(Nearest()), unhandled);
        }),
    },
  ];
}

/** A query by quorum, whose handlers fail on the nodes that are named. */
function poll(type: string, quorum?: "all" | "majority" | number) {
  const failing = new Set<string>();
  const route = { strategy: "broadcast", ...(quorum !== undefined && { quorum }) } as const;
  const def = defineQuery<void, string>(type, { route });
  const asked: string[] = [];
  const answer = handler(def, (_, { node }) => {
    asked.push(node);
    if (failing.has(node)) throw new Error("not today");
    return node;
  });
  return { def, answer, asked, failing };
}

function broadcasts(): Check<ClusterFixture>[] {
  const all = poll("hall.all", "all");
  const most = poll("hall.most", "majority");
  const any = poll("hall.any", 1);
  const three = poll("hall.three", 3);
  const polls = [all, most, any, three];
  const handlers = [...polls.map(({ answer }) => answer), handler(Even, (_, ctx) => ctx.node)];
  const run = (check: (hall: Hall) => Promise<void>) => async (fixture: ClusterFixture) => {
    for (const { failing, asked } of polls) {
      failing.clear();
      asked.length = 0;
    }
    await inHall(fixture, { handlers }, check);
  };
  return [
    {
      name: "a broadcast asks every node that has a handler, and tells what each has answered",
      run: run(async ({ nodes, names }) => {
        const fine = names.map((node) => ({ node, ok: true, reply: node }));
        for (const node of nodes) {
          for (const message of [all.def(), most.def(), Even()]) {
            const answers = await node.broadcast(message);
            deepEqual([...answers].sort(byNode), fine);
          }
          const [first] = await node.broadcast(any.def());
          equal(first?.ok, true);
          ok(names.includes(await node.send(all.def())));
          equal(await node.tell(all.def()), undefined);
        }
      }),
    },
    {
      name: "a broadcast tells of each node that fails, and a send whether enough have answered",
      run: run(async ({ nodes, names }) => {
        const [good, bad] = names as [string, string];
        for (const { failing } of polls) failing.add(bad);
        for (const node of nodes) {
          const failed = { node: bad, ok: false, code: "HANDLER_FAILED" };
          const answers = await node.broadcast(all.def());
          ok(answers.some((answer) => isSame(answer, failed)));
          equal(await node.send(any.def()), good);
          for (const { def } of [all, most]) {
            await rejects(node.send(def()), (error) => {
              ok(isCatgaError(error, "NO_QUORUM"));
              equal(error.executed, "yes");
              return error.details.needed === 2 && error.details.answered <= 1;
            });
          }
        }
      }),
    },
    {
      name: "a quorum larger than the cluster is refused, and nobody is asked",
      run: run(async ({ nodes }) => {
        for (const node of nodes) {
          const few = { code: "NO_QUORUM", executed: "no" };
          await rejects(node.broadcast(three.def()), few);
          await rejects(node.send(three.def()), few);
        }
        deepEqual(three.asked, []);
      }),
    },
  ];
}

function byNode(one: { readonly node: string }, other: { readonly node: string }): number {
  return one.node < other.node ? -1 : 1;
}

function is(answers: readonly string[], name: string): void {
  ok(answers.every((each) => each === name));
}

function isSame(answer: object, expected: object): boolean {
  return JSON.stringify(answer) === JSON.stringify(expected);
}
