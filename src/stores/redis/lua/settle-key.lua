-- Releases the slots and reservations of a request of a client key, and counts the tokens that it used.
--
-- KEYS  1 open      sorted set: ticket -> when its slot expires
--       2 recent    sorted set: ticket -> when the request began
--       3 tokens    hash: left, at: balance as of `at`
--       4 reserved  hash: ticket -> reserved tokens; total
-- ARGV  1 ticket  2 used tokens  3 maximum tokens per window (0: no limit)  4 "1": do not count the request at all
--       5 window in ms  6 number of its slots  7 reserved upstream requests  8 actual upstream requests
-- Returns nothing. The balance may become negative; it refills over time.

local ticket, tokens, maxTokens, window = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[5])
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
if maxTokens == 0 or tokens == 0 then return end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local bucket, left = redis.call('HMGET', KEYS[3], 'left', 'at'), maxTokens
if bucket[1] and bucket[2] then
  local since = math.max(0, now - tonumber(bucket[2]))
  left = math.min(maxTokens, tonumber(bucket[1]) + since * maxTokens / window)
end
left = left - tokens
redis.call('HSET', KEYS[3], 'left', string.format('%.3f', left), 'at', string.format('%.0f', now))
-- Once the balance is full again, the key is no longer needed.
redis.call('PEXPIRE', KEYS[3], math.ceil((maxTokens - left) * window / maxTokens) + window)
