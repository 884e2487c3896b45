/** The authority in memory: a ledger and whoever listens to it. */
import type { Clock } from "../../base/clock.ts";
import type { Authority, AuthorityListener } from "../../ports/authority.ts";
import { type CasResult, type Change, Ledger } from "../../protocol/ledger.ts";

const GENERATION = 1;

/** Makes the authority of one cluster; the result gives each of its nodes a port to it. */
export function createMemoryAuthority(): (clock: Clock) => Authority {
  const ledger = new Ledger();
  const listeners = new Set<AuthorityListener>();
  return (clock) => createPort({ ledger, listeners, clock });
}

interface Shared {
  readonly ledger: Ledger;
  readonly listeners: Set<AuthorityListener>;
  readonly clock: Clock;
}

function createPort({ ledger, listeners, clock }: Shared): Authority {
  let own: AuthorityListener | undefined;
  const turn = (): Promise<void> => new Promise((resolve) => clock.yield(resolve));

  function carryOut(changes: readonly Change[]): CasResult[] {
    if (own === undefined) throw new Error("Cannot use the authority: it is closed");
    const { results, changed } = ledger.casMany(changes);
    if (changed.length > 0) for (const listener of listeners) listener.changed(changed);
    return results;
  }

  return {
    async open(listener) {
      await turn();
      own = listener;
      listeners.add(listener);
      return { generation: GENERATION, revision: ledger.revision, entries: ledger.entries() };
    },
    async cas(change) {
      await turn();
      return carryOut([change])[0]!;
    },
    async casMany(changes) {
      await turn();
      return carryOut(changes);
    },
    async close() {
      if (own !== undefined) listeners.delete(own);
      own = undefined;
    },
  };
}
