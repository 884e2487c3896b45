/**
 * What it costs to write and read a frame of 64 messages of about 100 bytes: the JSON that catga
 * sends, against msgpackr with the whole frame packed as one array. Bodies are objects before
 * and after on both sides, all heads are read, and both check that a body is plain data, since no
 * codec relieves catga of that. Figures are messages per second, written and read.
 *
 * msgpackr is measured without records (objects as maps) and with them (the names of the fields
 * once per frame); structures shared beyond one frame would be state of a connection that can be
 * lost.
 */
import { Packr } from "msgpackr";
import { copyPlain } from "../../src/base/plain.ts";
import {
  Batch,
  decodeFrame,
  encodeFrame,
  type ItemReader,
  readItems,
} from "../../src/protocol/frame.ts";
import { rateFigure } from "../figure.ts";
import { contest, type Load } from "../measure/contest.ts";
import { effort } from "../measure/effort.ts";
import { type Payload, payload } from "../processes/echo.ts";
import { say } from "../parent.ts";

const MESSAGES = 64;
const GENERATION = 1_790_000_000_000;
const OWNER = "node-b.1h2k3j4h5k6j7h8";

const bodies = Array.from({ length: MESSAGES }, (_, n) => payload(n));
const ids = bodies.map((_, n) => `echo-${n}`);

/** What was read is counted, so that no compiler finds out that nobody wants it. */
let amounts = 0;

const reader: ItemReader = {
  message: ({ message }) => (amounts += (message as Payload).amount),
  reply: () => {},
  note: () => {},
  ask: () => {},
};

function jsonFrame(): void {
  const batch = new Batch();
  for (let n = 0; n < MESSAGES; n++) {
    batch.addMessage({
      shard: n,
      epoch: 1,
      channel: 0,
      sequence: n,
      call: n,
      leftMs: 9_999,
      entity: "echo",
      id: ids[n]!,
      message: copyPlain(bodies[n]),
      dedup: undefined,
    });
  }
  const head = { generation: GENERATION, number: 7, acknowledged: 6, to: OWNER };
  readItems(decodeFrame(encodeFrame(head, batch.encode()))!, reader);
}

function packedFrame(packr: Packr): void {
  const items: unknown[] = [GENERATION, 7, 6, OWNER];
  for (let n = 0; n < MESSAGES; n++) {
    const body = copyPlain(bodies[n]);
    items.push([n, 1, 0, n, n, 9_999, "echo", ids[n], body]);
  }
  const read = packr.unpack(packr.pack(items)) as (readonly unknown[])[];
  for (let i = 4; i < read.length; i++) amounts += (read[i]![8] as Payload).amount;
}

function frames(run: () => void): Load {
  return async (count) => {
    for (let done = 0; done < count; done += MESSAGES) run();
  };
}

async function against(codec: string, packr: Packr): Promise<void> {
  const subject = frames(jsonFrame);
  const floor = frames(() => packedFrame(packr));
  const outcome = await contest({ subject, floor }, effort());
  say({ ...rateFigure(`codec, against ${codec}`, outcome), p50Us: null, p99Us: null });
}

await against("msgpackr", new Packr({ useRecords: false }));
await against("msgpackr with records", new Packr({ useRecords: true }));
if (!(amounts > 0)) throw new Error("Cannot trust the codec: nothing was read");
