-- Begins the scripts that look through a name's rooms: which of them are listed, by a node that lives?
-- KEYS[1] the rooms by creation time, KEYS[2] the open ones; ARGV[1] what all keys of this name begin with
local base = ARGV[1]
local lasting = {}

-- Whether the room's listing and its node's lease are there; else clears the listing away.
local function is_live(room_id)
  local node = redis.call("HGET", base .. "listing:" .. room_id, "node_id")
  if node and lasting[node] == nil then
    lasting[node] = redis.call("EXISTS", base .. "lease:" .. node) == 1
  end
  if node and lasting[node] then
    return true
  end
  redis.call("DEL", base .. "listing:" .. room_id)
  redis.call("ZREM", KEYS[1], room_id)
  redis.call("ZREM", KEYS[2], room_id)
  return false
end
