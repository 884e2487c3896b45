/** A real node behind its ports: what comes there from strangers, and from who knows the secret. */
import { Buffer } from "node:buffer";
import * as fc from "fast-check";
import { frameOf, RawConnection } from "../drivers/raw.ts";
import { Target as Node } from "../drivers/target.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { bytesLike, jsonLike } from "./inputs.ts";
import { Finding, holds, type Target, targetOf } from "./target.ts";

/** One caller: where it calls, whether it introduces itself, what it says. */
interface Call {
  readonly place: "hub" | "link";
  readonly isKnown: boolean;
  readonly frames: readonly Uint8Array[];
  /** Bytes as they are, not in a frame. */
  readonly isRaw: boolean;
}

interface Subject {
  readonly node: Node;
  /** Is told what the node is sent. */
  readonly said: (bytes: Buffer) => void;
  /** Resolves when the node has answered a message. */
  readonly serves: () => Promise<void>;
}

const HELLO = {
  protocol: 1,
  cluster: "c",
  purpose: "link",
  incarnation: "i",
  nonce: "n",
  proof: "0".repeat(64),
};
const VALUE = { owner: "raw.x", epoch: 9, cleanSince: 1, handoff: null };
const CHANGES = [{ key: "s.counter.3", expected: 0, value: VALUE, operation: "o" }];
/** Stands for what only the node knows; it is filled in when the frame is sent. */
const SELF = "@@self";
const MESSAGE = [3, 1, 0, 1, 77, 5_000, "counter", "a", { type: "count" }, 0];
const NOTE = { kind: "cancelled", call: 1 };
const FRAME = [7_777_777, 1, 0, SELF, [MESSAGE, [1, {}], [2], [NOTE], [5, 100, { type: "x" }, 0]]];

const payload = bytesLike(
  jsonLike(HELLO, FRAME, FRAME, { id: 1, changes: CHANGES }, { generation: 1, known: [] }),
);

const calls: fc.Arbitrary<Call> = fc.record({
  place: fc.constantFrom("hub", "link"),
  isKnown: fc.boolean(),
  frames: fc.array(payload, { minLength: 1, maxLength: 4 }),
  isRaw: fc.boolean(),
});

/** Without a length that promises gigabytes most raw bytes would only wait for more. */
function bytesOf({ isRaw, frames }: Call, node: Node): Buffer {
  const filled = frames.map((frame) => {
    const text = Buffer.from(frame).toString("latin1").replace(SELF, node.incarnation);
    return Buffer.from(text.replace("7777777", `${node.generation}`), "latin1");
  });
  return Buffer.concat(isRaw ? filled : filled.map(frameOf));
}

const tcp = targetOf<Subject, Call>({
  name: "tcp",
  inputs: calls,
  async open() {
    const node = await Node.start();
    let served = 0;
    const serves = async (): Promise<void> => {
      const id = `alive-${served++ % 50}`;
      const { count } = await node.node.entity("counter", id).send({ type: "count" });
      holds(count > 0, "it does not count");
    };
    return { subject: { node, serves, said: () => {} }, close: () => node.stop() };
  },
  // Dies of a note, as far as its callers can tell.
  plant(subject) {
    let isDead = false;
    return {
      ...subject,
      said: (bytes) => (isDead ||= bytes.includes('"kind"')),
      serves: () => (isDead ? Promise.reject(new Finding("no answer")) : subject.serves()),
    };
  },
  async check({ node, serves, said }, call) {
    const port = node.ports[call.place];
    const purpose = call.place === "hub" ? "authority" : "link";
    const caller = call.isKnown ? await node.introduced(purpose) : new RawConnection(port);
    if (!call.isKnown) await caller.frame();
    const bytes = bytesOf(call, node);
    said(bytes);
    caller.write(bytes);
    await serves();
    caller.close();
    await waitUntil("the connection is gone", () => caller.socket.destroyed);
  },
});

/** See the file's header. */
export const WIRE_TARGETS: readonly Target[] = [tcp];
