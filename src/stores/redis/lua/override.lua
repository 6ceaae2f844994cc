-- Stores an override unless a later one of the same property is known, and publishes it to all routers.
--
-- KEYS  1 overrides: JSON by property
-- ARGV  1 field, 2 JSON, 3 channel
-- Returns the JSON of the override that applies.
-- Idempotent.

local known = redis.call('HGET', KEYS[1], ARGV[1])
if known and known ~= ARGV[2] then
  local before = cjson.decode(known)
  local now = cjson.decode(ARGV[2])
  if before.at > now.at or (before.at == now.at and known > ARGV[2]) then return known end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if known ~= ARGV[2] then redis.call('PUBLISH', ARGV[3], ARGV[2]) end
return ARGV[2]
