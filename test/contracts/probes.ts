/** Entities that can be asked to misbehave, and a small cluster of them, for its contract. */
import { hash } from "../../src/base/hash.ts";
import { createRing } from "../../src/base/ring.ts";
import {
  Cluster,
  type ClusterOf,
  type ClusterOptions,
  command,
  defineEntity,
  defineEvent,
  query,
  type Ref,
} from "../../src/index.ts";
import type { Closable } from "./check.ts";
import { ODDITIES } from "./oddities.ts";
import { waitUntil } from "./wait-until.ts";

/** One cluster, which nobody has joined yet. */
export interface ClusterFixture extends Closable {
  /** Options under which its nodes meet. */
  readonly meeting: Pick<
    ClusterOptions<[]>,
    "transport" | "nodes" | "name" | "secret" | "heartbeat"
  >;
  /** What its two nodes are called, where that is not free. */
  readonly nodeIds?: readonly [string, string];
}

/** Doors that handlers wait at, by name: all nodes of a contract live in one process. */
const gates = new Map<string, { readonly passed: Promise<void>; readonly open: () => void }>();

/** The door `name`, shut until somebody opens it. */
export function gate(name: string): { readonly passed: Promise<void>; readonly open: () => void } {
  let found = gates.get(name);
  if (found === undefined) {
    let resolve: () => void;
    const passed = new Promise<void>((settle) => (resolve = settle));
    gates.set(name, (found = { passed, open: () => resolve() }));
  }
  return found;
}

interface ProbeState {
  kept: unknown;
  readonly log: string[];
}

const messages = {
  /** Keeps its whole message, and hands out what it keeps. */
  keep: command<{ value: unknown }, unknown>(),
  kept: query<{ touch?: boolean }, unknown>(),
  state: query<{}, unknown>(),
  echo: command<{ value: unknown }, unknown>(),
  scribble: command<{ value: { text: string; list: number[] } }, unknown>(),
  append: command<{ from: string; n: number; filler?: string }, number>(),
  log: query<{}, readonly string[]>(),
  id: query<{}, string>(),
  /** Answers with the oddity `what`, by its name in `oddities.ts`. */
  answer: command<{ what: string }, unknown>(),
  push: command<{ n: number; text?: string }, number>(),
  fail: command<{ what: string; later?: boolean }, unknown>(),
  wait: command<{ gate: string }>(),
  strict: command<{ amount: number }, { amount: number }>({
    input: amountSchema<{ amount: number }>("a payload needs an amount above 0", (n) => n > 0),
    reply: amountSchema<{ amount: number }>("an answer has an amount below 100", (n) => n < 100),
  }),
};

/** Published by nodes and by turns, and pushed. */
export const Written = defineEvent<{ by: string; n: number; text?: string }>("probe.written", {
  key: "by",
});

/** An entity that does as it is told. */
export const Probe = defineEntity("probe", {
  messages,
  state: (): ProbeState => ({ kept: undefined, log: [] }),
  handlers: {
    keep: ({ state }, message) => {
      state.kept = message;
      return message;
    },
    kept: ({ state }) => state.kept,
    state: ({ state }) => state,
    echo: (_, { value }) => value,
    scribble: ({ state }, message) => {
      state.kept = message.value;
      message.value.text = "scribbled";
      message.value.list.push(99);
      return message.value;
    },
    append: ({ state }, { from, n }) => state.log.push(`${from}/${n}`),
    log: ({ state }) => state.log,
    id: ({ id }) => id,
    answer: (_, { what }) => ODDITIES[what]!(),
    fail: (_, { what, later }) => {
      const thrown = ODDITIES[what]!();
      // Whatever a handler throws, an error or not, must come out as an error.
      if (later === true) return Promise.resolve().then(() => Promise.reject(thrown as Error));
      throw thrown as Error;
    },
    push: (ctx, { n, text }) => {
      ctx.push(Written({ by: ctx.id, n, ...(text !== undefined && { text }) }));
      return n;
    },
    wait: (_, { gate: name }) => gate(name).passed,
    strict: (_, { amount }) => ({ amount: amount * 2 }),
  },
});

