/**
 * What somebody does to the ports of a running node, or says where its broker listens: whatever it
 * is, the node lives, answers, and holds no more memory afterwards.
 */
import { Buffer } from "node:buffer";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { connect as connectNats } from "@nats-io/transport-node";
import { Redis } from "ioredis";
import { nats } from "../../src/drivers/nats/index.ts";
import { namesOf } from "../../src/drivers/nats/subject.ts";
import { Cluster } from "../../src/index.ts";
import { FRAME_BYTES_MAX, PROTOCOL, STRANGERS_MAX } from "../../src/base/limits.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { adopt, stopAll as stopNodes } from "../drivers/broker-nodes.ts";
import { brokersAreWanted } from "../drivers/broker-process.ts";
import { mutated, randomBytes } from "../drivers/chance.ts";
import { openBucket, settledRedis } from "../drivers/fixtures.ts";
import { serve, stopAll as stopNats } from "../drivers/nats-nodes.ts";
import { Counter, type CounterNode, serves, stopAll } from "../drivers/nodes.ts";
import { uniqueName } from "../drivers/port.ts";
import { frameOf, RawConnection } from "../drivers/raw.ts";
import { serveRedis, stopRedis } from "../drivers/redis-servers.ts";
import { Target } from "../drivers/target.ts";

/** What a flood may leave behind: less than any of them has sent. */
const GROWTH_BYTES_MAX = 48 * 1_048_576;

const LARGE = new Uint8Array(1_000_000);

let target: Target;

beforeAll(async () => {
  target = await Target.start();
});

afterAll(() => target.stop());

afterEach(async () => {
  await stopAll();
  await stopNodes();
  await stopNats();
  await stopRedis();
});

/** Runs `attack` twice; the second time it may not leave anything behind. */
async function leavesNothing(node: CounterNode, attack: () => Promise<void>): Promise<void> {
  await attack();
  await serves(node);
  Bun.gc(true);
  const before = process.memoryUsage().rss;
  await attack();
  await serves(node);
  Bun.gc(true);
  expect(process.memoryUsage().rss - before).toBeLessThan(GROWTH_BYTES_MAX);
}

function socketTo(port: number): Socket {
  const socket = connect({ host: "127.0.0.1", port });
  socket.on("error", () => {}).resume();
  return socket;
}

describe.each(["hub", "link"] as const)("at the port of the %s", (place) => {
  const purpose = place === "hub" ? "authority" : "link";

  test("random bytes from 100 callers, some of whom know the secret", async () => {
    await leavesNothing(target.node, async () => {
      for (let n = 0; n < 100; n++) {
        const port = target.ports[place];
        const isKnown = n % 2 === 0;
        const caller = isKnown ? await target.introduced(purpose) : new RawConnection(port);
        const bytes = randomBytes(20_000, n);
        // A length that promises little is no reason to wait for more.
        bytes[3] = 0x7f;
        caller.write(bytes);
        await caller.closed("random bytes");
        caller.close();
      }
    });
  }, 20_000);

  test("lengths of the most that is allowed, and nothing behind them", async () => {
    const callers: RawConnection[] = [];
    await leavesNothing(target.node, async () => {
      for (let n = 0; n < 30; n++) {
        const caller = await target.introduced(purpose);
        const head = Buffer.alloc(4);
        head.writeUInt32LE(FRAME_BYTES_MAX, 0);
        caller.write(head);
        callers.push(caller);
      }
    });
    for (const caller of callers) caller.close();
  }, 20_000);

  test("lengths beyond that end the connection before a byte is kept", async () => {
    for (const length of [FRAME_BYTES_MAX + 1, 2 ** 31 - 1, 2 ** 32 - 1]) {
      const caller = await target.introduced(purpose);
      const head = Buffer.alloc(4);
      head.writeUInt32LE(length, 0);
      caller.write(head);
      await caller.closed(`a length of ${length}`);
      caller.close();
    }
    await serves(target.node);
  });

  test("a thousand callers that say nothing: most are gone at once, nodes may join", async () => {
    const silent = Array.from({ length: 1_000 }, () => socketTo(target.ports[place]));
    const left = (): number => silent.filter(({ closed }) => !closed).length;
    await waitUntil("the first ones are hung up on", () => left() <= STRANGERS_MAX, {
      // Before anybody is hung up on for its silence.
      timeoutMs: 2_000,
      describe: left,
    });
    await serves(target.node);
    await target.welcomes();
    for (const socket of silent) socket.destroy();
  }, 20_000);

  test("a proof under another secret is refused, and is told so", async () => {
    const caller = { ...target.caller(purpose), secret: "guessed" };
    const refused = await RawConnection.introduced(target.ports[place], caller);
    await refused.closed("a wrong proof");
    await serves(target.node);
  });

  test("what a node has said to introduce itself serves nobody a second time", async () => {
    const said: Buffer[] = [];
    const first = new RawConnection(target.ports[place]);
    const write = first.write.bind(first);
    first.write = (bytes) => {
      said.push(Buffer.from(bytes));
      write(bytes);
    };
    await RawConnection.introduce(first, target.caller(purpose));
    const again = new RawConnection(target.ports[place]);
    await again.frame();
    for (const bytes of said) again.write(bytes);
    expect(await again.frame()).toContain("WRONG_SECRET");
    await again.closed("a proof of before");
    first.close();
    await serves(target.node);
  });

  test("an introduction is refused with any bit of its proof changed", async () => {
    for (const bit of [0, 7, 63]) {
      const caller = new RawConnection(target.ports[place]);
      await caller.frame();
      const proof = "0".repeat(bit) + "1" + "0".repeat(63 - bit);
      const { cluster, incarnation } = target.caller(purpose);
      const hello = { protocol: PROTOCOL, cluster, purpose, incarnation, nonce: "n", proof };
      caller.write(frameOf(JSON.stringify(hello)));
      expect(await caller.frame()).toBe('{"code":"WRONG_SECRET"}');
      await caller.closed("a wrong proof");
    }
  });
});

