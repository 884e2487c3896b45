/** How the life of an embedded node ends: in time, leaving nothing behind, and for good. */
import { afterEach, describe, expect, test } from "bun:test";
import { embedded } from "../../src/drivers/embedded/index.ts";
import type { Snapshot } from "../../src/ports/authority.ts";
import type { SessionRecord } from "../../src/protocol/records.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { connectPorts } from "./fixtures.ts";
import { meeting, sees, serves, spread, start, stopAll } from "./nodes.ts";
import { isFree } from "./port.ts";
import { RawConnection } from "./raw.ts";
import { Target } from "./target.ts";

afterEach(stopAll);

describe("stop()", () => {
  test("ends in time although callers do not hang up", async () => {
    const target = await Target.start();
    const { hub, link } = target.ports;
    const callers = [
      await target.introduced("link"),
      await target.introduced("authority"),
      new RawConnection(hub),
      new RawConnection(link),
    ];
    for (const caller of callers.slice(2)) await caller.frame();
    let hasStopped = false;
    const stopping = target.node.stop({ deadline: 500 }).then(() => (hasStopped = true));
    try {
      await waitUntil("it has stopped", () => hasStopped, { timeoutMs: 2_000 });
    } finally {
      for (const caller of callers) caller.close();
      await stopping;
    }
    for (const port of [hub, link]) await waitUntil("its ports are free", () => isFree(port));
  });

  test("does not wait for callers that are no nodes", async () => {
    const target = await Target.start();
    const caller = await target.introduced("link");
    await target.answers(caller, 1, "answered");
    const beganMs = performance.now();
    await target.node.stop({ deadline: "4s" });
    expect(performance.now() - beganMs).toBeLessThan(2_000);
  });
});

test("a node whose session others have ended takes no calls: UNAVAILABLE", async () => {
  const at = await meeting();
  const first = await start(at, { nodeId: "first" });
  const second = await start(at, { nodeId: "second" });
  await spread([first, second]);
  const { authority } = await connectPorts(embedded({ port: at.port }), at.options.name);
  const snapshot = await authority.open({ changed() {}, resynced() {}, lost() {} });
  const { key, revision, value } = sessionOf(snapshot, "second");
  const dead = { key, expected: revision, value: { ...value, state: "dead" }, operation: "murder" };
  expect((await authority.casMany([dead as never]))[0]).toMatchObject({ ok: true });
  await sees(first, ["first"]);
  const call = (): Promise<unknown> => second.entity("counter", "1").send({ type: "count" });
  const code = async (): Promise<unknown> => call().catch((error: { code?: string }) => error.code);
  await waitUntil("it is refused", async () => (await code()) === "UNAVAILABLE");
  await serves(first);
  await authority.close();
});

function sessionOf(
  { entries }: Snapshot,
  node: string,
): { key: string; revision: number; value: SessionRecord } {
  for (const { key, revision, value } of entries) {
    const session = value as SessionRecord;
    if (key.startsWith("n.") && session.node === node) return { key, revision, value: session };
  }
  throw new Error(`There is no session of ${node}`);
}
