/** Transfers between accounts: whatever happens, none is done twice or by half. */
import { Account, type Ending, isClosed, OPENING, type Plan, Transfer } from "./kept.ts";
import { inLanes, type KeptCaller, type Step } from "./kept-caller.ts";

const ACCOUNTS = 1_000;
const LANES = 12;

/** See the file's header. */
export class KeptTransfers {
  readonly #plans = new Map<string, Plan>();
  readonly #random: () => number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  get count(): number {
    return this.#plans.size;
  }

  /** What lanes do: a transfer each, as often as it takes. */
  steps(caller: KeptCaller): Step[] {
    return Array.from({ length: LANES }, (): Step => {
      let open: string | undefined;
      return async () => {
        open ??= this.#plan();
        try {
          await caller.ask(Transfer, open, { type: "make", ...this.#plans.get(open)! });
          open = undefined;
          return true;
        } catch {
          return false;
        }
      };
    });
  }

  /** Everything that is wrong when each transfer has ended. */
  async judge(caller: KeptCaller): Promise<string[]> {
    const expected = new Map(accounts().map((id) => [id, OPENING]));
    await inLanes([...this.#plans], async ([id, plan]) => {
      const ending = await caller.insist<Ending>(Transfer, id, { type: "make", ...plan });
      if (ending !== "done") return;
      expected.set(plan.from, expected.get(plan.from)! - plan.amount);
      expected.set(plan.to, expected.get(plan.to)! + plan.amount);
    });
    const balances = new Map<string, number>();
    await inLanes(accounts(), async (id) => {
      balances.set(id, await caller.insist<number>(Account, id, { type: "balance" }));
    });
    return wrongBalances(balances, expected);
  }

  #plan(): string {
    const id = `t${this.#plans.size}`;
    const to = this.#account();
    let from = this.#account();
    // Who takes nothing cannot be given back what was taken.
    while (isClosed(from)) from = this.#account();
    this.#plans.set(id, { from, to, amount: 1 + Math.floor(this.#random() * 60) });
    return id;
  }

  /** Some are asked more often than others, so that transfers meet, and none beyond its window. */
  #account(): string {
    return `a${Math.floor(this.#random() ** 2 * ACCOUNTS)}`;
  }
}

/** What accounts hold too much or too little, and whether their sum is what it was. */
export function wrongBalances(
  balances: ReadonlyMap<string, number>,
  expected: ReadonlyMap<string, number>,
): string[] {
  const wrong = [...expected].flatMap(([id, should]) => {
    const holds = balances.get(id);
    return holds === should ? [] : [`account ${id} holds ${holds}, and should hold ${should}`];
  });
  const sum = [...balances.values()].reduce((all, each) => all + each, 0);
  const should = expected.size * OPENING;
  if (sum !== should) wrong.unshift(`all accounts hold ${sum}, and should hold ${should}`);
  return wrong;
}

function accounts(): string[] {
  return Array.from({ length: ACCOUNTS }, (_, n) => `a${n}`);
}
