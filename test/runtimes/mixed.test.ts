/** One cluster of a Bun, a Node.js and a Deno process: the runtimes understand each other. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { hash } from "../../src/base/hash.ts";
import { createRing } from "../../src/base/ring.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { freePort, uniqueName } from "../drivers/port.ts";
import type { Order } from "./member.ts";
import { Member, RUNTIMES } from "./member-process.ts";

const MANY = Array.from({ length: 1_000 }, (_, n) => `${n} Zürich 東京 🛫 ${"é".repeat(n % 20)}`);
const IDS = Array.from({ length: 30 }, (_, n) => `ledger ${n} 🛫`);
const COUNT = 40;

/** As many as the members are told to have. */
const SHARD_COUNT = 64;

/** Who should own each entity, once everything has moved. */
function wantedOwners(ids: readonly string[]): string[] {
  const names = Object.keys(RUNTIMES).map((name) => ({ name, weight: 1 }));
  const ring = createRing(names, SHARD_COUNT, hash);
  const shards = ids.map((id) => hash(id, hash("ledger")) % SHARD_COUNT);
  return shards.map((shard) => ring.nodes[ring.targets[shard]!]!.name);
}

let members: Member[] = [];

function askAll(order: Order): Promise<unknown[]> {
  return Promise.all(members.map((member) => member.ask(order)));
}

beforeAll(async () => {
  const where = [String(await freePort()), uniqueName("mixed")];
  members = Object.entries(RUNTIMES).map(([id, [command, ...args]]) => {
    return new Member(id, [command, ...args, id, ...where]);
  });
  await Promise.all(members.map((member) => member.answer()));
  await waitUntil(
    "all see every entity where the ring wants it",
    async () => {
      const ids = [...MANY, ...IDS];
      const wanted = wantedOwners(ids).join();
      const owners = (await askAll({ kind: "owners", ids })) as string[][];
      return owners.every((each) => each.join() === wanted);
    },
    { timeoutMs: 20_000 },
  );
}, 60_000);

afterAll(() => {
  for (const { process } of members) process.kill("SIGKILL");
});

async function viewOf(member: Member): Promise<string> {
  const nodes = (await member.ask({ kind: "view" })) as { node: string }[];
  return nodes.map(({ node }) => node).join();
}

describe("a cluster of three runtimes", () => {
  test("is seen alike by all of them", async () => {
    const views = (await askAll({ kind: "view" })) as { node: string; runtime: string }[][];
    for (const view of views) {
      expect(view).toEqual(views[0]!);
      const names = view.map(({ node, runtime }) => [node, runtime.split(" ")[0]]);
      expect(names).toEqual(["bun", "deno", "node"].map((each) => [each, each]));
    }
  });

  test("gives 1,000 entities the same owners at all of them", async () => {
    const [first, ...others] = (await askAll({ kind: "owners", ids: MANY })) as string[][];
    expect(new Set(first)).toEqual(new Set(Object.keys(RUNTIMES)));
    for (const other of others) expect(other).toEqual(first!);
  });

  test("answers every message once and in order, whoever sends and whoever owns", async () => {
    const sent = await askAll({ kind: "send", ids: IDS, count: COUNT });
    const answered = sent as { at: string[]; lines: number[] }[][];
    const owners = (await members[0]!.ask({ kind: "owners", ids: IDS })) as string[];
    for (const answers of answered) {
      expect(answers.map(({ at }) => at)).toEqual(owners.map((owner) => [owner]));
      for (const { lines } of answers) expect(lines).toEqual(lines.toSorted((a, b) => a - b));
    }
    const [logs] = (await askAll({ kind: "logs", ids: IDS })) as string[][][];
    for (const log of logs!) {
      expect(log).toHaveLength(members.length * COUNT);
      for (const { id } of members) {
        const own = log.filter((line) => line.startsWith(`${id}/`));
        const expected = Array.from(
          { length: COUNT },
          (_, n) => `${id}/${n}/Zürich 東京 🛫 ${"x".repeat(n % 50)}`,
        );
        expect(own).toEqual(expected);
      }
    }
  });

  test("goes on when one of them dies, and shrinks to one when another leaves", async () => {
    const [bun, node, deno] = members as [Member, Member, Member];
    node.process.kill("SIGKILL");
    for (const member of [bun, deno]) {
      const sees = async (): Promise<boolean> => (await viewOf(member)) === "bun,deno";
      await waitUntil(`${member.id} sees who is left`, sees);
    }
    const anew = (await deno.ask({ kind: "send", ids: IDS, count: 1 })) as { at: string[] }[];
    for (const { at } of anew) expect(["bun", "deno"]).toContain(at.join());
    expect(await deno.ask({ kind: "stop" })).toBe("stopped");
    deno.process.stdin.end();
    await waitUntil("it has ended", () => deno.exitCode !== undefined);
    expect(deno.exitCode).toBe(0);
    const owners = (await bun.ask({ kind: "owners", ids: IDS })) as string[];
    expect(new Set(owners)).toEqual(new Set(["bun"]));
    const last = (await bun.ask({ kind: "send", ids: IDS, count: 1 })) as { at: string[] }[];
    expect(last.map(({ at }) => at)).toEqual(IDS.map(() => ["bun"]));
  });
});
