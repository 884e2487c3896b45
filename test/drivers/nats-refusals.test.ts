/** NATS servers and options that cannot serve: each is refused by its code, and nothing hangs. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { loadOptional } from "../../src/base/optional.ts";
import { nats } from "../../src/drivers/nats/index.ts";
import { Cluster, command, defineEntity, type ErrorCode, isCatgaError } from "../../src/index.ts";
import {
  adopt,
  askAll,
  join as joinAt,
  stopAll as stopNodes,
  type WitnessNode,
} from "./broker-nodes.ts";
import { brokersAreWanted } from "./broker-process.ts";
import { certificateFor } from "./certificate-files.ts";
import { natsWith } from "./certificates.ts";
import { serve, stopAll } from "./nats-nodes.ts";
import { NatsServer } from "./nats-server.ts";
import { freePort, uniqueName } from "./port.ts";

afterEach(stopAll);

async function codeOf(starting: Promise<WitnessNode>): Promise<ErrorCode | undefined> {
  try {
    adopt(await starting);
  } catch (error) {
    expect(String(error)).not.toContain("hunter2");
    return isCatgaError(error) ? error.code : undefined;
  }
  return undefined;
}

function start(transport: Parameters<typeof Cluster.start>[0]): Promise<WitnessNode> {
  return Cluster.start(transport) as Promise<WitnessNode>;
}

describe.if(brokersAreWanted())("a server that cannot serve", () => {
  let plain: NatsServer;
  beforeAll(async () => {
    plain = await NatsServer.start();
  });
  afterAll(() => plain.stop());

  test("is not there: BROKER_UNREACHABLE", async () => {
    const starting = start(`nats://a:hunter2@127.0.0.1:${await freePort()}`);
    expect(await codeOf(starting)).toBe("BROKER_UNREACHABLE");
  });

  test("wants other credentials, or any: BROKER_REFUSED", async () => {
    const server = await serve('authorization { user: "a", password: "right" }');
    for (const login of ["a:hunter2@", "hunter2@", ""] as const) {
      const starting = start(server.url.replace("//", `//${login}`) as `nats://${string}`);
      expect(await codeOf(starting)).toBe("BROKER_REFUSED");
    }
    for (const options of [
      { servers: server.url, user: "a", pass: "right" },
      { servers: [server.url.replace("//", "//a:right@")] },
    ]) {
      adopt(await start({ transport: nats(options), name: "same" }));
    }
  });

  test("wants a token: BROKER_REFUSED without it, welcome with it", async () => {
    const server = await serve('authorization { token: "hunter2" }');
    expect(await codeOf(start(server.url))).toBe("BROKER_REFUSED");
    adopt(await start(server.url.replace("//", "//hunter2@") as `nats://${string}`));
    adopt(await start({ transport: nats({ servers: server.url, token: "hunter2" }) }));
  });

  test("shows a certificate of nobody: BROKER_UNREACHABLE; with its CA, welcome", async () => {
    const certificate = certificateFor();
    const caFile = certificate.cert;
    const server = await serve(natsWith(certificate));
    const at = server.url.replace("nats://127.0.0.1", "tls://localhost") as `tls://${string}`;
    expect(await codeOf(start(at))).toBe("BROKER_UNREACHABLE");
    // A server that demands TLS gets it, and is checked, whatever the URL says.
    expect(await codeOf(start(server.url))).toBe("BROKER_UNREACHABLE");
    adopt(await start({ transport: nats({ servers: at, tls: { caFile } }), name: "sealed" }));
    const plainly = nats({ servers: plain.url, tls: { caFile } });
    expect(await codeOf(start({ transport: plainly }))).toBe("BROKER_UNREACHABLE");
  });

  test("has no JetStream: BROKER_LACKS", async () => {
    const server = await serve("# no-jetstream");
    expect(await codeOf(start(server.url))).toBe("BROKER_LACKS");
  });

  test("cannot keep replicas: BROKER_TOO_OLD before 2.9.21, else BROKER_LACKS", async () => {
    const transport = nats({ servers: plain.url, replicas: 3 });
    expect(["BROKER_TOO_OLD", "BROKER_LACKS"]).toContain(
      (await codeOf(start({ transport, name: "replicated" }))) ?? "",
    );
  });

  test("has a bucket of this name with other settings: SETTINGS_DIFFER", async () => {
    const client = await connect({ servers: plain.url.slice(7) });
    const manager = await jetstreamManager(client);
    await manager.streams.add({ name: "KV_catga_taken", subjects: ["$KV.catga_taken.>"] });
    expect(await codeOf(start({ transport: plain.url, name: "taken" }))).toBe("SETTINGS_DIFFER");
    await client.close();
  });

  test("hangs: BROKER_UNREACHABLE", async () => {
    const server = await serve();
    await server.kill("SIGSTOP");
    expect(await codeOf(start(server.url))).toBe("BROKER_UNREACHABLE");
    await server.kill("SIGCONT");
  }, 15_000);
});

test.if(brokersAreWanted())("a server of small messages carries large ones in parts", async () => {
  const server = await serve("max_payload: 16384");
  const Echo = defineEntity("echo", {
    messages: { echo: command<{ text: string }, string>() },
    state: () => ({}),
    handlers: { echo: (_, { text }) => text },
  });
  const where = { transport: server.url, name: "small", shardCount: 8 } as const;
  const host = await Cluster.start({ ...where, entities: [Echo] });
  const caller = await Cluster.start(where);
  const text = "\u{1f6eb}".repeat(100_000);
  expect(await caller.entity(Echo, "one").send({ type: "echo", text })).toBe(text);
  await Promise.all([caller.stop(), host.stop()]);
});

describe.if(brokersAreWanted())("a connection of one's own", () => {
  test("serves several nodes, and is never closed", async () => {
    const server = await serve();
    const connection = await connect({ servers: server.url.slice(7) });
    const name = uniqueName("own");
    const nodes: WitnessNode[] = [];
    for (const nodeId of ["a", "b"]) {
      const place = { transport: nats({ connection }), name };
      nodes.push(await joinAt(place, nodeId));
    }
    await askAll(nodes[1]!);
    await stopNodes();
    expect(connection.isClosed()).toBe(false);
    await connection.close();
    const again = nats({ connection });
    expect(await codeOf(Cluster.start({ transport: again, name }) as never)).toBe(
      "BROKER_UNREACHABLE",
    );
  }, 20_000);
});

test("options that make no sense are refused", () => {
  const wrong: readonly [unknown, string][] = [
    [{ server: "nats://a" }, "server"],
    [{ prefix: "a.b" }, "prefix"],
    [{ prefix: "a b\r\nPUB x 0" }, "prefix"],
    [{ replicas: 0 }, "replicas"],
    [{ servers: [] }, "empty"],
    ["http://hunter2@a", "nats://host:port"],
  ];
  for (const [options, said] of wrong) {
    expect(() => nats(options as never)).toThrow(said);
    expect(() => nats(options as never)).not.toThrow("hunter2");
  }
});

test("a client package that is not installed is named, with the command", async () => {
  const missing = "no-such-package";
  const error: unknown = await loadOptional("a b", () => import(missing)).catch(
    (each: unknown) => each,
  );
  expect(isCatgaError(error, "MISSING_PACKAGE")).toBe(true);
  expect(String(error)).toContain('run "npm install a b"');
  const broken = new Error("broken");
  const failure: unknown = await loadOptional("a", () => Promise.reject(broken)).catch(
    (each: unknown) => each,
  );
  expect(failure).toBe(broken);
});
