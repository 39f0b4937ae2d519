"""What RedisStore does in one step at Redis.

A session is a hash: ``c`` creation and ``l`` last lookup, in microseconds since 1970 in UTC, and
``i`` its info as JSON. The connections that use it are a sorted set of ids, each with the time in
ms at which its lease ends, by Redis's own clock: those of the servers may differ.
"""

from __future__ import annotations

from typing import Final

#: Session; creation, last lookup, info, lifetime in ms or 0. 1, or 0 where the key is taken.
CREATE: Final = b"""
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'c', ARGV[1], 'l', ARGV[2], 'i', ARGV[3])
if ARGV[4] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return 1
"""

#: Session; now, lifetime in ms or 0. Creation, the lookup before and info, or nothing.
LOOK_UP: Final = b"""
local kept = redis.call('HMGET', KEYS[1], 'c', 'l', 'i')
if not (kept[1] and kept[2] and kept[3]) then return false end
if ARGV[2] ~= '0' then
    if tonumber(ARGV[1]) - tonumber(kept[2]) > tonumber(ARGV[2]) * 1000 then
        redis.call('DEL', KEYS[1])
        return false
    end
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
redis.call('HSET', KEYS[1], 'l', ARGV[1])
return kept
"""

_NOW: Final = b"""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

# The whole set goes with the longest lease in it.
_HOLD: Final = b"""
local function hold(key, connection, lease)
    redis.call('ZADD', key, now + lease, connection)
    if redis.call('PTTL', key) < lease then redis.call('PEXPIRE', key, lease) end
end
"""

#: Connections; id, the most or 0, lease in ms. 1, or 0 where that many are there already.
ATTACH: Final = (
    _NOW
    + _HOLD
    + b"""
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if ARGV[2] ~= '0' and not redis.call('ZSCORE', KEYS[1], ARGV[1])
    and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
hold(KEYS[1], ARGV[1], tonumber(ARGV[3]))
return 1
"""
)

#: Connections, and the session if it goes with the last of them; id. How many are left.
DETACH: Final = (
    _NOW
    + b"""
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local left = redis.call('ZCARD', KEYS[1])
if left == 0 and KEYS[2] then redis.call('DEL', KEYS[2]) end
return left
"""
)

#: Connections of several sessions; lease in ms, then for each how many ids, and these.
RENEW: Final = (
    _NOW
    + _HOLD
    + b"""
local lease, place = tonumber(ARGV[1]), 2
for _, key in ipairs(KEYS) do
    local count = tonumber(ARGV[place])
    for step = 1, count do hold(key, ARGV[place + step], lease) end
    place = place + count + 1
end
"""
)
