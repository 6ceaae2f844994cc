-- Acquires or renews the lease of the router that polls the engines for all routers.
--
-- KEYS  1 lease: name of the router that holds it
-- ARGV  1 name of this router, 2 ttl ms
-- Returns 1 if this router holds the lease, otherwise 0.
-- Idempotent.

local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', tonumber(ARGV[2]))
return 1
