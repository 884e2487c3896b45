/** Publish and subscribe, in simulated time. */
import { describe, expect, test } from "bun:test";
import { defineCommand, type Named, defineEvent, isCatgaError } from "../../src/index.ts";
import { failureOf } from "../drivers/nodes.ts";
import { hearing, Said, say, start } from "./topics.ts";

describe("an event", () => {
  test("comes to every subscriber, also on its publisher's node", async () => {
    await using cluster = await start();
    const heard = cluster.names.map((name) => hearing(cluster, name));
    await say(cluster, "n1", 3);
    await cluster.advance("50ms");
    for (const each of heard) expect(each).toEqual(["n1:1", "n1:2", "n1:3"]);
  });

  test("is a copy for each of them", async () => {
    await using cluster = await start({ nodes: 2 });
    const seen: object[] = [];
    const keep = (message: { text?: string }): void => {
      seen.push({ ...message });
      message.text = "changed";
    };
    for (const name of ["n1", "n1", "n2"]) cluster.node(name).subscribe(Said, keep);
    const message = Said({ from: "n1", n: 1, text: "as it was" });
    const published = cluster.node("n1").publish(message);
    Object.assign(message, { text: "too late" });
    await published;
    await cluster.advance("50ms");
    const copy = { type: "chat.said", from: "n1", n: 1, text: "as it was" };
    expect(seen).toEqual([copy, copy, copy]);
  });

  test("comes at most once and in order, whatever the network does", async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const network = { drop: 0.2, duplicate: 0.2, delay: [0, 30] } as const;
      await using cluster = await start({ seed, network });
      const heard = cluster.names.map((name) => hearing(cluster, name));
      await Promise.all(cluster.names.map((name) => say(cluster, name, 50)));
      await cluster.advance("5s");
      for (const each of heard) {
        for (const name of cluster.names) {
          const own = each.filter((one) => one.startsWith(name));
          // The streams bring all of it, as long as all live.
          expect(own).toEqual(Array.from({ length: 50 }, (_, n) => `${name}:${n + 1}`));
        }
      }
    }
  });

  test("does not come to one who has ended his subscription, or begins it later", async () => {
    await using cluster = await start({ nodes: 2 });
    const heard: string[] = [];
    const end = cluster.node("n2").subscribe(Said, ({ n }) => {
      heard.push(`${n}`);
      end();
      cluster.node("n2").subscribe(Said, ({ n: later }) => void heard.push(`later ${later}`));
    });
    await say(cluster, "n1", 2);
    await cluster.advance("50ms");
    expect(heard).toEqual(["1", "later 2"]);
  });

  test("is lost on nodes that die, and delays nobody else", async () => {
    await using cluster = await start();
    const heard = hearing(cluster, "n3");
    hearing(cluster, "n2");
    cluster.kill("n2");
    await say(cluster, "n1", 3);
    await cluster.advance("50ms");
    expect(heard).toEqual(["n1:1", "n1:2", "n1:3"]);
    await cluster.advance("3s");
    await say(cluster, "n1", 1);
    await cluster.advance("50ms");
    expect(heard.length).toBe(4);
  });

  test("comes to subscriptions of a process whose node was replaced", async () => {
    await using cluster = await start();
    const heard = hearing(cluster, "n3");
    cluster.pause("n3");
    await cluster.advance("3s");
    cluster.resume("n3");
    await cluster.advance("5s");
    await say(cluster, "n1", 2);
    await say(cluster, "n3", 1);
    await cluster.advance("50ms");
    expect(heard.toSorted()).toEqual(["n1:1", "n1:2", "n3:1"]);
  });
});

