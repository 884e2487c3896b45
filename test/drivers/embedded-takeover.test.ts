/** A way to the hub that is cut at a bad moment: nobody hangs, nobody dies of it. */
import { afterEach, expect, test } from "bun:test";
import { rejects } from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { createConnection, createServer, type Socket } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { silentLogger } from "../../src/base/logger.ts";
import { HubAuthority } from "../../src/drivers/embedded/authority.ts";
import { embedded } from "../../src/drivers/embedded/index.ts";
import { Register } from "../../src/drivers/embedded/register.ts";
import { runtimeFolder } from "../../src/drivers/embedded/secret.ts";
import { Wire } from "../../src/drivers/tcp/wire.ts";
import type { Snapshot } from "../../src/ports/authority.ts";
import { FakeClock } from "../base/fake-clock.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { connectPorts, SECRET } from "./fixtures.ts";
import { type Meeting, meeting, sees, serves, start, stopAll } from "./nodes.ts";
import { isFree } from "./port.ts";
import { foreignServer } from "./raw.ts";

afterEach(stopAll);

const DEAF = { changed() {}, resynced() {}, lost() {} };

function registerOf({ port, options }: Meeting): string {
  return join(runtimeFolder(), `${options.name}-${port}`);
}

/** Two ends of a connection; the second hangs up when it likes to. */
async function connected(): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  const accepted = new Promise<Socket>((resolve) => server.once("connection", resolve));
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  const socket = createConnection({ host: "127.0.0.1", port });
  const other = await accepted;
  server.close();
  for (const end of [socket, other]) end.on("error", () => {});
  return [socket, other];
}

test("nodes outlive a hub that takes a lease to open, because a process is silent", async () => {
  const at = await meeting();
  const hub = await start(at, { nodeId: "hub", heartbeat: "fast" });
  const patient = await start(at, { nodeId: "patient", heartbeat: "normal" });
  const hasty = await start(at, { nodeId: "hasty", heartbeat: "fast" });
  await sees(hasty, ["hasty", "hub", "patient"]);
  const ghost = join(registerOf(at), "ghost");
  writeFileSync(ghost, `${process.pid}`);
  await hub.stop();
  await waitUntil("the new hub is open", () => !existsSync(ghost));
  for (const node of [patient, hasty]) {
    await serves(node);
    await sees(node, ["hasty", "patient"]);
  }
}, 15_000);

test("a node that is closed while it joins leaves no hub behind", async () => {
  const at = await meeting();
  const { authority } = await connectPorts(embedded({ port: at.port }), at.options.name);
  const opening = authority.open(DEAF).then(
    () => "open",
    (error: Error) => error.message,
  );
  await authority.close();
  expect(await opening).toContain("Cannot join");
  expect(await isFree(at.port)).toBe(true);
  expect(existsSync(join(registerOf(at), "node"))).toBe(false);
});

test("nothing is carried out for the node of the hub when it has closed", async () => {
  const at = await meeting();
  const { authority } = await connectPorts(embedded({ port: at.port }), at.options.name);
  await authority.open(DEAF);
  await authority.close();
  await rejects(authority.casMany([]));
});

test("a hub that goes away and hangs up is no stranger: the node takes its place", async () => {
  const at = await meeting();
  let calls = 0;
  const close = await foreignServer(at.port, (socket) => {
    calls++;
    socket.end();
  });
  const starting = start(at);
  await waitUntil("it has tried again", () => calls > 3);
  await close();
  await serves(await starting);
});

test("a member waits longer than a newcomer for whoever holds the port", async () => {
  const at = await meeting();
  const driver = embedded({ port: at.port });
  const hub = (await connectPorts(driver, at.options.name)).authority;
  await hub.open(DEAF);
  const clock = new FakeClock(1_000_000);
  const { name: cluster } = at.options;
  const who = { cluster, secret: SECRET, log: silentLogger, incarnation: "member.1" };
  const register = new Register(registerOf(at), who.incarnation, 1_000);
  const member = new HubAuthority({ ...who, port: at.port, clock, leaseMs: 1_000, register });
  const heard: (Snapshot | Error)[] = [];
  const resynced = (snapshot: Snapshot): void => void heard.push(snapshot);
  const { generation } = await member.open({
    changed() {},
    resynced,
    lost: (error) => heard.push(error),
  });
  let calls = 0;
  await hub.close();
  const close = await foreignServer(at.port, (socket) => {
    calls++;
    socket.end();
  });
  for (let n = 1; n <= 4; n++) {
    await waitUntil(`it has called ${n} times`, () => {
      clock.advance(5);
      return calls >= n;
    });
    clock.advance(500);
  }
  await close();
  await waitUntil("it is served again", () => {
    clock.advance(5);
    return heard.length > 0;
  });
  expect(heard).toMatchObject([{ generation }]);
  await member.close();
});

test("a connection that has ended tells who asks late, and reads nothing", async () => {
  const [here, there] = await connected();
  const wire = new Wire(here);
  there.destroy();
  await new Promise<void>((resolve) => wire.onClose(() => resolve()));
  await new Promise<void>((resolve) => wire.onClose(() => resolve()));
  await rejects(wire.read());
});

test("who is hung up on and talks on for ever loses the connection", async () => {
  const [here, there] = await connected();
  const wire = new Wire(here);
  const talk = (): void => {
    if (!there.destroyed && there.write(".")) setTimeout(talk, 1);
  };
  talk();
  wire.hangUp();
  await waitUntil("the connection is closed", () => here.closed);
  there.destroy();
});
