-- Takes a place for a request of a client key and sets aside what it is about to take, in one step with the comparison with
-- all its limits; or only sets that aside for one that has a place.
--
-- KEYS  1 open      sorted set: ticket -> when its place ends by itself, in Redis milliseconds; `ticket.1` and so on are
--                   further places of one request
--       2 recent    sorted set: ticket -> when the request began, likewise; `ticket.1` and so on are further upstream
--                   requests of one request
--       3 tokens    hash: left, at (of that count), without what is set aside; less than nothing is owed
--       4 reserved  hash: ticket -> tokens set aside for it; total
-- ARGV  1 ticket  2 most open, 3 most per window, 4 most tokens per window (0: no limit)
--       5 ttl of a place in ms  6 window in ms
--       7 tokens to set aside  8 upstream requests  9 places wanted (0: only tell what is left)  10 "1": it has a place already
-- Idempotent. Returns { reason, wait ms, requests left, ms until all are, tokens left, ms until all are, places given,
-- places left before };
-- reason 0: granted, 1: too many open, 2: too many requests, 3: too many tokens. Refused: nothing is changed.

local ticket, ttl, window = ARGV[1], tonumber(ARGV[5]), tonumber(ARGV[6])
local mostOpen, mostRecent, mostTokens = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local wanted, requests, places = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function total() return tonumber(redis.call('HGET', KEYS[4], 'total') or '0') end

local function setTotal(tokens) redis.call('HSET', KEYS[4], 'total', string.format('%.0f', tokens)) end

local function giveBack(gone)
  local tokens = redis.call('HGET', KEYS[4], gone)
  if not tokens then return end
  redis.call('HDEL', KEYS[4], gone)
  setTotal(total() - tonumber(tokens))
end

local admission = ARGV[10] ~= '1'

local function begin(key, score, first, last)
  for i = first, last do redis.call('ZADD', key, score, i == 0 and ticket or ticket .. '.' .. i) end
end

for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do giveBack(gone) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - window)
-- A copy of a call that was carried out already finds the place.
if redis.call('ZSCORE', KEYS[1], ticket) then admission = false end
giveBack(ticket)
local open, recent = redis.call('ZCARD', KEYS[1]), redis.call('ZCARD', KEYS[2])
local balance, reserved = mostTokens, 0
if mostTokens > 0 then
  local kept = redis.call('HMGET', KEYS[3], 'left', 'at')
  if kept[1] and kept[2] then
    local since = math.max(0, now - tonumber(kept[2]))
    balance = math.min(mostTokens, tonumber(kept[1]) + since * mostTokens / window)
  end
  reserved = total()
end

local reason, wait = 0, 0
local starting = admission and requests or requests - 1
local free = balance - reserved
if admission and mostOpen > 0 and open >= mostOpen then
  reason = 1
elseif mostRecent > 0 and starting > 0 and recent + starting > mostRecent then
  local at = math.max(0, math.min(recent, recent + starting - mostRecent) - 1)
  local freeing = redis.call('ZRANGE', KEYS[2], at, at, 'WITHSCORES')
  reason, wait = 2, (tonumber(freeing[2]) or now) + window - now
elseif mostTokens > 0 and admission and free < 1 then
  reason, wait = 3, (math.max(1, math.min(wanted, mostTokens)) - free) * window / mostTokens
elseif mostTokens > 0 and wanted > mostTokens then
  if reserved > 0 or balance < 0 then reason, wait = 3, math.max(0, -free) * window / mostTokens end
elseif mostTokens > 0 and wanted > 0 then
  if free < wanted then reason, wait = 3, (wanted - free) * window / mostTokens end
end

local given = 1
if reason == 0 and places > 0 then
  if places > 1 then
    local others = admission and open + 1 or open
    given = mostOpen > 0 and 1 + math.max(0, math.min(places - 1, mostOpen - others)) or places
  end
  begin(KEYS[1], now + ttl, 0, given - 1)
  redis.call('PEXPIRE', KEYS[1], ttl * 2)
  if mostRecent > 0 and starting > 0 then
    begin(KEYS[2], now, admission and 0 or 1, requests - 1)
    redis.call('PEXPIRE', KEYS[2], window * 2)
    recent = recent + starting
  end
  if mostTokens > 0 and wanted > 0 then
    redis.call('HSET', KEYS[4], ticket, string.format('%.0f', wanted))
    setTotal(total() + wanted)
    redis.call('PEXPIRE', KEYS[4], ttl * 2)
    free = free - wanted
  end
end

local fullIn = 0
if recent > 0 then
  fullIn = tonumber(redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2]) + window - now
end
local tokensIn = mostTokens > 0 and (mostTokens - free) * window / mostTokens or 0
return { reason, math.ceil(wait), math.max(0, mostRecent - recent), fullIn,
  math.max(0, math.floor(free)), math.ceil(tokensIn), given, math.max(0, mostOpen - open) }
