-- Renews the slots and reservations of running requests. Slots that are missing in Redis are added again.
--
-- KEYS  1 open      sorted set: ticket -> when its slot expires, in Redis milliseconds (2 and 3 are not used)
--       4 reserved  hash: ticket -> reserved tokens; total
-- ARGV  1 ttl in ms  2... tickets
-- Returns nothing.

local ttl = tonumber(ARGV[1])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now + ttl, ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ttl * 2)
redis.call('PEXPIRE', KEYS[4], ttl * 2)