/** Frames that begin well, as many as it takes. */
function* frames(count: number): Generator<Buffer> {
  const message = [3, 1, 0, 1, 7, 50, "counter", "a", { type: "count" }, 0];
  const good = Buffer.from(JSON.stringify([1, 1, 0, "n1", [message, [], [], [], []]]));
  for (let n = 0; n < count; n++) yield Buffer.from(n % 3 ? mutated(good, n) : randomBytes(500, n));
}

describe.if(brokersAreWanted())("where a broker listens", () => {
  test("of NATS: frames, parts of frames without an end, changes that nobody wrote", async () => {
    const server = await serve();
    const name = uniqueName("attack");
    await openBucket(nats(server.url), name);
    const options = { transport: nats(server.url), name, nodeId: "n1", shardCount: 32 };
    const node = adopt(await Cluster.start({ ...options, entities: [Counter] }));
    const attacker = await connectNats({ servers: server.url.slice(7) });
    const subjects = new Set<string>();
    // A second node makes the first one talk, so its subject is seen.
    const { nodes, feed } = namesOf("catga", name);
    for (const prefix of [nodes, feed]) {
      attacker.subscribe(`${prefix}>`, {
        callback: (_, { subject }) => void subjects.add(subject),
      });
    }
    const other = adopt(await Cluster.start({ ...options, nodeId: "n2", entities: [Counter] }));
    await serves(other);
    await waitUntil("the nodes were heard", () =>
      [...subjects].some((each) => each.includes(".n.")),
    );
    const places = [...subjects];
    await leavesNothing(node, async () => {
      let n = 0;
      for (const frame of frames(2_000)) {
        const reply = `${places.find((each) => each.includes(".n."))!}.${n % 7}.0.9`;
        attacker.publish(places[n++ % places.length]!, frame, n % 2 ? { reply } : {});
      }
      await attacker.flush();
    });
    await serves(other);
    let begun = 0;
    await leavesNothing(node, async () => {
      // Each is of another sender, and says that there is more to come.
      for (const end = begun + 150; begun < end; begun++) {
        const reply = `${nodes}stranger-${begun}.1.0.2`;
        attacker.publish(
          places.find((each) => each.startsWith(nodes))!,
          LARGE,
          { reply },
        );
        await attacker.flush();
      }
    });
    await attacker.close();
  }, 30_000);

  test("of Redis: frames, and names of senders without an end", async () => {
    const server = await serveRedis();
    const place = { transport: settledRedis(server), name: uniqueName("attack"), shardCount: 32 };
    const node = adopt(await Cluster.start({ ...place, nodeId: "n1", entities: [Counter] }));
    const attacker = new Redis({ port: server.port });
    const channels = (await attacker.pubsub("CHANNELS", "*")) as string[];
    expect(channels).not.toEqual([]);
    await leavesNothing(node, async () => {
      let n = 0;
      const published = [...frames(2_000)].map((frame) => {
        const sender = Buffer.from(`stranger-${n % 500}.x`);
        const head = Buffer.from([n % 3, n % 5 === 0 ? 255 : sender.length]);
        return attacker.publish(
          channels[n++ % channels.length]!,
          Buffer.concat([head, sender, frame]),
        );
      });
      await Promise.all(published);
    });
    attacker.disconnect();
  }, 30_000);

  test("of Redis: names without an end are not all remembered", async () => {
    const server = await serveRedis();
    const place = { transport: settledRedis(server), name: uniqueName("attack"), shardCount: 32 };
    const node = adopt(await Cluster.start({ ...place, nodeId: "n1", entities: [Counter] }));
    const [attacker, ear] = [new Redis({ port: server.port }), new Redis({ port: server.port })];
    const [channel = ""] = (await attacker.pubsub("CHANNELS", "*")) as string[];
    const empty = Array.from({ length: 6_000 }, (_, n) => {
      const name = Buffer.from(`stranger-${n}.x`);
      return attacker.publish(channel, Buffer.concat([Buffer.from([0, name.length]), name]));
    });
    await Promise.all(empty);
    // It is sent answers after all that, and so remembered last.
    const other = adopt(await Cluster.start({ ...place, nodeId: "n2", entities: [Counter] }));
    await serves(other);
    // Who comes back greets all it remembers, in that order.
    const greeted: string[] = [];
    ear.on("pmessageBuffer", (_: Buffer, to: Buffer, [kind]: Buffer) => {
      if (kind === 1) greeted.push(to.toString());
    });
    await ear.psubscribe(channel.replace(/:to:.*/, ":to:*"));
    const clients = String(await attacker.call("CLIENT", "LIST")).split("\n");
    const listeners = clients.flatMap((line) => /id=(\d+) .* sub=1 /.exec(line)?.[1] ?? []);
    for (const id of listeners) await attacker.call("CLIENT", "KILL", "ID", id);
    await waitUntil("the other node is greeted", () => greeted.some((to) => to.includes(":n2.")), {
      timeoutMs: 15_000,
      describe: () => [listeners, greeted.length, greeted.slice(-3)],
    });
    expect(greeted.length).toBeGreaterThan(1_000);
    expect(greeted.length).toBeLessThan(5_000);
    await serves(node);
    attacker.disconnect();
    ear.disconnect();
  }, 30_000);
});
