/**
 * The cluster's contract on failures: each is told by its code, and a call that fails elsewhere
 * fails exactly as it would have here.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { CatgaError, type ErrorCode, type Executed } from "../../src/index.ts";
import type { Check } from "./check.ts";
import { THROWN, TOO_LARGE, UNENCODABLE } from "./oddities.ts";
import { type ClusterFixture, gate, inWorld, Probe, type World } from "./probes.ts";

type Where = "local" | "remote";

/** Makes a call that must fail. */
type Provoke = (world: World, where: Where) => Promise<unknown>;

interface Refusal {
  /** A sentence without its end, which is the code. */
  readonly what: string;
  readonly code: ErrorCode;
  readonly executed: Executed;
  /** The ways to come to it, by name. */
  readonly ways: Readonly<Record<string, Provoke>>;
}

interface Failure {
  readonly code: string;
  readonly executed: string;
  readonly details: unknown;
  readonly message: string;
}

/** What is the same whichever entity failed. */
function failureOf(error: unknown, id: string): Failure {
  ok(error instanceof CatgaError, `not a CatgaError: ${String(error)}`);
  const mask = (text: string): string => text.replaceAll(id, "ID");
  const details: unknown = JSON.parse(mask(JSON.stringify(error.details)));
  return { code: error.code, executed: error.executed, details, message: mask(error.message) };
}

async function provoked(provoke: Provoke, world: World, where: Where): Promise<Failure> {
  let used = "";
  const watching: World = {
    ...world,
    id: (entity, at) => (used = world.id(entity, at)),
    probe: (at) => world.first.entity("probe", (used = world.id("probe", at))),
  };
  let answer: unknown;
  try {
    answer = await provoke(watching, where);
  } catch (error) {
    return failureOf(error, used);
  }
  throw new Error(`answered ${where}ly with ${JSON.stringify(answer)?.slice(0, 99)}`);
}

function each(
  table: Readonly<Record<string, unknown>>,
  make: (what: string) => Provoke,
): Refusal["ways"] {
  return Object.fromEntries(Object.keys(table).map((what) => [what, make(what)]));
}

