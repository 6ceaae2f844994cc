-- Renews all leases of a process in one call, and acquires those again that are missing in Redis.
--
-- KEYS  1 owned: hash: token -> lease of this process
--       then for each lease 5: lease, fence, Python hash, host, gone token (see acquire-lease.lua)
-- ARGV  1 ttl ms
--       then for each lease 6: token, model, target id, field in the Python hash, host, number of slots
-- Returns the fence of each lease, or 0 if others hold all slots of the target.
-- A missing lease (Redis has lost its data, or the lease has expired) is acquired again with a new fence.
-- Idempotent.

local ttl = tonumber(ARGV[1])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function usedByPython(key, field)
  if field == '' then return false end
  local chosen = redis.call('HMGET', key, field .. ':is_chosen', field .. ':lease')
  return chosen[1] and chosen[1] ~= 'false' and not chosen[2]
end

local function nextFence(key)
  if redis.call('EXISTS', key) == 0 then
    redis.call('SET', key, string.format('%.0f', tonumber(time[1]) * 1000000 + tonumber(time[2])))
  end
  return redis.call('INCR', key)
end

local fences = {}
for i = 1, (#KEYS - 1) / 5 do
  local lease, fenceKey, python, running, gone = unpack(KEYS, i * 5 - 3, i * 5 + 1)
  local at = 1 + (i - 1) * 6
  local token, model, id, field, host = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5]
  local slots = tonumber(ARGV[at + 6])
  redis.call('ZREMRANGEBYSCORE', lease, '-inf', '(' .. now)
  local used = redis.call('ZCARD', lease)
  local fence = 0
  if redis.call('ZSCORE', lease, token) then
    local existing = redis.call('HGET', KEYS[1], token)
    fence = existing and tonumber(cjson.decode(existing).fence) or nextFence(fenceKey)
  elseif redis.call('EXISTS', gone) == 0 and used + (usedByPython(python, field) and 1 or 0) < slots then
    fence = nextFence(fenceKey)
    used = used + 1
  end
  if fence ~= 0 then
    redis.call('ZADD', lease, now + ttl, token)
    redis.call('PEXPIRE', lease, ttl)
    if field ~= '' and used >= slots then
      redis.call('HSET', python, field .. ':is_chosen', 'true', field .. ':lease', token)
    end
    local owned = { model = model, id = id, host = host, fence = string.format('%.0f', fence) }
    redis.call('HSET', KEYS[1], token, cjson.encode(owned))
    redis.call('ZADD', running, now + ttl, token .. '|' .. model)
    redis.call('PEXPIRE', running, ttl * 2)
  end
  fences[i] = fence
end
redis.call('PEXPIRE', KEYS[1], ttl * 2)
return fences
