"""What RedisBackend does in one step at Redis.

Keys, after the prefix: ``nodes``, a sorted set of nodes, each with the time in ms at which its
lease ends, by Redis's own clock; ``revisions``, a hash that tells how often each has announced
its providers; ``links``, one that tells how often each has connected; ``node:NODE``, what it has
announced last; ``streams``, a sorted set of the
names of streams of calls, with the time at which each may be forgotten; ``calls:NAME``, such a
stream; ``inbox:NODE``, a stream of what a node is told; ``places:NODE``, a hash that has for each
call of a node the entry that it is, or "" where its outcome is in the inbox: so who looks for one
needn't read all. All expire when nobody renews them.

A stream of calls has one consumer group, in which each node is a consumer: an entry is waiting,
or a node's who has taken it, or gone. Of one that is a node's the delivery counter tells more: it
is 1 until the call's bytes leave for a provider, and 2 from then on.

What a dead node had is found by its name, among the entries pending for it, and not by
XAUTOCLAIM, which goes by how long ago an entry was taken: a call may well take longer than a
lease. It goes back to the end of its stream, from where whoever has a free provider takes it.
"""

from __future__ import annotations

from typing import Final

#: Most times that a call is taken: one that no provider keeps mustn't go round for ever.
MOST_ATTEMPTS: Final = 10

# The key is the prefix. Its hash tag, if any, isn't used: this is for one Redis, no cluster.
_COMMON: Final = b"""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local prefix = KEYS[1]
local keep = tonumber(ARGV[1])
local nodes, streams = prefix .. 'nodes', prefix .. 'streams'
local function alive(node)
    if not node then return false end
    local lease = redis.call('ZSCORE', nodes, node)
    return lease and tonumber(lease) > now
end
local function member(fields, name)
    for place = 1, #fields, 2 do
        if fields[place] == name then return fields[place + 1] end
    end
end
local function number(fields, name) return tonumber(member(fields, name) or '') or 0 end
local function key_of(stream) return prefix .. 'calls:' .. stream end
local function exists(stream) return redis.call('EXISTS', key_of(stream)) == 1 end
local function tell(node, ...)
    if alive(node) then
        local key = prefix .. 'inbox:' .. node
        redis.call('XADD', key, '*', ...)
        redis.call('PEXPIRE', key, keep)
    end
end
local function retain(stream)
    redis.call('PEXPIRE', key_of(stream), keep)
    redis.call('ZADD', streams, now + keep, stream)
    redis.call('PEXPIRE', streams, keep)
end
local function put_place(caller, call, found)
    local key = prefix .. 'places:' .. caller
    redis.call('HSET', key, call, found)
    redis.call('PEXPIRE', key, keep)
end
local function displace(fields)
    local caller, call = member(fields, 'caller'), member(fields, 'call')
    if caller and call then redis.call('HDEL', prefix .. 'places:' .. caller, call) end
end
local function enqueue(stream, fields)
    if not exists(stream) then
        redis.call('XGROUP', 'CREATE', key_of(stream), 'nodes', '0', 'MKSTREAM')
    end
    local id = redis.call('XADD', key_of(stream), '*', unpack(fields))
    put_place(member(fields, 'caller'), member(fields, 'call'), id)
    retain(stream)
    redis.call('PUBLISH', prefix .. 'waiting', stream)
    return id
end
local function remove(stream, id)
    local was_taken = redis.call('XACK', key_of(stream), 'nodes', id)
    return redis.call('XDEL', key_of(stream), id), was_taken
end
local function settle(caller, call, kind, body)
    if alive(caller) then put_place(caller, call, '') end
    tell(caller, 'kind', kind, 'call', call, 'body', body)
end
"""