const REFUSALS: readonly Refusal[] = [
  {
    what: "a message that the entity does not have",
    code: "UNKNOWN_MESSAGE",
    executed: "no",
    ways: {
      unknown: ({ probe }, where) => probe(where).send({ type: "sing" } as never),
      "named like a property of every object": ({ probe }, where) =>
        probe(where).send({ type: "constructor" } as never),
      "without a type": ({ probe }, where) => probe(where).send({} as never),
      nothing: ({ probe }, where) => probe(where).send(undefined as never),
      "one-way": ({ probe }, where) => probe(where).tell({ type: "sing" } as never),
      "unknown to the definition": ({ first, id }, where) =>
        first.entity(Probe, id("probe", where)).send({ type: "sing" } as never),
    },
  },
  {
    what: "a payload that its schema refuses",
    code: "INVALID_PAYLOAD",
    executed: "no",
    ways: { sent: ({ probe }, where) => probe(where).send({ type: "strict", amount: 0 }) },
  },
  {
    what: "an answer that its schema refuses",
    code: "INVALID_REPLY",
    executed: "yes",
    ways: { sent: ({ probe }, where) => probe(where).send({ type: "strict", amount: 50 }) },
  },
  {
    what: "an entity that cannot come to life",
    code: "ACTIVATION_FAILED",
    executed: "no",
    ways: {
      "without a state": ({ first, id }, where) =>
        first.entity("stillborn", id("stillborn", where)).send({ type: "id" }),
      "told, without a state": ({ first, id }, where) =>
        first.entity("stillborn", id("stillborn", where)).tell({ type: "id" }),
      "whose hook fails": ({ first, id }, where) =>
        first.entity("faint", id("faint", where)).send({ type: "id" }),
    },
  },
  {
    what: "a handler that does not end within the deadline",
    code: "CALL_TIMEOUT",
    executed: "maybe",
    ways: {
      sent: ({ probe }, where) =>
        probe(where).send({ type: "wait", gate: "timeout" }, { timeout: 60 }),
    },
  },
  {
    what: "a caller who gives up",
    code: "CANCELLED",
    executed: "maybe",
    ways: {
      async "by a signal"({ probe }, where) {
        const caller = new AbortController();
        const ref = probe(where);
        await ref.send({ type: "id" });
        const call = ref.send({ type: "wait", gate: "cancelled" }, { signal: caller.signal });
        // A call elsewhere leaves at the end of the current turn of the loop.
        setTimeout(() => caller.abort(), 1);
        return call;
      },
    },
  },
  {
    what: "a caller who has given up",
    code: "CANCELLED",
    executed: "no",
    ways: {
      "by a signal": ({ probe }, where) =>
        probe(where).send({ type: "id" }, { signal: AbortSignal.abort() }),
    },
  },
  {
    what: "a mailbox that is full",
    code: "MAILBOX_FULL",
    executed: "no",
    ways: {
      async sent({ first, id }, where) {
        const narrow = first.entity("narrow", id("narrow", where));
        const waiting = [1, 2, 3].map(() => narrow.send({ type: "wait", gate: `full/${where}` }));
        try {
          return await narrow.send({ type: "wait", gate: "unused" });
        } finally {
          gate(`full/${where}`).open();
          await Promise.all(waiting);
        }
      },
      async told({ first, id }, where) {
        const narrow = first.entity("narrow", id("narrow", where));
        const message = { type: "wait", gate: `told/${where}` } as const;
        for (let n = 0; n < 3; n++) await narrow.tell(message);
        return narrow.tell(message).finally(() => gate(`told/${where}`).open());
      },
    },
  },
  {
    what: "an answer that is not plain data",
    code: "REPLY_NOT_ENCODABLE",
    executed: "yes",
    ways: each(UNENCODABLE, answering),
  },
  {
    what: "a payload that is not plain data",
    code: "PAYLOAD_NOT_ENCODABLE",
    executed: "no",
    ways: each(UNENCODABLE, (what) => ({ probe }, where) => {
      return probe(where).send({ type: "echo", value: { deep: [UNENCODABLE[what]!()] } });
    }),
  },
  {
    what: "a one-way payload that is not plain data",
    code: "PAYLOAD_NOT_ENCODABLE",
    executed: "no",
    ways: each(UNENCODABLE, (what) => ({ probe }, where) => {
      return probe(where).tell({ type: "echo", value: UNENCODABLE[what]!() });
    }),
  },
  {
    what: "an answer beyond the largest size",
    code: "REPLY_TOO_LARGE",
    executed: "yes",
    ways: each(TOO_LARGE, answering),
  },
  {
    what: "a payload beyond the largest size",
    code: "TOO_LARGE",
    executed: "no",
    ways: each(TOO_LARGE, (what) => ({ probe }, where) => {
      return probe(where).send({ type: "echo", value: TOO_LARGE[what]!() });
    }),
  },
  {
    what: "a handler that throws",
    code: "HANDLER_FAILED",
    executed: "yes",
    ways: each(THROWN, (what) => ({ probe }, where) => {
      return probe(where).send({ type: "fail", what: `throw/${what}` });
    }),
  },
  {
    what: "a handler that rejects",
    code: "HANDLER_FAILED",
    executed: "yes",
    ways: {
      ...each(THROWN, (what) => ({ probe }, where) => {
        return probe(where).send({ type: "fail", what: `throw/${what}`, later: true });
      }),
      "with a thenable that throws": answering("a thenable that throws"),
    },
  },
];

function answering(what: string): Provoke {
  return ({ probe }, where) => probe(where).send({ type: "answer", what: `answer/${what}` });
}

/** See the file's header. */
export const refusalChecks: readonly Check<ClusterFixture>[] = REFUSALS.map((refusal) => ({
  name: `${refusal.what} fails with ${refusal.code}, here as elsewhere`,
  run: (fixture) =>
    inWorld(fixture, async (world) => {
      const offences: string[] = [];
      for (const [way, provoke] of Object.entries(refusal.ways)) {
        try {
          await compare(refusal, provoke, world);
        } catch (error) {
          offences.push(`${way}: ${String(error)}`);
        }
      }
      deepEqual(offences, []);
    }),
}));

async function compare({ code, executed }: Refusal, provoke: Provoke, world: World): Promise<void> {
  const elsewhere = await provoked(provoke, world, "remote");
  const here = await provoked(provoke, world, "local");
  deepEqual(here, elsewhere);
  deepEqual({ code: here.code, executed: here.executed }, { code, executed });
  for (const where of ["local", "remote"] as const) {
    const answer = await world.probe(where).send({ type: "echo", value: where });
    equal(answer, where, "the nodes go on");
  }
}
