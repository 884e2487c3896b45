/**
 * What runs inside the server, each script as one atomic step, and how records are written there.
 *
 * | key | holds |
 * |---|---|
 * | `{<prefix>:<cluster>}:state` | hash: `gen`, `ver`, `last`, `run`, `gate`, and every record |
 * | `{<prefix>:<cluster>}:log` | stream `<revision>-0`: every change but heartbeats |
 * | `{<prefix>:<cluster>}:beat` | sorted set: sessions whose latest change is a heartbeat |
 *
 * All of a cluster's truth is one hash, so that it is lost as a whole or not at all. A record's field
 * is its key as JSON, which begins with a quote and so is none of the others; its value is four
 * lines: revision, state of a session or nothing, operation, value, the last two as JSON, which has no
 * line breaks. Nothing that users name is ever part of a script.
 *
 * An entry of the log names the one before it (`p`): who finds another there has missed something.
 */
import type { CasResult, Change, Entry } from "../../protocol/ledger.ts";
import type { AuthorityRecord, SessionRecord } from "../../protocol/records.ts";

/** Entries of the log that are kept at least; who is further behind fetches everything anew. */
const LOG_ENTRIES = 20_000;

/** The keys of a cluster, in the order in which every script is given them. */
export function keysOf(prefix: string, cluster: string): readonly [string, string, string] {
  // One hash tag: they lie on one server of a Redis Cluster.
  const tag = `{${prefix}:${cluster}}`;
  return [`${tag}:state`, `${tag}:log`, `${tag}:beat`];
}

const KEYS = "local state, log, beat = KEYS[1], KEYS[2], KEYS[3]\n";
const SAME_GENERATION = `
if redis.call('HGET', state, 'gen') ~= ARGV[1] then
  return redis.error_reply('GENERATION another generation of records')
end
`;

/**
 * Everything, after making sure that it is what the caller remembers.
 *
 * ARGV: generation the caller found broken; the one it knows; a number for a new one; a name for a
 * new gate. The reply: generation, revision, revision of the log, gate, then fields and values.
 */
export const BOOT = `${KEYS}
local gen = redis.call('HGET', state, 'gen')
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
if not gen or gen == ARGV[1] or tonumber(gen) < tonumber(ARGV[2]) then
  local new = math.max(tonumber(ARGV[3]), tonumber(gen or 0) + 1, tonumber(ARGV[2]) + 1)
  redis.call('DEL', state, log, beat)
  redis.call('HSET', state, 'gen', string.format('%.0f', new), 'ver', 0, 'last', 0,
    'run', run, 'gate', ARGV[4])
elseif redis.call('HGET', state, 'run') ~= run then
  redis.call('HSET', state, 'run', run, 'gate', ARGV[4])
end
return redis.call('HGETALL', state)
`;

/** Opens a gate. ARGV: generation, gate. */
export const OPEN_GATE = `${KEYS}${SAME_GENERATION}
if redis.call('HGET', state, 'gate') == ARGV[2] then redis.call('HDEL', state, 'gate') end
return 1
`;

/**
 * Compare-and-sets in their order. ARGV: generation, then field, expected revision, state,
 * operation, value of each. The reply: revision of the log, then of each change `+revision` in the
 * log, `~revision` for a heartbeat, or `-` and the record that stands there.
 */
export const CAS = `${KEYS}${SAME_GENERATION}
local out = {}
for i = 2, #ARGV, 5 do
  local field, status, operation = ARGV[i], ARGV[i + 2], ARGV[i + 3]
  local current = redis.call('HGET', state, field) or '0\\n\\n\\n'
  local rev, was, by = string.match(current, '^(%d+)\\n([^\\n]*)\\n([^\\n]*)\\n')
  if by == operation then
    out[#out + 1] = '+' .. rev
  elseif rev ~= ARGV[i + 1] then
    out[#out + 1] = '-' .. (rev == '0' and '' or current)
  else
    local ver = string.format('%.0f', redis.call('HINCRBY', state, 'ver', 1))
    local record = ver .. '\\n' .. status .. '\\n' .. operation .. '\\n' .. ARGV[i + 4]
    if status ~= '' and status == was then
      redis.call('ZADD', beat, ver, field)
      out[#out + 1] = '~' .. ver
    else
      redis.call('XADD', log, 'MAXLEN', '~', ${LOG_ENTRIES}, ver .. '-0',
        'p', redis.call('HGET', state, 'last'), 'k', field, 'v', record)
      redis.call('HSET', state, 'last', ver)
      redis.call('ZREM', beat, field)
      out[#out + 1] = '+' .. ver
    end
    redis.call('HSET', state, field, record)
  end
end
return { redis.call('HGET', state, 'last'), out }
`;

