/** The cluster's contract on calls of messages with a name of their own: what becomes of one. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import {
  type CatgaError,
  command,
  defineCommand,
  defineEntity,
  defineQuery,
  handler,
  isCatgaError,
  type Schema,
} from "../../src/index.ts";
import type { Check } from "./check.ts";
import { door, inHall, inTurn } from "./hall.ts";
import { ODDITIES } from "./oddities.ts";
import { type ClusterFixture, gate } from "./probes.ts";
import { waitUntil } from "./wait-until.ts";

interface Box {
  readonly text: string;
  readonly list: number[];
}

/** Each with a key and without, for both ways are to behave alike. */
const ROUTES = [undefined, { strategy: "consistentHash", key: "key" }] as const;
const [Echo, EchoKeyed] = ROUTES.map((route, n) =>
  defineCommand<{ key: string; value: unknown }, unknown>(`asked.echo-${n}`, route && { route }),
) as [Echo, Echo];
const [Odd, OddKeyed] = ROUTES.map((route, n) =>
  defineQuery<{ key: string; what: string }, unknown>(`asked.odd-${n}`, route && { route }),
) as [OddQuery, OddQuery];
type Echo = ReturnType<typeof defineCommand<{ key: string; value: unknown }, unknown>>;
type OddQuery = ReturnType<typeof defineQuery<{ key: string; what: string }, unknown>>;

const amounts = (least: number): Schema<{ amount: number }> => ({
  "~standard": {
    version: 1,
    vendor: "tests",
    validate(value) {
      const { amount } = value as { amount: number };
      return amount >= least ? { value: { amount } } : { issues: [{ message: "too little" }] };
    },
  },
});
const Strict = defineCommand("asked.strict", { input: amounts(1), reply: amounts(10) });

/** Waits at a door; what its signals say stands in `aborted`. */
const Wait = defineCommand<{ door: string }, string>("asked.wait");
const Ask = defineQuery<{ door: string }, string>("asked.ask");
const begun: string[] = [];
const aborted: string[] = [];
const waiting = [Wait, Ask].map((def) =>
  handler(def, async ({ door: name }, { signal, node }) => {
    begun.push(name);
    signal.addEventListener("abort", () => aborted.push(name));
    await gate(name).passed;
    return node;
  }),
);

const One = defineQuery<{ door: string }, string>("asked.one", { concurrency: 1 });
const Once = defineCommand<{ id: string; door?: string }, number>("asked.once", {
  idempotency: { key: "id", window: "1m" },
});
const runs = new Map<string, number>();
const once = handler(Once, async ({ id, door: name }) => {
  runs.set(id, (runs.get(id) ?? 0) + 1);
  if (name !== undefined) await gate(name).passed;
  return runs.get(id)!;
});

const Outer = defineQuery<{ door: string }, string>("asked.outer", { timeout: 80 });
const Relay = defineEntity("relay", {
  messages: { ask: command<{ door: string }, string>() },
  state: () => null,
  handlers: { ask: (ctx, m) => ctx.send(Ask(m), { timeout: "1h" }) },
});
const ViaEntity = defineQuery<{ door: string }, string>("asked.via-entity", { timeout: 80 });

const Fallen = defineQuery<{ n: number }, string>("asked.fallen", {
  fallback: ({ n }) => `instead of ${n}`,
});
const Spoilt = defineCommand<{ n: number }, string>("asked.spoilt", { fallback: () => "instead" });

