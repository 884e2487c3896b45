/** The keys of the authority's records. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { genesisKey, idKey, parseKey, sessionKey, shardKey } from "../../src/protocol/records.ts";

const name = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,20}$/);

test("a key says of which record it is, dots in names notwithstanding", () => {
  fc.assert(
    fc.property(name, fc.nat(16_383), (text, shard) => {
      expect(parseKey(sessionKey(text))).toEqual({ kind: "session", incarnation: text });
      // Only who takes an id reads its record.
      expect(parseKey(idKey(text))).toBe(undefined);
      expect(parseKey(genesisKey(text))).toEqual({ kind: "genesis", group: text });
      expect(parseKey(shardKey(text, shard))).toEqual({ kind: "shard", group: text, shard });
    }),
  );
  expect(parseKey("groups")).toEqual({ kind: "groups" });
});

test.each(["", "x", "x.y", "meta", "n", "n.", "sessions"])(
  "%j is no key of this version",
  (key) => {
    expect(parseKey(key)).toBe(undefined);
  },
);
