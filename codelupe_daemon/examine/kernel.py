"""The statistics of a text in one pass, outside the GIL: lines, comments, words, names.

A line is taken as a comment if it begins with a marker or stands in a block that began a line;
words are counted in the other lines only. That is exact for nearly all real code and needs no
state inside a line, so that a mistake cannot spread over the file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from codelupe_daemon.examine.balance import (
    BALANCE_COLUMNS,
    broken_at_end,
    is_inside_text,
    read_line,
)
from codelupe_daemon.examine.features import (
    ALNUM,
    BACKSLASHES,
    BLANK,
    BLANKS,
    BROKEN,
    CAMEL,
    CODE,
    COMMENT,
    COMMENT_BYTES,
    DEEP,
    DEFINITIONS,
    DIGITS,
    DOCUMENTED,
    DUPLICATES,
    ENCODED,
    FEATURES,
    HEADER_BYTES,
    HEADER_LINES,
    INDENTED,
    LETTERS,
    LINES,
    LONG_LINES,
    LONGEST,
    LONGEST_ENCODED,
    MARKER_LINE,
    MAX_LINE,
    NAME_BYTES,
    NAMES,
    NUMBERED,
    NUMBERS,
    PASS_LINES,
    SHORT_NAMES,
    SNAKE,
    SWALLOWED,
    TABLE_COLUMNS,
    TODOS,
    VISIBLE,
    WORDS,
)
from codelupe_daemon.examine.languages.base import (
    BRACES,
    CLOSE,
    CLOSE_BYTES,
    IGNORE_1,
    IGNORE_2,
    LINE_1,
    LINE_2,
    MARK_COLUMNS,
    MIX_HIGH,
    MIX_LOW,
    OPEN,
    SLOT_BYTES,
    SLOTS,
    STATEMENTS,
    TRIPLE,
    WORD_MAX_BYTES,
    Word,
)
from codelupe_daemon.examine.lines import (
    begins_with,
    find,
    first_visible,
    last_visible,
    line_end,
)
from codelupe_daemon.examine.shares import (
    count_characters,
    duplicates,
    is_todo,
    seen_slots,
    statement,
)
from codelupe_daemon.examine.text import CR, LF
from codelupe_daemon.kernels import INLINE, JIT
from codelupe_daemon.syntax.blocks import (
    U64,
    add,
    byte_at,
    count_bits,
    equal_mask,
    first_bytes,
    get,
    letter_mask,
    limit,
    load64,
    lowest_bit,
    put,
    range_mask,
)

HEAD_LINES = 40
"""Where the marker of a generated file is looked for."""
LONG_LINE_BYTES = 120
ENCODED_MIN_BYTES = 64
TAB_COLUMNS = 4
DEEP_COLUMNS = 24

_ONES = U64(0x0101010101010101)
_HIGHS = U64(0x8080808080808080)
_MIX_LOW, _MIX_HIGH = U64(MIX_LOW), U64(MIX_HIGH)
_DANGER, _DANGER_CALL, _DEFINITION = int(Word.DANGER), int(Word.DANGER_CALL), int(Word.DEFINITION)
_SMELL, _SMELL_CALL = int(Word.SMELL), int(Word.SMELL_CALL)
_CONTROL = sum(1 << word for word in (Word.BRANCH, Word.LOOP, Word.JUMP, Word.ERROR, Word.HANDLER))
_HANDLER, _TESTED_ERROR = 1 << Word.HANDLER, 1 << Word.ERROR | 1 << Word.BRANCH
_PASS, _DOTS = (U64(int.from_bytes(text, "little")) for text in (b"pass", b"..."))

# Carried from line to line, in columns after the measures. AFTER_COMMENT: the line before
# explains what follows; AFTER_COLON: a docstring may follow; PENDING: a head without its brace, 2
# if it is explained; AFTER_HANDLER: the line before began what happens after an error.
STATE, QUOTE, AFTER_COMMENT, AFTER_COLON, PENDING, AFTER_HANDLER, LAST_DEFINITION = range(
    TABLE_COLUMNS, TABLE_COLUMNS + 7
)
# Of the text's table of lines: its address, its slots, and the text's stamp.
SEEN, SEEN_SLOTS, STAMP, BALANCE = range(TABLE_COLUMNS + 7, TABLE_COLUMNS + 11)
ROW_COLUMNS = BALANCE + BALANCE_COLUMNS
_CODE, _COMMENT, _STRING = range(3)


@njit(**JIT)
def triple_state(at: np.uint64, end: np.uint64, quote: np.uint8) -> np.uint8:
    """The quote that is open after at..end when `quote` (0: none) was open before."""
    while at < end:
        double, single = equal_mask(at, 34), equal_mask(at, 39)
        triples = double & (double >> U64(1)) & (double >> U64(2))
        triples |= single & (single >> U64(1)) & (single >> U64(2))
        triples &= limit(end - at) >> U64(2)
        if triples == U64(0):
            at += U64(62)
            continue
        at += lowest_bit(triples)
        byte = byte_at(at)
        if quote == 0 or quote == byte:
            quote = np.uint8(0) if quote == byte else byte
        at += U64(3)
    return np.uint8(quote)


@njit(**JIT)
def characters(at: np.uint64, end: np.uint64) -> np.int64:
    inside = U64(0)
    i = at
    while i < end:
        inside += count_bits(range_mask(i, 0, 0x80, 0x40) & limit(end - i))
        i += U64(64)
    return np.int64(end - at - inside)


@njit(**JIT)
def may_be_encoded(at: np.uint64, end: np.uint64) -> bool:
    """Whether there may be a run of ENCODED_MIN_BYTES: it fills half of some block of 64."""
    half = U64(0xFFFFFFFF)
    while at < end:
        run = range_mask(at, 32, 97, 26) | range_mask(at, 0, 47, 11)
        run |= equal_mask(at, 43) | equal_mask(at, 61)
        if run & half == half or run >> U64(32) == half:
            return True
        at += U64(64)
    return False


@njit(**JIT)
def encoded_runs(at: np.uint64, end: np.uint64, row: np.uint64) -> None:
    """Add up the runs of base64 or hex: long, with digits, with few other characters."""
    run = digits = others = np.int64(0)
    for k in range(at, end + U64(1)):
        byte = byte_at(k) if k < end else np.uint8(0)
        digit = 48 <= byte <= 57
        other = byte == 43 or byte == 47 or byte == 61
        if digit or other or 97 <= (byte | 32) <= 122:
            run += 1
            digits += digit
            others += other
            continue
        if run >= ENCODED_MIN_BYTES and digits * 16 >= run and others * 4 < run:
            add(row, ENCODED, run)
            put(row, LONGEST_ENCODED, max(get(row, LONGEST_ENCODED), run))
        run = digits = others = np.int64(0)


@njit(**JIT)
def speaks_of_generating(at: np.uint64, end: np.uint64) -> bool:
    """Whether a line holds "generat" or "(no)t edi(t)", as every marker of a generator does."""
    one, two, three, four, five, six = U64(1), U64(2), U64(3), U64(4), U64(5), U64(6)
    while at < end:
        e = letter_mask(at, 101)
        generate = letter_mask(at, 103) & (e >> one) & (e >> three)
        generate &= letter_mask(at, 110) >> two
        generate &= letter_mask(at, 114) >> four
        generate &= letter_mask(at, 97) >> five
        generate &= letter_mask(at, 116) >> six
        edit = letter_mask(at, 116) & (equal_mask(at, 32) >> one) & (e >> two)
        edit &= letter_mask(at, 100) >> three
        edit &= letter_mask(at, 105) >> four
        keep = limit(end - at)
        if (generate & (keep >> six)) | (edit & (keep >> four)) != U64(0):
            return True
        at += U64(58)
    return False


@njit(**INLINE)
def count_name(low: np.uint64, high: np.uint64, size: np.uint64, row: np.uint64) -> None:
    """Size and style of a name, from its first 16 bytes."""
    add(row, NAMES, 1)
    add(row, NAME_BYTES, min(np.int64(size), 40))
    if size == U64(1):
        add(row, SHORT_NAMES, 1)
        return
    under = upper = U64(0)
    for part in (low, high):
        line = part ^ U64(0x5F5F5F5F5F5F5F5F)
        under |= (line - _ONES) & ~line & _HIGHS
        ascii_part = part & ~_HIGHS
        above = (ascii_part + U64(0x3F3F3F3F3F3F3F3F)) & ~(ascii_part + U64(0x2525252525252525))
        upper |= above & ~part & _HIGHS
    starts_low = U64(97) <= low & U64(255) <= U64(122)
    if starts_low and under != U64(0) and upper == U64(0):
        add(row, SNAKE, 1)
    elif starts_low and upper != U64(0) and under == U64(0):
        add(row, CAMEL, 1)


@njit(**INLINE)
def word_class(low: np.uint64, high: np.uint64, words: np.uint64) -> np.int64:
    at = ((low * _MIX_LOW) ^ (high * _MIX_HIGH)) >> U64(55)
    while True:
        slot = words + at * U64(SLOT_BYTES)
        if load64(slot) == low and load64(slot + U64(8)) == high:
            return get(slot, 2)
        if get(slot, 2) == 0:
            return np.int64(0)
        at = (at + U64(1)) & U64(SLOTS - 1)


@njit(**INLINE)
def count_word(
    at: np.uint64, stop: np.uint64, end: np.uint64, words: np.uint64, row: np.uint64
) -> np.int64:
    """Count the word byte_at(at:stop); its class, 0 for a name or a number."""
    add(row, WORDS, 1)
    if 48 <= byte_at(at) <= 57:
        add(row, NUMBERS, 1)
        return np.int64(0)
    size = stop - at
    low = first_bytes(at, stop)
    high = U64(0)
    if size > U64(8):
        high = first_bytes(at + U64(8), stop)
    kind = np.int64(0)
    if size <= U64(WORD_MAX_BYTES):
        kind = word_class(low, high, words)
    if kind == _DANGER_CALL:
        kind = np.int64(_DANGER if stop < end and byte_at(stop) == 40 else 0)
    elif kind == _SMELL_CALL:
        kind = np.int64(_SMELL if stop < end and byte_at(stop) == 40 else 0)
    if kind == 0:
        count_name(low, high, size, row)
        add(row, NUMBERED, 48 <= byte_at(stop - U64(1)) <= 57)
    else:
        add(row, FEATURES + kind, 1)
    return kind


@njit(**INLINE)
def count_words(at: np.uint64, end: np.uint64, words: np.uint64, row: np.uint64) -> np.int64:
    """Count the words of a line; which classes it has, as bits."""
    seen = 0
    start = at
    inside = False
    carry = U64(0)
    i = at
    while i < end:
        keep = limit(end - i)
        word = range_mask(i, 32, 97, 26) | range_mask(i, 0, 48, 10)
        word = (word | equal_mask(i, 95) | range_mask(i, 0, 0x80, 0x80)) & keep
        add(row, ALNUM, np.int64(count_bits(word)))
        add(row, BACKSLASHES, np.int64(count_bits(equal_mask(i, 92) & keep)))
        edges = word ^ ((word << U64(1)) | carry)
        while edges != U64(0):
            place = i + lowest_bit(edges)
            edges &= edges - U64(1)
            if inside:
                seen |= 1 << count_word(start, place, end, words, row)
            start = place
            inside = not inside
        carry = word >> U64(63)
        i += U64(64)
    if inside and start < end:
        seen |= 1 << count_word(start, end, end, words, row)
    return np.int64(seen)


@njit(**INLINE)
def count_alnum(at: np.uint64, end: np.uint64, row: np.uint64) -> None:
    """The share of a comment line in what is counted of all lines."""
    i = at
    while i < end:
        word = range_mask(i, 32, 97, 26) | range_mask(i, 0, 48, 10)
        word |= equal_mask(i, 95) | range_mask(i, 0, 0x80, 0x80)
        add(row, ALNUM, np.int64(count_bits(word & limit(end - i))))
        i += U64(64)


@njit(**INLINE)
def columns(at: np.uint64, end: np.uint64) -> np.int64:
    """The width of the indentation at..end."""
    width = np.int64(end - at)
    tabs = equal_mask(at, 9) & limit(end - at)
    return width + np.int64(count_bits(tabs)) * (TAB_COLUMNS - 1)


@njit(**JIT)
def is_braced(at: np.uint64, end: np.uint64) -> bool:
    """Whether a line without words of control is the head of a function: `name(...) ... {`."""
    if byte_at(end - U64(1)) != 123:
        return False
    before = last_visible(at, end - U64(1))
    if before == at or find(at, before, U64(40), 1) == before:
        return False
    byte = byte_at(before - U64(1))
    return byte == 41 or 97 <= (byte | 32) <= 122 or (byte == 62 and byte_at(before - U64(2)) != 61)


@njit(**INLINE)
def balance_of(row: np.uint64) -> np.uint64:
    """The address of what `balance` keeps of a text."""
    return row + U64(8 * BALANCE)


@njit(**INLINE)
def measure_shape(at: np.uint64, stop: np.uint64, row: np.uint64) -> None:
    """What is counted of every line."""
    add(row, LINES, 1)
    size = np.int64(stop - at)
    if size > get(row, MAX_LINE):
        put(row, MAX_LINE, max(get(row, MAX_LINE), characters(at, stop)))
    add(row, LONG_LINES, size > LONG_LINE_BYTES)
    if size >= ENCODED_MIN_BYTES and may_be_encoded(at, stop):
        encoded_runs(at, stop, row)
    if (
        get(row, LINES) <= HEAD_LINES
        and get(row, MARKER_LINE) == 0
        and speaks_of_generating(at, stop)
    ):
        put(row, MARKER_LINE, get(row, LINES))


@njit(**JIT)
def continue_block(first: np.uint64, stop: np.uint64, marks: np.uint64, row: np.uint64) -> None:
    """Leave the block comment or the long string if this line ends it."""
    if get(marks, TRIPLE) != 0:
        put(row, QUOTE, triple_state(first, stop, np.uint8(get(row, QUOTE))))
        if get(row, QUOTE) == 0:
            put(row, STATE, _CODE)
    elif find(first, stop, U64(get(marks, CLOSE)), get(marks, CLOSE_BYTES)) < stop:
        put(row, STATE, _CODE)


@njit(**INLINE)
def is_comment(first: np.uint64, stop: np.uint64, marks: np.uint64, row: np.uint64) -> bool:
    """Whether a line outside of blocks is a comment; it may begin a block."""
    head = first_bytes(first, stop)
    if begins_with(head, marks, OPEN):
        inner = first + U64(2)
        if find(inner, stop, U64(get(marks, CLOSE)), get(marks, CLOSE_BYTES)) >= stop:
            put(row, STATE, _COMMENT)
        return True
    if begins_with(head, marks, LINE_1) or begins_with(head, marks, LINE_2):
        return True
    if get(marks, TRIPLE) == 0:
        return False
    quote = triple_state(first, stop, np.uint8(0))
    low = head & U64(0xFFFFFF)
    triple = low == U64(0x222222) or low == U64(0x272727)
    comment = triple or (quote != 0 and head & U64(255) == U64(64))  # Elixir: @doc and quotes
    if quote != 0:
        put(row, QUOTE, quote)
        put(row, STATE, _COMMENT if comment else _STRING)
    add(row, DOCUMENTED, triple and get(row, AFTER_COLON) != 0)
    return comment


@njit(**INLINE)
def end_definition(row: np.uint64) -> None:
    """Measure the code since the last definition."""
    put(row, LONGEST, max(get(row, LONGEST), get(row, CODE) - get(row, LAST_DEFINITION)))
    put(row, LAST_DEFINITION, get(row, CODE))


@njit(**JIT)
def is_empty_handler(first: np.uint64, end: np.uint64) -> bool:
    """Whether a line with a word for handling does that and nothing in one line."""
    last = end
    while last > first + U64(4) and (
        byte_at(last - U64(1)) == 41 or byte_at(last - U64(1)) == 44 or byte_at(last - U64(1)) == 59
    ):
        last -= U64(1)
    if byte_at(last - U64(1)) == 125:
        inner = last_visible(first, last - U64(1))
        return bool(inner > first and byte_at(inner - U64(1)) == 123)
    return bool(end - first > U64(6) and find(end - U64(5), end, _PASS, 4) == end - U64(4))


@njit(**INLINE)
def find_swallowed(
    first: np.uint64, end: np.uint64, seen: np.int64, marks: np.uint64, row: np.uint64
) -> None:
    """Count the line byte_at(first:end) if an error ends there unheard."""
    head = first_bytes(first, end)
    last = byte_at(end - U64(1))
    if get(row, AFTER_HANDLER) != 0:
        add(row, SWALLOWED, head == _PASS or head == _DOTS or head & U64(255) == U64(125))
    handles = seen & _HANDLER != 0
    begins = handles or seen & _TESTED_ERROR == _TESTED_ERROR
    put(row, AFTER_HANDLER, begins and (last == 123 or last == 58))
    if handles and last != 123 and last != 58:
        add(row, SWALLOWED, is_empty_handler(first, end))
    if begins_with(head, marks, IGNORE_1) or begins_with(head, marks, IGNORE_2):
        add(row, SWALLOWED, last == 41 or (last == 59 and byte_at(end - U64(2)) == 41))


@njit(**INLINE)
def find_definition(
    first: np.uint64, tail: np.uint64, seen: np.int64, marks: np.uint64, row: np.uint64
) -> None:
    """Count the line byte_at(first:tail) if it defines something: by a word, or by its braces."""
    control = seen & _CONTROL
    defined = seen & (1 << _DEFINITION) != 0
    documented = get(row, AFTER_COMMENT) != 0
    byte, last = byte_at(first), byte_at(tail - U64(1))
    if not defined and get(marks, BRACES) != 0:
        if get(row, PENDING) != 0 and byte == 123 and tail == first + U64(1):
            defined = True
            documented = get(row, PENDING) == 2
        elif control == 0:
            defined = is_braced(first, tail)
    named = 97 <= (byte | 32) <= 122 or byte == 95
    put(row, PENDING, 0)
    if not defined and named and control == 0 and last == 41:
        put(row, PENDING, 2 if documented else 1)
    if defined:
        end_definition(row)
    add(row, DEFINITIONS, defined)
    add(row, DOCUMENTED, defined and documented)
    put(row, AFTER_COLON, last == 58)
    # Between a comment and its definition stand decorators, attributes, heads without a brace.
    if byte != 64 and byte != 35 and byte != 91 and get(row, PENDING) != 2:
        put(row, AFTER_COMMENT, 0)


@njit(**INLINE)
def count_header(size: np.uint64, row: np.uint64) -> None:
    """Count a line of comment that has had none but its like before it."""
    if get(row, AFTER_COMMENT) != 0 or get(row, COMMENT) == 0:
        add(row, HEADER_LINES, 1)
        add(row, HEADER_BYTES, np.int64(size) + 1)


@njit(**INLINE)
def measure_comment(at: np.uint64, first: np.uint64, stop: np.uint64, row: np.uint64) -> None:
    if get(row, CODE) == 0 and get(row, HEADER_LINES) == get(row, COMMENT):
        count_header(stop - at, row)
    add(row, COMMENT, 1)
    put(row, AFTER_COMMENT, 1)
    put(row, AFTER_HANDLER, 0)
    count_alnum(first, stop, row)
    add(row, COMMENT_BYTES, np.int64(stop - at) + 1)
    add(row, TODOS, is_todo(first, stop))


@njit(**INLINE)
def measure_line(
    at: np.uint64, stop: np.uint64,
    marks: np.uint64, words: np.uint64, row: np.uint64,
) -> None:  # fmt: skip
    measure_shape(at, stop, row)
    first = first_visible(at, stop)
    state = get(row, STATE)
    if first == stop:
        add(row, BLANK, 1)
        if state != _COMMENT:
            put(row, AFTER_COMMENT, 0)
        return
    add(row, VISIBLE, np.int64(stop - first))
    comment = state == _COMMENT
    if state != _CODE:
        continue_block(first, stop, marks, row)
    else:
        comment = is_comment(first, stop, marks, row)
    if comment:
        measure_comment(at, first, stop, row)
        # Strings that stand alone, and code behind a comment, have quotes and brackets.
        head = first_bytes(first, stop)
        mixed = get(marks, TRIPLE) != 0 and not begins_with(head, marks, LINE_1)
        mixed |= state == _CODE and begins_with(head, marks, OPEN)
        if mixed or is_inside_text(balance_of(row)):
            tail, width = last_visible(first, stop), columns(at, first)
            read_line(first, tail, width, marks, balance_of(row))
        return
    add(row, CODE, 1)
    tail = last_visible(first, stop)
    seen_before = U64(get(row, SEEN))
    add(
        row, DUPLICATES, duplicates(first, tail, seen_before, get(row, SEEN_SLOTS), get(row, STAMP))
    )
    width = columns(at, first)
    end = read_line(first, tail, width, marks, balance_of(row))
    if state == _STRING:
        count_alnum(first, stop, row)
        return
    add(row, INDENTED, width)
    add(row, DEEP, width > DEEP_COLUMNS)
    if get(marks, STATEMENTS) != 0:
        does = statement(first, tail)
        if does >= 0:
            add(row, PASS_LINES + does, 1)
    seen = count_words(first, tail, words, row)
    if end > first:
        find_swallowed(first, end, seen, marks, row)
        find_definition(first, end, seen, marks, row)


@njit(**JIT)
def measure_texts(
    data: Any, offsets: Any, sizes: Any, texts: Any, kinds: Any, marks: Any, words: Any, table: Any
) -> None:
    """Fill (n, ROW_COLUMNS) int64, zeros before; kinds: each text's analyser, -1 for none."""
    lines = np.int64(0)
    for f in range(offsets.shape[0]):
        if kinds[f] >= 0:
            lines = max(lines, texts[f, LF], texts[f, CR])
    seen = np.zeros(seen_slots(lines + 1), np.uint64)
    for f in range(offsets.shape[0]):
        kind = kinds[f]
        if kind < 0:
            continue
        at = U64(data.ctypes.data) + U64(offsets[f])
        end = at + U64(sizes[f])
        newline = np.uint8(13 if texts[f, LF] == 0 and texts[f, CR] > 0 else 10)
        mark = U64(marks.ctypes.data) + U64(kind * MARK_COLUMNS * 8)
        word = U64(words.ctypes.data) + U64(kind * SLOTS * SLOT_BYTES)
        row = U64(table.ctypes.data) + U64(f * ROW_COLUMNS * 8)
        put(row, SEEN, np.int64(seen.ctypes.data))
        put(row, SEEN_SLOTS, seen_slots(max(texts[f, LF], texts[f, CR]) + 1))
        put(row, STAMP, f + 1)
        letters, digits, blanks = count_characters(at, end)
        put(row, LETTERS, letters)
        put(row, DIGITS, digits)
        put(row, BLANKS, blanks)
        while at < end:
            stop = line_end(at, end, newline)
            measure_line(at, stop, mark, word, row)
            at = stop + U64(1)
        end_definition(row)
        put(row, BROKEN, broken_at_end(balance_of(row)) + (get(row, STATE) == _COMMENT))
