-- Reads a response. This counts as a use, but does not extend its lifetime.
--
-- KEYS  1 responses  2 by use  3 by expiry  5 pending; see put-response.lua
-- ARGV  1 id  2 owner, not used
-- Returns its JSON, -1 if it will be stored soon, or nil if it does not exist or has expired.

local id = ARGV[1]
if redis.call('EXISTS', KEYS[5]) == 1 then return -1 end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local expiry = redis.call('ZSCORE', KEYS[3], id)
if not expiry or tonumber(expiry) <= now then return false end
redis.call('ZADD', KEYS[2], 'XX', now, id)
return redis.call('HGET', KEYS[1], id)
