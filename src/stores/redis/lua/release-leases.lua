-- Releases the leases of a token at some targets, and no others.
--
-- KEYS  1 Python hash  2 waiting  3 owned  4 gone token (see acquire-lease.lua)
--       then n leases, then n hosts
-- ARGV  1 token  2 ttl ms  3 waiting host  4 model  5 channel
--       6 abandon: "1": the request was abandoned, so a delayed acquire must have no effect
--       then for each target its field in the Python hash
-- Returns the number of released leases. Publishes the model on the channel. Idempotent.

local token = ARGV[1]
local n = #ARGV - 6
local freed = 0

for i = 1, n do
  local removed = redis.call('ZREM', KEYS[4 + i], token)
  freed = freed + removed
  local field = ARGV[6 + i]
  local marked = field ~= '' and redis.call('HGET', KEYS[1], field .. ':lease')
  if marked and (removed > 0 or marked == token) then
    redis.call('HDEL', KEYS[1], field .. ':is_chosen', field .. ':lease')
  end
  redis.call('ZREM', KEYS[4 + n + i], token .. '|' .. ARGV[4])
end
redis.call('HDEL', KEYS[3], token)
if ARGV[6] == '1' then
  redis.call('SET', KEYS[4], '1', 'PX', ARGV[2])
  redis.call('HDEL', KEYS[2], ARGV[3])
end
if freed > 0 or ARGV[6] == '1' then redis.call('PUBLISH', ARGV[5], ARGV[4]) end
return freed