# An entry that its node can't, or won't, bring to an end.
_GIVE_UP: Final = (
    b"""
local function give_up(stream, id, sent)
    local found = redis.call('XRANGE', key_of(stream), id, id)[1]
    remove(stream, id)
    if not found then return end
    local fields = found[2]
    local caller, call = member(fields, 'caller'), member(fields, 'call')
    if not alive(caller) then return end
    local attempts = number(fields, 'attempts') + 1
    if member(fields, 'once') == '1' or (sent and member(fields, 'idempotent') ~= '1')
        or attempts >= %d then
        sent = sent or member(fields, 'sent') == '1'
        settle(caller, call, 'lost', sent and 'maybe_executed' or 'not_sent')
        return
    end
    for place = 1, #fields, 2 do
        if fields[place] == 'attempts' then fields[place + 1] = tostring(attempts) end
        if fields[place] == 'sent' and sent then fields[place + 1] = '1' end
    end
    tell(caller, 'kind', 'moved', 'call', call, 'body', enqueue(stream, fields))
end
local function give_up_all(stream, node, known)
    if not exists(stream) then return end
    local from = '-'
    while true do
        local taken = redis.call('XPENDING', key_of(stream), 'nodes', from, '+', 100, node)
        for _, entry in ipairs(taken) do
            if not (known and known[entry[1] .. ' ' .. stream]) then
                give_up(stream, entry[1], tonumber(entry[4]) > 1)
            end
            from = '(' .. entry[1]
        end
        if #taken < 100 then return end
    end
end
local function forget(node)
    redis.call('ZREM', nodes, node)
    redis.call('HDEL', prefix .. 'revisions', node)
    redis.call('HDEL', prefix .. 'links', node)
    for _, kind in ipairs({'node:', 'inbox:', 'places:'}) do
        redis.call('DEL', prefix .. kind .. node)
    end
    for _, stream in ipairs(redis.call('ZRANGE', streams, 0, -1)) do
        give_up_all(stream, node, nil)
        if exists(stream) then
            redis.call('XGROUP', 'DELCONSUMER', key_of(stream), 'nodes', node)
        end
    end
    redis.call('PUBLISH', prefix .. 'news', node)
end
"""
    % MOST_ATTEMPTS
)

#: Keep in ms, node, lease in ms, revision, announcement or "", number of its connection, and how
#: many entries are known as taken by the node, these, each as "ID STREAM", and the streams that
#: its own calls are in.
#: Whether its lease had ended, pairs of each living node and its revision, the streams in which
#: calls wait, and the time.
RENEW: Final = (
    _COMMON
    + _GIVE_UP
    + b"""
local me, lease, revision, announcement = ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local lapsed = not alive(me)
local dead = {}
if not lapsed then dead = redis.call('ZRANGEBYSCORE', nodes, '-inf', now) end
redis.call('ZADD', nodes, now + lease, me)
redis.call('HSET', prefix .. 'revisions', me, revision)
redis.call('HSET', prefix .. 'links', me, ARGV[6])
if announcement ~= '' then redis.call('SET', prefix .. 'node:' .. me, announcement) end
for _, key in ipairs({'nodes', 'revisions', 'links', 'node:' .. me, 'inbox:' .. me,
    'places:' .. me}) do
    redis.call('PEXPIRE', prefix .. key, keep)
end
local known, place = {}, 8
for _ = 1, tonumber(ARGV[7]) do
    known[ARGV[place]] = true
    place = place + 1
end
while ARGV[place] do
    if exists(ARGV[place]) then retain(ARGV[place]) end
    place = place + 1
end
for _, node in ipairs(dead) do forget(node) end
redis.call('ZREMRANGEBYSCORE', streams, '-inf', now)
local waiting = {}
for _, stream in ipairs(redis.call('ZRANGE', streams, 0, -1)) do
    give_up_all(stream, me, known)
    if exists(stream) then
        local taken = redis.call('XPENDING', key_of(stream), 'nodes')[1]
        if redis.call('XLEN', key_of(stream)) > taken then waiting[#waiting + 1] = stream end
    end
end
local revisions = redis.call('HGETALL', prefix .. 'revisions')
return {lapsed and 1 or 0, revisions, waiting, now}
"""
)

#: Keep, node, revision, announcement: what has changed, for those who listen.
ANNOUNCE: Final = (
    _COMMON
    + b"""
redis.call('HSET', prefix .. 'revisions', ARGV[2], ARGV[3])
redis.call('SET', prefix .. 'node:' .. ARGV[2], ARGV[4], 'PX', keep)
redis.call('PUBLISH', prefix .. 'news', ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. ARGV[4])
"""
)

#: Keep, node: it ends, and leaves nothing behind.
LEAVE: Final = _COMMON + _GIVE_UP + b"forget(ARGV[2])"

