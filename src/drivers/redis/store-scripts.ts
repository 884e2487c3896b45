/**
 * What a store of entities runs inside the server, each script as one atomic step. A server knows a
 * script by its digest once it has seen it, and then the text need not be sent.
 */
import { createHash } from "node:crypto";

/** A script, and its digest. */
export interface Script {
  readonly text: string;
  readonly digest: string;
}

/**
 * More is forgotten than the writes may delete, so deletions never pile up. KEYS: store, gone, and
 * for each write the reminders of its type and shard. ARGV: the time until which deletions are
 * forgotten, the time; then of each write field, expected version, record. The reply: of each a
 * version, or `-` and the record that stands there. What stands there says whether the entity is
 * among those who are due or gone; where nothing does, neither is taken for granted.
 */
export const WRITE: Script = scriptOf(`
local store, gone = KEYS[1], KEYS[2]
local HEAD = '^(%d+)\\n([^\\n]*)\\n[^\\n]*\\n%d+\\n([^\\n]*)\\n%d*\\n%x+(.?)'
local old = redis.call('ZRANGEBYSCORE', gone, '-inf', ARGV[1], 'LIMIT', 0, 16 + #KEYS)
for _, field in ipairs(old) do
  redis.call('ZREM', gone, field)
  redis.call('HDEL', store, field)
end
local results = {}
for i = 1, #KEYS - 2 do
  local field, expected, record = unpack(ARGV, i * 3, i * 3 + 2)
  local written, fence, due, gap = string.match(record, HEAD)
  local current = redis.call('HGET', store, field)
  local version, stands, was, wasgap = '0', '', '-', ''
  if current then
    version, stands, was, wasgap = string.match(current, HEAD)
  end
  if version ~= expected or fence < stands then
    results[i] = '-' .. (current or '')
  else
    local id = string.match(field, '/(.*)$')
    if due ~= '' then redis.call('ZADD', KEYS[i + 2], due, id) end
    if gap == '' then redis.call('ZADD', gone, ARGV[2], field) end
    redis.call('HSET', store, field, record)
    if due == '' and was ~= '' then redis.call('ZREM', KEYS[i + 2], id) end
    if gap ~= '' and wasgap == '' then redis.call('ZREM', gone, field) end
    results[i] = written
  end
end
return results
`);
/** KEYS: reminders of types and shards. ARGV: for each of them until when, and how many. */
export const DUE: Script = scriptOf(`
local all = {}
for i, key in ipairs(KEYS) do
  local untilms, limit = ARGV[2 * i - 1], ARGV[2 * i]
  all[i] = redis.call('ZRANGEBYSCORE', key, '-inf', untilms, 'WITHSCORES', 'LIMIT', 0, limit)
end
return all
`);
function scriptOf(text: string): Script {
  return { text, digest: createHash("sha1").update(text).digest("hex") };
}
