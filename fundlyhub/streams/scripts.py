"""Lua scripts for Redis: reads with a limit of bytes, and where a look and a change must be one step."""

from __future__ import annotations

READ = """
-- Gives a consumer entries of each stream, up to a number and up to so many bytes: XREADGROUP itself knows no limit of
-- bytes. At least one entry of each stream that has any, so that no stream waits for another. Of an entry that is
-- larger than what is kept, only the beginning is handed over.
local function beginning(fields, left)
    local kept = {}
    for i, text in ipairs(fields) do
        if left <= 0 and i % 2 == 1 then return kept end
        kept[i] = string.sub(text, 1, math.max(left, 0))
        left = left - #text
    end
    return kept
end
local answer = {}
for _, stream in ipairs(KEYS) do
    local start, count, bytes = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
    while count > 0 and bytes > 0 do
        local read = redis.pcall('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', 1, 'STREAMS', stream, start)
        if read and read.err then return read end
        local entry = read and read[1] and read[1][2][1]
        if not entry then break end
        local id, fields, size = entry[1], entry[2], 0
        if fields then
            for _, text in ipairs(fields) do size = size + #text end
            if size > tonumber(ARGV[6]) then fields = beginning(fields, tonumber(ARGV[6])) end
        end
        answer[#answer + 1] = {stream, id, size, fields}
        if start ~= '>' then start = id end
        count, bytes = count - 1, bytes - size
    end
end
return answer
"""
"""KEYS: the streams. ARGV: group, consumer, ``>`` or the id to begin behind, entries and bytes of each stream, and the
bytes of one entry that are kept. Stream, id, bytes and fields of each entry; no fields where it was deleted."""

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