/** See the file's header. */
export const callChecks: readonly Check<ClusterFixture>[] = [
  {
    name: "what is sent and answered is copied, on the node itself too",
    run: (fixture) =>
      inHall(fixture, { handlers: [Echo, EchoKeyed].map(scribbler) }, async ({ nodes }) => {
        for (const def of [Echo, EchoKeyed]) {
          for (const node of nodes) {
            const value: Box = { text: "sent", list: [1] };
            const message = def({ key: "k", value });
            const boxes = (await inTurn(2, () => node.send(message))) as Box[];
            for (const box of boxes) {
              deepEqual(box, { text: "scribbled", list: [1, 99] });
              box.list.push(7);
            }
            deepEqual(value, { text: "sent", list: [1] });
            equal(message.type, def.type);
          }
        }
      }),
  },
  {
    name: "handlers may throw and answer whatever they like, with a key or without",
    run: (fixture) =>
      inHall(fixture, { handlers: [Odd, OddKeyed].map(oddity) }, async ({ nodes }) => {
        for (const def of [Odd, OddKeyed]) {
          for (const [n, what] of Object.keys(ODDITIES).entries()) {
            await rejects(nodes[n % 3]!.send(def({ key: "k", what })), (error) => {
              ok(isCatgaError(error), String(error));
              equal(error.executed, "yes");
              return codesOf(what).includes(error.code);
            });
          }
        }
      }),
  },
  {
    name: "a payload and a reply against their schemas are refused",
    run: (fixture) =>
      inHall(
        fixture,
        { handlers: [handler(Strict, ({ amount }) => ({ amount: amount * 2 }))] },
        async ({ nodes }) => {
          for (const node of nodes) {
            deepEqual(await node.send(Strict({ amount: 5 })), { amount: 10 });
            await rejects(node.send(Strict({ amount: 0 })), { code: "INVALID_PAYLOAD" });
            await rejects(node.tell(Strict({ amount: 0 })), { code: "INVALID_PAYLOAD" });
            await rejects(node.send(Strict({ amount: 1 })), { code: "INVALID_REPLY" });
          }
        },
      ),
  },
  {
    name: "a call ends at its deadline, and its handler is told",
    run: (fixture) =>
      inHall(fixture, { handlers: waiting }, async ({ nodes }) => {
        for (const node of nodes) {
          for (const def of [Wait, Ask]) {
            const name = door();
            const late = { code: "CALL_TIMEOUT", executed: "maybe" };
            await rejects(node.send(def({ door: name }), { timeout: 30 }), late);
            await waitUntil("the handler is told", () => aborted.includes(name));
          }
        }
      }),
  },
  {
    name: "a caller may cancel its call: its handler is told, wherever it runs",
    run: (fixture) =>
      inHall(fixture, { handlers: waiting }, async ({ nodes }) => {
        for (const node of nodes) {
          const cancelled = { code: "CANCELLED", executed: "maybe" };
          for (const _ of ["here", "elsewhere"]) {
            const [name, controller] = [door(), new AbortController()];
            const call = rejects(
              node.send(Ask({ door: name }), { signal: controller.signal }),
              cancelled,
            );
            await waitUntil("the handler has begun", () => begun.includes(name));
            controller.abort();
            await call;
            await waitUntil("the handler is told", () => aborted.includes(name));
          }
          const name = door();
          const signal = AbortSignal.abort();
          const never = { code: "CANCELLED", executed: "no" };
          await rejects(node.send(Ask({ door: name }), { signal }), never);
          equal(begun.includes(name), false);
        }
      }),
  },
  {
    name: "a handler that has no room is left out, and when none has any the call is refused",
    run: (fixture) => {
      const busy: string[] = [];
      const one = handler(One, async ({ door: name }, { node }) => {
        busy.push(node);
        await gate(name).passed;
        return node;
      });
      return inHall(fixture, { handlers: [one] }, async ({ caller, names }) => {
        const name = door();
        const first = caller.send(One({ door: name }));
        await waitUntil("one is busy", () => busy.length === 1);
        const second = caller.send(One({ door: name }));
        await waitUntil("both are busy", () => busy.length === 2);
        deepEqual([...busy].sort(), names);
        const full = { code: "OVERLOADED", executed: "no" };
        await rejects(caller.send(One({ door: name }), { retries: 1 }), full);
        await rejects(caller.tell(One({ door: name }), { retries: 0 }), full);
        gate(name).open();
        deepEqual([await first, await second].sort(), names);
        ok(names.includes(await caller.send(One({ door: name }))));
      });
    },
  },
  {
    name: "a command with an idempotency key runs once, whichever node it comes from",
    run: (fixture) =>
      inHall(fixture, { handlers: [once] }, async ({ nodes }) => {
        runs.clear();
        const name = door();
        const together = [...nodes, ...nodes].map((node) =>
          node.send(Once({ id: "t", door: name })),
        );
        await waitUntil("it has begun", () => runs.has("t"));
        gate(name).open();
        deepEqual(await Promise.all(together), [1, 1, 1, 1, 1, 1]);
        for (const node of [...nodes, ...nodes]) {
          equal(await node.send(Once({ id: "x" })), 1);
          equal(await node.tell(Once({ id: "x" })), undefined);
        }
        deepEqual([...runs.values()], [1, 1]);
      }),
  },
  {
    name: "what a handler or an entity asks for ends with the call that it is for",
    run: (fixture) => {
      const outer = handler(Outer, (m, ctx) => ctx.send(Ask(m), { timeout: "1h" }));
      const via = handler(ViaEntity, (m, ctx) => {
        return ctx.entity(Relay, "r").send({ ...m, type: "ask" });
      });
      const handlers = [...waiting, outer, via];
      return inHall(fixture, { handlers, entities: [Relay] }, async ({ nodes, names }) => {
        for (const node of nodes) {
          for (const def of [Outer, ViaEntity]) {
            const shut = door();
            await rejects(node.send(def({ door: shut }), { retries: 0 }), (error) => {
              // Whichever clock is first.
              return isCatgaError(error, "CALL_TIMEOUT") || isCatgaError(error, "HANDLER_FAILED");
            });
            await waitUntil("the innermost is told", () => aborted.includes(shut));
            const open = door();
            gate(open).open();
            ok(names.includes(await node.send(def({ door: open }), { timeout: "5s" })));
          }
        }
      });
    },
  },
  {
    name: "a fallback answers when every try has failed and none may have run",
    run: (fixture) =>
      inHall(fixture, { own: [handler(Spoilt, fail)] }, async ({ nodes }) => {
        for (const node of nodes) {
          equal(await node.send(Fallen({ n: 7 })), "instead of 7");
          await rejects(node.tell(Fallen({ n: 7 })), { code: "NO_HANDLER" });
          await rejects(node.send(Spoilt({ n: 1 })), { code: "HANDLER_FAILED" });
        }
      }),
  },
  {
    name: "a node that leaves answers what its handlers have begun, and gets nothing new",
    run: (fixture) =>
      inHall(fixture, { handlers: waiting }, async ({ one, other, caller }) => {
        const name = door();
        const before = begun.length;
        const calls = Array.from({ length: 20 }, () => caller.send(Wait({ door: name })));
        await waitUntil("all have begun", () => begun.length === before + 20);
        const left = other.stop();
        await waitUntil(
          "it leaves",
          () => !caller.nodes.some(({ node, state }) => node === other.nodeId && state === "up"),
        );
        const next = door();
        gate(next).open();
        for (let n = 0; n < 10; n++) equal(await caller.send(Wait({ door: next })), one.nodeId);
        gate(name).open();
        const answers = await Promise.all(calls);
        deepEqual(new Set(answers), new Set([one.nodeId, other.nodeId]));
        await left;
      }),
  },
];

function scribbler(def: Echo): ReturnType<typeof handler> {
  return handler(def, (message) => {
    const box = message.value as { text: string; list: number[] };
    box.text = "scribbled";
    box.list.push(99);
    return box;
  });
}

function oddity(def: OddQuery): ReturnType<typeof handler> {
  return handler(def, ({ what }) => {
    const odd = ODDITIES[what]!();
    if (what.startsWith("throw")) throw odd as Error;
    return odd;
  });
}

function codesOf(what: string): readonly CatgaError["code"][] {
  const isFailure = what.startsWith("throw") || what.includes("thenable");
  return isFailure ? ["HANDLER_FAILED"] : ["REPLY_NOT_ENCODABLE", "REPLY_TOO_LARGE"];
}

function fail(): string {
  throw new Error("not today");
}
