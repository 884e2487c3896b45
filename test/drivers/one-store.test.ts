/** The nodes of a group keep their entities in one store: whoever has another one may not join. */
import { afterEach, describe, expect, test } from "bun:test";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { type CatgaError, isCatgaError } from "../../src/index.ts";
import { brokersAreWanted } from "./broker-process.ts";
import { NatsServer } from "./nats-server.ts";
import { failureOf, meeting, stopAll, stopped } from "./nodes.ts";
import { uniqueName } from "./port.ts";
import { RedisServer } from "./redis-server.ts";
import { TestFolder } from "./sqlite-fixture.ts";
import { tally, type TallyPlace } from "./tally.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  await stopAll();
  for (const end of ends.splice(0).toReversed()) await end();
});

function folder(): TestFolder {
  const made = new TestFolder();
  ends.push(() => made[Symbol.dispose]());
  return made;
}

async function embeddedPlace(): Promise<Required<Omit<TallyPlace, "store">>> {
  const { transport, name } = (await meeting()).options;
  return { transport: transport!, name };
}

/** Why a node may not join. */
async function refusalOf(joining: Promise<unknown>): Promise<CatgaError> {
  const failure = await failureOf(joining);
  if (isCatgaError(failure)) return failure;
  throw new Error(`Not refused by catga: ${String(failure)}`);
}

describe("nodes of one machine", () => {
  test("with files of their own are refused, and name both stores", async () => {
    const place = await embeddedPlace();
    const { path } = folder();
    const [ours, theirs] = [join(path, "a.db"), join(path, "b.db")];
    const first = await stopped(tally({ ...place, store: ours }, "n1"));
    const refusal = await refusalOf(tally({ ...place, store: theirs }, "n2"));
    expect(refusal).toMatchObject({ code: "SETTINGS_DIFFER", details: { setting: "store" } });
    const details = refusal.details as { readonly ours: string; readonly theirs: string };
    expect(details.ours).toMatch(/^sqlite \w{16}$/);
    expect(details.theirs).toMatch(/^sqlite \w{16}$/);
    expect(details.ours).not.toBe(details.theirs);
    expect(first.nodes.map(({ node }) => node)).toEqual(["n1"]);
    await first.entity("tally", "a").send({ type: "count" });
    // The same file by another name is the same store.
    symlinkSync(path, join(path, "link"));
    await stopped(tally({ ...place, store: join(path, "link", "a.db") }, "n2"));
    // When nobody is there, an operator may have moved everything.
    await stopAll();
    await stopped(tally({ ...place, store: theirs }, "n2"));
  }, 30_000);

  test("of which two join at the same time with files of their own: one stays", async () => {
    for (let round = 0; round < 3; round++) {
      const place = await embeddedPlace();
      const { path } = folder();
      const joining = ["a", "b"].map((id) => {
        return stopped(tally({ ...place, store: join(path, `${id}.db`) }, id));
      });
      const outcomes = await Promise.allSettled(joining);
      const refused = outcomes.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
      expect(refused).toMatchObject([{ code: "SETTINGS_DIFFER", details: { setting: "store" } }]);
      await stopAll();
    }
  }, 30_000);
});

describe.if(brokersAreWanted())("nodes that meet at NATS", () => {
  test("and keep their entities there and in Redis are refused, and name both", async () => {
    const [broker, other] = [await NatsServer.start(), await RedisServer.start()];
    ends.push(
      () => broker.stop(),
      () => other.stop(),
    );
    const place = { transport: broker.url, name: uniqueName("stores") };
    await stopped(tally(place, "n1"));
    const refusal = await refusalOf(tally({ ...place, store: other.url }, "n2"));
    expect(refusal.message).toMatch(
      /^Cannot join with store redis \w{16}: it is nats \w{16} here$/,
    );
    await stopped(tally({ ...place, store: broker.url }, "n2"));
  }, 30_000);
});
