-- Releases the lease of the router that polls the engines.
--
-- KEYS  1 lease: name of the router that holds it
-- ARGV  1 name of this router
-- Idempotent.

if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