/** Heartbeats since a revision, the latest of each session. ARGV: generation, revision. */
export const BEATS = `${KEYS}${SAME_GENERATION}
local out = {}
for _, field in ipairs(redis.call('ZRANGEBYSCORE', beat, '(' .. ARGV[2], '+inf')) do
  out[#out + 1] = field
  out[#out + 1] = redis.call('HGET', state, field)
end
return out
`;

/** What {@link BOOT} answers. */
export interface Booted {
  readonly generation: number;
  readonly revision: number;
  /** The newest entry of the log. */
  readonly last: number;
  /** Closed when it has a name: who comes anew has to wait. */
  readonly gate: string;
  readonly entries: readonly Entry[];
}

/** Reads the answer of {@link BOOT}. */
export function parseBooted(reply: unknown): Booted {
  const fields = new Map<string, string>();
  const entries: Entry[] = [];
  for (const [field, value] of pairsOf(reply)) {
    if (field.startsWith('"')) entries.push(parseRecord(field, value));
    else fields.set(field, value);
  }
  entries.sort((a, b) => a.revision - b.revision);
  const number = (name: string): number => Number(fields.get(name));
  const [generation, revision, last] = [number("gen"), number("ver"), number("last")];
  return { generation, revision, last, gate: fields.get("gate") ?? "", entries };
}

/** Reads the answer of {@link BEATS}. */
export function parseBeats(reply: unknown): Entry[] {
  return Array.from(pairsOf(reply), ([field, value]) => parseRecord(field, value));
}

/** The arguments of {@link CAS} for one change. */
export function argumentsOf({ key, expected, value, operation }: Change): string[] {
  const status = key.startsWith("n.") ? JSON.stringify((value as SessionRecord).state) : "";
  return [JSON.stringify(key), `${expected}`, status, JSON.stringify(operation), stringify(value)];
}

/** What became of changes: the result of each, and which were heartbeats. */
export interface Outcome {
  readonly last: number;
  readonly results: readonly CasResult[];
  readonly beats: readonly Entry[];
}

/** Reads the answer of {@link CAS} to `changes`. */
export function parseOutcome(reply: unknown, changes: readonly Change[]): Outcome {
  const [last, lines] = reply as [string, string[]];
  const beats: Entry[] = [];
  const results = changes.map(({ key, value, operation }, i): CasResult => {
    const [kind, rest] = [lines[i]![0], lines[i]!.slice(1)];
    if (kind === "-") {
      return { ok: false, current: rest === "" ? undefined : parseRecord(stringify(key), rest) };
    }
    const revision = Number(rest);
    if (kind === "~") beats.push({ key, value, operation, revision });
    return { ok: true, revision };
  });
  return { last: Number(last), results, beats };
}

/** One entry of the log with the revision of the one before it. */
export interface Logged {
  readonly previous: number;
  readonly entry: Entry;
}

/** Reads the answer of XREAD for one stream. */
export function parseLog(reply: unknown): Logged[] {
  if (reply === null) return [];
  const [[, items]] = reply as [[string, [string, string[]][]]];
  return items.map(([, [, previous, , field, , value]]) => ({
    previous: Number(previous),
    entry: parseRecord(field!, value!),
  }));
}

function parseRecord(field: string, text: string): Entry {
  const [revision, , operation, value] = text.split("\n");
  return {
    key: JSON.parse(field) as string,
    value: JSON.parse(value!) as AuthorityRecord,
    operation: JSON.parse(operation!) as string,
    revision: Number(revision),
  };
}

function stringify(value: unknown): string {
  return JSON.stringify(value);
}

function* pairsOf(reply: unknown): Generator<readonly [string, string]> {
  const list = reply as readonly string[];
  for (let i = 0; i < list.length; i += 2) yield [list[i]!, list[i + 1]!];
}
