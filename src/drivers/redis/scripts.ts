/**
 * What runs inside the server, each script as one atomic step, and how records are written there.
 *
 * | key | holds |
 * |---|---|
 * | `{<prefix>:<cluster>}:state` | hash: `gen`, `ver`, `last`, `run`, `gate`, records |
 * | `{<prefix>:<cluster>}:log` | stream `<revision>-0`: every change but heartbeats |
 * | `{<prefix>:<cluster>}:beat` | sorted set: sessions whose last change is a heartbeat |
 *
 * All of a cluster's truth is one hash, so it is lost as a whole or not at all. A record's field is
 * its key as JSON, which begins with a quote and so is none of the others; its value is four lines:
 * revision, state of a session or nothing, operation, value, the last two as JSON, which has no
 * line breaks. Nothing that users name is ever part of a script.
 *
 * An entry of the log names the one before it (`p`): who finds another there has missed something.
 */
import type { CasResult, Change, Entry } from "../../protocol/ledger.ts";
import type { SessionRecord } from "../../protocol/records.ts";

/** State, log and beat: the keys of a cluster in the order in which every script is given them. */
export type Keys = readonly [string, string, string];

/** Entries of the log that are kept at least; who is further behind fetches everything anew. */
const LOG_ENTRIES = 20_000;

/** The keys of a cluster. Their one hash tag keeps them together in a Redis Cluster. */
export function keysOf(prefix: string, cluster: string): Keys {
  const tag = `{${prefix}:${cluster}}`;
  return [`${tag}:state`, `${tag}:log`, `${tag}:beat`];
}

/**
 * Everything, after making sure that there is something. A new generation, and a server that was
 * started again, have a gate, which is closed until somebody names it here.
 *
 * ARGV: a generation that is known to be broken; the one that the caller knows; a number for a new
 * one; a name for a new gate; a gate to open.
 */
export const BOOT = `
local state = KEYS[1]
local gen = redis.call('HGET', state, 'gen')
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
if not gen or gen == ARGV[1] or tonumber(gen) < tonumber(ARGV[2]) then
  local new = math.max(tonumber(ARGV[3]), tonumber(gen or 0) + 1, tonumber(ARGV[2]) + 1)
  redis.call('DEL', unpack(KEYS))
  redis.call('HSET', state, 'gen', string.format('%.0f', new), 'ver', 0, 'last', 0)
end
if redis.call('HGET', state, 'run') ~= run then
  redis.call('HSET', state, 'run', run, 'gate', ARGV[4])
elseif redis.call('HGET', state, 'gate') == ARGV[5] then
  redis.call('HDEL', state, 'gate')
end
return redis.call('HGETALL', state)
`;

/**
 * Compare-and-sets in their order, and news of heartbeats. ARGV: generation, the revision after
 * which heartbeats are wanted, then field, expected revision, state, operation, value of each.
 * The reply: revision of the log; of each change its revision, or `-` and the record that stands
 * there; fields and values of sessions with heartbeats.
 */
export const CHANGE: string = `
local state, log, beat = KEYS[1], KEYS[2], KEYS[3]
if redis.call('HGET', state, 'gen') ~= ARGV[1] then
  return redis.error_reply('GENERATION another one of records')
end
local results, beats = {}, {}
for i = 3, #ARGV, 5 do
  local field, status, operation = ARGV[i], ARGV[i + 2], ARGV[i + 3]
  local current = redis.call('HGET', state, field) or '0\\n\\n\\n'
  local rev, was, by = string.match(current, '^(%d+)\\n([^\\n]*)\\n([^\\n]*)\\n')
  if by ~= operation and rev ~= ARGV[i + 1] then
    rev = '-' .. (rev == '0' and '' or current)
  elseif by ~= operation then
    rev = string.format('%.0f', redis.call('HINCRBY', state, 'ver', 1))
    local record = table.concat({ rev, status, operation, ARGV[i + 4] }, '\\n')
    if status ~= '' and status == was then
      redis.call('ZADD', beat, rev, field)
    else
      redis.call('XADD', log, 'MAXLEN', '~', ${LOG_ENTRIES}, rev .. '-0',
        'p', redis.call('HGET', state, 'last'), 'k', field, 'v', record)
      redis.call('HSET', state, 'last', rev)
      redis.call('ZREM', beat, field)
    end
    redis.call('HSET', state, field, record)
  end
  results[#results + 1] = rev
end
for _, field in ipairs(redis.call('ZRANGEBYSCORE', beat, '(' .. ARGV[2], '+inf')) do
  beats[#beats + 1] = field
  beats[#beats + 1] = redis.call('HGET', state, field)
end
return { redis.call('HGET', state, 'last'), results, beats }
`;

/** What {@link BOOT} answers. */
export interface Booted {
  readonly generation: number;
  readonly revision: number;
  /** The newest entry of the log. */
  readonly last: number;
  /** Closed when it has a name: who comes anew has to wait. */
  readonly gate: string | undefined;
  readonly entries: readonly Entry[];
}

/** Reads the answer of {@link BOOT}. */
export function parseBooted(reply: unknown): Booted {
  const pairs = pairsOf(reply);
  const own = new Map(pairs.filter(([field]) => !field.startsWith('"')));
  const entries = pairs.filter(([field]) => field.startsWith('"')).map(parseRecord);
  return {
    generation: Number(own.get("gen")),
    revision: Number(own.get("ver")),
    last: Number(own.get("last")),
    gate: own.get("gate"),
    entries: entries.sort((a, b) => a.revision - b.revision),
  };
}

/** The arguments of {@link CHANGE} for one change. */
export function argumentsOf({ key, expected, value, operation }: Change): string[] {
  const status = key.startsWith("n.") ? (value as SessionRecord).state : "";
  const [field, by, text] = [key, operation, value].map((each) => JSON.stringify(each));
  return [field!, `${expected}`, status, by!, text!];
}

/** What {@link CHANGE} answers. */
export interface Changed {
  readonly last: number;
  readonly results: CasResult[];
  readonly beats: readonly Entry[];
}

/** Reads the answer of {@link CHANGE} to `changes`. */
export function parseChanged(reply: unknown, changes: readonly Change[]): Changed {
  const [last, results, beats] = reply as [string, string[], string[]];
  return {
    last: Number(last),
    results: results.map((text, i) => {
      if (!text.startsWith("-")) return { ok: true, revision: Number(text) };
      const record = [JSON.stringify(changes[i]!.key), text.slice(1)] as const;
      return { ok: false, current: text === "-" ? undefined : parseRecord(record) };
    }),
    beats: pairsOf(beats).map(parseRecord),
  };
}

/** Reads the answer of XREAD for one stream: each entry with the revision of the one before it. */
export function parseLog(reply: unknown): { readonly previous: number; readonly entry: Entry }[] {
  const [[, items]] = (reply ?? [["", []]]) as [[string, [string, string[]][]]];
  return items.map(([, [, previous, , field, , value]]) => {
    return { previous: Number(previous), entry: parseRecord([field!, value!]) };
  });
}

function parseRecord([field, text]: readonly [string, string]): Entry {
  const [revision, , ...rest] = text.split("\n");
  const [key, operation, value] = [field, ...rest].map((each): unknown => JSON.parse(each));
  return { key, value, operation, revision: Number(revision) } as Entry;
}

function pairsOf(reply: unknown): (readonly [string, string])[] {
  const list = reply as readonly string[];
  return list.flatMap((field, i) => (i % 2 === 0 ? [[field, list[i + 1]!] as const] : []));
}
