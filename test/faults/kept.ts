/**
 * The entities of the fault tests that are kept: objects that the checker of linearizability knows,
 * accounts with transfers between them, and clocks that have themselves reminded. Each command
 * leaves a line in its node's log.
 */
import { appendFileSync } from "node:fs";
import { type AnyEntity, command, defineContract, query } from "../../src/index.ts";
import type { Value } from "../linearizability/objects.ts";

/** What an account holds at first. */
export const OPENING = 100;

/** A register with compare-and-set. */
export const Register = defineContract("register", {
  read: query<void, Value>(),
  write: command<{ value: Value }>(),
  cas: command<{ from: Value; to: Value }, boolean>(),
});

/** A counter, which tells what it has come to. */
export const Counter = defineContract("counter", {
  read: query<void, number>(),
  add: command<{ n: number }, number>(),
});

/** A list that grows, which tells its length. */
export const List = defineContract("list", {
  read: query<void, readonly string[]>(),
  append: command<{ value: string }, number>(),
});

/** An account; it may refuse what is asked of it. */
export const Account = defineContract("account", {
  withdraw: command<{ amount: number }, boolean>(),
  deposit: command<{ amount: number }, boolean>(),
  balance: query<void, number>(),
});

/** From one account to another. */
export interface Plan {
  readonly from: string;
  readonly to: string;
  readonly amount: number;
}

/** How a transfer ended. */
export type Ending = "done" | "refused" | "returned";

/** A transfer; whoever asks again, as its own reminder does, drives it on. */
export const Transfer = defineContract("transfer", {
  make: command<Plan, Ending>(),
  resume: command(),
  ending: query<void, Ending | null>(),
});

/** It is reminded once, and counts how often. */
export const Clock = defineContract("clock", {
  set: command<{ ms: number }>(),
  ring: command(),
  rung: query<void, number>(),
});

/** An account that takes nothing, so that a transfer to it has to be taken back. */
export function isClosed(account: string): boolean {
  return account.endsWith("9");
}

/** All of them, for a node whose commands go to `log`. */
export function createKept(log: string): AnyEntity[] {
  const note = (what: string): void => appendFileSync(log, `${what}\n`);
  return [...objects(note), ...bank(note), clock(note)];
}

type Note = (what: string) => void;

function objects(note: Note): AnyEntity[] {
  const register = Register.implement({
    persistence: "write-through",
    state: (): { value: Value } => ({ value: null }),
    handlers: {
      read: ({ state }) => state.value,
      write({ state, id }, { value }) {
        note(`write ${id}`);
        state.value = value;
      },
      cas({ state, id }, { from, to }) {
        note(`cas ${id}`);
        const isDone = state.value === from;
        if (isDone) state.value = to;
        return isDone;
      },
    },
  });
  const counter = Counter.implement({
    persistence: "write-through",
    state: () => ({ count: 0 }),
    handlers: {
      read: ({ state }) => state.count,
      add({ state, id }, { n }) {
        note(`add ${id}`);
        return (state.count += n);
      },
    },
  });
  const list = List.implement({
    persistence: "write-through",
    state: (): string[] => [],
    handlers: {
      read: ({ state }) => state,
      append({ state, id }, { value }) {
        note(`append ${id}`);
        return state.push(value);
      },
    },
  });
  return [register, counter, list];
}

function bank(note: Note): AnyEntity[] {
  const account = Account.implement({
    persistence: "write-through",
    state: () => ({ balance: OPENING }),
    handlers: {
      withdraw({ state, id }, { amount }) {
        note(`withdraw ${id}`);
        const isEnough = state.balance >= amount;
        if (isEnough) state.balance -= amount;
        return isEnough;
      },
      deposit({ state, id }, { amount }) {
        note(`deposit ${id}`);
        if (isClosed(id)) return false;
        state.balance += amount;
        return true;
      },
      balance: ({ state }) => state.balance,
    },
  });
  return [account, transfer(note)];
}

interface Saga {
  plan: Plan | undefined;
  ending: Ending | null;
}

/** Whatever it asks of accounts it asks under a key: what it does not remember, they do. */
function transfer(note: Note): AnyEntity {
  return Transfer.implement({
    persistence: "write-through",
    state: (): Saga => ({ plan: undefined, ending: null }),
    handlers: {
      async make(ctx, { from, to, amount }) {
        note(`make ${ctx.id}`);
        if (ctx.state.plan === undefined) {
          ctx.state.plan = { from, to, amount };
          await ctx.remind("resume", { every: "2s" }, { type: "resume" });
          await ctx.save();
        }
        ctx.state.ending ??= await carryOut(ctx, ctx.state.plan);
        await ctx.forget("resume");
        return ctx.state.ending;
      },
      async resume(ctx) {
        note(`resume ${ctx.id}`);
        ctx.state.ending ??= await carryOut(ctx, ctx.state.plan!);
        await ctx.forget("resume");
      },
      ending: ({ state }) => state.ending,
    },
  });
}

interface Caller {
  readonly id: string;
  entity: (target: typeof Account, id: string) => AccountRef;
}

interface AccountRef {
  send(
    message: { type: "withdraw" | "deposit"; amount: number },
    options: { idempotencyKey: string },
  ): Promise<boolean>;
}

async function carryOut(ctx: Caller, { from, to, amount }: Plan): Promise<Ending> {
  const ask = (id: string, type: "withdraw" | "deposit", step: string): Promise<boolean> => {
    const account = ctx.entity(Account, id);
    return account.send({ type, amount }, { idempotencyKey: `${ctx.id}-${step}` });
  };
  if (!(await ask(from, "withdraw", "take"))) return "refused";
  if (await ask(to, "deposit", "give")) return "done";
  if (await ask(from, "deposit", "return")) return "returned";
  throw new Error(`${from} does not take back what it gave`);
}

function clock(note: Note): AnyEntity {
  return Clock.implement({
    persistence: "write-through",
    state: () => ({ isSet: false, rung: 0 }),
    handlers: {
      async set(ctx, { ms }) {
        // Whoever was not answered asks again, perhaps when it has rung.
        if (ctx.state.isSet) return;
        ctx.state.isSet = true;
        await ctx.remind("ring", { in: ms }, { type: "ring" });
        // Who is not in memory has to be found by whoever opens its shard.
        ctx.passivate();
      },
      ring({ state, id }) {
        note(`ring ${id}`);
        state.rung++;
      },
      rung: ({ state }) => state.rung,
    },
  });
}
