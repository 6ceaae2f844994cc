-- Stores a response, atomically, and evicts others: first the expired ones, then the least recently used ones of the owner with
-- the most responses or bytes.
--
-- KEYS  1 responses  hash: id -> JSON
--       2 by use     sorted set of ids by last use, in Redis milliseconds
--       3 by expiry  sorted set of ids by expiry, likewise
--       4 bytes      total length of the responses
--       5 pending    exists if this response will be stored soon
--       6 counts     sorted set of owners by number of responses
--       7 sizes      sorted set of owners by total length of their responses
-- ARGV  1 id  2 owner: the id up to the first slash  3 JSON  4 ttl ms  5 maximum number of responses  6 maximum bytes
-- Returns nothing. A response that alone exceeds the maximum is not stored.

local id, owner, json, ttl = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local maxCount, maxBytes = tonumber(ARGV[5]), tonumber(ARGV[6])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function ownerOf(response)
  return string.match(response, '^([^/]*)/') or ''
end

-- ZINCRBY and ZREVRANGE would be further permissions of the Redis user: docs/leases.md.
local function add(key, to, by)
  local sum = tonumber(redis.call('ZSCORE', key, to) or 0) + by
  if sum > 0 then redis.call('ZADD', key, sum, to) else redis.call('ZREM', key, to) end
end

local function drop(old)
  local length = redis.call('HSTRLEN', KEYS[1], old)
  redis.call('DECRBY', KEYS[4], length)
  if redis.call('HDEL', KEYS[1], old) == 1 then
    add(KEYS[6], ownerOf(old), -1)
    add(KEYS[7], ownerOf(old), -length)
  end
  redis.call('ZREM', KEYS[2], old)
  redis.call('ZREM', KEYS[3], old)
end

-- The least recently used response of the owner with the highest score.
local function oldestIn(key)
  local largest = redis.call('ZRANGE', key, 0, 0, 'REV')[1]
  local from = 0
  while largest do
    local ids = redis.call('ZRANGE', KEYS[2], from, from + 99)
    if #ids == 0 then break end
    for _, other in ipairs(ids) do
      if ownerOf(other) == largest then return other end
    end
    from = from + 100
  end
  return redis.call('ZRANGE', KEYS[2], 0, 0)[1]
end

-- Routers of older versions store and evict without counting.
local function recountIfWrong()
  local counts, total = redis.call('ZRANGE', KEYS[6], 0, -1, 'WITHSCORES'), 0
  for i = 2, #counts, 2 do total = total + tonumber(counts[i]) end
  if total == redis.call('ZCARD', KEYS[2]) then return end
  redis.call('DEL', KEYS[6], KEYS[7])
  for _, other in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    add(KEYS[6], ownerOf(other), 1)
    add(KEYS[7], ownerOf(other), redis.call('HSTRLEN', KEYS[1], other))
  end
end

local function isOverCount()
  return redis.call('ZCARD', KEYS[2]) > maxCount
end

local function isOverBytes()
  return tonumber(redis.call('GET', KEYS[4]) or 0) > maxBytes
end

for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now)) do drop(old) end
drop(id)
redis.call('DEL', KEYS[5])
if maxCount < 1 or #json > maxBytes then return end
redis.call('HSET', KEYS[1], id, json)
redis.call('ZADD', KEYS[2], now, id)
redis.call('ZADD', KEYS[3], now + ttl, id)
redis.call('INCRBY', KEYS[4], #json)
add(KEYS[6], owner, 1)
add(KEYS[7], owner, #json)
if isOverCount() or isOverBytes() then recountIfWrong() end
while isOverCount() do drop(oldestIn(KEYS[6])) end
while isOverBytes() do
  local oldest = oldestIn(KEYS[7])
  if not oldest then break end
  drop(oldest)
end
-- If nothing is stored any more, all keys expire.
for _, i in ipairs({ 1, 2, 3, 4, 6, 7 }) do redis.call('PEXPIRE', KEYS[i], ttl) end
