/** An entity whose turns a test can watch and hold up. */
import { expect } from "bun:test";
import { CatgaError, command, defineEntity, query } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";

/** Answers when the test says so. */
class Gate {
  readonly #opened = Promise.withResolvers<void>();
  readonly open = (): void => this.#opened.resolve();
  readonly passed: Promise<void> = this.#opened.promise;
}

/** What happened, in order. */
export const seen: string[] = [];
/** What handlers wait at, by name. */
export const gates = new Map<string, Gate>();

/** Makes a gate that is closed. */
export function gate(name: string): Gate {
  const made = new Gate();
  gates.set(name, made);
  return made;
}

/** See the file's header. */
export const Probe = defineEntity("probe", {
  messages: {
    wait: command<{ gate: string }, string>(),
    look: query<{ gate: string }, string>(),
    note: command<{ text: string }>(),
    fail: command<void, never>(),
    again: command<void, string>(),
    leave: command(),
    later: command<{ text: string }>(),
    keep: command<{ value: number }, { value: number }>(),
    flood: command(),
    kept: query<void, { readonly values: readonly number[] }>(),
  },
  state: () => ({ values: [] as number[], turns: 0 }),
  idle: "10m",
  mailboxCapacity: 4,
  handlers: {
    async wait(_ctx, m) {
      seen.push(`wait ${m.gate}`);
      await gates.get(m.gate)?.passed;
      seen.push(`waited ${m.gate}`);
      return m.gate;
    },
    async look(_ctx, m) {
      seen.push(`look ${m.gate}`);
      await gates.get(m.gate)?.passed;
      seen.push(`looked ${m.gate}`);
      return m.gate;
    },
    note: (_ctx, m) => void seen.push(m.text),
    fail() {
      throw new RangeError("no more");
    },
    // A message to oneself waits for the turn that sends it: sending is fine, awaiting it is not.
    async again(ctx) {
      await ctx.peer(ctx.id).tell({ type: "note", text: "told myself" });
      return "sent";
    },
    leave: (ctx) => ctx.passivate(),
    later: (ctx, m) => void ctx.after("1m", { type: "note", text: m.text }),
    keep(ctx, m) {
      ctx.state.values.push(m.value);
      return m;
    },
    flood(ctx) {
      ctx.state.turns++;
    },
    kept: (ctx) => ctx.state,
  },
  activated: (ctx) => void seen.push(`activated ${ctx.id}`),
  deactivated: (ctx, reason) => void seen.push(`deactivated ${ctx.id} ${reason}`),
});

/** One node in simulated time, `n1`, that hosts it. */
export async function start(): Promise<TestCluster<readonly [typeof Probe]>> {
  seen.length = 0;
  gates.clear();
  return TestCluster.start({ nodes: 1, entities: [Probe], heartbeat: "normal" });
}

/** The error that `promise` ends with. */
export async function errorOf(promise: Promise<unknown>): Promise<CatgaError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(CatgaError);
  return error as CatgaError;
}
