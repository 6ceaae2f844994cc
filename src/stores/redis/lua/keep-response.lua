-- Keeps an answer, in one step, and makes room: what is over goes first, then the least recently used.
--
-- KEYS  1 answers    hash: id -> JSON
--       2 by use     sorted set of ids by their last use, in Redis milliseconds
--       3 by expiry  sorted set of ids by their end, likewise
--       4 bytes      total length of the answers
--       5 pending    exists: this answer will be kept soon
-- ARGV  1 id  2 JSON  3 ttl ms  4 most answers  5 most bytes
-- Returns nothing. An answer that alone is too large is not kept.

local id, json, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3])
local most, mostBytes = tonumber(ARGV[4]), tonumber(ARGV[5])
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
if most < 1 or #json > mostBytes then return end
while redis.call('ZCARD', KEYS[2]) >= most
  or tonumber(redis.call('GET', KEYS[4]) or 0) + #json > mostBytes do
  local oldest = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
  if not oldest then break end
  drop(oldest)
end
redis.call('HSET', KEYS[1], id, json)
redis.call('ZADD', KEYS[2], now, id)
redis.call('ZADD', KEYS[3], now + ttl, id)
redis.call('INCRBY', KEYS[4], #json)
-- Whatever nobody asks for any more ends by itself.
for i = 1, 4 do redis.call('PEXPIRE', KEYS[i], ttl) end
