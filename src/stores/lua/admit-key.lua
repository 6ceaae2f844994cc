-- Takes a place for a request of a client key, in one step with the comparison with all its limits.
--
-- KEYS  1 open    sorted set: ticket -> when its place ends by itself, in Redis milliseconds
--       2 recent  sorted set: ticket -> when the request began, likewise
--       3 tokens  hash: left, at (of that count)
-- ARGV  1 ticket  2 most open, 3 most per window, 4 most tokens per window (0: no limit)
--       5 ttl of a place in ms  6 window in ms
-- Returns { reason, wait ms, requests left, ms until all are, tokens left, ms until all are };
-- reason 0: admitted, 1: too many open, 2: too many requests, 3: too many tokens. Refused: nothing is changed.

local ticket, ttl, window = ARGV[1], tonumber(ARGV[5]), tonumber(ARGV[6])
local mostOpen, mostRecent, mostTokens = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - window)
local recent = redis.call('ZCARD', KEYS[2])
local left = mostTokens
if mostTokens > 0 then
  local kept = redis.call('HMGET', KEYS[3], 'left', 'at')
  if kept[1] and kept[2] then
    local since = math.max(0, now - tonumber(kept[2]))
    left = math.min(mostTokens, tonumber(kept[1]) + since * mostTokens / window)
  end
end

local reason, wait = 0, 0
if mostOpen > 0 and redis.call('ZCARD', KEYS[1]) >= mostOpen then
  reason = 1
elseif mostRecent > 0 and recent >= mostRecent then
  local freeing = redis.call('ZRANGE', KEYS[2], recent - mostRecent, recent - mostRecent, 'WITHSCORES')
  reason, wait = 2, tonumber(freeing[2]) + window - now
elseif mostTokens > 0 and left < 1 then
  reason, wait = 3, (1 - left) * window / mostTokens
else
  redis.call('ZADD', KEYS[1], now + ttl, ticket)
  redis.call('PEXPIRE', KEYS[1], ttl * 2)
  if mostRecent > 0 then
    redis.call('ZADD', KEYS[2], now, ticket)
    redis.call('PEXPIRE', KEYS[2], window * 2)
    recent = recent + 1
  end
end

local fullIn = 0
if recent > 0 then
  fullIn = tonumber(redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2]) + window - now
end
local tokensIn = mostTokens > 0 and (mostTokens - left) * window / mostTokens or 0
return { reason, math.ceil(wait), math.max(0, mostRecent - recent), fullIn,
  math.max(0, math.floor(left)), math.ceil(tokensIn) }