#: Keep, stream, most that wait, how: "new", "again" (it may be there already) or "look" (it is
#: there or it isn't), until when in ms or 0, call, caller, number of its connection, then names
#: and values of all else. The entry's id; "" where it was answered; nil where it isn't there; 0
#: where there are too many. What an older connection still brings is refused: its call is there
#: by now, over the one that took its place.
SUBMIT: Final = (
    _COMMON
    + b"""
local stream, how, call, caller = ARGV[2], ARGV[4], ARGV[6], ARGV[7]
local link = redis.call('HGET', prefix .. 'links', caller)
if link and link ~= ARGV[8] then return redis.error_reply('ERR an older connection') end
if how ~= 'new' then
    local found = redis.call('HGET', prefix .. 'places:' .. caller, call)
    if found == '' or found and #redis.call('XRANGE', key_of(stream), found, found) == 1 then
        return found
    end
    if how == 'look' then return false end
end
if exists(stream) and redis.call('XLEN', key_of(stream))
    - redis.call('XPENDING', key_of(stream), 'nodes')[1] >= tonumber(ARGV[3]) then return 0 end
local fields = {'call', call, 'caller', caller, 'attempts', '0', 'sent', '0', 'until', ARGV[5]}
for place = 9, #ARGV do fields[#fields + 1] = ARGV[place] end
return enqueue(stream, fields)
"""
)

#: Keep, stream, entry, whether only while it waits. Whether the call "not_sent" or
#: "maybe_executed"; nil where it goes on, or is gone.
WITHDRAW: Final = (
    _COMMON
    + b"""
local stream, id = ARGV[2], ARGV[3]
if not exists(stream) then return false end
local taken = redis.call('XPENDING', key_of(stream), 'nodes', id, id, 1)[1]
if taken and ARGV[4] == '1' then return false end
local found = redis.call('XRANGE', key_of(stream), id, id)[1]
if not found then return false end
remove(stream, id)
displace(found[2])
local was_sent = member(found[2], 'sent') == '1'  -- by a node that had it before
if not taken then return was_sent and 'maybe_executed' or 'not_sent' end
tell(taken[2], 'kind', 'withdrawn', 'call', id .. ' ' .. stream, 'body', '')
return (was_sent or tonumber(taken[4]) > 1) and 'maybe_executed' or 'not_sent'
"""
)

#: Keep, stream, node, how many. Entries, each with the ms that are left for it, or -1.
TAKE: Final = (
    _COMMON
    + b"""
local stream, me, most = ARGV[2], ARGV[3], tonumber(ARGV[4])
local taken = {}
while #taken < most and exists(stream) do
    local found = redis.call('XREADGROUP', 'GROUP', 'nodes', me, 'COUNT', most - #taken,
        'STREAMS', key_of(stream), '>')
    if not found then break end
    for _, entry in ipairs(found[1][2]) do
        local last = number(entry[2], 'until')
        if (last > 0 and last <= now) or not alive(member(entry[2], 'caller')) then
            remove(stream, entry[1])
            displace(entry[2])
        else
            taken[#taken + 1] = {entry[1], entry[2], last > 0 and last - now or -1}
        end
    end
end
return taken
"""
)

#: Keep, stream, entry, node. Whether the entry is the node's still; then it is marked as sent.
MARK: Final = (
    _COMMON
    + b"""
local key, id, me = key_of(ARGV[2]), ARGV[3], ARGV[4]
if not exists(ARGV[2]) then return 0 end
if #redis.call('XPENDING', key, 'nodes', id, id, 1, me) == 0 then return 0 end
redis.call('XCLAIM', key, 'nodes', me, 0, id, 'RETRYCOUNT', 2, 'JUSTID')
return 1
"""
)

#: Keep, stream, entry, caller, call, kind, body: how it has ended, where it hadn't before.
ANSWER: Final = (
    _COMMON
    + b"""
local _, was_taken = remove(ARGV[2], ARGV[3])
if was_taken == 1 then settle(ARGV[4], ARGV[5], ARGV[6], ARGV[7]) end
"""
)

#: Keep, node, how many entries of its inbox, these, and the calls whose outcomes they are: it
#: knows them.
TOLD: Final = (
    _COMMON
    + b"""
local me, last = ARGV[2], 3 + tonumber(ARGV[3])
redis.call('XDEL', prefix .. 'inbox:' .. me, unpack(ARGV, 4, last))
if ARGV[last + 1] then redis.call('HDEL', prefix .. 'places:' .. me, unpack(ARGV, last + 1)) end
"""
)

#: Keep, stream, entry, whether it was sent: its node has it no longer, and didn't end it.
GIVE_UP: Final = (
    _COMMON
    + _GIVE_UP
    + b"""
if exists(ARGV[2]) and #redis.call('XPENDING', key_of(ARGV[2]), 'nodes', ARGV[3], ARGV[3], 1) == 1
    then give_up(ARGV[2], ARGV[3], ARGV[4] == '1') end
"""
)
