-- The listings of a name, oldest first: of each its record and its count of clients.
-- ARGV[2] how many at most
local found = {}
for _, room_id in ipairs(redis.call("ZRANGE", KEYS[1], 0, -1)) do
  if #found == tonumber(ARGV[2]) then
    break
  end
  if is_live(room_id) then
    found[#found + 1] = redis.call("HMGET", base .. "listing:" .. room_id, "record", "clients")
  end
end
return found
