/** Nodes that meet at one place and keep their entities at another: state outlives its nodes. */
import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { waitUntil } from "../contracts/wait-until.ts";
import { Member } from "../runtimes/member-process.ts";
import { brokersAreWanted } from "./broker-process.ts";
import { NatsServer } from "./nats-server.ts";
import { meeting, stopAll, stopped } from "./nodes.ts";
import { uniqueName } from "./port.ts";
import { RedisServer } from "./redis-server.ts";
import { tally, type TallyNode, type TallyPlace } from "./tally.ts";

const IDS = Array.from({ length: 24 }, (_, n) => `t${n}`);
const PATIENCE = { timeoutMs: 20_000 };

const ends: (() => unknown)[] = [];
afterEach(async () => {
  await stopAll();
  for (const end of ends.splice(0).toReversed()) await end();
});

type Server = NatsServer | RedisServer;
type Mixed = Omit<TallyPlace, "name">;

async function serve<S extends Server>(starting: Promise<S>): Promise<S> {
  const server = await starting;
  ends.push(() => server.stop());
  return server;
}

/** Nodes that meet at one server and keep their entities at another. */
async function between(first: Promise<Server>, second: Promise<Server>): Promise<Mixed> {
  const [{ url: transport }, { url: store }] = [await serve(first), await serve(second)];
  return { transport, store };
}

const MIXED: readonly {
  readonly name: string;
  readonly place: () => Promise<Mixed>;
}[] = [
  {
    name: "NATS and are kept in Redis",
    place: () => between(NatsServer.start(), RedisServer.start()),
  },
  {
    name: "Redis and are kept at NATS",
    place: () => between(RedisServer.start(), NatsServer.start()),
  },
  {
    name: "this machine and are kept at NATS",
    place: async () => {
      const { transport } = (await meeting()).options;
      return { transport: transport!, store: (await serve(NatsServer.start())).url };
    },
  },
];

function all(count: number): number[] {
  return IDS.map(() => count);
}

/** A node that can be killed. */
async function processOf(place: TallyPlace, nodeId: string): Promise<Member> {
  const program = join(import.meta.dir, "tally-node.ts");
  const member = new Member(nodeId, [process.execPath, program, JSON.stringify(place), nodeId]);
  ends.push(() => member.process.kill("SIGKILL"));
  expect(await member.answer()).toBe("joined");
  return member;
}

async function countAll(node: TallyNode): Promise<{ counts: number[]; nodes: Set<string> }> {
  const options = { timeout: "2s", retries: 30 } as const;
  const answers = await Promise.all(
    IDS.map((id) => node.entity("tally", id).send({ type: "count" }, options)),
  );
  const nodes = new Set(answers.map((answer) => answer.node));
  return { counts: answers.map(({ count }) => count), nodes };
}

async function ownersAre(node: TallyNode, ids: readonly string[]): Promise<void> {
  const owners = (): Set<string | undefined> =>
    new Set(IDS.map((id) => node.owner("tally", id)?.node));
  const describe = (): unknown => [...owners()];
  const areSo = (): boolean => owners().size === ids.length && ids.every((id) => owners().has(id));
  await waitUntil(`${ids.join()} own all`, areSo, { ...PATIENCE, describe });
}

describe.if(brokersAreWanted()).each([...MIXED])("entities that meet over $name", ({ place }) => {
  test("move to a node that joins, and outlive it when it is killed", async () => {
    const where = { ...(await place()), name: uniqueName("mixed") };
    const first = await stopped(tally(where, "n1"));
    expect(await countAll(first)).toEqual({ counts: all(1), nodes: new Set(["n1"]) });
    const second = await processOf(where, "n2");
    await ownersAre(first, ["n1", "n2"]);
    expect(await countAll(first)).toEqual({ counts: all(2), nodes: new Set(["n1", "n2"]) });
    second.process.kill("SIGKILL");
    await ownersAre(first, ["n1"]);
    expect(await countAll(first)).toEqual({ counts: all(3), nodes: new Set(["n1"]) });
    // And everything that had them in memory.
    await first.stop();
    const late = await stopped(tally(where, "n3"));
    expect((await countAll(late)).counts).toEqual(all(4));
  }, 60_000);
});
