"""Lua scripts for Redis, where a look and a change must be one step: trimming, and removing consumers."""

from __future__ import annotations

TRIM = """
-- Drops what every group of the stream has acknowledged: below the lowest id that is pending in any, or that one was
-- not given yet. Ids are compared as text by length and order: their numbers are larger than Lua's.
local function parts(id) return string.match(id, '^(%d+)-(%d+)$') end
local function less(a, b)
    if #a ~= #b then return #a < #b end
    return a < b
end
local function before(a, b)
    local am, as = parts(a)
    local bm, bs = parts(b)
    if am ~= bm then return less(am, bm) end
    return less(as, bs)
end
local lowest = false
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    local found = {}
    for i = 1, #group, 2 do found[group[i]] = group[i + 1] end
    local safe = found['last-delivered-id']
    local pending = redis.call('XPENDING', KEYS[1], found['name'])
    if pending[1] > 0 and before(pending[2], safe) then safe = pending[2] end
    if not lowest or before(safe, lowest) then lowest = safe end
end
if not lowest then return 0 end
return redis.call('XTRIM', KEYS[1], 'MINID', lowest)
"""
"""KEYS: the stream. How many entries went."""

FORGET = """
-- Removes consumers that hold nothing and were idle for long: to remove one that holds entries would lose them.
local removed = 0
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local found = {}
    for i = 1, #consumer, 2 do found[consumer[i]] = consumer[i + 1] end
    if found['pending'] == 0 and (found['name'] == ARGV[3] or found['idle'] >= tonumber(ARGV[2])) then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], found['name'])
        removed = removed + 1
    end
end
return removed
"""
"""KEYS: the stream. ARGV: the group, milliseconds of idleness, and a consumer that need not have been idle."""
