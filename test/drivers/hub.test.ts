/** When a hub opens, and whom it declares dead: with connections and time that the test owns. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { silentLogger } from "../../src/base/logger.ts";
import { Hub } from "../../src/drivers/embedded/hub.ts";
import { Register } from "../../src/drivers/embedded/register.ts";
import type { Json, JsonWire } from "../../src/drivers/tcp/wire.ts";
import type { Snapshot } from "../../src/ports/authority.ts";
import type { Entry } from "../../src/protocol/ledger.ts";
import type { SessionRecord } from "../../src/protocol/records.ts";
import { FakeClock } from "../base/fake-clock.ts";
import { session } from "../contracts/seat.ts";

const LEASE_MS = 1_000;
const GENERATION = 7;

/** A connection whose other end is the test. */
class FakeWire implements JsonWire {
  readonly written: Json[] = [];
  says: (message: Json) => boolean = () => true;
  ends: (error: Error) => void = () => {};

  writeJson(value: object): void {
    this.written.push(value as Json);
  }

  receiveJson(each: (message: Json) => boolean): void {
    this.says = each;
  }

  onClose(run: (error: Error) => void): void {
    this.ends = run;
  }

  destroy(): void {}

  /** The states of sessions, as far as this end has heard. */
  get states(): Record<string, string> {
    const entries = this.written.flatMap(
      ({ snapshot, entries: news }) => (snapshot as Snapshot | undefined)?.entries ?? news ?? [],
    ) as Entry[];
    return Object.fromEntries(
      entries.map(({ key, value }) => [key, (value as SessionRecord).state]),
    );
  }
}

let folder: string;
let clock: FakeClock;
let hub: Hub;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "catga-hub-"));
  clock = new FakeClock(1_000_000);
  const register = new Register(folder, "self", LEASE_MS);
  const said = { cluster: "c", secret: "s", log: silentLogger } as const;
  const who = { ...said, purpose: "authority", incarnation: "self" } as const;
  hub = new Hub({ ...who, port: 0, clock, leaseMs: LEASE_MS, register });
});

afterEach(() => {
  hub.close();
  rmSync(folder, { recursive: true });
});

/** A process that runs registers as node `name`. */
function runs(...names: string[]): void {
  for (const name of names) writeFileSync(join(folder, name), `${process.pid}`);
}

/** `name` connects, and says that `sessions` are up; `a=b` is that of b under the key of a. */
function joins(name: string, sessions: readonly string[] = []): FakeWire {
  const wire = new FakeWire();
  hub.serve(name, wire);
  const known = sessions.map((each, n) => {
    const [key = "", incarnation = key] = each.split("=");
    const value = { ...session("x"), incarnation, state: "up" };
    return { key: `n.${key}`, revision: n + 1, operation: each, value };
  });
  expect(wire.says({ generation: GENERATION, known })).toBe(true);
  return wire;
}

test("a hub opens when the last one that runs has spoken, whoever registered meanwhile", () => {
  runs("a");
  const self = joins("self");
  clock.advance(100);
  runs("b");
  joins("a");
  clock.advance(100);
  expect(self.written).toEqual([]);
  joins("b");
  expect(self.written).toMatchObject([{ snapshot: { generation: GENERATION } }]);
});

test("a hub opens without one that has gone, and buries it", () => {
  runs("a");
  const self = joins("self", ["self", "a"]);
  rmSync(join(folder, "a"));
  clock.advance(100);
  expect(self.states).toEqual({ "n.self": "up", "n.a": "dead" });
});

test("a hub opens after a lease, and waits no second time for who was silent", () => {
  runs("silent");
  const self = joins("self", ["self", "silent"]);
  clock.advance(LEASE_MS - 100);
  expect(self.written).toEqual([]);
  clock.advance(200);
  // Its process runs: it may wake up, and is not dead.
  expect(self.states).toEqual({ "n.self": "up", "n.silent": "up" });
  expect(existsSync(join(folder, "silent"))).toBe(false);
});

test("a hub waits for as long as the longest lease of those who are silent", () => {
  writeFileSync(join(folder, "relaxed"), `${process.pid} ${3 * LEASE_MS}`);
  const self = joins("self", ["self", "relaxed"]);
  clock.advance(3 * LEASE_MS);
  expect(self.written).toEqual([]);
  clock.advance(200);
  expect(self.states).toEqual({ "n.self": "up", "n.relaxed": "up" });
});

test("who has spoken and hung up before the hub opens is dead, though its process is there", () => {
  runs("a", "silent");
  const self = joins("self", ["self", "a"]);
  joins("a").ends(new Error("killed"));
  clock.advance(LEASE_MS + 100);
  expect(self.states).toEqual({ "n.self": "up", "n.a": "dead" });
});

test("whose session stands under another one's key lives, and is buried, by its own name", () => {
  runs("a", "b", "c");
  const self = joins("self", ["self", "old=a", "a=b", "b=c"]);
  rmSync(join(folder, "c"));
  const [a] = [joins("a"), joins("b")];
  clock.advance(100);
  expect(self.states).toEqual({ "n.self": "up", "n.old": "up", "n.a": "up", "n.b": "dead" });
  a.ends(new Error("killed"));
  expect(self.states).toEqual({ "n.self": "up", "n.old": "dead", "n.a": "up", "n.b": "dead" });
});

test("who comes again before its old connection ends lives on", () => {
  runs("a");
  const self = joins("self", ["self", "a"]);
  const old = joins("a");
  joins("a");
  old.ends(new Error("the old one"));
  expect(self.states).toEqual({ "n.self": "up", "n.a": "up" });
});

test("a hub that is not open carries nothing out", () => {
  runs("silent");
  const self = joins("self");
  expect(self.says({ id: 1, changes: [] })).toBe(false);
  clock.advance(LEASE_MS + 100);
  expect(self.says({ id: 1, changes: [] })).toBe(true);
  expect(self.written.at(-1)).toEqual({ id: 1, results: [] });
});
