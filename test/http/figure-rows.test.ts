/** Every line that a node can tell Prometheus, and what it says where `prom-client` is missing. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { gateway, type GatewayCluster } from "../../src/http/index.ts";
import type { Figures } from "../../src/index.ts";

const ended = { ok: 1, failed: 2, refused: 3, overloaded: 4, full: 5, limited: 6, expired: 7 };
const traffic = { framesIn: 1, framesOut: 2, bytesIn: 3, bytesOut: 4, itemsIn: 5, itemsOut: 6 };
const FIGURES: Figures = {
  node: "a",
  messages: [
    { entity: "cart", message: "add", ...ended, totalMs: 1_500, took: [1, 0, 2, 0, 0, 0, 0, 7] },
    {
      entity: "",
      message: "ship",
      ...ended,
      ok: 0,
      failed: 0,
      totalMs: 0,
      took: [0, 0, 0, 0, 0, 0, 0, 0],
    },
  ],
  entities: [{ entity: "cart", active: 1, activated: 2, passivated: 3, waiting: 4, running: 5 }],
  handling: 1,
  calls: { inFlight: 1, answered: 2, failed: { CALL_TIMEOUT: 3 } },
  links: [{ node: "b", isUp: false, resent: 7, ...traffic }],
  shards: { owned: 1, underway: 2, finished: 3, failed: 4 },
  store: { reads: 1, writes: 2, conflicts: 3, failed: 4 },
  caches: [{ entity: "cart", hits: 1, misses: 2, entries: 3, bytes: 4 }],
  hotKeys: [{ name: "cart", id: "42", share: 0.5, perSecond: 200, error: 0.1 }],
  openCircuits: [{ node: "b", message: "ship" }],
  health: {
    ready: false,
    joined: true,
    leaseLeftMs: 700,
    oldestMessageMs: 16_000,
    oldestHandoffMs: 2_000,
    eventLoopLagMs: 3,
    stuck: [{ what: 'cart/42: handler "add" has run for 31 s', sinceMs: 31_000 }],
    reasons: ["messages"],
  },
};

const LINES = `
catga_turns_total{entity="cart",message="add",outcome="ok"} 1
catga_turns_total{entity="cart",message="add",outcome="failed"} 2
catga_turns_total{entity="cart",message="add",outcome="refused"} 3
catga_turns_total{entity="cart",message="add",outcome="overloaded"} 4
catga_turns_total{entity="cart",message="add",outcome="full"} 5
catga_turns_total{entity="cart",message="add",outcome="limited"} 6
catga_turns_total{entity="cart",message="add",outcome="expired"} 7
catga_turns_total{entity="",message="ship",outcome="ok"} 0
catga_turns_total{entity="",message="ship",outcome="refused"} 3
catga_turns_total{entity="",message="ship",outcome="overloaded"} 4
catga_turns_total{entity="",message="ship",outcome="full"} 5
catga_turns_total{entity="",message="ship",outcome="limited"} 6
catga_turns_total{entity="",message="ship",outcome="expired"} 7
catga_turn_duration_seconds_bucket{entity="cart",message="add",le="0.001"} 1
catga_turn_duration_seconds_bucket{entity="cart",message="add",le="0.005"} 1
catga_turn_duration_seconds_bucket{entity="cart",message="add",le="0.025"} 3
catga_turn_duration_seconds_bucket{entity="cart",message="add",le="0.1"} 3
catga_turn_duration_seconds_bucket{entity="cart",message="add",le="0.5"} 3
catga_turn_duration_seconds_bucket{entity="cart",message="add",le="2.5"} 3
catga_turn_duration_seconds_bucket{entity="cart",message="add",le="10"} 3
catga_turn_duration_seconds_bucket{entity="cart",message="add",le="+Inf"} 10
catga_turn_duration_seconds_sum{entity="cart",message="add"} 1.5
catga_turn_duration_seconds_count{entity="cart",message="add"} 10
catga_entities{entity="cart"} 1
catga_entities_activated_total{entity="cart"} 2
catga_entities_passivated_total{entity="cart"} 3
catga_messages_waiting{entity="cart"} 4
catga_turns_running{entity="cart"} 5
catga_handlers_running 1
catga_calls_in_flight 1
catga_calls_total{outcome="ok"} 2
catga_calls_total{outcome="CALL_TIMEOUT"} 3
catga_link_up{node="b"} 0
catga_link_frames_received_total{node="b"} 1
catga_link_frames_sent_total{node="b"} 2
catga_link_frames_resent_total{node="b"} 7
catga_link_received_bytes_total{node="b"} 3
catga_link_sent_bytes_total{node="b"} 4
catga_link_items_received_total{node="b"} 5
catga_link_items_sent_total{node="b"} 6
catga_shards 1
catga_shards_moving 2
catga_shard_moves_total 3
catga_shard_moves_failed_total 4
catga_store_reads_total 1
catga_store_writes_total 2
catga_store_conflicts_total 3
catga_store_failures_total 4
catga_cache_hits_total{entity="cart"} 1
catga_cache_misses_total{entity="cart"} 2
catga_cache_entries{entity="cart"} 3
catga_cache_bytes{entity="cart"} 4
catga_hot_key_share{name="cart",id="42"} 0.5
catga_hot_key_share_error{name="cart",id="42"} 0.1
catga_hot_key_messages_per_second{name="cart",id="42"} 200
catga_circuit_open{node="b",message="ship"} 1
catga_ready 0
catga_stuck 1
catga_event_loop_lag_seconds 0.003
catga_lease_left_seconds 0.7
catga_oldest_message_seconds 16
catga_oldest_handoff_seconds 2
`
  .trim()
  .split("\n");

/** The lines of a node with these figures. */
async function linesOf(figures: Figures): Promise<string[]> {
  const node = { nodeId: "a", figures: () => figures, beforeStop: () => () => {} };
  const app = gateway(node as never as GatewayCluster, { expose: [] });
  const text = await (await app.request("/metrics")).text();
  return text.split("\n").filter((line) => /^(?:# \w+ )?catga_/.test(line));
}

test("every figure has its line, its type and a help", async () => {
  const lines = await linesOf(FIGURES);
  expect(lines.filter((line) => !line.startsWith("#"))).toEqual(LINES);
  const names = LINES.map((line) => /^\w+?(?=_bucket|_sum|_count|[{ ])/.exec(line)![0]);
  for (const name of new Set(names)) {
    const kind = name.endsWith("_total") ? "counter" : "gauge";
    const isHistogram = name === "catga_turn_duration_seconds";
    expect(lines).toContain(`# TYPE ${name} ${isHistogram ? "histogram" : kind}`);
    const helps = lines.filter((line) => line.startsWith(`# HELP ${name} `));
    expect(helps.map((line) => line.length > `# HELP ${name} `.length + 2)).toEqual([true]);
  }
});

test("ids are labels of hot keys only", () => {
  const withIds = LINES.filter((line) => /[{,]id=/.test(line) || line.includes("42"));
  expect(withIds.length).toBe(3);
  expect(withIds.every((line) => line.startsWith("catga_hot_key_"))).toBe(true);
});

test("what a node does not have is left out", async () => {
  const health = { ...FIGURES.health, leaseLeftMs: undefined };
  const lines = await linesOf({ ...FIGURES, store: undefined, health });
  expect(lines.filter((line) => /^catga_(?:store|lease)/.test(line))).toEqual([]);
});

test("a scrape reads the figures once, and each one anew", async () => {
  let reads = 0;
  const figures = (): Figures => (reads++, FIGURES);
  const node = { nodeId: "a", figures, beforeStop: () => () => {} };
  const app = gateway(node as never as GatewayCluster, { expose: [] });
  for (const scrapes of [1, 2, 3]) {
    await (await app.request("/metrics")).text();
    expect(reads).toBe(scrapes);
  }
});

test("a node that lacks the package says how to install it", () => {
  const root = join(import.meta.dir, "../..");
  const program = join(root, "node_modules/node/bin/node");
  const command = [join(import.meta.dir, "without-prometheus.ts")];
  const { stdout } = spawnSync(program, command, { cwd: root, encoding: "utf8" });
  const said = 'CatgaError: Cannot tell Prometheus: run "npm install prom-client"';
  expect(JSON.parse(stdout)).toEqual([500, "MISSING_PACKAGE", said]);
}, 30_000);
