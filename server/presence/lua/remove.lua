-- Ends a listing and its seat count, unless a newer epoch has listed the room.
-- KEYS[1] the rooms by creation time, KEYS[2] the open ones, KEYS[3] the listing, KEYS[4] the seats
-- ARGV[1] room id, ARGV[2] epoch
local listed = redis.call("HGET", KEYS[3], "epoch")
if listed and tonumber(listed) > tonumber(ARGV[2]) then
  return
end
redis.call("DEL", KEYS[3], KEYS[4])
redis.call("ZREM", KEYS[1], ARGV[1])
redis.call("ZREM", KEYS[2], ARGV[1])
