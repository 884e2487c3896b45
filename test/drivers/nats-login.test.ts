/** The ways to prove to a NATS server who one is, each with what happens without it. */
import { afterEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { nkeys } from "@nats-io/transport-node";
import { nats, type NatsOptions } from "../../src/drivers/nats/index.ts";
import { Cluster, isCatgaError } from "../../src/index.ts";
import { adopt, keepingLog } from "./broker-nodes.ts";
import { brokersAreWanted } from "./broker-process.ts";
import { openBucket } from "./fixtures.ts";
import { temporaryFolder } from "./folders.ts";
import { serve, stopAll } from "./nats-nodes.ts";
import { uniqueName } from "./port.ts";

afterEach(stopAll);

type KeyPair = ReturnType<typeof nkeys.createUser>;

/** `joined`, or the code of the error and its text. */
async function outcomeOf(options: NatsOptions): Promise<string> {
  const name = uniqueName("login");
  const transport = nats(options);
  const log = keepingLog();
  try {
    await openBucket(transport, name);
    adopt(await Cluster.start({ transport, name, log }));
    return "joined";
  } catch (error) {
    expect([inspect(error, { depth: 20 }), ...log.lines].join(" ")).not.toContain("hunter2");
    return isCatgaError(error) ? `${error.code}: ${error.message}` : `no code: ${String(error)}`;
  }
}

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString("base64url");
}

/** A signed statement of `issuer` about `subject`, as NATS has them. */
function claim(issuer: KeyPair, subject: KeyPair, grant: object): string {
  const [iss, sub] = [issuer, subject].map((pair) => pair.getPublicKey());
  const times = { jti: uniqueName("claim"), iat: Math.floor(Date.now() / 1_000) };
  const body = { ...times, iss, sub, name: "test", nats: { version: 2, ...grant } };
  const signed = `${encoded({ typ: "JWT", alg: "ed25519-nkey" })}.${encoded(body)}`;
  const signature = issuer.sign(new TextEncoder().encode(signed));
  return `${signed}.${Buffer.from(signature).toString("base64url")}`;
}

/** An operator, one account that may use JetStream, and a credentials file of one of its users. */
function hierarchy(): {
  readonly config: string;
  readonly credentials: (signer?: KeyPair) => string;
} {
  const [operator, account, system] = [
    nkeys.createOperator(),
    nkeys.createAccount(),
    nkeys.createAccount(),
  ];
  const free = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, conn: -1, leaf: -1 };
  const storage = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
  const limits = { ...free, wildcards: true, ...storage };
  const accounts = [
    [account, claim(operator, account, { type: "account", limits })],
    [system, claim(operator, system, { type: "account", limits: { ...free, wildcards: true } })],
  ] as const;
  const known = accounts.map(([pair, jwt]) => `${pair.getPublicKey()}: "${jwt}"`).join("\n");
  return {
    config:
      `operator: "${claim(operator, operator, { type: "operator" })}"\n` +
      `system_account: ${system.getPublicKey()}\n` +
      `resolver: MEMORY\nresolver_preload: {\n${known}\n}\n`,
    credentials(signer = account) {
      const user = nkeys.createUser();
      const jwt = claim(signer, user, { type: "user", subs: -1, data: -1, payload: -1 });
      const seed = new TextDecoder().decode(user.getSeed());
      return fileOf(
        `-----BEGIN NATS USER JWT-----\n${jwt}\n------END NATS USER JWT------\n\n` +
          `-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`,
      );
    },
  };
}

function fileOf(text: string): string {
  const path = join(temporaryFolder("creds"), "node.creds");
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

describe.if(brokersAreWanted())("a server that asks for", () => {
  test("a credentials file takes its users, and nobody else", async () => {
    const { config, credentials } = hierarchy();
    const { url: servers } = await serve(config);
    expect(await outcomeOf({ servers, credentials: credentials() })).toBe("joined");
    expect(await outcomeOf({ servers })).toStartWith("BROKER_REFUSED");
    const stranger = nkeys.createAccount();
    expect(await outcomeOf({ servers, credentials: credentials(stranger) })).toStartWith(
      "BROKER_REFUSED",
    );
  });

  test("a file that is not there, or is none: the reason names it", async () => {
    const { url: servers } = await serve(hierarchy().config);
    const missing = await outcomeOf({ servers, credentials: "/nowhere/node.creds" });
    expect(missing).toStartWith("BROKER_REFUSED");
    expect(missing).toContain("/nowhere/node.creds");
    const broken = await outcomeOf({ servers, credentials: fileOf("hunter2") });
    expect(broken).toStartWith("BROKER_REFUSED");
    expect(broken).toContain("unable to parse credentials");
  });

  test("a user and a password, by options, and by the URL", async () => {
    const { url: servers } = await serve('authorization { user: "a b", password: "p@ss:/w" }');
    expect(await outcomeOf({ servers, user: "a b", pass: "p@ss:/w" })).toBe("joined");
    const written = servers.replace("//", "//a%20b:p%40ss%3A%2Fw@");
    expect(await outcomeOf({ servers: written })).toBe("joined");
    const wrong = { servers, user: "a b", pass: "hunter2" };
    expect(await outcomeOf(wrong)).toStartWith("BROKER_REFUSED");
    expect(await outcomeOf({ servers, user: "a b" })).toStartWith("BROKER_REFUSED");
  });

  test("a token, by options, and by the URL", async () => {
    const { url: servers } = await serve('authorization { token: "s3cret" }');
    expect(await outcomeOf({ servers, token: "s3cret" })).toBe("joined");
    expect(await outcomeOf({ servers: servers.replace("//", "//s3cret@") })).toBe("joined");
    expect(await outcomeOf({ servers, token: "hunter2" })).toStartWith("BROKER_REFUSED");
  });
});
