-- Acquires a free slot at the best target of a request, atomically.
--
-- KEYS  1 fence        counter of the model's leases
--       2 python       hash `model:<alias>` that the Python llm-router reads and writes: `<target>:is_chosen`; not used
--                      if the fields are empty
--       3 waiting      hash: host -> JSON: `since`: when requests of the host began to wait without getting a slot,
--                      `seen`: their last call (both in Redis milliseconds), `ids`: the targets that they can use
--       4 owned        hash: token -> lease of this process, with its fence; read when the process has died
--       5 gone token   exists if the request was abandoned: this is a delayed call
--       6 gone process exists if the process has died: likewise
--       7 last host    host that ran the model last
--       8 known hosts  set of the hosts that have run the model
--       9 used hosts   set of the hosts that have run any model
--       then n leases: sorted set of the tokens that hold a slot of the target, by time of expiry
--       then n hosts:  sorted set of "token|model" by time of expiry: what the host is running
-- ARGV  1 token  2 ttl ms  3 waiting host  4 model  5 affinity  6 complete
--       then for each target: id, field in the Python hash, host, last resort, number of slots
-- Flags are "1" or "0". Returns {index from 1, fence}, or nil if no slot is free or another host is next: each slot goes
-- to the waiting host that has not got one for the longest time.
-- Idempotent: the same token gets the same lease, with a new expiry.

local HEADER, PER_TARGET, FIXED = 6, 5, 9
local SILENT_AFTER = 500
local HOSTS_TTL = 86400
local token, ttl, waiter, model = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local affinity, complete = ARGV[5] == '1', ARGV[6] == '1'
local n = (#ARGV - HEADER) / PER_TARGET

if redis.call('EXISTS', KEYS[5], KEYS[6]) > 0 then return false end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function target(i)
  local at = HEADER + (i - 1) * PER_TARGET
  return ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4] == '1', tonumber(ARGV[at + 5])
end

local existing = redis.call('HGET', KEYS[4], token)
existing = existing and cjson.decode(existing)
for i = 1, n do
  redis.call('ZREMRANGEBYSCORE', KEYS[FIXED + i], '-inf', '(' .. now)
  if existing and existing.model == model and existing.id == target(i) and redis.call('ZSCORE', KEYS[FIXED + i], token) then
    redis.call('ZADD', KEYS[FIXED + i], now + ttl, token)
    redis.call('PEXPIRE', KEYS[FIXED + i], ttl)
    return { i, tonumber(existing.fence) }
  end
end

-- Whether the Python llm-router uses the target: it has set the field, and there is no lease of ours beside it. It sends one
-- request at a time.
local function usedByPython(field)
  if field == '' then return false end
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

local free, freeIds, best, bestRank, bestUsed = 0, {}, nil, nil, nil
for i = 1, n do
  local id, field, host, isLastResort, slots = target(i)
  local used = redis.call('ZCARD', KEYS[FIXED + i]) + (usedByPython(field) and 1 or 0)
  if used < slots then
    free = free + slots - used
    freeIds[id] = true
    local rank = (isLastResort and 100 or 0) + (affinity and rankOfHost(i, host) or 0)
    if not best or rank < bestRank then best, bestRank, bestUsed = i, rank, used end
  end
end

local function canUseFreeTarget(request)
  for _, id in ipairs(request.ids) do
    if freeIds[id] then return true end
  end
  return false
end

local waitingEntry = redis.call('HGET', KEYS[3], waiter)
waitingEntry = waitingEntry and cjson.decode(waitingEntry)
local since = waitingEntry and waitingEntry.seen >= now - SILENT_AFTER and waitingEntry.since or now

local older = 0
local waiting = redis.call('HGETALL', KEYS[3])
for i = 1, #waiting, 2 do
  local request = cjson.decode(waiting[i + 1])
  if request.seen < now - SILENT_AFTER then
    redis.call('HDEL', KEYS[3], waiting[i])
  elseif waiting[i] ~= waiter and request.since < since and canUseFreeTarget(request) then
    older = older + 1
  end
end

if older >= free then
  if complete then
    -- A host calls for several requests, whose targets are combined.
    local ids, seen = {}, {}
    for i = 1, n do
      ids[i] = target(i)
      seen[ids[i]] = true
    end
    for _, id in ipairs(since < now and waitingEntry.ids or {}) do
      if not seen[id] then ids[#ids + 1] = id end
    end
    redis.call('HSET', KEYS[3], waiter, cjson.encode({ since = since, seen = now, ids = ids }))
    redis.call('PEXPIRE', KEYS[3], 60000)
  end
  return false
end

-- If Redis has lost its data, fences continue from the clock, so that none is used twice.
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('SET', KEYS[1], string.format('%.0f', tonumber(time[1]) * 1000000 + tonumber(time[2])))
end
local fence = redis.call('INCR', KEYS[1])
local id, field, host, _, slots = target(best)
redis.call('ZADD', KEYS[FIXED + best], now + ttl, token)
redis.call('PEXPIRE', KEYS[FIXED + best], ttl)
if field ~= '' and bestUsed + 1 >= slots then
  redis.call('HSET', KEYS[2], field .. ':is_chosen', 'true', field .. ':lease', token)
end
redis.call('HDEL', KEYS[3], waiter)
-- As a string, because cjson writes numbers with 14 digits.
local owned = { model = model, id = id, host = host, fence = string.format('%.0f', fence) }
redis.call('HSET', KEYS[4], token, cjson.encode(owned))
redis.call('PEXPIRE', KEYS[4], ttl * 2)
redis.call('SET', KEYS[7], host, 'EX', HOSTS_TTL)
redis.call('SADD', KEYS[8], host)
redis.call('EXPIRE', KEYS[8], HOSTS_TTL)
redis.call('SADD', KEYS[9], host)
redis.call('EXPIRE', KEYS[9], HOSTS_TTL)
redis.call('ZADD', KEYS[FIXED + n + best], now + ttl, token .. '|' .. model)
redis.call('PEXPIRE', KEYS[FIXED + n + best], ttl * 2)
return { best, fence }
