/**
 * A caller without the code: it shares the messages with the host, and nothing else.
 *
 * `npx bun examples/03-contract.ts` prints:
 *
 *     deposited: 100
 *     refused: only 100 left
 *     the caller hosts accounts: false
 */
import process from "node:process";
import { Cluster, command, defineContract } from "../src/index.ts";

// A file of its own in a real project, imported by both sides.
const Account = defineContract("account", {
  deposit: command<{ amount: number }, number>(),
  withdraw: command<{ amount: number }, { ok: true } | { ok: false; left: number }>(),
});

// Only the host has the code.
const HostedAccount = Account.implement({
  state: () => ({ balance: 0 }),
  handlers: {
    deposit: ({ state }, { amount }) => (state.balance += amount),
    withdraw({ state }, { amount }) {
      if (amount > state.balance) return { ok: false, left: state.balance };
      state.balance -= amount;
      return { ok: true };
    },
  },
});

const name = `contract-${process.pid}`;
await using host = await Cluster.start({ name, nodeId: "host", entities: [HostedAccount] });
await using caller = await Cluster.start({ name, nodeId: "caller" });

const account = caller.entity(Account, "ada");
console.log(`deposited: ${await account.send({ type: "deposit", amount: 100 })}`);
const answer = await account.send({ type: "withdraw", amount: 250 });
console.log(answer.ok ? "withdrawn" : `refused: only ${answer.left} left`);
const owner = caller.owner("account", "ada")?.node;
console.log(`the caller hosts accounts: ${owner !== host.nodeId}`);
