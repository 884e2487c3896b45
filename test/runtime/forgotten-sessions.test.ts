/** Sessions that give their keys to others while nodes race for them, or cannot hear of it. */
import { expect, test } from "bun:test";
import { type NodeCluster, startNode } from "../../src/api/cluster.ts";
import { SESSION_FORGOTTEN_MS } from "../../src/base/limits.ts";
import { sessionOf } from "../../src/protocol/records.ts";
import { AUTHORITY, Simulation } from "../../src/testing/driver.ts";
import { World } from "../../src/testing/world.ts";

const WAIT_MS_MAX = 60_000;

/** A cluster of callers, whose authority forgets all sessions but the last one that was over. */
class Callers {
  readonly world = new World(1);
  readonly simulation = new Simulation(this.world);
  readonly #nodes = new Map<string, NodeCluster>();
  #aheadMs = 0;

  async join(...names: readonly string[]): Promise<void> {
    const starting = names.map(async (nodeId) => {
      this.world.jumpWall(nodeId, this.#aheadMs);
      const place = { clock: this.world.clockOf(nodeId), random: this.world, sessionsKept: 1 };
      const options = { nodeId, transport: this.simulation, heartbeat: "relaxed" } as const;
      this.#nodes.set(nodeId, await startNode(options, place));
    });
    await this.world.until(Promise.all(starting), WAIT_MS_MAX);
  }

  node(name: string): NodeCluster {
    return this.#nodes.get(name)!;
  }

  async leave(...names: readonly string[]): Promise<void> {
    const ends = Promise.all(names.map((name) => this.node(name).stop()));
    await this.world.until(ends, WAIT_MS_MAX);
    for (const name of names) this.#nodes.delete(name);
  }

  passDay(): void {
    this.#aheadMs += SESSION_FORGOTTEN_MS + 1;
    for (const name of this.#nodes.keys()) {
      this.world.jumpWall(name, SESSION_FORGOTTEN_MS + 1);
    }
  }

  /** Whose session stands under the key of whom, by their names. */
  keys(): Record<string, string> {
    const sessions = this.simulation.backup().filter(({ key }) => key.startsWith("n."));
    const names = sessions.map((each) => [nameOf(each.key.slice(2)), nameOf(sessionOf(each)!)]);
    return Object.fromEntries(names) as Record<string, string>;
  }
}

test("of nodes that want the same key one has it, and the others take other ones", async () => {
  const callers = new Callers();
  await callers.join("a", "b", "c");
  await callers.leave("a");
  await callers.leave("b");
  await callers.leave("c");
  await callers.join("d");
  expect(callers.keys()).toEqual({ a: "a", b: "b", c: "c", d: "d" });
  callers.passDay();
  await callers.join("e", "f", "g");
  const { a, b, c, d, ...others } = callers.keys();
  expect({ c, d }).toEqual({ c: "c", d: "d" });
  const [[own, third] = []] = Object.entries(others);
  expect(own).toBe(third);
  expect(new Set([a, b, third])).toEqual(new Set(["e", "f", "g"]));
  expect(callers.node("d").nodes.map(({ node }) => node)).toEqual(["d", "e", "f", "g"]);
});

test("who missed that a session was over hears of its end before its key's next one", async () => {
  const callers = new Callers();
  await callers.join("a", "b");
  const news: string[] = [];
  callers.node("b").on("node-joined", ({ node }) => news.push(`${node} joined`));
  callers.node("b").on("node-left", ({ node, reason }) => news.push(`${node} ${reason}`));
  callers.simulation.cut("b", AUTHORITY);
  await callers.leave("a");
  await callers.join("c");
  await callers.leave("c");
  callers.passDay();
  await callers.join("d");
  expect(callers.keys()).toEqual({ a: "d", b: "b", c: "c" });
  expect(news).toEqual([]);
  callers.simulation.heal();
  await callers.world.advance(100);
  expect(news).toEqual(["a failed", "d joined"]);
  expect(callers.node("b").nodes.map(({ node }) => node)).toEqual(["b", "d"]);
});

function nameOf(incarnation: string): string {
  return incarnation.slice(0, incarnation.indexOf("."));
}
