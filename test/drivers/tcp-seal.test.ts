/** Somebody between two machines: what he does to a connection ends it, and is never processed. */
import { Buffer } from "node:buffer";
import { afterEach, describe, expect, test } from "bun:test";
import { connect, createServer, type Socket } from "node:net";
import { STRANGERS_MAX } from "../../src/base/limits.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { dial, type Door, type Identity, openDoor } from "../../src/drivers/tcp/handshake.ts";
import type { Wire } from "../../src/drivers/tcp/wire.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { freePort } from "./port.ts";
import { frameOf } from "./raw.ts";

const ends: (() => void)[] = [];

afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** Two sides, and what the one that is told something has heard. */
interface Pair {
  readonly tells: Wire;
  readonly hears: Wire;
  readonly heard: string[];
  readonly log: string[];
}

/** A frame on its way, by its number among the sealed ones; what goes on in its place. */
type Alter = (frame: Buffer, number: number) => readonly Buffer[];

const HOST = "127.0.0.1";
const SAID = ["one", "two", "three"];
/** Frames of each direction before the first sealed one. */
const UNSEALED = { client: 1, server: 2 };
const TAG_BYTES = 16;

function identity(incarnation: string, log: string[]): Identity {
  const logger = { ...silentLogger, error: (_: object, text: string) => void log.push(text) };
  return { cluster: "c", secret: "s", purpose: "node", incarnation, log: logger };
}

/** Hands on what it is sent, one whole frame after the other. */
function carry([from, to]: readonly [Socket, Socket], unsealed: number, alter: Alter): void {
  let bytes = Buffer.alloc(0);
  let number = -unsealed;
  from.on("data", (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    for (;;) {
      const length = bytes.length < 4 ? 0 : (bytes.readUInt32LE(0) & 0x7fff_ffff) + 4;
      const end = number < 0 ? length : length + TAG_BYTES;
      if (length === 0 || bytes.length < end) return;
      const frame = Buffer.from(bytes.subarray(0, end));
      bytes = bytes.subarray(end);
      for (const each of number < 0 ? [frame] : alter(frame, number)) to.write(each);
      number++;
    }
  });
  from.on("close", () => to.destroy());
  from.on("error", () => {});
}

/** A caller and a door, and somebody between them who alters what `teller` says. */
async function pair(
  teller: "client" | "server",
  alter: Alter,
  overhear: Alter = (frame) => [frame],
): Promise<Pair> {
  const log: string[] = [];
  const quiet: string[] = [];
  const logs = teller === "client" ? [quiet, log] : [log, quiet];
  const { promise: called, resolve: welcome } = Promise.withResolvers<Wire>();
  const place = { host: HOST, port: await freePort() };
  const door: Door = await openDoor(place, identity("server.1", logs[1]!), (_, wire) =>
    welcome(wire),
  );
  const between = createServer((caller) => {
    const callee = connect(place);
    const isClient = teller === "client";
    carry([caller, callee], UNSEALED.client, isClient ? alter : overhear);
    carry([callee, caller], UNSEALED.server, isClient ? overhear : alter);
  });
  const port = await freePort();
  await new Promise<void>((resolve) => between.listen({ host: HOST, port }, resolve));
  const client = await dial(`${HOST}:${port}`, identity("client.1", logs[0]!));
  const server = await called;
  ends.push(() => [door, between].forEach((each) => each.close()));
  ends.push(() => [client, server].forEach((wire) => wire.destroy()));
  const [tells, hears] = teller === "client" ? [client, server] : [server, client];
  const heard: string[] = [];
  hears.receive((frame) => heard.push(Buffer.from(frame).toString()) > 0);
  return { tells, hears, heard, log };
}

function flipped(frame: Buffer, at: number): Buffer {
  const copy = Buffer.from(frame);
  copy[at < 0 ? copy.length + at : at]! ^= 0x80;
  return copy;
}

const late: Buffer[] = [];
const recorded: Buffer[] = [];

const ATTACKS: readonly [what: string, heard: number, alter: Alter][] = [
  ["changed", 1, (frame, n) => [n === 1 ? flipped(frame, -1) : frame]],
  ["given another tag", 1, (frame, n) => [n === 1 ? flipped(frame, 4) : frame]],
  ["made news of", 1, (frame, n) => [n === 1 ? flipped(frame, 3) : frame]],
  ["repeated", 2, (frame, n) => (n === 1 ? [frame, frame] : [frame])],
  ["left out", 1, (frame, n) => (n === 1 ? [] : [frame])],
  ["delayed", 1, (frame, n) => (n === 1 ? (late.push(frame), []) : [frame, ...late.splice(0)])],
  ["followed by one without a tag", 2, (frame, n) => (n === 1 ? [frame, bare()] : [frame])],
  ["replaced by that of another connection", 0, (_, n) => [recorded[n]!]],
];

