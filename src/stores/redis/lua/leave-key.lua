-- Gives back the places of a request of a client key and what was set aside for it, and counts the tokens that it took.
--
-- KEYS  1 open      sorted set: ticket -> when its place ends by itself
--       2 recent    sorted set: ticket -> when the request began
--       3 tokens    hash: left, at (of that count)
--       4 reserved  hash: ticket -> tokens set aside for it; total
-- ARGV  1 ticket  2 tokens  3 most tokens per window (0: no limit)  4 whether the request never was (1)  5 window in ms
--       6 its places  7 upstream requests that were reserved  8 upstream requests that it became
-- Returns nothing. What is left may become less than nothing; it grows again with the time.

local ticket, tokens, most, window = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[5])
redis.call('ZREM', KEYS[1], ticket)
for i = 1, tonumber(ARGV[6]) - 1 do redis.call('ZREM', KEYS[1], ticket .. '.' .. i) end
if ARGV[4] == '1' then redis.call('ZREM', KEYS[2], ticket) end
for i = math.max(1, tonumber(ARGV[8])), tonumber(ARGV[7]) - 1 do
  redis.call('ZREM', KEYS[2], ticket .. '.' .. i)
end
local reserved = redis.call('HGET', KEYS[4], ticket)
if reserved then
  redis.call('HDEL', KEYS[4], ticket)
  local total = tonumber(redis.call('HGET', KEYS[4], 'total') or '0') - tonumber(reserved)
  redis.call('HSET', KEYS[4], 'total', string.format('%.0f', total))
end
if most == 0 or tokens == 0 then return end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local kept, left = redis.call('HMGET', KEYS[3], 'left', 'at'), most
if kept[1] and kept[2] then
  local since = math.max(0, now - tonumber(kept[2]))
  left = math.min(most, tonumber(kept[1]) + since * most / window)
end
left = left - tokens
redis.call('HSET', KEYS[3], 'left', string.format('%.3f', left), 'at', string.format('%.0f', now))
-- When all of it is back, it need not be known any more.
redis.call('PEXPIRE', KEYS[3], math.ceil((most - left) * window / most) + window)
