"""What happens in Redis in one step: Lua, sent once and then called by its hash.

Each may run twice with the same arguments (an answer can get lost), and then changes nothing.
Counts are kept beside sets and lists, so that a key that was evicted or deleted alone is noticed.
"""

from __future__ import annotations

from typing import Final

# Lua hands over at most some 8,000 arguments in one call.
_EACH: Final = """
local function each(name, key, values, first, last)
    local changed = 0
    for i = first, last, 5000 do
        changed = changed + redis.call(name, key, unpack(values, i, math.min(i + 4999, last)))
    end
    return changed
end
local function is_whole(set, state)
    return redis.call('SCARD', set) == tonumber(redis.call('HGET', state, 'count') or '0')
end
local function change(set, state, adds, first)
    local added = each('SADD', set, ARGV, first, first + adds - 1)
    local removed = each('SREM', set, ARGV, first + adds, #ARGV)
    redis.call('HINCRBY', state, 'count', added - removed)
end
"""

# KEYS: list. ARGV: ids with spaces between, as one argument is packed sooner than many. 1 where the
# list was otherwise.
REPLACE: Final = f"""{_EACH}
local have, ids = redis.call('LRANGE', KEYS[1], 0, -1), {{}}
for id in string.gmatch(ARGV[1], '%d+') do ids[#ids + 1] = id end
local is_same = #have == #ids
for i = 1, #ids do is_same = is_same and have[i] == ids[i] end
if is_same then return 0 end
redis.call('UNLINK', KEYS[1])
each('RPUSH', KEYS[1], ids, 1, #ids)
return 1
"""

# KEYS: lock. ARGV: owner, milliseconds for which nobody takes it, if the owner still holds it.
LET_GO: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

# KEYS: list, outstanding, daemons. ARGV: owner, how many of the list are its own, new elements.
OUTSTANDING: Final = f"""{_EACH}
redis.call('ZADD', KEYS[3], redis.call('TIME')[1], ARGV[1])
local have = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '0')
local missing = math.min(tonumber(ARGV[2]) - have, #ARGV - 2)
if missing > 0 then
    each('RPUSH', KEYS[1], ARGV, 3, missing + 2)
elseif missing < 0 then
    redis.call('LTRIM', KEYS[1], -missing, -1)
end
redis.call('HSET', KEYS[2], ARGV[1], have + missing)
return have + missing
"""

# KEYS: as above. ARGV: seconds of silence after which an owner is dead, owners that are so.
TIDY: Final = f"""{_EACH}
each('HDEL', KEYS[2], ARGV, 2, #ARGV)
local since = redis.call('TIME')[1] - ARGV[1]
local total, counts = 0, redis.call('HGETALL', KEYS[2])
for i = 1, #counts, 2 do
    local seen = redis.call('ZSCORE', KEYS[3], counts[i])
    if seen and tonumber(seen) >= since then
        total = total + counts[i + 1]
    else
        redis.call('HDEL', KEYS[2], counts[i])
    end
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', '(' .. since)
local surplus = redis.call('LLEN', KEYS[1]) - total
if surplus > 0 then
    redis.call('LTRIM', KEYS[1], surplus, -1)
elseif surplus < 0 then
    redis.call('UNLINK', KEYS[1], KEYS[2])
end
"""

# KEYS: set, state. ARGV: mark of the state from which changes are read or '', up to where they were
# read or '', how many of the rest to add, members to add, members to take out. 0 where the set was
# not whole, and both are empty now, or where they were lost since the reading began.
REPOSITORIES: Final = f"""{_EACH}
if not is_whole(KEYS[1], KEYS[2]) then
    redis.call('UNLINK', KEYS[1], KEYS[2])
    return 0
end
if ARGV[1] ~= '' and redis.call('HGET', KEYS[2], 'mark') ~= ARGV[1] then return 0 end
change(KEYS[1], KEYS[2], tonumber(ARGV[3]), 4)
if ARGV[2] ~= '' and redis.call('HGET', KEYS[2], 'position') ~= ARGV[2] then
    redis.call('HSET', KEYS[2], 'position', ARGV[2], 'moved_at', redis.call('TIME')[1])
end
return 1
"""

# KEYS: set, state. ARGV: holder. From now on it alone writes.
HOLD: Final = f"""{_EACH}
if not is_whole(KEYS[1], KEYS[2]) then redis.call('UNLINK', KEYS[1], KEYS[2]) end
redis.call('HSET', KEYS[2], 'holder', ARGV[1])
return 1
"""

# KEYS: set, state. ARGV: holder. 0 where it holds the set no more.
EMPTY: Final = """
if redis.call('HGET', KEYS[2], 'holder') ~= ARGV[1] then return 0 end
redis.call('UNLINK', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[2], 'holder', ARGV[1])
return 1
"""

# KEYS: set, state. The watermark; 0 where the set is not whole.
WATERMARK: Final = f"""{_EACH}
return is_whole(KEYS[1], KEYS[2]) and redis.call('HGET', KEYS[2], 'watermark') or '0'
"""

# KEYS: set, state. ARGV: holder, watermark, how many of the rest to add, members to add, members
# to take out. 0 where another holds the set, or where it is not whole.
CONTENTS: Final = f"""{_EACH}
if redis.call('HGET', KEYS[2], 'holder') ~= ARGV[1] or not is_whole(KEYS[1], KEYS[2]) then
    return 0
end
if tonumber(redis.call('HGET', KEYS[2], 'watermark') or '0') < tonumber(ARGV[2]) then
    change(KEYS[1], KEYS[2], tonumber(ARGV[3]), 4)
    redis.call('HSET', KEYS[2], 'watermark', ARGV[2])
end
return 1
"""
