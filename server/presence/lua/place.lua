-- Finds a room (or takes the one asked for), counts a seat in it and keeps the reservation: all of it or nothing.
-- ARGV[2] room id, or "" for the oldest that is open; ARGV[3] session id; ARGV[4] the reservation; ARGV[5] its life in ms
-- ARGV[6...] filters and the values asked for

-- Reserved seats whose deadline has passed are free: whoever counts takes them away, nobody sweeps.
local function is_full(room_id)
  local clients, seats = unpack(redis.call("HMGET", base .. "listing:" .. room_id, "clients", "max_clients"))
  local reserved = base .. "seats:" .. room_id
  redis.call("ZREMRANGEBYSCORE", reserved, "-inf", now_ms)
  return clients + redis.call("ZCARD", reserved) >= tonumber(seats)
end

local function matches(room_id)
  for i = 6, #ARGV, 2 do
    if redis.call("HGET", base .. "listing:" .. room_id, ARGV[i]) ~= ARGV[i + 1] then
      return false
    end
  end
  return true
end

local function reserve(room_id)
  local seats, deadline_ms = base .. "seats:" .. room_id, now_ms + ARGV[5]
  redis.call("ZADD", seats, deadline_ms, ARGV[3])
  -- Keys end by themselves, but the seat decides: these must not end before it.
  redis.call("SET", base .. "reservation:" .. room_id .. ":" .. ARGV[3], ARGV[4], "PXAT", deadline_ms + 1000)
  redis.call("PEXPIREAT", seats, math.max(deadline_ms + 1000, redis.call("PEXPIRETIME", seats)))
  return { "placed", redis.call("HGET", base .. "listing:" .. room_id, "record") }
end

local function place_in(room_id)
  if not is_live(room_id) then
    return { "not_found" }
  elseif redis.call("HGET", base .. "listing:" .. room_id, "locked") == "1" then
    return { "locked" }
  elseif is_full(room_id) then
    return { "full" }
  end
  return reserve(room_id)
end

if ARGV[2] ~= "" then
  return place_in(ARGV[2])
end
for _, room_id in ipairs(redis.call("ZRANGE", KEYS[2], 0, -1)) do
  if is_live(room_id) and matches(room_id) and not is_full(room_id) then
    return reserve(room_id)
  end
end
return { "no_room" }
