-- Says that a response will be kept soon, so that whoever asks for it waits.
--
-- KEYS  1 to 4 not used  5 pending; see keep-response.lua
-- ARGV  1 id  2 for how long in ms
-- Returns nothing.

redis.call('SET', KEYS[5], '1', 'PX', ARGV[2])
