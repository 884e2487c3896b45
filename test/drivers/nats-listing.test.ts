/** An export from NATS lists names in parts, while some of them come and others are forgotten. */
import { expect, test } from "bun:test";
import { Gate } from "../../src/drivers/broker/asking.ts";
import { Messages } from "../../src/drivers/nats/messages.ts";
import { token } from "../../src/drivers/nats/subject.ts";

const PREFIX = "$KV.bucket.e.";
/** So many names a server of this test lists at once. */
const LISTED = 400;

/** What a bucket with these entities answers. */
function bucketOf(names: string[]): Messages {
  const subjects = (): string[] =>
    names.map((name) => `${PREFIX}${token("entity")}.${token(name)}`).sort();
  const client = {
    request: async (_address: string, query: string) => {
      const { offset } = JSON.parse(query) as { readonly offset: number };
      const all = subjects();
      const listed = all.slice(offset, offset + LISTED).map((subject) => [subject, 1]);
      const answer = { state: { subjects: Object.fromEntries(listed) }, total: all.length };
      return { json: () => answer };
    },
  };
  const getMessage = async (_stream: string, { last_by_subj }: { last_by_subj: string }) =>
    subjects().includes(last_by_subj) ? { string: () => "" } : null;
  const gates = { reading: new Gate(16), writing: new Gate(16) };
  const parts = { client, manager: { streams: { getMessage } }, ...gates, life: () => "" };
  return new Messages("bucket", parts as never);
}

async function idsOf(bucket: Messages, meanwhile: (pages: number) => void): Promise<string[]> {
  const found: string[] = [];
  let pages = 0;
  for (let next: string | undefined = "0"; next !== undefined;) {
    const page = await bucket.page(Number(next));
    found.push(...page.found.map(({ id }) => id));
    meanwhile(++pages);
    next = page.next;
  }
  return found;
}

const named = (count: number): string[] =>
  Array.from({ length: count }, (_, n) => `${n}`.padStart(5, "0"));

test("names that are forgotten between two parts take no other name along", async () => {
  const names = named(3_000);
  const ids = await idsOf(bucketOf(names), (pages) => {
    if (pages === 1) names.splice(0, 200);
    if (pages === 4) names.splice(0, 500);
  });
  expect(ids).toEqual(named(3_000));
});

test("names that come between two parts make no other name come twice", async () => {
  const names = named(3_000);
  const ids = await idsOf(bucketOf(names), (pages) => {
    if (pages === 2) names.unshift(...Array.from({ length: 300 }, (_, n) => `-${n}`));
  });
  expect(ids).toEqual(named(3_000));
});

test("nothing is left out when all that was listed is gone", async () => {
  const names = named(1_000);
  const ids = await idsOf(bucketOf(names), (pages) => {
    if (pages === 2) names.splice(0, 600);
  });
  expect(ids.slice(-400)).toEqual(named(1_000).slice(600));
});
