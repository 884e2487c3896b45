/** A station on a link, for its contract: a port, and everything that reached it. */
import type { Link, LinkListener, LinkPeer } from "../../src/ports/link.ts";
import type { Closable } from "./check.ts";
import { waitUntil } from "./wait-until.ts";

/** One network; closing it closes every port that was handed out. */
export interface LinkFixture extends Closable {
  /** A port of one more node, not opened yet, with the incarnation it belongs to. */
  join(): Promise<{ readonly link: Link; readonly incarnation: string }>;
}

interface Received {
  readonly from: string;
  readonly frame: Uint8Array;
}

/** A node with everything that reached it. */
export class Station implements LinkListener, LinkPeer {
  readonly incarnation: string;
  readonly link: Link;
  address = "";
  readonly all: Received[] = [];
  readonly connections: string[] = [];
  /** What the listener answers to a frame. */
  judge: (frame: Uint8Array) => boolean = () => true;

  constructor(link: Link, incarnation: string) {
    this.link = link;
    this.incarnation = incarnation;
  }

  received(from: string, frame: Uint8Array): boolean {
    this.all.push({ from, frame: Uint8Array.from(frame) });
    return this.judge(frame);
  }

  connected(to: string): void {
    this.connections.push(to);
  }

  has(from: Station, frame: Uint8Array): boolean {
    return this.all.some((each) => each.from === from.incarnation && same(each.frame, frame));
  }
}

/** A new node, which listens. */
export async function open(fixture: LinkFixture): Promise<Station> {
  const { link, incarnation } = await fixture.join();
  const station = new Station(link, incarnation);
  station.address = await link.open(incarnation, station);
  return station;
}

/** True for the same bytes. */
export function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Bytes that look like no other frame of the same length. */
export function bytes(length: number, seed: number): Uint8Array {
  const frame = new Uint8Array(length);
  for (let i = 0; i < length; i++) frame[i] = (i * 31 + seed * 17 + (i >> 8)) & 255;
  return frame;
}

/** A link may lose a frame, so it is sent again from time to time, as the streams do. */
export async function deliver(from: Station, to: Station, frame: Uint8Array): Promise<void> {
  let tries = 0;
  await waitUntil(
    `a frame of ${frame.length} bytes has arrived`,
    () => {
      if (to.has(from, frame)) return true;
      if (tries++ % 100 === 0) from.link.send(to, frame);
      return false;
    },
    { timeoutMs: 10_000, describe: () => to.all.map((each) => each.frame.length) },
  );
}
