/**
 * A bank: money moves by transfers. Each of them is an entity that remembers how far it has come,
 * goes on after a crash, and gives back what cannot arrive. No step runs twice, none is forgotten.
 *
 * `npx bun examples/08-bank.ts` prints:
 *
 *     t1: ada has paid 30, and the process is killed before t1 knows
 *     t1: done, in the next process, by a reminder
 *     t2: refunded, for nobody has no account
 *     t3: refused, for ada has less than 500
 *     ada 70 + bob 130: still 200
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import process from "node:process";
import { sqlite } from "../src/drivers/sqlite/index.ts";
import { Cluster, command, defineEntity, query } from "../src/index.ts";

// The process that is to be killed runs this program too: it is given the folder.
const [, , given] = process.argv;
const folder = given ?? mkdtempSync(join(tmpdir(), "bank-"));
const isDoomed = given !== undefined;

const Account = defineEntity("account", {
  messages: {
    open: command<{ balance: number }>(),
    /** Answers false, and changes nothing, if it cannot be done. */
    change: command<{ by: number }, boolean>(),
    balance: query<void, number>(),
  },
  // An answer leaves when what it tells of is stored.
  persistence: "write-through",
  state: () => ({ balance: 0, isOpen: false }),
  handlers: {
    open: (context, { balance }) => void (context.state = { balance, isOpen: true }),
    change({ state }, { by }) {
      if (!state.isOpen || state.balance + by < 0) return false;
      state.balance += by;
      return true;
    },
    balance: ({ state }) => state.balance,
  },
});

type Step = "withdraw" | "deposit" | "refund" | "done" | "refunded" | "refused";
const ended = Promise.withResolvers<string>();

const Transfer = defineEntity("transfer", {
  messages: { move: command<{ from: string; to: string; amount: number }, Step>() },
  persistence: "write-through",
  state: () => ({ step: "withdraw" as Step }),
  handlers: {
    async move(context, message) {
      const { id, state } = context;
      const { from, to, amount } = message;
      // Sent again after a crash, it is answered as it was: under one key a command runs once.
      // Keys are kept for 10 minutes. After a longer outage, look at the accounts yourself.
      const change = (account: string, by: number): Promise<boolean> => {
        const idempotencyKey = `${id} ${state.step}`;
        return context.entity(Account, account).send({ type: "change", by }, { idempotencyKey });
      };
      if (state.step === "withdraw") {
        // Stored before anything is done: until it is forgotten, this message comes every second.
        await context.remind("go on", { every: "1s" }, message);
        const hasPaid = await change(from, -amount);
        if (isDoomed) dieHere();
        state.step = hasPaid ? "deposit" : "refused";
        await context.save();
      }
      if (state.step === "deposit") {
        state.step = (await change(to, amount)) ? "done" : "refund";
        await context.save();
      }
      if (state.step === "refund" && (await change(from, amount))) state.step = "refunded";
      if (state.step !== "refund") await context.forget("go on");
      ended.resolve(`${id}: ${state.step}`);
      return state.step;
    },
  },
});

if (!isDoomed) await once(fork(import.meta.filename, [folder]), "exit");
const name = basename(folder);
const store = sqlite({ file: join(folder, "bank.db") });
const cluster = await Cluster.start({ name, store, entities: [Account, Transfer] });
const account = (id: string) => cluster.entity(Account, id);
const move = async (id: string, to: string, amount: number): Promise<string> =>
  `${id}: ${await cluster.entity(Transfer, id).send({ type: "move", from: "ada", to, amount })}`;

if (isDoomed) {
  for (const id of ["ada", "bob"]) await account(id).send({ type: "open", balance: 100 });
  await move("t1", "bob", 30);
}
// Nobody asks for t1 here.
console.log(`${await ended.promise}, in the next process, by a reminder`);
console.log(`${await move("t2", "nobody", 20)}, for nobody has no account`);
console.log(`${await move("t3", "bob", 500)}, for ada has less than 500`);
const balances = ["ada", "bob"].map((id) => account(id).send({ type: "balance" }));
const [ada = 0, bob = 0] = await Promise.all(balances);
console.log(`ada ${ada} + bob ${bob}: still ${ada + bob}`);
await cluster.stop();
rmSync(folder, { recursive: true });

function dieHere(): void {
  console.log("t1: ada has paid 30, and the process is killed before t1 knows");
  process.kill(process.pid, "SIGKILL");
}
