/** A fixed list of processes on three runtimes, which are killed, stopped and started again. */
import { afterEach, expect, test } from "bun:test";
import { waitUntil } from "../contracts/wait-until.ts";
import { Member, RUNTIMES } from "../runtimes/member-process.ts";
import { listOf } from "./fixtures.ts";

const IDS = Array.from({ length: 30 }, (_, n) => `ledger ${n} 🛫`);
const COUNT = 5;

type Runtime = keyof typeof RUNTIMES;
type Answers = { readonly at: string[]; readonly lines: number[] }[];

const members: Member[] = [];

afterEach(() => {
  for (const { process } of members.splice(0)) process.kill("SIGKILL");
});

async function world(): Promise<{
  readonly ids: readonly string[];
  readonly start: (index: number, runtime: Runtime) => Promise<Member>;
}> {
  const { ids, options } = await listOf(3);
  return {
    ids,
    async start(index, runtime) {
      const [command, ...args] = RUNTIMES[runtime];
      const where = [ids[index]!, options.nodes.join(), options.name];
      const member = new Member(ids[index]!, [command, ...args, ...where]);
      members.push(member);
      await member.answer();
      return member;
    },
  };
}

async function ownersAt(member: Member): Promise<(string | null)[]> {
  return (await member.ask({ kind: "owners", ids: IDS })) as (string | null)[];
}

function sees(member: Member, isFine: (owners: (string | null)[]) => boolean): Promise<void> {
  const look = async (): Promise<boolean> => isFine(await ownersAt(member));
  return waitUntil(`${member.id} sees who owns what`, look, { timeoutMs: 20_000 });
}

/** Of each entity in `ids` the number of lines it had, as its owner tells. */
async function linesAt(member: Member, ids: readonly string[]): Promise<number[]> {
  const logs = (await member.ask({ kind: "logs", ids })) as string[][];
  return logs.map((log) => log.length);
}

test("a node that is stopped comes back with its memory, one that is killed without", async () => {
  const { ids, start } = await world();
  const [bun, node, deno] = [await start(0, "bun"), await start(1, "node"), await start(2, "deno")];
  for (const member of [bun, node, deno]) await sees(member, (owners) => !owners.includes(null));
  const owners = await ownersAt(bun);
  expect(new Set(owners)).toEqual(new Set(ids));
  for (const member of [bun, node, deno]) {
    expect(await ownersAt(member)).toEqual(owners);
    const answers = (await member.ask({ kind: "send", ids: IDS, count: COUNT })) as Answers;
    expect(answers.map(({ at }) => at)).toEqual(owners.map((owner) => [owner!]));
  }
  const ofNode = IDS.filter((_, n) => owners[n] === node.id);
  const ofOthers = IDS.filter((_, n) => owners[n] !== node.id);
  const isAway = (seen: (string | null)[]): boolean =>
    seen.every((owner, n) => owner === (owners[n] === node.id ? null : owners[n]!));
  const isAsBefore = (seen: (string | null)[]): boolean => seen.join() === owners.join();

  node.process.kill("SIGSTOP");
  for (const member of [bun, deno]) await sees(member, isAway);
  expect(await linesAt(deno, ofOthers)).toEqual(ofOthers.map(() => 3 * COUNT));
  node.process.kill("SIGCONT");
  for (const member of [bun, deno, node]) await sees(member, isAsBefore);
  expect(await linesAt(bun, ofNode)).toEqual(ofNode.map(() => 3 * COUNT));

  // Started again before anybody can have taken it for away.
  node.process.kill("SIGKILL");
  const again = await start(1, "bun");
  for (const member of [bun, deno, again]) await sees(member, isAsBefore);
  await waitUntil("it is empty", async () =>
    (await linesAt(bun, ofNode)).every((lines) => lines === 0),
  );
  expect(await bun.ask({ kind: "view" })).toHaveLength(3);
  expect(await linesAt(again, ofOthers)).toEqual(ofOthers.map(() => 3 * COUNT));
}, 60_000);
