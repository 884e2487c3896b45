import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { gateway } from "../../src/http/index.ts";
import {
  Cluster,
  type ClusterOf,
  command,
  defineCommand,
  defineEntity,
  defineQuery,
  handler,
  query,
  Rejection,
} from "../../src/index.ts";
import { problemOf, refusalOf } from "./served.ts";

const Till = defineEntity("till", {
  messages: {
    add: command<{ n: number }, number>(),
    take: command<{ n: number }, number>(),
    hang: command<void>(),
    total: query<void, number>(),
    slow: query<void, number>({ timeout: "1m" }),
  },
  state: () => ({ total: 0 }),
  handlers: {
    add: (ctx, { n }) => (ctx.state.total += n),
    take(ctx, { n }) {
      if (n > 100) throw new Rejection("TOO_MUCH", { text: "At most 100", status: 422 });
      if (n > ctx.state.total) throw new Rejection("INSUFFICIENT");
      return (ctx.state.total -= n);
    },
    hang: () => new Promise<void>(() => {}),
    total: (ctx) => ctx.state.total,
    slow: (ctx) => ctx.state.total,
  },
});
const Double = defineQuery<{ n: number }, number>("double");
const Note = defineCommand<{ text: string }>("note");
const Pay = defineCommand<{ text: string }>("pay", { idempotency: { key: "text", window: 1_000 } });
const Hold = defineCommand<{ text: string }>("hold", {
  route: { strategy: "consistentHash", key: "text" },
});
const Who = defineCommand<void, string>("who", { route: { strategy: "broadcast" } });
const Refuse = defineCommand("refuse");

let cluster: ClusterOf<typeof Till>;
let app: ReturnType<typeof gateway>;
const notes: string[] = [];
beforeAll(async () => {
  cluster = await Cluster.start({
    transport: "memory",
    entities: [Till],
    handlers: [
      handler(Double, ({ n }) => n * 2),
      handler(Note, ({ text }) => void notes.push(text)),
      handler(Pay, ({ text }) => void notes.push(text)),
      handler(Hold, ({ text }) => void notes.push(text)),
      handler(Who, (_, ctx) => ctx.node),
      handler(Refuse, () => {
        throw new Rejection("NOT_TODAY");
      }),
    ],
  });
  app = gateway(cluster, { expose: [Till, Double, Note, Pay, Hold, Who, Refuse], auth });
});
afterAll(() => cluster.stop({ deadline: 100 }));

function auth(request: Request): { subject: string } | undefined {
  const subject = request.headers.get("X-User") ?? "ada";
  return subject === "nobody" ? undefined : { subject };
}

function add(headers: Record<string, string>) {
  return post("/entities/till/keys/add", { n: 1 }, { "Idempotency-Key": '"k"', ...headers });
}

function total(headers = {}) {
  return app.request("/entities/till/4/total", { headers });
}

function fails(): never {
  throw new Error("the password is hunter2");
}

function post(path: string, body: unknown, headers: Record<string, string> = {}) {
  return app.request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
}

describe("Idempotency-Key", () => {
  test("makes the same command run once, for one who asks", async () => {
    const answers = [await add({}), await add({}), await add({ "Idempotency-Key": "k" })];
    expect(await Promise.all(answers.map((each) => each.json()))).toEqual([1, 1, 1]);
    const other = await add({ "X-User": "bob" });
    expect(await other.json()).toBe(2);
  });
  test.each(["", '""', '"a', "a\u00e4", `"${"k".repeat(129)}"`])("%p is refused", async (key) => {
    const answer = await post("/entities/till/bad/add", { n: 1 }, { "Idempotency-Key": key });
    expect(await refusalOf(answer)).toEqual([400, "MALFORMED"]);
    expect(await cluster.entity("till", "bad").send({ type: "total" })).toBe(0);
  });
});

describe("an Idempotency-Key that nobody would remember", () => {
  test.each(["note", "who"])("is refused before %s runs", async (name) => {
    const before = notes.length;
    for (const prefer of ["wait=1", "respond-async"]) {
      const headers = { "Idempotency-Key": '"k"', Prefer: prefer };
      const answer = await post(`/messages/${name}`, { text: "keyed" }, headers);
      expect(answer.status).toBe(400);
      expect(await problemOf(answer)).toMatchObject({
        code: "MALFORMED",
        detail: expect.stringMatching(/"Idempotency-Key": nobody would remember it/),
      });
    }
    expect(notes.length).toBe(before);
  });
  test("is one that a message with a window, or a route by key, takes", async () => {
    for (const name of ["pay", "hold"]) {
      const headers = { "Idempotency-Key": '"k"' };
      for (let sends = 0; sends < 2; sends++) {
        const answer = await post(`/messages/${name}`, { text: name }, headers);
        expect(answer.status).toBe(204);
      }
    }
    expect(notes.splice(0)).toEqual(["pay", "hold"]);
  });
  test("does not matter to a query", async () => {
    const answer = await post("/messages/double", { n: 2 }, { "Idempotency-Key": "k" });
    expect(await answer.json()).toBe(4);
  });
});

