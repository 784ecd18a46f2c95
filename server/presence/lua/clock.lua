-- Begins the scripts about deadlines: the time of Redis' own clock, for the whole script.
local clock = redis.call("TIME")
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