/** Without a tag, and as long as if it had one. */
function bare(): Buffer {
  return Buffer.concat([frameOf("four"), Buffer.alloc(TAG_BYTES)]);
}

describe.each(["client", "server"] as const)("what the %s says", (teller) => {
  test("arrives as it is, and nothing is logged", async () => {
    const { tells, heard, log } = await pair(teller, (frame) => {
      recorded.push(frame);
      return [frame];
    });
    recorded.length = 0;
    for (const text of SAID) tells.write(Buffer.from(text));
    await waitUntil("all is heard", () => heard.length === SAID.length, { describe: () => heard });
    expect([heard, log]).toEqual([SAID, []]);
  });

  test.each([...ATTACKS])("and is %s: the connection ends there", async (_, count, alter) => {
    const { tells, hears, heard, log } = await pair(teller, alter);
    let end: Error | undefined;
    hears.onClose((error) => (end = error));
    for (const text of SAID) tells.write(Buffer.from(text));
    await waitUntil("it ends", () => end !== undefined, { describe: () => heard });
    expect(heard).toEqual(SAID.slice(0, count));
    expect(end?.message).toBe("a frame is not what the other side has sent");
    expect(log).toEqual([expect.stringContaining("changed, repeated, left out or added")]);
  });

  test("is not what the other side has said itself", async () => {
    const said: Buffer[] = [];
    const { tells, hears, heard, log } = await pair(
      teller,
      () => said,
      (frame) => (said.push(frame), [frame]),
    );
    let end: Error | undefined;
    hears.onClose((error) => (end = error));
    hears.write(Buffer.from("mine"));
    await waitUntil("it is overheard", () => said.length === 1);
    tells.write(Buffer.from("one"));
    await waitUntil("it ends", () => end !== undefined);
    expect([heard, log.length]).toEqual([[], 1]);
  });
});

describe("a part of a frame", () => {
  test("ends the connection when the rest does not come", async () => {
    const { tells, hears } = await pair("client", (frame) => [frame.subarray(0, 21)]);
    let end: Error | undefined;
    hears.onClose((error) => (end = error));
    hears.frameTimeoutMs = 20;
    tells.write(Buffer.from("one"));
    await waitUntil("it ends", () => end !== undefined);
    expect(end?.message).toBe("the rest of a frame did not come");
  });

  test("does no harm while others become whole", async () => {
    // The end of each frame comes with the beginning of the next one, for longer than the limit.
    const kept: Buffer[] = [];
    const { tells, hears, heard } = await pair("client", (frame) => {
      const whole = Buffer.concat([...kept.splice(0), frame]);
      kept.push(whole.subarray(whole.length - 5));
      return [whole.subarray(0, whole.length - 5)];
    });
    hears.frameTimeoutMs = 100;
    let isEnded = false;
    hears.onClose(() => (isEnded = true));
    const untilMs = performance.now() + 300;
    let sent = 0;
    await waitUntil("time has passed", () => {
      tells.write(Buffer.from(`${++sent}`));
      return performance.now() > untilMs;
    });
    const written = sent - 1;
    await waitUntil("all but the last is heard", () => heard.length >= written);
    expect(heard).toEqual(Array.from({ length: written }, (_, n) => `${n + 1}`));
    await waitUntil("the last one ends it, which does not become whole", () => isEnded);
  });
});

test("callers that prove nothing give way to later ones, and to those that do not", async () => {
  const who = identity("server.1", []);
  const door = await openDoor({ host: HOST, port: 0 }, who, () => {});
  ends.push(() => door.close());
  const port = Number(door.address.split(":")[1]);
  const known = await dial(door.address, identity("client.1", []));
  let isEnded = false;
  known.onClose(() => (isEnded = true));
  const silent = Array.from({ length: STRANGERS_MAX + 20 }, () => {
    const socket = connect({ host: HOST, port });
    socket.on("error", () => {}).resume();
    return socket;
  });
  ends.push(() => [known, ...silent].forEach((each) => each.destroy()));
  const left = (): number => silent.filter(({ closed }) => !closed).length;
  await waitUntil("the first ones are hung up on", () => left() <= STRANGERS_MAX, {
    // Before anybody is hung up on for its silence.
    timeoutMs: 2_000,
    describe: left,
  });
  expect([left(), isEnded]).toEqual([STRANGERS_MAX, false]);
  await dial(door.address, identity("client.2", [])).then((wire) => wire.destroy());
});
