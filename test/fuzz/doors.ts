/** What programs and environments write: durations, addresses, lists, names and ids. */
import * as fc from "fast-check";
import { settingsOf } from "../../src/api/options.ts";
import { durationMs } from "../../src/base/duration.ts";
import { DURATION_MS_MAX } from "../../src/base/limits.ts";
import { systemRandom } from "../../src/base/random.ts";
import { readList } from "../../src/drivers/fixed/list.ts";
import { serversOf } from "../../src/drivers/nats/access.ts";
import { nats } from "../../src/drivers/nats/index.ts";
import { redis } from "../../src/drivers/redis/index.ts";
import { checkEntityId, checkName } from "../../src/protocol/ids.ts";
import { textLike, texts, values } from "./inputs.ts";
import { holds, refusing, type Target, targetOf } from "./target.ts";

const durations = targetOf({
  name: "duration",
  inputs: fc.oneof(textLike("10s", "250ms", "1.5h", "2m", "30d"), values, fc.double()),
  open: () => ({ subject: { durationMs } }),
  plant: () => ({ durationMs: (duration) => Number.parseFloat(String(duration)) * 1_000 }),
  check(subject, given: unknown) {
    const found = refusing(() => subject.durationMs(given as never, "timeout"));
    if (found === undefined) return;
    holds(found >= 0 && found <= DURATION_MS_MAX, `${found} is no duration`);
  },
});

const URLS = [
  "nats://a:1 tls://u:p@h:4222 redis://:p@h:1/2 rediss://u:p@[::1]:6379/0".split(" "),
  "tcp://127.0.0.1:5000 memory nats://token@h redis://localhost".split(" "),
].flat();

/** With passwords in them, wherever there is one. */
const addresses = fc.oneof(
  textLike(...URLS),
  fc
    .tuple(fc.constantFrom("nats", "tls", "redis", "rediss", "tcp"), texts, texts)
    .map(([scheme, user, host]) => `${scheme}://${user}:hunter2@${host}`),
);

const urls = targetOf({
  name: "url",
  inputs: addresses,
  open: () => ({ subject: { serversOf } }),
  plant: () => ({ serversOf: ({ servers }) => [new URL(String(servers))] }),
  check(subject, url: string) {
    silent(() => settingsOf({ transport: url as never }, systemRandom));
    silent(() => nats(url));
    silent(() => redis(url));
    const servers = refusing(() => subject.serversOf({ servers: url })) ?? [];
    for (const { protocol, port } of servers) {
      holds(["nats:", "tls:"].includes(protocol), `${protocol} is not of NATS`);
      holds(Number(port) > 0 || port === "0", "a server without a port");
    }
  },
});

/** Refuses as it should, and keeps to itself what was a password. */
function silent(run: () => unknown): void {
  refusing(() => {
    try {
      run();
    } catch (error) {
      holds(!String(error).includes("hunter2"), `a password is told: ${String(error)}`);
      throw error;
    }
  });
}

const LISTED = ["http://node1:5000", "tcp://10.0.0.1:1", "http://[::1]:65535", "http://A.b:80/"];

const lists = targetOf({
  name: "list",
  inputs: fc.oneof(fc.array(fc.oneof(textLike(...LISTED), values), { maxLength: 4 }), values),
  open: () => ({ subject: { readList } }),
  plant: () => ({
    readList: (urls) => urls.map((url) => ({ node: url, host: url, port: 1, address: url })),
  }),
  check(subject, list: unknown) {
    const members = refusing(() => subject.readList(list as string[])) ?? [];
    for (const { node, port, address } of members) {
      holds(port > 0 && port < 65_536, `${port} is no port`);
      holds(/:\d+$/.test(address), `${address} is no address`);
      holds(members.filter((each) => each.node === node).length === 1, `two are called ${node}`);
    }
  },
});

const names = targetOf({
  name: "id",
  inputs: fc.oneof(texts, values, textLike("cart-42", "a.b_c")),
  open: () => ({ subject: { checkEntityId } }),
  plant: () => ({
    checkEntityId: (id): asserts id is string => {
      if (typeof id !== "string" || id === "") checkEntityId(id);
    },
  }),
  check(subject, id: unknown) {
    refusing(() => checkName(id, "name"));
    const isLegal = refusing(() => (subject.checkEntityId(id), true)) === true;
    if (!isLegal) return;
    const text = String(id);
    const bytes = new TextEncoder().encode(text);
    holds(bytes.length > 0 && bytes.length <= 256, `an id has ${bytes.length} bytes`);
    holds(!/\p{Cc}/u.test(text), "an id has a control character");
    holds(new TextDecoder().decode(bytes) === text, "an id is another one in UTF-8");
  },
});

/** See the file's header. */
export const DOOR_TARGETS: readonly Target[] = [durations, urls, lists, names];
