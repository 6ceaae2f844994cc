-- Compares a request of a client key with all of its limits, and takes slots and reserves requests and tokens if they allow it,
-- atomically. A request that is admitted already only reserves.
--
-- KEYS  1 open      sorted set: ticket -> when its slot expires, in Redis milliseconds; `ticket.1` and so on are further slots
--                   of a request
--       2 recent    sorted set: ticket -> when the request began, likewise; `ticket.1` and so on are further upstream requests
--                   of a request
--       3 tokens    hash: left, at: balance as of `at`, without reservations; negative if overdrawn
--       4 reserved  hash: ticket -> reserved tokens; total
-- ARGV  1 ticket  2 maximum slots, 3 maximum requests per window, 4 maximum tokens per window (0: no limit)
--       5 ttl of a slot in ms  6 window in ms
--       7 tokens to reserve  8 upstream requests  9 requested slots (0: read only)  10 "1": admitted already
-- Idempotent. Returns { reason, wait ms, requests left, ms until all are available, tokens left, ms until all are available,
-- granted slots, slots left before };
-- reason 0: granted, 1: too many slots, 2: too many requests, 3: too many tokens. If it is rejected, nothing is reserved.

local ticket, ttl, window = ARGV[1], tonumber(ARGV[5]), tonumber(ARGV[6])
local maxOpen, maxRecent, maxTokens = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local wantedTokens, requests, slots = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function total() return tonumber(redis.call('HGET', KEYS[4], 'total') or '0') end

local function setTotal(tokens) redis.call('HSET', KEYS[4], 'total', string.format('%.0f', tokens)) end

local function releaseReserved(gone)
  local tokens = redis.call('HGET', KEYS[4], gone)
  if not tokens then return end
  redis.call('HDEL', KEYS[4], gone)
  setTotal(total() - tonumber(tokens))
end

local admission = ARGV[10] ~= '1'

local function begin(key, score, first, last)
  for i = first, last do redis.call('ZADD', key, score, i == 0 and ticket or ticket .. '.' .. i) end
end

-- When the clock is set back, as by a failover to another host, what it has recorded would count until the same time again.
local function notAfter(key, latest)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. latest, '+inf')) do
    redis.call('ZADD', key, latest, member)
  end
end
notAfter(KEYS[1], now + ttl)
notAfter(KEYS[2], now)

for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do releaseReserved(gone) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - window)
-- A repeated call finds the slot of the first one.
if redis.call('ZSCORE', KEYS[1], ticket) then admission = false end
releaseReserved(ticket)
local open, recent = redis.call('ZCARD', KEYS[1]), redis.call('ZCARD', KEYS[2])
local balance, reserved = maxTokens, 0
if maxTokens > 0 then
  local bucket = redis.call('HMGET', KEYS[3], 'left', 'at')
  if bucket[1] and bucket[2] then
    if tonumber(bucket[2]) > now then redis.call('HSET', KEYS[3], 'at', string.format('%.0f', now)) end
    local since = math.max(0, now - tonumber(bucket[2]))
    balance = math.min(maxTokens, tonumber(bucket[1]) + since * maxTokens / window)
  end
  reserved = total()
end

local reason, wait = 0, 0
local starting = admission and requests or requests - 1
local free = balance - reserved
if admission and maxOpen > 0 and open >= maxOpen then
  reason = 1
elseif maxRecent > 0 and starting > 0 and recent + starting > maxRecent then
  local at = math.max(0, math.min(recent, recent + starting - maxRecent) - 1)
  local freeing = redis.call('ZRANGE', KEYS[2], at, at, 'WITHSCORES')
  reason, wait = 2, (tonumber(freeing[2]) or now) + window - now
elseif maxTokens > 0 and admission and free < 1 then
  reason, wait = 3, (math.max(1, math.min(wantedTokens, maxTokens)) - free) * window / maxTokens
elseif maxTokens > 0 and wantedTokens > maxTokens then
  if reserved > 0 or balance < 0 then reason, wait = 3, math.max(0, -free) * window / maxTokens end
elseif maxTokens > 0 and wantedTokens > 0 then
  if free < wantedTokens then reason, wait = 3, (wantedTokens - free) * window / maxTokens end
end

local granted = 1
if reason == 0 and slots > 0 then
  if slots > 1 then
    local others = admission and open + 1 or open
    granted = maxOpen > 0 and 1 + math.max(0, math.min(slots - 1, maxOpen - others)) or slots
  end
  begin(KEYS[1], now + ttl, 0, granted - 1)
  redis.call('PEXPIRE', KEYS[1], ttl * 2)
  if maxRecent > 0 and starting > 0 then
    begin(KEYS[2], now, admission and 0 or 1, requests - 1)
    redis.call('PEXPIRE', KEYS[2], window * 2)
    recent = recent + starting
  end
  if maxTokens > 0 and wantedTokens > 0 then
    redis.call('HSET', KEYS[4], ticket, string.format('%.0f', wantedTokens))
    setTotal(total() + wantedTokens)
    redis.call('PEXPIRE', KEYS[4], ttl * 2)
    free = free - wantedTokens
  end
end

local fullIn = 0
if recent > 0 then
  fullIn = tonumber(redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2]) + window - now
end
local tokensIn = maxTokens > 0 and (maxTokens - free) * window / maxTokens or 0
return { reason, math.ceil(wait), math.max(0, maxRecent - recent), fullIn,
  math.max(0, math.floor(free)), math.ceil(tokensIn), granted, math.max(0, maxOpen - open) }
