-- How many seats of a room are reserved now.
-- KEYS[1] the seats
return redis.call("ZCOUNT", KEYS[1], now_ms + 1, "+inf")
