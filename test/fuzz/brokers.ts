/** Nodes at a broker where somebody else publishes, who has the rights of a node. */
import { Buffer } from "node:buffer";
import * as fc from "fast-check";
import { connect } from "@nats-io/transport-node";
import { Redis } from "ioredis";
import { nats } from "../../src/drivers/nats/index.ts";
import { namesOf, token } from "../../src/drivers/nats/subject.ts";
import { Cluster } from "../../src/index.ts";
import { sessionOf, type SessionRecord } from "../../src/protocol/records.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { connectPorts, openBucket, settledRedis } from "../drivers/fixtures.ts";
import { NatsServer } from "../drivers/nats-server.ts";
import { Counter, type CounterNode } from "../drivers/nodes.ts";
import { uniqueName } from "../drivers/port.ts";
import { RedisServer } from "../drivers/redis-server.ts";
import { bytesLike, jsonLike, texts } from "./inputs.ts";
import { Finding, type Target, targetOf } from "./target.ts";

/** A message on a channel or subject. */
interface Published {
  readonly where: "link" | "feed";
  readonly frame: Uint8Array;
  /** What names the sender. */
  readonly from: string;
  readonly part: string;
}

interface Subject {
  readonly publish: (message: Published) => Promise<void>;
  readonly serves: () => Promise<void>;
}

/** With more the broker hangs up on whoever publishes. */
const REPLY_CHARS_MAX = 3_900;

const ENTRY = {
  key: "s.counter.3",
  value: { owner: "x", epoch: 9, cleanSince: 1, handoff: null },
  operation: "o",
};
const FRAME = [
  1,
  1,
  0,
  "n1",
  [[3, 1, 0, 1, 7, 50, "counter", "a", { type: "count" }, 0], [], [], [], []],
];

const published: fc.Arbitrary<Published> = fc.record({
  where: fc.constantFrom("link", "feed"),
  frame: bytesLike(jsonLike(FRAME, ENTRY, [ENTRY.key, "o", ENTRY.value])),
  from: fc.oneof(fc.constantFrom("n1.abc", "raw.1"), texts),
  part: fc.constantFrom("", ".hello", ".1.0.2", ".1.1.2", ".1.0.99999999", ".x.y.z", ".1.-1.NaN"),
});

/** A node at the broker, which answers. */
async function nodeAt(transport: ReturnType<typeof nats>, name: string): Promise<CounterNode> {
  if (transport.name === "nats") await openBucket(transport, name);
  const secret = "a secret of tests";
  return Cluster.start({
    transport,
    name,
    secret,
    nodeId: "n1",
    shardCount: 32,
    entities: [Counter],
  });
}

/** What a frame for the node has to name. */
interface Known {
  readonly own: string;
  readonly generation: number;
}

async function knownAt(driver: ReturnType<typeof nats>, cluster: string): Promise<Known> {
  const { authority, link } = await connectPorts(driver, cluster);
  const { entries, generation } = await authority.open({ changed() {}, resynced() {}, lost() {} });
  await authority.close();
  await link.close();
  const session = entries.find(({ value }) => (value as Partial<SessionRecord>).node === "n1");
  return { own: sessionOf(session) ?? "", generation };
}

function filled(frame: Uint8Array, { own, generation }: Known): Buffer {
  const text = Buffer.from(frame).toString("latin1").replace("@@self", own);
  return Buffer.from(text.replace("7777777", `${generation}`), "latin1");
}

/** Its own entities answer; a node whose session ended has taken another seat by then. */
async function serves(node: CounterNode): Promise<void> {
  await waitUntil(
    "it answers",
    () =>
      node
        .entity("counter", "alive")
        .send({ type: "count" }, { timeout: 500 })
        .then(
          () => true,
          () => false,
        ),
    { timeoutMs: 8_000 },
  );
}

/** Dies of a greeting that is longer than it should be, as far as its callers can tell. */
function mortal({ publish, serves: answers }: Subject): Subject {
  let isDead = false;
  return {
    publish(message) {
      isDead ||= message.part === ".hello" && message.frame.length > 0;
      return publish(message);
    },
    serves: () => (isDead ? Promise.reject(new Finding("it does not answer")) : answers()),
  };
}

async function check(subject: Subject, message: Published): Promise<void> {
  await subject.publish(message);
  await subject.serves();
}

const natsTarget = targetOf<Subject, Published>({
  name: "nats",
  inputs: published,
  async open() {
    const server = await NatsServer.start();
    const name = uniqueName("fuzz");
    const node = await nodeAt(nats(server.url), name);
    const { nodes, feed } = namesOf("catga", name);
    const client = await connect({ servers: server.url.slice(7) });
    const known = await knownAt(nats(server.url), name);
    const subject: Subject = {
      async publish({ where, frame, from, part }) {
        const to = where === "link" ? nodes + token(known.own) : `${feed}1.s`;
        client.publish(to, filled(frame, known), {
          reply: `${nodes}${token(from).slice(0, REPLY_CHARS_MAX)}${part}`,
        });
        await client.flush();
      },
      serves: () => serves(node),
    };
    const close = async (): Promise<void> => {
      await client.close();
      await node.stop({ deadline: "1s" });
      await server.stop();
    };
    return { subject, close };
  },
  plant: mortal,
  check,
});

const redisTarget = targetOf<Subject, Published>({
  name: "redis",
  inputs: published,
  async open() {
    const server = await RedisServer.start();
    const name = uniqueName("fuzz");
    const node = await nodeAt(settledRedis(server), name);
    const client = new Redis({ port: server.port });
    const known = await knownAt(settledRedis(server), name);
    const [channel = ""] = (await client.pubsub("CHANNELS", "*")) as string[];
    const subject: Subject = {
      async publish({ frame, from, part }) {
        const sender = Buffer.from(from).subarray(0, 255);
        const head = Buffer.from([part === ".hello" ? 1 : 0, sender.length]);
        const isBare = part === ".x.y.z";
        await client.publish(
          channel,
          isBare ? Buffer.from(frame) : Buffer.concat([head, sender, filled(frame, known)]),
        );
      },
      serves: () => serves(node),
    };
    const close = async (): Promise<void> => {
      client.disconnect();
      await node.stop({ deadline: "1s" });
      await server.stop();
    };
    return { subject, close };
  },
  plant: mortal,
  check,
});

/** See the file's header. */
export const BROKER_TARGETS: readonly Target[] = [natsTarget, redisTarget];
