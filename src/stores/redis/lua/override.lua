-- Stores an override unless a later one of the same property is stored, and publishes it to all routers.
--
-- KEYS  1 overrides: JSON by property
-- ARGV  1 field, 2 JSON, 3 channel
-- Returns the JSON of the override that applies.
-- Idempotent.

local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored and stored ~= ARGV[2] then
  local before = cjson.decode(stored)
  local after = cjson.decode(ARGV[2])
  if before.at > after.at or (before.at == after.at and stored > ARGV[2]) then return stored end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if stored ~= ARGV[2] then redis.call('PUBLISH', ARGV[3], ARGV[2]) end
return ARGV[2]
