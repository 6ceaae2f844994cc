-- Removes a response, atomically.
--
-- KEYS  1 responses  2 by use  3 by expiry  4 bytes  5 pending  6 counts  7 sizes; see put-response.lua
-- ARGV  1 id  2 owner
-- Returns 1 if it existed and had not expired, -1 if it will be stored soon, otherwise 0.

local id, owner = ARGV[1], ARGV[2]
if redis.call('EXISTS', KEYS[5]) == 1 then return -1 end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local expiry = redis.call('ZSCORE', KEYS[3], id)
if not expiry then return 0 end
local length = redis.call('HSTRLEN', KEYS[1], id)
redis.call('DECRBY', KEYS[4], length)
redis.call('HDEL', KEYS[1], id)
redis.call('ZREM', KEYS[2], id)
redis.call('ZREM', KEYS[3], id)
for key, by in pairs({ [KEYS[6]] = 1, [KEYS[7]] = length }) do
  local left = tonumber(redis.call('ZSCORE', key, owner) or 0) - by
  if left > 0 then redis.call('ZADD', key, left, owner) else redis.call('ZREM', key, owner) end
end
return tonumber(expiry) > now and 1 or 0
