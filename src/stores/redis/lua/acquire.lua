-- Takes the best free target of a wish, in one step.
--
-- KEYS  1 fence        counter of the model's leases
--       2 python       hash `model:<alias>` that the Python llm-router reads and writes: `<target>:is_chosen`
--       3 waiting      hash: process -> the request that waits longest in it, as JSON: since and seen, in Redis
--                      milliseconds, and the ids of the targets that it wants
--       4 owned        hash: token -> what this process took; read when the process has died
--       5 gone token   exists: the request gave up, this is a late copy of its call
--       6 gone process exists: the process has died, likewise
--       7 last host    host that ran the model last
--       8 known hosts  set of the hosts that ran the model
--       9 used hosts   set of the hosts that ran any model
--       then n leases: string "token:fence" with an expiry
--       then n hosts:  sorted set of "token|model" by the time of expiry: what runs there now
-- ARGV  1 token  2 ttl ms  3 process  4 model  5 waited ms  6 affinity  7 complete
--       then for each target: id, field in the Python hash, host, reserve
-- Flags are "1" or "0". Returns {index from 1, fence}, or nil: all taken, or an older request waits elsewhere.
-- Idempotent: the same token gets the same lease, with a fresh expiry.

local HEADER, PER_TARGET, FIXED = 7, 4, 9
local SILENT_AFTER, SAME_AGE = 500, 5
local HOSTS_TTL = 86400
local token, ttl, process, model = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local waited, affinity, complete = tonumber(ARGV[5]), ARGV[6] == '1', ARGV[7] == '1'
local n = (#ARGV - HEADER) / PER_TARGET

if redis.call('EXISTS', KEYS[5], KEYS[6]) > 0 then return false end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function target(i)
  local at = HEADER + (i - 1) * PER_TARGET
  return ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4] == '1'
end

local leases = {}
for i = 1, n do
  leases[i] = redis.call('GET', KEYS[FIXED + i])
  if leases[i] and string.sub(leases[i], 1, #token + 1) == token .. ':' then
    redis.call('PEXPIRE', KEYS[FIXED + i], ttl)
    return { i, tonumber(string.sub(leases[i], #token + 2)) }
  end
end

-- A field that the Python version set has no lease of ours beside it, nor the mark of one that ran out.
local function takenByPython(field)
  local chosen = redis.call('HMGET', KEYS[2], field .. ':is_chosen', field .. ':lease')
  return chosen[1] and chosen[1] ~= 'false' and not chosen[2]
end

local function rankOfHost(i, host)
  local running = KEYS[FIXED + n + i]
  redis.call('ZREMRANGEBYSCORE', running, '-inf', '(' .. now)
  for _, member in ipairs(redis.call('ZRANGE', running, 0, -1)) do
    if string.sub(member, string.find(member, '|', 1, true) + 1) ~= model then return 4 end
  end
  if redis.call('GET', KEYS[7]) == host then return 0 end
  if redis.call('SISMEMBER', KEYS[8], host) == 1 then return 1 end
  return redis.call('SISMEMBER', KEYS[9], host) == 1 and 3 or 2
end

local free, freeIds, best, bestRank = 0, {}, nil, nil
for i = 1, n do
  local id, field, host, reserve = target(i)
  if not leases[i] and not takenByPython(field) then
    free = free + 1
    freeIds[id] = true
    local rank = (reserve and 100 or 0) + (affinity and rankOfHost(i, host) or 0)
    if not best or rank < bestRank then best, bestRank = i, rank end
  end
end

local function wantsWhatIsFree(request)
  for _, id in ipairs(request.ids) do
    if freeIds[id] then return true end
  end
  return false
end

local older = 0
local waiting = redis.call('HGETALL', KEYS[3])
for i = 1, #waiting, 2 do
  local request = cjson.decode(waiting[i + 1])
  if request.seen < now - SILENT_AFTER then
    redis.call('HDEL', KEYS[3], waiting[i])
  elseif waiting[i] ~= process and request.since < now - waited - SAME_AGE and wantsWhatIsFree(request) then
    older = older + 1
  end
end

if older >= free then
  if complete then
    local ids = {}
    for i = 1, n do ids[i] = target(i) end
    redis.call('HSET', KEYS[3], process, cjson.encode({ since = now - waited, seen = now, ids = ids }))
    redis.call('PEXPIRE', KEYS[3], 60000)
  end
  return false
end

-- After a loss of all data fences go on from the clock, so that they do not come back.
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('SET', KEYS[1], string.format('%.0f', tonumber(time[1]) * 1000000 + tonumber(time[2])))
end
local fence = redis.call('INCR', KEYS[1])
local id, field, host = target(best)
redis.call('SET', KEYS[FIXED + best], string.format('%s:%.0f', token, fence), 'PX', ttl)
redis.call('HSET', KEYS[2], field .. ':is_chosen', 'true', field .. ':lease', token)
redis.call('HDEL', KEYS[3], process)
redis.call('HSET', KEYS[4], token, cjson.encode({ model = model, id = id, host = host }))
redis.call('PEXPIRE', KEYS[4], ttl * 2)
redis.call('SET', KEYS[7], host, 'EX', HOSTS_TTL)
redis.call('SADD', KEYS[8], host)
redis.call('EXPIRE', KEYS[8], HOSTS_TTL)
redis.call('SADD', KEYS[9], host)
redis.call('EXPIRE', KEYS[9], HOSTS_TTL)
redis.call('ZADD', KEYS[FIXED + n + best], now + ttl, token .. '|' .. model)
redis.call('PEXPIRE', KEYS[FIXED + n + best], ttl * 2)
return { best, fence }
