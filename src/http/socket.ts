/**
 * Sends, tells and watches over one connection: a WebSocket whose messages are JSON texts.
 *
 *   GET /socket
 *
 *   → { "id": 1, "send": { "entity": "room", "id": "lobby", "type": "join", "payload": { … } } }
 *   ← { "id": 1, "ok": true, "reply": … }                      no `reply` where there is none
 *   → { "id": 2, "tell": { "type": "orders.place", "payload": { … }, "key": "k-1" } }
 *   ← { "id": 2, "ok": false, "problem": { "code": "OVERLOADED", "status": 429, … } }
 *   → { "id": 3, "watch": { "entity": "room", "id": "lobby", "after": "…" } }
 *   ← { "id": 3, "ok": true }, then { "id": 3, "push": { "id": "…", "message": { … } } }
 *   → { "id": 4, "unwatch": 3 }
 *
 * `id` is a number of the caller's, which nothing else under way on this connection has. What is
 * sent or told goes through the routes of the gateway, with the headers that the connection came
 * with: so it may do what they may, under the same limits, and fails with the same problems.
 * `timeoutMs` and `key` are what the headers Request-Timeout-Ms and Idempotency-Key are there.
 */
import type { Context, Hono, MiddlewareHandler } from "hono";
import type { WSContext } from "hono/ws";
import { CatgaError } from "../index.ts";
import { wrongMethod } from "./answer.ts";
import { type Edge, guard, type Told } from "./edge.ts";
import type { Places } from "./places.ts";
import { answerError, Refusal } from "./problem.ts";

/** How a runtime makes a request a WebSocket: the `upgradeWebSocket` of any of them. */
export type Upgrade = (createEvents: (c: Context) => SocketEvents) => MiddlewareHandler;

/** What is heard of a WebSocket, whatever it is made of. */
export interface SocketEvents {
  readonly onOpen: (event: unknown, ws: WSContext) => void;
  readonly onMessage: (event: { readonly data: unknown }, ws: WSContext) => void;
  readonly onClose: () => void;
  readonly onError: () => void;
}

/** Calls of one connection under way: with more, one page has a whole node for itself. */
const CALLS_MAX = 64;
/** Watches of one connection: a page shows less, and each is one look-up a push. */
const WATCHES_MAX = 100;
/** Bytes that may wait for one who reads too slowly, before he is cut off. */
const UNREAD_BYTES_MAX = 1_048_576;
/** Why a connection ends: RFC 6455, section 7.4.1, and for 1012 and 1013 its registry at IANA. */
const CLOSED = { notText: 1003, restart: 1012, tryLater: 1013 };

const PATH = "/socket";
/** Of the request that the connection came with, not of what is sent on it. */
const NOT_PASSED_ON = new RegExp(
  "^(?:connection|upgrade|host|content-.*|sec-websocket-.*|transfer-encoding|" +
    "idempotency-key|if-.*|prefer|request-timeout-ms|x-request-id)$",
);

interface Way {
  readonly upgrade: Upgrade;
  /** A socket takes one, as a stream does. */
  readonly places: Places;
}

/** Adds the route. */
export function addSocketRoute(app: Hono<Told>, edge: Edge, { upgrade, places }: Way): void {
  app.get(
    PATH,
    upgrade((c) => new Connection(app, edge, c).events(places)),
    (c) => {
      c.header("Upgrade", "websocket");
      const details = { what: "request", reason: "it is to become a WebSocket" };
      throw new Refusal(new CatgaError("MALFORMED", details), 426);
    },
  );
  app.all(PATH, (c) => {
    throw wrongMethod(c, "GET");
  });
}

/** A message of the other side. */
interface Asked {
  readonly id?: unknown;
  readonly send?: unknown;
  readonly tell?: unknown;
  readonly watch?: unknown;
  readonly unwatch?: unknown;
}

type Fields = Readonly<Record<string, unknown>>;

/** A watch, which may not have begun yet. */
interface Watch {
  end?: () => void;
}