/** Takes two messages beside the one that runs. */
export const Narrow = defineEntity("narrow", {
  messages: { wait: command<{ gate: string }>() },
  state: () => null,
  handlers: { wait: (_, { gate: name }) => gate(name).passed },
  mailboxCapacity: 2,
});

/** Never comes to life. */
export const Stillborn = defineEntity("stillborn", {
  messages: { id: query<{}, string>() },
  state: (): null => {
    throw new RangeError("no state today");
  },
  handlers: { id: ({ id }) => id },
});

/** Comes to life, and fails at once. */
export const Faint = defineEntity("faint", {
  messages: { id: query<{}, string>() },
  state: () => null,
  handlers: { id: ({ id }) => id },
  activated: async () => {
    await Promise.resolve();
    throw new RangeError("no start today");
  },
});

/** Listens, as an entity. */
export const Reader = defineEntity("reader", {
  messages: {
    "probe.written": Written,
    write: command<{ by: string }>(),
    read: query<{}, readonly number[]>(),
  },
  state: () => [] as number[],
  handlers: {
    "probe.written": ({ state }, { n }) => void state.push(n),
    write: (ctx, { by }) => ctx.publish(Written({ by, n: 3 })),
    read: ({ state }) => state,
  },
});

type Probes = typeof Probe | typeof Reader | typeof Narrow | typeof Stillborn | typeof Faint;

/** Two nodes; every entity is asked from the first one. */
export interface World {
  readonly first: ClusterOf<Probes>;
  readonly second: ClusterOf<Probes>;
  /** An id that no check has used, of an entity at the first node or at the second. */
  readonly id: (entity: Probes["name"], where: "local" | "remote") => string;
  /** An entity that no check has used. */
  readonly probe: (where: "local" | "remote") => Ref<typeof Probe.messages>;
}

const SHARD_COUNT = 32;
let ids = 0;

/** Starts two nodes, waits until each owns what it should, runs `check` and stops them. */
export async function inWorld(
  fixture: ClusterFixture,
  check: (world: World) => Promise<void>,
): Promise<void> {
  const options = {
    ...fixture.meeting,
    entities: [Probe, Reader, Narrow, Stillborn, Faint],
    shardCount: SHARD_COUNT,
  };
  const [firstId, secondId] = fixture.nodeIds ?? ["first", "second"];
  const first = await Cluster.start({ ...options, nodeId: firstId });
  const nodes: ClusterOf<Probes>[] = [first];
  try {
    const second = await Cluster.start({ ...options, nodeId: secondId });
    nodes.push(second);
    await settled(nodes);
    const id: World["id"] = (entity, where) => {
      const owner = where === "local" ? firstId : secondId;
      for (;;) {
        const text = `id-${++ids}`;
        if (first.owner(entity, text)?.node === owner) return text;
      }
    };
    await check({ first, second, id, probe: (where) => first.entity("probe", id("probe", where)) });
  } finally {
    for (const { open } of gates.values()) open();
    gates.clear();
    for (const node of nodes.toReversed()) await node.stop({ deadline: "3s" });
  }
}

/** Every node sees every shard at the node where the ring wants it. */
async function settled(nodes: readonly ClusterOf<Probes>[]): Promise<void> {
  const names = nodes.map(({ nodeId }) => ({ name: nodeId, weight: 1 }));
  const ring = createRing(names, SHARD_COUNT, hash);
  const sample = Array.from({ length: 300 }, (_, n) => `sample-${n}`);
  await waitUntil("every shard is where the ring wants it", () =>
    nodes.every((node) =>
      sample.every((id) => {
        const owner = node.owner("probe", id);
        return owner !== undefined && ring.nodes[ring.targets[owner.shard]!]!.name === owner.node;
      }),
    ),
  );
}

function amountSchema<T extends { amount: number }>(
  message: string,
  fits: (amount: number) => boolean,
): {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => unknown;
    readonly types?: { readonly input: T; readonly output: T };
  };
} {
  const validate = (value: unknown): unknown => {
    const { amount } = value as { amount: number };
    return fits(amount) ? { value } : { issues: [{ message, path: ["amount"] }] };
  };
  return { "~standard": { version: 1, vendor: "tests", validate } };
}
