-- Announces that a response will be stored soon, so that reads of it wait.
--
-- KEYS  5 pending, others not used; see put-response.lua
-- ARGV  1 id  2 owner  3 lifetime of the announcement in ms
-- Returns nothing.

redis.call('SET', KEYS[5], '1', 'PX', ARGV[3])