/** One connection. */
class Connection {
  readonly #app: Hono<Told>;
  readonly #edge: Edge;
  readonly #c: Context<Told>;
  readonly #closed = new AbortController();
  readonly #calls = new Set<number>();
  readonly #watches = new Map<number, Watch>();
  #ws: WSContext | undefined;
  #release = (): void => {};

  constructor(app: Hono<Told>, edge: Edge, c: Context<Told>) {
    this.#app = app;
    this.#edge = edge;
    this.#c = c;
  }

  events(places: Places): SocketEvents {
    let leave: (() => void) | undefined;
    const onClose = (): void => {
      this.#closed.abort();
      for (const watch of this.#watches.values()) watch.end?.();
      this.#release();
      leave?.();
      leave = undefined;
    };
    return {
      onOpen: (_, ws) => {
        try {
          leave = places.take(this.#c.get("identity")?.subject);
        } catch (error) {
          return ws.close(CLOSED.tryLater, (error as CatgaError).message);
        }
        this.#ws = ws;
        this.#release = this.#edge.drain.hold(() => this.#leave());
      },
      onMessage: ({ data }, ws) => {
        // There was no place for it.
        if (this.#ws === undefined) return;
        if (typeof data !== "string") return ws.close(CLOSED.notText, "write JSON");
        // It reports by itself whatever fails.
        this.#heard(data).catch(() => ws.close());
      },
      onClose,
      onError: onClose,
    };
  }

  async #heard(text: string): Promise<void> {
    let id: number | null = null;
    try {
      const asked = parse(text);
      id = this.#numberOf(asked);
      this.#say(id, await this.#carryOut(id, asked));
    } catch (error) {
      const problem = await answerError(error as Error, this.#c, this.#edge.log).text();
      this.#say(id, `"ok":false,"problem":${problem}`);
    }
    if (id !== null) this.#calls.delete(id);
    if (this.#edge.drain.isDraining) this.#leave();
  }

  /** Ends when everything that was taken is answered; nobody waits for the other side's word. */
  #leave(): void {
    if (this.#calls.size > 0) return;
    this.#ws?.close(CLOSED.restart, "the node leaves");
    this.#release();
  }

  /** The fields of the answer, as JSON. */
  async #carryOut(id: number, { send, tell, watch, unwatch }: Asked): Promise<string> {
    if (watch !== undefined) return this.#watch(id, fieldsOf(watch, "watch"));
    if (unwatch !== undefined) return this.#unwatch(unwatch);
    const [call, what] = send === undefined ? [tell, "tell"] : [send, "send"];
    if (this.#calls.size >= CALLS_MAX) {
      throw new CatgaError("OVERLOADED", { what: "calls of this connection", limit: CALLS_MAX });
    }
    // Until it is answered.
    this.#calls.add(id);
    return this.#call(fieldsOf(call, what), what === "tell");
  }

  async #call(call: Fields, isTold: boolean): Promise<string> {
    const { entity, id, type, payload, key, timeoutMs } = call;
    const names = entity === undefined ? ["messages", type] : ["entities", entity, id, type];
    const headers = new Headers({ "Content-Type": "application/json" });
    for (const [name, value] of this.#c.req.raw.headers) {
      if (!NOT_PASSED_ON.test(name)) headers.set(name, value);
    }
    if (isTold) headers.set("Prefer", "respond-async");
    if (key !== undefined) headers.set("Idempotency-Key", headerOf(key, "key"));
    if (timeoutMs !== undefined)
      headers.set("Request-Timeout-Ms", headerOf(timeoutMs, "timeoutMs"));
    const path = names.map(partOf).join("/");
    const request = new Request(new URL(`/${path}`, this.#c.req.url), {
      method: "POST",
      headers,
      signal: this.#closed.signal,
      ...(payload !== undefined && { body: jsonOf(payload) }),
    });
    const answer = await this.#app.fetch(request, this.#c.env);
    const text = await answer.text();
    if (!answer.ok) return `"ok":false,"problem":${text}`;
    return text === "" ? '"ok":true' : `"ok":true,"reply":${text}`;
  }

  async #watch(id: number, { entity, id: key, after }: Fields): Promise<string> {
    const { cluster, exposed } = this.#edge;
    const [name, of] = [textOf(entity, "entity"), textOf(key, "id")];
    const target = exposed.entities.get(name);
    if (target === undefined) throw new CatgaError("UNKNOWN_ENTITY", { entity: name });
    if (this.#watches.size >= WATCHES_MAX) {
      const details = { what: "watches of this connection", limit: WATCHES_MAX };
      throw new CatgaError("OVERLOADED", details);
    }
    // Its number is taken while somebody decides whether it may.
    const watch: Watch = {};
    this.#watches.set(id, watch);
    try {
      await guard(this.#c, this.#edge, { action: "watch", entity: name, id: of });
      const push = (event: object): void => this.#say(id, `"push":${JSON.stringify(event)}`);
      const begin = after === undefined ? {} : { after: textOf(after, "after") };
      const end = cluster.watch(target, of, push, begin);
      // Whoever has hung up, or changed his mind, meanwhile watches nothing.
      if (this.#closed.signal.aborted || this.#watches.get(id) !== watch) end();
      else watch.end = end;
      return '"ok":true';
    } catch (error) {
      if (this.#watches.get(id) === watch) this.#watches.delete(id);
      throw error;
    }
  }

  #unwatch(id: unknown): string {
    this.#watches.get(id as number)?.end?.();
    if (this.#watches.delete(id as number)) return '"ok":true';
    throw malformed("there is no such watch");
  }

  /** The number of what is asked. @throws {CatgaError} MALFORMED when it is taken, or none */
  #numberOf({ id }: Asked): number {
    if (!Number.isSafeInteger(id)) throw malformed('"id" is no whole number');
    const number = id as number;
    if (!this.#calls.has(number) && !this.#watches.has(number)) return number;
    throw malformed(`"id" ${number} is under way`);
  }

  #say(id: number | null, fields: string): void {
    const ws = this.#ws;
    if (ws === undefined || this.#closed.signal.aborted) return;
    ws.send(`{"id":${id},${fields}}`);
    const raw = ws.raw as Buffered;
    const unread = raw.bufferedAmount ?? raw.getBufferedAmount?.() ?? 0;
    // Nothing gets through to say so.
    if (unread > UNREAD_BYTES_MAX) raw.terminate();
  }
}

/** A socket of Bun, or of `ws`. */
interface Buffered {
  readonly bufferedAmount?: number;
  getBufferedAmount?(): number;
  terminate(): void;
}

function parse(text: string): Asked {
  try {
    return fieldsOf(JSON.parse(text), "message");
  } catch (error) {
    throw error instanceof CatgaError ? error : malformed("it is not JSON", error);
  }
}

function fieldsOf(value: unknown, what: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw malformed(`"${what}" is no object`);
}

/** A part of a path, of which there is none that is empty, and dots are directions. */
function partOf(value: unknown): string {
  const part = textOf(value, "name");
  if (!/^\.\.?$|\p{Surrogate}/u.test(part)) return encodeURIComponent(part);
  throw new CatgaError("INVALID_ID", { reason: "is nothing that a URL can hold" });
}

/** What is refused where the header is read, if it can be one at all. */
function headerOf(value: unknown, what: string): string {
  const text = typeof value === "number" ? String(value) : textOf(value, what);
  if (/^[\x20-\x7e]+$/.test(text)) return text;
  throw malformed(`"${what}" is not printable ASCII`);
}

/** Recursive, other than what has read it. */
function jsonOf(payload: unknown): string {
  try {
    return JSON.stringify(payload);
  } catch (error) {
    throw malformed("it nests too deeply", error);
  }
}

function textOf(value: unknown, what: string): string {
  if (typeof value === "string" && value !== "") return value;
  throw malformed(`"${what}" is no text`);
}

function malformed(reason: string, cause?: unknown): CatgaError {
  return new CatgaError("MALFORMED", { what: "message", reason }, { cause });
}
