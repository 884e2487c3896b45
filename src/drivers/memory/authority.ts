/** The authority in memory: a ledger and whoever listens to it. */
import type { Clock } from "../../base/clock.ts";
import type { Authority, AuthorityListener } from "../../ports/authority.ts";
import { Ledger } from "../../protocol/ledger.ts";

/** Makes the authority of one cluster; the result gives each of its nodes a port to it. */
export function createMemoryAuthority(): (clock: Clock) => Authority {
  const ledger = new Ledger();
  const listeners = new Set<AuthorityListener>();
  return (clock) => {
    let own: AuthorityListener | undefined;
    const turn = (): Promise<void> => new Promise((resolve) => clock.yield(resolve));
    return {
      async open(listener) {
        await turn();
        own = listener;
        listeners.add(listener);
        return { generation: 1, revision: ledger.revision, entries: ledger.entries() };
      },
      async casMany(changes) {
        await turn();
        if (own === undefined) throw new Error("Cannot use the authority: it is closed");
        const { results, changed } = ledger.casMany(changes);
        if (changed.length > 0) for (const listener of listeners) listener.changed(changed);
        return results;
      },
      async close() {
        if (own !== undefined) listeners.delete(own);
        own = undefined;
      },
    };
  };
}
