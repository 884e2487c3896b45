/**
 * Frames: what is sent to one node within one tick, as one piece of UTF-8 text.
 *
 * A frame is lines. The first is its head, `generation,number,acknowledged,incarnation`; then come
 * two lines for each item, a fixed head and a body of JSON (possibly empty), which is decoded only
 * where its handler runs. JSON has no raw line breaks, so a line is a line.
 *
 * | item | head | body |
 * |---|---|---|
 * | message | `m,shard,epoch,channel,sequence,call,timeoutMs,oneWay,entity,"id"` | the payload |
 * | reply | `r,call` | the reply |
 * | failure | `e,call` | `{ code, details }` |
 * | redirect | `d,shard,channel,sequence,frame,retryMs,group` | the record the refuser knows, or nothing |
 * | control | `c` | a message of the handoff protocol |
 */

/** A message to an entity, as it travels. */
export interface MessageItem {
  readonly kind: "message";
  readonly shard: number;
  /** The epoch under which the sender resolved the shard. */
  readonly epoch: number;
  /** Which of the sender's channels to this shard, counted from 0. */
  readonly channel: number;
  readonly sequence: number;
  /** The sender's number for the call, for the answer. */
  readonly call: number;
  /** What was left of the deadline when the message was sent. */
  readonly timeoutMs: number;
  readonly oneWay: boolean;
  readonly entity: string;
  readonly id: string;
  readonly body: string;
}

/** The answer of a handler, or why there is none. */
export interface AnswerItem {
  readonly kind: "reply" | "failure";
  readonly call: number;
  readonly body: string;
}

/** Not accepted: this message of the channel and those behind it have to be sent again. */
export interface RedirectItem {
  readonly kind: "redirect";
  readonly group: string;
  readonly shard: number;
  readonly channel: number;
  readonly sequence: number;
  /** The frame that carried it: messages in later frames are not meant. */
  readonly frame: number;
  /** How long to wait when the body names no other owner. */
  readonly retryMs: number;
  readonly body: string;
}

/** A message of one node to another about a handoff. */
export interface ControlItem {
  readonly kind: "control";
  readonly body: string;
}

/** Anything a frame can carry. */
export type Item = MessageItem | AnswerItem | RedirectItem | ControlItem;

/** A frame taken apart, its items still as text: `lines` are heads and bodies in turn. */
export interface Frame {
  readonly generation: number;
  /** Frames of one stream are numbered from 1; 0 carries only an acknowledgement. */
  readonly number: number;
  /** The highest number the sender has processed of the other direction. */
  readonly acknowledged: number;
  /** Which incarnation the frame is meant for. */
  readonly to: string;
  readonly lines: readonly string[];
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Items as `lines` (each of {@link encodeMessage} and its kin, joined by "\n") behind their head.
 */
export function encodeFrame(head: Omit<Frame, "lines">, lines: string): Uint8Array {
  const text = `${head.generation},${head.number},${head.acknowledged},${head.to}`;
  return encoder.encode(lines === "" ? text : `${text}\n${lines}`);
}

/** Takes a frame apart, or `undefined` when it makes no sense. */
export function decodeFrame(bytes: Uint8Array): Frame | undefined {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    return undefined; // Not UTF-8: the caller treats it as any other malformed frame.
  }
  const lines = text.split("\n");
  const head = lines[0]!.split(",");
  const [generation, number, acknowledged] = head.slice(0, 3).map(whole);
  if (head.length !== 4 || lines.length % 2 !== 1) return undefined;
  if (generation === undefined || number === undefined || acknowledged === undefined) {
    return undefined;
  }
  return { generation, number, acknowledged, to: head[3]!, lines };
}

/** Two lines for a message. */
export function encodeMessage(item: Omit<MessageItem, "kind">): string {
  const { shard, epoch, channel, sequence, call, timeoutMs, entity } = item;
  const numbers = `${shard},${epoch},${channel},${sequence},${call},${timeoutMs}`;
  const id = JSON.stringify(item.id);
  return `m,${numbers},${item.oneWay ? 1 : 0},${entity},${id}\n${item.body}`;
}

/** Two lines for an answer. */
export function encodeAnswer(item: AnswerItem): string {
  return `${item.kind === "reply" ? "r" : "e"},${item.call}\n${item.body}`;
}

/** Two lines for a redirect. */
export function encodeRedirect(item: RedirectItem): string {
  const { shard, channel, sequence, frame, retryMs, group, body } = item;
  return `d,${shard},${channel},${sequence},${frame},${retryMs},${group}\n${body}`;
}

/** Two lines for a message of the handoff protocol. */
export function encodeControl(message: object): string {
  return `c\n${JSON.stringify(message)}`;
}

/** Reads one item from its two lines, or `undefined` when it makes no sense. */
export function decodeItem(head: string, body: string): Item | undefined {
  switch (head[0]) {
    case "m":
      return decodeMessage(head, body);
    case "r":
    case "e": {
      const call = whole(head.slice(2));
      if (call === undefined) return undefined;
      return { kind: head[0] === "r" ? "reply" : "failure", call, body };
    }
    case "d":
      return decodeRedirect(head, body);
    case "c":
      return { kind: "control", body };
    default:
      return undefined;
  }
}

function decodeMessage(head: string, body: string): MessageItem | undefined {
  // The id comes last and may contain commas, so the head is cut by hand and not split.
  const numbers: number[] = [];
  let at = 2;
  for (let i = 0; i < 7; i++) {
    const comma = head.indexOf(",", at);
    const number = comma === -1 ? undefined : whole(head.slice(at, comma));
    if (number === undefined) return undefined;
    numbers.push(number);
    at = comma + 1;
  }
  const comma = head.indexOf(",", at);
  const id = comma === -1 ? undefined : parseText(head.slice(comma + 1));
  if (id === undefined) return undefined;
  const [shard, epoch, channel, sequence, call, timeoutMs, way] = numbers as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const entity = head.slice(at, comma);
  const oneWay = way === 1;
  return {
    kind: "message",
    shard,
    epoch,
    channel,
    sequence,
    call,
    timeoutMs,
    oneWay,
    entity,
    id,
    body,
  };
}

function decodeRedirect(head: string, body: string): RedirectItem | undefined {
  const parts = head.split(",");
  const numbers = parts.slice(1, 6).map(whole);
  if (parts.length !== 7 || numbers.includes(undefined)) return undefined;
  const [shard, channel, sequence, frame, retryMs] = numbers as [
    number,
    number,
    number,
    number,
    number,
  ];
  return { kind: "redirect", shard, channel, sequence, frame, retryMs, group: parts[6]!, body };
}

function whole(text: string): number | undefined {
  const number = text === "" ? Number.NaN : Number(text);
  return Number.isSafeInteger(number) && number >= 0 ? number : undefined;
}

function parseText(json: string): string | undefined {
  if (json.length < 2 || json[0] !== '"') return undefined;
  if (!json.includes("\\")) return json.slice(1, -1);
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined; // Malformed, like any other head that cannot be read.
  }
}