describe("Request-Timeout-Ms", () => {
  test("ends a call that takes longer", async () => {
    const answer = await post("/entities/till/1/hang", undefined, { "Request-Timeout-Ms": "20" });
    expect(await refusalOf(answer)).toEqual([504, "CALL_TIMEOUT"]);
  });
  test.each([
    ["GET", "/entities/till/1/total", undefined, { retries: 3, within: 30_000 }],
    ["GET", "/entities/till/1/total", "500", { retries: 3, timeout: 500, within: 500 }],
    ["GET", "/entities/till/1/slow", undefined, { retries: 3, within: 60_000 }],
    ["POST", "/entities/till/1/hang", "500", { timeout: 500 }],
    ["POST", "/entities/till/1/hang", undefined, {}],
    ["GET", "/messages/double?n=1", "99999", { retries: 3, timeout: 30_000, within: 30_000 }],
  ])("bounds all tries of %s %s under %p", async (method, path, ms, bounds) => {
    let given: object = {};
    const send = (_: object, options: object): Promise<number> => {
      given = options;
      return Promise.resolve(1);
    };
    const ref = { send };
    const edge = gateway({ ...cluster, send, entity: () => ref } as never, {
      expose: [Till, Double],
    });
    const headers = ms === undefined ? undefined : { "Request-Timeout-Ms": ms };
    const answer = await edge.request(path, { method, ...(headers && { headers }) });
    expect(answer.status).toBe(200);
    const { signal: _, trace: __, ...rest } = given as Record<string, unknown>;
    expect(rest).toEqual(bounds);
  });
  test.each(["0", "-1", "1e3", "soon", "99999999999"])("%p is refused", async (text) => {
    const headers = { "Request-Timeout-Ms": text };
    const answer = await post("/entities/till/2/add", { n: 1 }, headers);
    expect(await refusalOf(answer)).toEqual([400, "MALFORMED"]);
  });
});

describe("a rejection", () => {
  test("has its own code, and 409 unless it names a status", async () => {
    const answer = await post("/entities/till/3/take", { n: 5 });
    expect(answer.status).toBe(409);
    const problem = await problemOf(answer);
    expect(problem).toMatchObject({ code: "INSUFFICIENT", title: "Rejected", retryable: false });
    const much = await problemOf(await post("/entities/till/3/take", { n: 500 }));
    expect(much).toMatchObject({ code: "TOO_MUCH", status: 422 });
    expect(much.detail).toEndWith("At most 100");
    expect(await refusalOf(await post("/messages/refuse", undefined))).toEqual([409, "NOT_TODAY"]);
  });
  test("must be in capitals, with the status of a refusal", () => {
    expect(() => new Rejection("no")).toThrow(TypeError);
    expect(() => new Rejection("NO", { status: 500 })).toThrow(TypeError);
  });
});

describe("a query", () => {
  test("has an ETag, and whoever names it is told that nothing has changed", async () => {
    const first = await total();
    const tag = first.headers.get("ETag") ?? "";
    expect(first.headers.get("Cache-Control")).toBe("private, no-cache");
    const again = await total({ "If-None-Match": tag });
    expect([again.status, await again.text()]).toEqual([304, ""]);
    await post("/entities/till/4/add", { n: 3 });
    const changed = await total({ "If-None-Match": tag });
    expect([changed.status, await changed.json()]).toEqual([200, 3]);
  });
});

describe("messages with a name of their own", () => {
  test("are sent, told, asked and broadcast", async () => {
    expect(await (await post("/messages/double", { n: 4 })).json()).toBe(8);
    expect((await post("/messages/note", { text: "a" })).status).toBe(204);
    const told = await post("/messages/note", { text: "b" }, { Prefer: "respond-async" });
    expect([told.status, notes]).toEqual([202, ["a", "b"]]);
    const asked = await app.request('/messages/double?payload={"n":5}');
    expect([await asked.json(), asked.headers.has("ETag")]).toEqual([10, true]);
    const everybody = await post("/messages/who", undefined);
    const { nodeId: node } = cluster;
    expect(await everybody.json()).toEqual([{ node, ok: true, reply: node }]);
  });
  test("are found by their own names only, with the right method", async () => {
    for (const name of ["constructor", "DOUBLE", "nope", "@double"]) {
      expect(await refusalOf(await post(`/messages/${name}`, {}))).toEqual([
        404,
        "UNKNOWN_MESSAGE",
      ]);
    }
    const got = await app.request("/messages/note?text=a");
    expect(got.headers.get("Allow")).toBe("POST");
    expect(await refusalOf(got)).toEqual([405, "MALFORMED"]);
  });
});

describe("who may do what", () => {
  test("nobody that is not known gets anything but health", async () => {
    const headers = { "X-User": "nobody" };
    for (const path of ["/cluster/nodes", "/entities/till/1/total", "/nope", "/messages/double"]) {
      const answer = await app.request(path, { headers });
      expect(answer.headers.get("WWW-Authenticate")).toBe("Bearer");
      expect(await refusalOf(answer)).toEqual([401, "UNAUTHENTICATED"]);
    }
    expect((await app.request("/healthz/live", { headers })).status).toBe(200);
  });
  test("authorize says who may do what, and only true is yes", async () => {
    const asked: object[] = [];
    const answers: unknown[] = [true, false, 1, undefined];
    const authorize = (identity: object, access: object): boolean => {
      asked.push({ ...identity, ...access });
      return answers.shift() as boolean;
    };
    const guarded = gateway(cluster, { expose: [Till], auth, authorize });
    const statuses: number[] = [];
    for (let i = 0; i < 4; i++) {
      statuses.push((await guarded.request("/entities/till/9/total")).status);
    }
    expect(statuses).toEqual([200, 403, 403, 403]);
    expect(asked[0]).toEqual({
      subject: "ada",
      action: "query",
      entity: "till",
      id: "9",
      message: "total",
    });
    expect(() => gateway(cluster, { expose: [], authorize: () => true })).toThrow(TypeError);
  });
  test("one that throws has said no", async () => {
    const guarded = gateway(cluster, { expose: [Till], auth, authorize: fails });
    const answer = await guarded.request("/entities/till/9/total");
    expect(await refusalOf(answer)).toEqual([403, "FORBIDDEN"]);
  });
});
