/** What every authority does, whoever carries it: `src/ports/authority.ts` as a program. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import type { CasResult, Entry } from "../../src/protocol/ledger.ts";
import type { Check } from "./check.ts";
import {
  type AuthorityFixture,
  cas,
  change,
  HARD_TEXTS,
  nextNumber,
  record,
  revisionOf,
  type Seat,
  session,
  settle,
  sit,
  sitAll,
  twoSeats,
} from "./seat.ts";

/** The contract. */
export const authorityContract: readonly Check<AuthorityFixture>[] = [
  {
    name: "a record is created against revision 0, and changed against its own revision",
    async run(fixture) {
      const [writer, other] = await twoSeats(fixture);
      const created = revisionOf(await cas(writer.authority, change("i.a", 0, record("first"))));
      const changed = revisionOf(
        await cas(other.authority, change("i.a", created, record("second"))),
      );
      ok(changed > created);
      const late = await sit(fixture);
      deepEqual(
        late.snapshot.entries.map(({ value }) => value),
        [record("second")],
      );
    },
  },
  {
    name: "a change of a record that is not as expected is refused with the record that is there",
    async run(fixture) {
      const [writer, other] = await twoSeats(fixture);
      const first = revisionOf(await cas(writer.authority, change("i.a", 0)));
      const current = change("i.a", first, record("current"));
      const revision = revisionOf(await cas(writer.authority, current));
      const { key, value, operation } = current;
      const refused = { ok: false, current: { key, value, operation, revision } };
      for (const expected of [0, first, revision + 1]) {
        deepEqual(await cas(other.authority, change("i.a", expected)), refused);
      }
      missing(await cas(other.authority, change("i.none", 1)));
    },
  },
  {
    name: "an operation that is repeated is one operation, whatever happened to other records",
    async run(fixture) {
      const [writer, other] = await twoSeats(fixture);
      const operation = change("i.a", 0);
      const revision = revisionOf(await cas(writer.authority, operation));
      revisionOf(await cas(other.authority, change("i.b", 0)));
      revisionOf(await cas(other.authority, change("i.c", 0)));
      equal(revisionOf(await cas(writer.authority, operation)), revision);
      equal(revisionOf((await other.authority.casMany([operation]))[0]!), revision);
      await settle(writer, [writer, other]);
      for (const { heard } of [writer, other]) {
        equal(heard.filter(({ key }) => key === "i.a").length, 1);
      }
    },
  },
  {
    name: "of those who race for one record exactly one wins, and the others learn who",
    async run(fixture) {
      const seats = await sitAll(fixture, 4);
      let revision = 0;
      for (let round = 0; round < 150; round++) {
        const bids = seats.map((_, i) => change("i.prize", revision, record(`${round}/${i}`)));
        const results = await Promise.all(
          seats.map(({ authority }, i) => cas(authority, bids[i]!)),
        );
        const winners = bids.filter((_, i) => results[i]!.ok);
        equal(winners.length, 1, `round ${round}: ${JSON.stringify(results)}`);
        revision = Math.max(...results.map((result) => (result.ok ? result.revision : 0)));
        const { key, value, operation } = winners[0]!;
        for (const result of results) {
          if (!result.ok) deepEqual(result.current, { key, value, operation, revision });
        }
      }
    },
  },
  {
    name: "revisions rise in one order over all records and writers",
    async run(fixture) {
      const seats = await sitAll(fixture, 3);
      let last = 0;
      for (let round = 0; round < 50; round++) {
        const results = await Promise.all(
          seats.map(({ authority }, i) => cas(authority, change(`i.${round}-${i}`, 0))),
        );
        const revisions = results.map(revisionOf).sort((a, b) => a - b);
        equal(new Set(revisions).size, seats.length);
        ok(revisions[0]! > last, "a change that began later has a higher revision");
        last = revisions.at(-1)!;
      }
    },
  },
  {
    name: "casMany carries out each change by itself, and all in their order",
    async run(fixture) {
      for (const { authority } of await sitAll(fixture, 2)) {
        const id = nextNumber();
        const changes = [
          change(`i.a${id}`, 0, record("kept")),
          change(`i.a${id}`, 0, record("late")),
          change(`i.b${id}`, 7),
          change(`i.c${id}`, 0),
        ];
        const [first, second, third, fourth] = await authority.casMany(changes);
        const revision = revisionOf(first!);
        const { key, value, operation } = changes[0]!;
        deepEqual(second, { ok: false, current: { key, value, operation, revision } });
        missing(third!);
        ok(revisionOf(fourth!) > revision);
        deepEqual(await authority.casMany([]), []);
      }
    },
  },
  {
    name: "the feed reports each change once and in order to every port",
    async run(fixture) {
      const seats = await sitAll(fixture, 3);
      const written = await Promise.all(
        seats.map(async ({ authority }, i) => {
          const entries: Entry[] = [];
          for (let n = 0; n < 60; n++) {
            const keys = n % 2 === 0 ? [`i.${i}-${n}`] : [`i.${i}-${n}`, `i.${i}-${n}-too`];
            const changes = keys.map((key) => change(key, 0));
            const results = await authority.casMany(changes);
            for (const [at, { expected: _, ...entry }] of changes.entries()) {
              entries.push({ ...entry, revision: revisionOf(results[at]!) });
            }
          }
          return entries;
        }),
      );
      await settle(seats[0]!, seats);
      const expected = written.flat().sort((a, b) => a.revision - b.revision);
      for (const { heard } of seats) deepEqual(heard.slice(0, -1), expected);
    },
  },
  {
    name: "a port that opens while others write misses nothing and hears nothing twice",
    async run(fixture) {
      const [writer, other] = await twoSeats(fixture);
      const all: Entry[] = [];
      const joined: Promise<Seat>[] = [];
      for (let n = 0; n < 120; n++) {
        if (n % 20 === 10) joined.push(sit(fixture));
        const { authority } = n % 2 === 0 ? writer : other;
        const { expected: _, ...entry } = change(`i.${n}`, 0);
        const result = await cas(authority, { ...entry, expected: 0 });
        all.push({ ...entry, revision: revisionOf(result) });
      }
      const late = await Promise.all(joined);
      await settle(writer, late);
      for (const { snapshot, heard } of late) {
        const { revision } = snapshot;
        const known = [...snapshot.entries].sort((a, b) => a.revision - b.revision);
        deepEqual(
          known,
          all.filter((entry) => entry.revision <= revision),
        );
        deepEqual(
          heard.slice(0, -1),
          all.filter((entry) => entry.revision > revision),
        );
      }
      ok(late.some(({ snapshot }) => snapshot.revision < all.at(-1)!.revision));
    },
  },
  {
    name: "a writer has heard of its change when it is answered",
    async run(fixture) {
      const seats = await sitAll(fixture, 3);
      for (let n = 0; n < 30; n++) {
        await Promise.all(
          seats.map(async ({ authority, heard }, i) => {
            const revision = revisionOf(await cas(authority, change(`i.${n}-${i}`, 0)));
            ok(heard.some((entry) => entry.revision === revision));
          }),
        );
      }
    },
  },
  {
    name: "nothing is reported to a port that has closed, and nothing is carried out for it",
    async run(fixture) {
      const [first, second, witness] = (await sitAll(fixture, 3)) as [Seat, Seat, Seat];
      await settle(first, [first, second, witness]);
      await second.authority.close();
      const { length } = second.heard;
      await settle(first, [first, witness]);
      equal(second.heard.length, length);
      await rejects(cas(second.authority, change("i.late", 0)));
      await rejects(second.authority.casMany([change("i.later", 0)]));
      await settle(first, [first, witness]);
      equal(witness.heardOf("i.late") ?? witness.heardOf("i.later"), undefined);
    },
  },
  {
    name: "an operation that is under way when its port closes comes to an end",
    async run(fixture) {
      const [first, second] = await twoSeats(fixture);
      for (const { authority } of [second, first]) {
        const outcome = cas(authority, change("i.a", 0)).then(
          () => "answered",
          () => "unknown",
        );
        await authority.close();
        ok(["answered", "unknown"].includes(await outcome));
      }
    },
  },
  {
    name: "a port may be closed twice, and before it was opened",
    async run(fixture) {
      const [first, second] = await twoSeats(fixture);
      const unopened = await fixture.join();
      await Promise.all([unopened.close(), second.authority.close(), second.authority.close()]);
      await second.authority.close();
      revisionOf(await cas(first.authority, change("i.a", 0)));
    },
  },
  {
    name: "keys and values come out as they went in",
    async run(fixture) {
      const [writer, reader] = await twoSeats(fixture);
      const values = new Map(HARD_TEXTS.map((text) => [`n.${text}`, session(text)]));
      for (const [key, value] of values)
        revisionOf(await cas(writer.authority, change(key, 0, value)));
      await settle(writer, [writer, reader]);
      const late = await sit(fixture);
      for (const entries of [reader.heard, late.snapshot.entries]) {
        const known = new Map(entries.map(({ key, value }) => [key, value]));
        for (const [key, value] of values) deepEqual(known.get(key), value);
      }
    },
  },
  {
    name: "a batch of 2,000 changes is carried out and reported whole",
    async run(fixture) {
      const [first, second] = await twoSeats(fixture);
      for (const { authority } of [first, second]) {
        const prefix = `i.${nextNumber()}`;
        const changes = Array.from({ length: 2_000 }, (_, n) => change(`${prefix}-${n}`, 0));
        const revisions = (await authority.casMany(changes)).map(revisionOf);
        deepEqual(
          revisions,
          [...revisions].sort((a, b) => a - b),
        );
      }
      await settle(second, [first, second]);
      equal(first.heard.length, 4_001);
      deepEqual(first.heard, second.heard);
      equal((await sit(fixture)).snapshot.entries.length, 4_001);
    },
  },
];

function missing(result: CasResult): void {
  ok(!result.ok && result.current === undefined, JSON.stringify(result));
}
