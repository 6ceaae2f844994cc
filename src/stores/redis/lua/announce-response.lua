-- Announces that a response will be stored soon, so that reads of it wait.
--
-- KEYS  1 to 4 not used  5 pending; see keep-response.lua
-- ARGV  1 id  2 lifetime of the announcement in ms
-- Returns nothing.

redis.call('SET', KEYS[5], '1', 'PX', ARGV[2])