describe("a listener", () => {
  test("that throws, rejects or never ends hurts nobody else, and is logged", async () => {
    const errors: unknown[] = [];
    const log = {
      debug() {},
      info() {},
      warn() {},
      error: (fields: object) => errors.push(fields),
    };
    await using cluster = await start({ nodes: 1, log });
    const node = cluster.node("n1");
    const heard: string[][] = [[], [], []];
    node.subscribe(Said, ({ n }) => {
      heard[0]!.push(`${n}`);
      throw new Error("thrown");
    });
    node.subscribe(Said, async ({ n }) => {
      heard[1]!.push(`${n}`);
      throw new Error("rejected");
    });
    node.subscribe(Said, ({ n }) => {
      heard[2]!.push(`${n}`);
      return new Promise(() => {});
    });
    const last = hearing(cluster, "n1");
    await say(cluster, "n1", 3);
    await cluster.advance("50ms");
    expect(heard).toEqual([["1", "2", "3"], ["1", "2", "3"], ["1"]]);
    expect(last).toEqual(["n1:1", "n1:2", "n1:3"]);
    expect(errors.length).toBe(6);
  });

  test("that is slow has one event at a time, and behind it the newest 1,024 wait", async () => {
    const warnings: object[] = [];
    const log = {
      debug() {},
      info() {},
      error() {},
      warn: (fields: object) => warnings.push(fields),
    };
    await using cluster = await start({ nodes: 1, log });
    const heard: number[] = [];
    let running = 0;
    cluster.node("n1").subscribe(Said, async ({ n }) => {
      expect(++running).toBe(1);
      heard.push(n);
      await cluster.sleep("n1", 1);
      running--;
    });
    await cluster.run(say(cluster, "n1", 3_000));
    await cluster.advance("10s");
    const newest = Array.from({ length: 1_024 }, (_, n) => n + 3_000 - 1_023);
    expect(heard.slice(-1_024)).toEqual(newest);
    expect(heard).toEqual(heard.toSorted((a, b) => a - b));
    expect(warnings.length).toBe(2);
    expect(warnings[1]).toMatchObject({ type: "chat.said", dropped: 3_000 - heard.length });
  });

  test("that blocks its node keeps neither its heartbeat nor that of others", async () => {
    await using cluster = await start();
    const heard = hearing(cluster, "n3");
    cluster.node("n2").subscribe(Said, () => cluster.block("n2", 20));
    await say(cluster, "n1", 200);
    await cluster.advance("6s");
    expect(heard.length).toBe(200);
    expect(cluster.node("n1").nodes.map(({ node }) => node)).toEqual(["n1", "n2", "n3"]);
    expect(cluster.leaseHolds("n2")).toBe(true);
  });
});

describe("publish()", () => {
  test("refuses what is no event, and subscribe() too", async () => {
    await using cluster = await start({ nodes: 1 });
    const node = cluster.node("n1");
    const Do = defineCommand<{ n: number }>("chat.do") as unknown as Named<"event", object, void>;
    for (const nonsense of [undefined, null, 1, "x", {}, { type: "nobody.knows" }, Do({ n: 1 })]) {
      expect(await failureOf(node.publish(nonsense as never))).toBeInstanceOf(TypeError);
    }
    expect(() => node.subscribe(Do, () => {})).toThrow("it is a command, and only events");
    expect(() => node.subscribe(Said, undefined as never)).toThrow("no function");
    expect(() => node.subscribe({} as never, () => {})).toThrow(TypeError);
  });

  test("refuses what does not travel, and what its schema does not like", async () => {
    await using cluster = await start({ nodes: 2 });
    const heard = hearing(cluster, "n2");
    const node = cluster.node("n1");
    const refusal = async (message: object): Promise<string | undefined> => {
      const error = await failureOf(node.publish(message as never));
      return isCatgaError(error) ? error.code : String(error);
    };
    expect(await refusal(Said({ from: "n1", n: 1n as never }))).toBe("PAYLOAD_NOT_ENCODABLE");
    expect(await refusal(Said({ from: "x".repeat(2 ** 21), n: 1 }))).toBe("TOO_LARGE");
    for (const isLate of [false, true]) {
      const Checked = defineEvent("chat.checked", { input: evenOnly(isLate) });
      const seen: object[] = [];
      const end = node.subscribe(Checked, (message) => void seen.push(message));
      expect(await refusal(Checked({ n: 1 }))).toBe("INVALID_PAYLOAD");
      await node.publish(Checked({ n: 2 }));
      expect(seen).toEqual([{ type: "chat.checked", n: 2 }]);
      end();
    }
    await cluster.advance("50ms");
    expect(heard).toEqual([]);
  });

  test("gives the loop back, whoever listens, also on a node that may not act", async () => {
    await using cluster = await start({ nodes: 2 });
    for (const isCutOff of [false, true]) {
      if (isCutOff) cluster.isolate("n1");
      await cluster.advance("900ms");
      expect(cluster.leaseHolds("n1")).toBe(!isCutOff);
      let published = 0;
      const publishing = async (): Promise<void> => {
        for (; published < 100; published++) {
          cluster.block("n1", 1);
          await cluster.node("n1").publish(Said({ from: "n1", n: 1 }));
        }
      };
      const done = publishing();
      await new Promise((resolve) => void setImmediate(resolve));
      expect(published).toBeLessThan(15);
      await cluster.run(done);
    }
  });

  test("refuses everything on a node that has stopped", async () => {
    await using cluster = await start({ nodes: 1 });
    const node = cluster.node("n1");
    await cluster.leave("n1");
    expect(await failureOf(node.publish(Said({ from: "n1", n: 1 })))).toMatchObject({
      code: "CLUSTER_STOPPED",
    });
  });
});

function evenOnly(isLate: boolean) {
  const validate = (value: unknown): unknown => {
    const { n } = value as { n: number };
    const result = n % 2 === 0 ? { value } : { issues: [{ message: "odd", path: ["n"] }] };
    return isLate ? Promise.resolve(result) : result;
  };
  return {
    "~standard": { version: 1, vendor: "test", validate, types: undefined as never as Types },
  } as const;
}
interface Types {
  readonly input: { n: number };
  readonly output: { n: number };
}
