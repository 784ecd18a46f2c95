-- Lists a room, or replaces its listing unless that is of a newer epoch: a thawed owner must not undo a takeover.
-- KEYS[1] the rooms by creation time, KEYS[2] the open ones, KEYS[3] the listing
-- ARGV[1] room id, ARGV[2] creation time, ARGV[3] "1" if open, ARGV[4...] the listing's fields and values, the epoch first
local listed = redis.call("HGET", KEYS[3], "epoch")
if listed and tonumber(listed) > tonumber(ARGV[5]) then
  return
end
redis.call("DEL", KEYS[3])
redis.call("HSET", KEYS[3], unpack(ARGV, 4))
redis.call("ZADD", KEYS[1], ARGV[2], ARGV[1])
if ARGV[3] == "1" then
  redis.call("ZADD", KEYS[2], ARGV[2], ARGV[1])
else
  redis.call("ZREM", KEYS[2], ARGV[1])
end
