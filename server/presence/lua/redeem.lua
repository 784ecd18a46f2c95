-- Takes a reservation, once: its seat becomes a client's in the listing's count, until the owner publishes its own.
-- KEYS[1] the reservation, KEYS[2] the seats, KEYS[3] the listing
-- ARGV[1] session id
local deadline_ms = redis.call("ZSCORE", KEYS[2], ARGV[1])
if not deadline_ms or tonumber(deadline_ms) <= now_ms then
  return false
end
local reservation = redis.call("GET", KEYS[1])
redis.call("DEL", KEYS[1])
redis.call("ZREM", KEYS[2], ARGV[1])
if redis.call("EXISTS", KEYS[3]) == 1 then
  redis.call("HINCRBY", KEYS[3], "clients", 1)
end
return reservation
