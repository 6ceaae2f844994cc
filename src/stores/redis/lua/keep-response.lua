-- Stores a response, atomically, and evicts others: first the expired ones, then the least recently used.
--
-- KEYS  1 responses  hash: id -> JSON
--       2 by use     sorted set of ids by last use, in Redis milliseconds
--       3 by expiry  sorted set of ids by expiry, likewise
--       4 bytes      total length of the responses
--       5 pending    exists if this response will be stored soon
-- ARGV  1 id  2 JSON  3 ttl ms  4 maximum number of responses  5 maximum bytes
-- Returns nothing. A response that alone exceeds the maximum is not stored.

local id, json, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3])
local maxCount, maxBytes = tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function drop(old)
  redis.call('DECRBY', KEYS[4], redis.call('HSTRLEN', KEYS[1], old))
  redis.call('HDEL', KEYS[1], old)
  redis.call('ZREM', KEYS[2], old)
  redis.call('ZREM', KEYS[3], old)
end

for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now)) do drop(old) end
drop(id)
redis.call('DEL', KEYS[5])
if maxCount < 1 or #json > maxBytes then return end
while redis.call('ZCARD', KEYS[2]) >= maxCount
  or tonumber(redis.call('GET', KEYS[4]) or 0) + #json > maxBytes do
  local oldest = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
  if not oldest then break end
  drop(oldest)
end
redis.call('HSET', KEYS[1], id, json)
redis.call('ZADD', KEYS[2], now, id)
redis.call('ZADD', KEYS[3], now + ttl, id)
redis.call('INCRBY', KEYS[4], #json)
-- If nothing is stored any more, all keys expire.
for i = 1, 4 do redis.call('PEXPIRE', KEYS[i], ttl) end
