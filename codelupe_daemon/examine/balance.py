"""Whether brackets, strings and blocks close: the cheap sign that a text would parse.

A line without quotes and comments is only counted; the others are read from mark to mark. Words
of the language take no part, so that this holds for every dialect.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from codelupe_daemon.examine.languages.base import (
    CLOSE,
    CLOSE_BYTES,
    LEXIS,
    LINE_1,
    LINE_2,
    OPEN,
    Lexis,
)
from codelupe_daemon.examine.lines import begins_with, find, first_visible, last_visible
from codelupe_daemon.kernels import INLINE, JIT
from codelupe_daemon.syntax.blocks import (
    U64,
    add,
    byte_at,
    count_bits,
    equal_mask,
    first_bytes,
    get,
    limit,
    load64,
    lowest_bit,
    put,
    range_mask,
)

# Of a text, at an address of its own: what did not close so far, and what is carried from line to
# line. SKIPPED: how deep in an #else; LAST_END: how the line before ended.
BROKEN, DEPTH, OPEN_QUOTE, SKIPPED, LAST_WIDTH, LAST_END, BALANCE_COLUMNS = range(7)
_FINISHED, _COLON, _OPEN = range(3)

_DOUBLE, _SINGLE, _BACKTICK, _BACKSLASH, _HASH = 34, 39, 96, 92, 35
_TRIPLE_QUOTE, _RAW_HASH_QUOTE, _RAW_BRACKET_QUOTE = 256, 512, 513  # TRIPLE is added to its byte
_TRIPLE_DOUBLE, _TRIPLE_SINGLE = U64(0x222222), U64(0x272727)
_THREE_BYTES = U64(0xFFFFFF)
_CHARACTER_MAX_BYTES = 12

_DOUBLE_LINES, _SINGLE_FLAG = int(Lexis.DOUBLE_LINES), int(Lexis.SINGLE)
_CHARACTER_FLAG, _BACKTICK_FLAG = int(Lexis.CHARACTER), int(Lexis.BACKTICK)
_RAW_BACKTICK_FLAG, _TRIPLE_FLAG = int(Lexis.RAW_BACKTICK), int(Lexis.TRIPLE)
_REGEX_FLAG, _RAW_HASH_FLAG = int(Lexis.REGEX), int(Lexis.RAW_HASH)
_RAW_BRACKET_FLAG, _DIRECTIVES = int(Lexis.RAW_BRACKET), int(Lexis.DIRECTIVES)
_INDENTATION = int(Lexis.INDENTATION)


@njit(**INLINE)
def opening(at: np.uint64) -> np.uint64:
    return equal_mask(at, 40) | range_mask(at, 32, 123, 1)


@njit(**INLINE)
def closing(at: np.uint64) -> np.uint64:
    return equal_mask(at, 41) | range_mask(at, 32, 125, 1)


@njit(**INLINE)
def after_word(at: np.uint64, end: np.uint64) -> np.uint64:
    """Behind the letters and digits at `at`, if there are any."""
    while at < end and (97 <= (byte_at(at) | 32) <= 122 or 48 <= byte_at(at) <= 57):
        at += U64(1)
    return at


@njit(**INLINE)
def closing_bytes(place: np.uint64, end: np.uint64, quote: np.int64) -> np.uint64:
    """The size of the mark at `place` that ends what `quote` began; 0 if none does."""
    byte = byte_at(place)
    if quote < _TRIPLE_QUOTE:
        return U64(byte == quote)
    if quote == _RAW_HASH_QUOTE:
        hashed = byte == _DOUBLE and byte_at(place + U64(1)) == _HASH
        return U64(2 if hashed and place + U64(2) <= end else 0)
    if quote == _RAW_BRACKET_QUOTE:
        after = after_word(place + U64(1), end)
        closes = byte == 41 and after < end and byte_at(after) == _DOUBLE
        return after + U64(1) - place if closes else U64(0)
    triple = _TRIPLE_DOUBLE if quote & 255 == _DOUBLE else _TRIPLE_SINGLE
    here = place + U64(3) <= end and load64(place) & _THREE_BYTES == triple
    return U64(3 if here else 0)


@njit(**INLINE)
def opened_quote(place: np.uint64, first: np.uint64, end: np.uint64, lexis: np.int64) -> np.int64:
    """What the double or single quote at `place` begins; 0: nothing."""
    byte = np.int64(byte_at(place))
    three = load64(place) & _THREE_BYTES
    is_triple = three == _TRIPLE_DOUBLE or three == _TRIPLE_SINGLE
    if lexis & _TRIPLE_FLAG and is_triple and place + U64(3) <= end:
        return np.int64(_TRIPLE_QUOTE + byte)
    before = np.int64(byte_at(place - U64(1))) if place > first else 0
    if byte == _SINGLE:
        # In text between tags an apostrophe follows a letter, a string never does.
        is_word = lexis & _REGEX_FLAG != 0 and 97 <= (before | 32) <= 122
        return np.int64(0 if is_word or lexis & _SINGLE_FLAG == 0 else byte)
    if lexis & _RAW_HASH_FLAG and before == _HASH:
        return np.int64(_RAW_HASH_QUOTE)
    if lexis & _RAW_BRACKET_FLAG and before == 82:
        after = after_word(place + U64(1), end)
        return np.int64(_RAW_BRACKET_QUOTE if after < end and byte_at(after) == 40 else byte)
    return byte


@njit(**JIT)
def after_character(place: np.uint64, end: np.uint64) -> np.uint64:
    """Behind the character literal at `place`, or behind its quote if it is none."""
    one = place + U64(1)
    first = 3 if byte_at(one) == _BACKSLASH else 2
    last = first if 32 <= byte_at(one) < 128 and first == 2 else _CHARACTER_MAX_BYTES
    for k in range(first, last + 1):
        if place + U64(k) < end and byte_at(place + U64(k)) == _SINGLE:
            return place + U64(k + 1)
    return one


@njit(**JIT)
def after_pattern(place: np.uint64, first: np.uint64, end: np.uint64) -> np.uint64:
    """Behind the regular expression at `place`, or behind its slash if it is a division."""
    before = last_visible(first, place)
    if before > first:
        byte = byte_at(before - U64(1))
        value = 97 <= (byte | 32) <= 122 or 48 <= byte <= 57 or byte == 95 or byte == 36
        if value or byte == 41 or byte == 93 or byte == 125 or byte == 60:
            return place + U64(1)
    inside = False
    k = place + U64(1)
    while k < end:
        byte = byte_at(k)
        if byte == _BACKSLASH:
            k += U64(1)
        elif byte == 91:
            inside = True
        elif byte == 93:
            inside = False
        elif byte == 47 and not inside:
            return k + U64(1)
        k += U64(1)
    return place + U64(1)


@njit(**JIT)
def read_marks(first: np.uint64, tail: np.uint64, marks: np.uint64, state: np.uint64) -> np.uint64:
    """Follow strings and brackets through a line; the end of its code."""
    lexis, quote = get(marks, LEXIS), get(state, OPEN_QUOTE)
    comment = np.uint8(get(marks, LINE_1) & 255)
    raw_backtick = lexis & _RAW_BACKTICK_FLAG != 0
    end, at, i = tail, first, first
    depth = np.int64(0)
    while i < end:
        found = opening(i) | closing(i) | equal_mask(i, _DOUBLE) | equal_mask(i, _SINGLE)
        found |= equal_mask(i, _BACKTICK) | equal_mask(i, _BACKSLASH) | equal_mask(i, comment)
        found &= limit(end - i)
        while found != U64(0):
            place = i + lowest_bit(found)
            found &= found - U64(1)
            if place < at or place >= end:
                continue
            byte = byte_at(place)
            at = place + U64(1)
            if quote != 0:
                if byte == _BACKSLASH:
                    raw = quote >= _RAW_HASH_QUOTE or (quote == _BACKTICK and raw_backtick)
                    at += U64(not raw)
                else:
                    size = closing_bytes(place, end, quote)
                    if size != U64(0):
                        at = place + size
                        quote = np.int64(0)
            elif byte == 40 or byte | 32 == 123:
                depth += 1
            elif byte == 41 or byte | 32 == 125:
                depth -= 1
            elif byte == _SINGLE and lexis & _CHARACTER_FLAG != 0:
                at = after_character(place, end)
            elif byte == _DOUBLE or byte == _SINGLE:
                quote = opened_quote(place, first, end, lexis)
                if _TRIPLE_QUOTE <= quote < _RAW_HASH_QUOTE:
                    at = place + U64(3)
            elif byte == _BACKTICK:
                if lexis & (_BACKTICK_FLAG | _RAW_BACKTICK_FLAG) != 0:
                    quote = np.int64(_BACKTICK)
            elif byte == comment:
                head = first_bytes(place, end)
                if begins_with(head, marks, OPEN):
                    inner = place + U64(2)
                    close = find(inner, end, U64(get(marks, CLOSE)), get(marks, CLOSE_BYTES))
                    if close >= end:
                        end = place
                    at = close + U64(get(marks, CLOSE_BYTES))
                elif begins_with(head, marks, LINE_1) or begins_with(head, marks, LINE_2):
                    end = place
                elif lexis & _REGEX_FLAG != 0:
                    at = after_pattern(place, first, end)
        i += U64(64)
    ends_here = quote == _SINGLE or (quote == _DOUBLE and lexis & _DOUBLE_LINES == 0)
    if ends_here and byte_at(tail - U64(1)) != _BACKSLASH:
        add(state, BROKEN, 1)
        quote = np.int64(0)
    put(state, OPEN_QUOTE, quote)
    add(state, DEPTH, depth)
    return last_visible(first, end)


@njit(**INLINE)
def count_brackets(
    first: np.uint64, tail: np.uint64, marks: np.uint64, state: np.uint64
) -> np.uint64:
    """Count the brackets of a line of code; where its code ends."""
    if get(state, OPEN_QUOTE) != 0:
        return read_marks(first, tail, marks, state)
    comment = np.uint8(get(marks, LINE_1) & 255)
    depth = np.int64(0)
    at = first
    while at < tail:
        keep = limit(tail - at)
        marked = equal_mask(at, _DOUBLE) | equal_mask(at, _SINGLE)
        marked |= equal_mask(at, _BACKTICK) | equal_mask(at, comment)
        if marked & keep != U64(0):
            return read_marks(first, tail, marks, state)
        depth += np.int64(count_bits(opening(at) & keep)) - np.int64(count_bits(closing(at) & keep))
        at += U64(64)
    add(state, DEPTH, depth)
    return tail


@njit(**JIT)
def is_left_out(first: np.uint64, tail: np.uint64, state: np.uint64) -> bool:
    """Whether a line belongs to a branch of the preprocessor that is not read, or directs it."""
    if byte_at(first) != _HASH:
        return get(state, SKIPPED) != 0
    at = first_visible(first + U64(1), tail)
    if at + U64(2) > tail:
        return True
    one, two = byte_at(at), byte_at(at + U64(1))
    skipped = get(state, SKIPPED)
    if one == 105 and two == 102:  # if
        add(state, DEPTH, 1)
        add(state, SKIPPED, skipped > 0)
    elif one == 101 and two == 108:  # else, elif
        put(state, SKIPPED, max(skipped, 1))
    elif one == 101 and two == 110:  # endif
        add(state, DEPTH, -1)
        put(state, SKIPPED, max(skipped - 1, 0))
    is_read = one == 100 or (one == 105 and two == 110)  # define, include
    return bool(skipped != 0 or not is_read)


@njit(**INLINE)
def read_line(
    first: np.uint64, tail: np.uint64, width: np.int64, marks: np.uint64, state: np.uint64
) -> np.uint64:
    """Follow a line that is no comment, `width` columns deep; where its code ends."""
    lexis = get(marks, LEXIS)
    if lexis == 0 or (lexis & _DIRECTIVES != 0 and is_left_out(first, tail, state)):
        return tail
    if lexis & _INDENTATION == 0:
        return count_brackets(first, tail, marks, state)
    if get(state, LAST_END) != _OPEN:
        deeper = width > get(state, LAST_WIDTH)
        add(state, BROKEN, deeper != (get(state, LAST_END) == _COLON))
        put(state, LAST_WIDTH, width)
    end = count_brackets(first, tail, marks, state)
    if get(state, DEPTH) > 0 or get(state, OPEN_QUOTE) != 0 or byte_at(end - U64(1)) == _BACKSLASH:
        put(state, LAST_END, _OPEN)
    else:
        put(state, LAST_END, _COLON if byte_at(end - U64(1)) == 58 else _FINISHED)
    return end


@njit(**INLINE)
def is_inside_text(state: np.uint64) -> bool:
    """Whether a string of several lines is open."""
    return get(state, OPEN_QUOTE) != 0


@njit(**INLINE)
def broken_at_end(state: np.uint64) -> np.int64:
    """What did not close in the text, with what is still open at its end."""
    left_open = abs(get(state, DEPTH)) + (get(state, OPEN_QUOTE) != 0)
    return get(state, BROKEN) + left_open + (get(state, LAST_END) == _COLON)
