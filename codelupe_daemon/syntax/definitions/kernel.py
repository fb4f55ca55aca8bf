"""The names that a text defines, in one pass outside the GIL.

A text is taken apart into words and marks; comments and strings are stepped over. A stack of
frames, one for each open bracket, says what stands around a word; a frame also holds how far its
current statement has come. What a keyword or a mark does is data: the grammar's acts and traits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from codelupe_daemon.syntax.blocks import (
    INLINE,
    JIT,
    U64,
    byte_at,
    equal_mask,
    first_bytes,
    get,
    limit,
    load64,
    lowest_bit,
    put,
    range_mask,
)
from codelupe_daemon.syntax.definitions.grammar import (
    CONTEXTUAL,
    MIX_HIGH,
    MIX_LOW,
    SLOT_BYTES,
    SLOTS,
    WORD_MAX_BYTES,
    Act,
    Trait,
)
from codelupe_daemon.syntax.definitions.lexing import (
    ONE,
    angles_end,
    comment_end,
    cpp_raw_end,
    directive_end,
    first_visible,
    heredoc_end,
    is_word,
    line_end,
    peek,
    regex_end,
    rust_marks,
    rust_quote_end,
    rust_raw_end,
    string_end,
    triple_end,
    word_end,
)

MAX_NAMES = 200
MAX_NAME_BYTES = 255
MAX_JSON_BYTES = 4096
MAX_DEPTH = 200
MAX_BRANCHES = 64
SEEN_SLOTS = 512

# What is known of the whole text.
(
    START,
    END,
    TRAITS,
    WORDS,
    FRAME,  # the address of the innermost frame
    FRAMES,  # of the outermost
    PREVIOUS,  # the byte of the mark before, or one of the numbers below
    FRESH,  # whether a line began since
    COUNT,
    FULL,  # whether there is no room for more names
    JSON_BYTES,
    FOUND,
    SEEN,
    HEREDOC,
    HEREDOC_END,
    BRANCHES,
    BRANCH,
    NO_REGEX,  # up to here no slash begins a regular expression
    STATE_COLUMNS,
) = range(19)

IDENT, NUMBER, STRING, KEYWORD, MODIFIER, ARROW, COMPARE, TYPE_WORD, ATTRIBUTE = range(1, 10)

# What is known of a bracket and of the statement in it.
(
    KIND,
    QUOTE,  # of the string whose hole this is
    OPENED,
    PHASE,
    HEAD,  # the name before the brackets of what may be a function's head
    HEAD_END,
    SINCE,  # names since those brackets
    NEXT,  # what the next brace opens
    WANT,  # what the next name is
    MODE,
    NAME,  # what is being assigned to
    NAME_END,
    VALUE,  # how far the assigned value has come
    TYPE_AT,
    TYPE_END,
    LAST,
    LAST_END,
    LAST_STARTS,
    FRAME_COLUMNS,
) = range(19)
_FRAME_BYTES = U64(FRAME_COLUMNS * 8)

TOP, TYPE, ENUM, INTERFACE, FUNCTION, BLOCK, ROUND, SQUARE, GROUP, HOLE, ANNOTATION, OBJECT = range(
    1, 13
)
NO_PHASE, IN_HEAD, AFTER_HEAD, RETURN_TYPE, INITIALIZERS, ASSIGNED = range(6)
(NO_WANT, WANT_FUNCTION, WANT_TYPE, WANT_BASE, WANT_NAME, WANT_GROUP, WANT_CONST, WANT_VAR) = range(
    8
)
NO_MODE, TYPEDEF, USING, GROUP_NAMES, ALIAS, DECLARED, QUESTION = range(7)
NO_VALUE, BEGINS, ONE_NAME, BRACKETS, TYPED = range(5)

_FUNCTION, _TYPE, _ENUM = int(Act.FUNCTION), int(Act.TYPE), int(Act.ENUM)
_MODULE, _INTERFACE, _NAME = int(Act.MODULE), int(Act.INTERFACE), int(Act.NAME)
_GROUP, _CONST, _VAR, _BODY = int(Act.GROUP), int(Act.CONST), int(Act.VAR), int(Act.BODY)
_TYPEDEF, _USING, _OPERATOR = int(Act.TYPEDEF), int(Act.USING), int(Act.OPERATOR)
_MODIFIER, _CONTROL, _TYPE_WORD = int(Act.MODIFIER), int(Act.CONTROL), int(Act.TYPE_WORD)
_ATTRIBUTE, _AFTER_AT = int(Act.ATTRIBUTE), int(Act.AFTER_AT)

_SLASHES, _NESTED, _HASHES = int(Trait.SLASHES), int(Trait.NESTED), int(Trait.HASHES)
_DASHES, _PREPROCESSOR = int(Trait.DASHES), int(Trait.PREPROCESSOR)
_LONG_DOUBLE, _SINGLE = int(Trait.LONG_DOUBLE), int(Trait.SINGLE)
_LONG_SINGLE, _LIFETIMES = int(Trait.LONG_SINGLE), int(Trait.LIFETIMES)
_RAW_BACKTICK, _TEMPLATE = int(Trait.RAW_BACKTICK), int(Trait.TEMPLATE)
_TRIPLE_DOUBLE, _TRIPLE_SINGLE = int(Trait.TRIPLE_DOUBLE), int(Trait.TRIPLE_SINGLE)
_RUST_RAW, _CPP_RAW = int(Trait.RUST_RAW), int(Trait.CPP_RAW)
_R_RAW, _AT_RAW = int(Trait.R_RAW), int(Trait.AT_RAW)
_REGEX, _HEREDOC, _SIGILS = int(Trait.REGEX), int(Trait.HEREDOC), int(Trait.SIGILS)
_HOLES, _HASH_HOLES, _DOLLAR = int(Trait.HOLES), int(Trait.HASH_HOLES), int(Trait.DOLLAR)
_FLAT, _QUIET, _HEADS = int(Trait.FLAT), int(Trait.QUIET), int(Trait.HEADS)
_MEMBERS, _TOP_MEMBERS = int(Trait.MEMBERS), int(Trait.TOP_MEMBERS)
_SCRIPT, _ASSIGNED, _DEFERRED = int(Trait.SCRIPT), int(Trait.ASSIGNED), int(Trait.DEFERRED)
_LINES, _CAPITALS, _COLUMN_0 = int(Trait.LINES), int(Trait.CAPITALS), int(Trait.COLUMN_0)
_DOTTED, _MARKS, _SHELL = int(Trait.DOTTED), int(Trait.MARKS), int(Trait.SHELL)
_TYPES, _PHP, _ARROWS = int(Trait.TYPES), int(Trait.PHP), int(Trait.ARROWS)

_MIX_LOW, _MIX_HIGH = U64(MIX_LOW), U64(MIX_HIGH)
_TRIPLED = 256


@njit(**INLINE)
def address(state: np.uint64, column: np.int64) -> np.uint64:
    return U64(get(state, column))


@njit(**INLINE)
def has(state: np.uint64, trait: np.int64) -> bool:
    return get(state, TRAITS) & trait != 0


# -- names ------------------------------------------------------------------------------------


@njit(**JIT)
def add_name(state: np.uint64, at: np.uint64, stop: np.uint64) -> None:
    """Keep a name unless it was found before or there is no more room."""
    size = stop - at
    count = get(state, COUNT)
    json_bytes = get(state, JSON_BYTES) + np.int64(size) + 3
    if at >= stop or size > U64(MAX_NAME_BYTES) or get(state, FULL):
        return
    if byte_at(at) < 58 and byte_at(at) >= 48:
        return
    if size == ONE and byte_at(at) == 95:
        return
    value = size * _MIX_HIGH
    for k in range(U64(0), size, U64(8)):
        value = (value ^ first_bytes(at + k, stop)) * _MIX_LOW
        value ^= value >> U64(29)
    value |= ONE
    place = value >> U64(55)
    seen = address(state, SEEN)
    while True:
        slot = seen + place * U64(8)
        if load64(slot) == value:
            return
        if load64(slot) == U64(0):
            break
        place = (place + ONE) & U64(SEEN_SLOTS - 1)
    if json_bytes > MAX_JSON_BYTES:
        put(state, FULL, 1)
        return
    put(slot, 0, np.int64(value))
    found = address(state, FOUND) + U64(count * 16)
    put(found, 0, np.int64(at - address(state, START)))
    put(found, 1, np.int64(size))
    put(state, COUNT, count + 1)
    put(state, FULL, count + 1 == MAX_NAMES)
    put(state, JSON_BYTES, json_bytes)


@njit(**JIT)
def is_capitals(at: np.uint64, stop: np.uint64) -> bool:
    if stop < at + U64(2) or not 65 <= byte_at(at) <= 90:
        return False
    while at < stop:
        byte = byte_at(at)
        if not (65 <= byte <= 90 or 48 <= byte <= 57 or byte == 95):
            return False
        at += ONE
    return True


@njit(**JIT)
def last_part(state: np.uint64, at: np.uint64, stop: np.uint64) -> np.uint64:
    """Where the last name of a path as `a.b::c` begins that begins with at..stop."""
    end = address(state, END)
    while True:
        if peek(stop, end) == 60:
            stop = angles_end(stop, end)
        byte = peek(stop, end)
        if byte == 46 or byte == 92:
            after = stop + ONE
        elif byte == 58:
            after = stop + U64(2 if peek(stop + ONE, end) == 58 else 1)
        else:
            return at
        first = peek(after, end)
        if not is_word(first) or 48 <= first <= 57:
            return at
        at = after
        stop = word_end(at, end)


# -- frames -----------------------------------------------------------------------------------


@njit(**INLINE)
def new_statement(frame: np.uint64) -> None:
    for column in range(PHASE, FRAME_COLUMNS):
        put(frame, column, 0)


@njit(**JIT)
def push(state: np.uint64, kind: np.int64, at: np.uint64) -> None:
    frame = address(state, FRAME)
    if frame >= address(state, FRAMES) + U64(MAX_DEPTH) * _FRAME_BYTES:
        return
    frame += _FRAME_BYTES
    put(state, FRAME, np.int64(frame))
    put(frame, KIND, kind)
    put(frame, QUOTE, 0)
    put(frame, OPENED, np.int64(at))
    new_statement(frame)


@njit(**INLINE)
def pop(state: np.uint64) -> np.uint64:
    """The frame that is the innermost now."""
    frame = address(state, FRAME)
    if frame > address(state, FRAMES):
        frame -= _FRAME_BYTES
        put(state, FRAME, np.int64(frame))
    return frame


@njit(**INLINE)
def is_round(kind: np.int64) -> bool:
    return kind == ROUND or kind == SQUARE or kind == GROUP


# -- words ------------------------------------------------------------------------------------


@njit(**INLINE)
def act_of(at: np.uint64, stop: np.uint64, words: np.uint64) -> np.int64:
    size = stop - at
    if size > U64(WORD_MAX_BYTES):
        return np.int64(0)
    low = first_bytes(at, stop)
    high = U64(0)
    if size > U64(8):
        high = first_bytes(at + U64(8), stop)
    place = ((low * _MIX_LOW) ^ (high * _MIX_HIGH)) >> U64(56)
    while True:
        slot = words + place * U64(SLOT_BYTES)
        if load64(slot) == low and load64(slot + U64(8)) == high:
            return get(slot, 2)
        if get(slot, 2) == 0:
            return np.int64(0)
        place = (place + ONE) & U64(SLOTS - 1)


@njit(**INLINE)
def starts_statement(state: np.uint64) -> bool:
    previous = get(state, PREVIOUS)
    return (
        get(state, FRESH) != 0
        or previous == 0
        or previous == MODIFIER
        or previous == 123  # {
        or previous == 125  # }
        or previous == 59  # ;
        or previous == 44  # ,
        or previous == 42  # *
        or (previous == 41 and get(address(state, FRAME), KIND) == TYPE)  # @decorated()
    )


@njit(**JIT)
def word_follows(at: np.uint64, end: np.uint64) -> bool:
    after = first_visible(at, end)
    byte = peek(after, end)
    return after > at and (is_word(byte) or byte == 36 or byte == 91 or byte == 42 or byte == 35)


@njit(**JIT)
def on_word(state: np.uint64, at: np.uint64, stop: np.uint64) -> None:
    frame = address(state, FRAME)
    if 48 <= byte_at(at) <= 57:
        put(state, PREVIOUS, NUMBER)
        put(state, FRESH, 0)
        put(frame, VALUE, 0)
        return
    act = act_of(at, stop, address(state, WORDS))
    previous = get(state, PREVIOUS)
    starts = starts_statement(state)
    if act != 0:
        if previous == 46 or (previous == 35 and has(state, _RUST_RAW)):  # r#type
            act = np.int64(0)
        elif act & CONTEXTUAL:
            is_keyword = starts or has(state, _MEMBERS)
            is_keyword = is_keyword and word_follows(stop, address(state, END))
            act = act & (CONTEXTUAL - 1) if is_keyword else np.int64(0)
        elif act == _CONTROL and starts and has(state, _SCRIPT):
            kind = get(frame, KIND)
            if (kind == TYPE or kind == OBJECT or kind == INTERFACE) and (
                peek(stop, address(state, END)) == 40
            ):
                act = np.int64(0)  # delete() {}
    if act == 0:
        on_name(state, frame, at, stop, starts)
    else:
        on_keyword(state, frame, act, previous)
    put(state, FRESH, 0)


@njit(**JIT)
def on_name(
    state: np.uint64, frame: np.uint64, at: np.uint64, stop: np.uint64, starts: bool
) -> None:
    end = address(state, END)
    previous = get(state, PREVIOUS)
    want = get(frame, WANT)
    if want != NO_WANT:
        if want == WANT_TYPE and has(state, _DEFERRED):
            put(frame, TYPE_AT, np.int64(at))
            put(frame, TYPE_END, np.int64(stop))
        elif want == WANT_CONST or want == WANT_VAR:
            put(frame, NAME, np.int64(at))
            put(frame, NAME_END, np.int64(stop))
            put(frame, MODE, DECLARED)
            if want == WANT_CONST:
                on_const(state, frame, at, stop)
            put(frame, WANT, NO_WANT)
        elif want != WANT_BASE and want_name(state, frame, at, stop):
            put(frame, WANT, NO_WANT)
    elif has(state, _LINES) and get(frame, KIND) == GROUP and get(state, FRESH):
        add_name(state, at, stop)
        put(frame, MODE, GROUP_NAMES)
    elif get(frame, MODE) == GROUP_NAMES:
        if previous == 44:
            add_name(state, at, stop)
        else:
            put(frame, MODE, NO_MODE)
    renew_after_value(state, frame)
    value = get(frame, VALUE)
    if value != NO_VALUE and value != TYPED:
        put(frame, VALUE, ONE_NAME if value == BEGINS else NO_VALUE)
    if has(state, _COLUMN_0) and (at == address(state, START) or byte_at(at - ONE) == 10):
        after = first_visible(stop, end)
        equals = peek(after, end) == 61 and peek(after + ONE, end) != 61
        if (equals or peek(after, end) == 58) and is_capitals(at, stop):
            add_name(state, at, stop)
    if get(frame, PHASE) == AFTER_HEAD:
        put(frame, SINCE, get(frame, SINCE) + 1)
    if previous == 126 and has(state, _DEFERRED):  # a destructor has no name of its own
        stop = at
    put(frame, LAST, np.int64(at))
    put(frame, LAST_END, np.int64(stop))
    put(frame, LAST_STARTS, starts)
    put(state, PREVIOUS, ATTRIBUTE if previous == 64 else IDENT)


@njit(**INLINE)
def renew_after_value(state: np.uint64, frame: np.uint64) -> None:
    """In C a macro without a semicolon may end `x = {...}`."""
    if get(state, PREVIOUS) == 125 and get(frame, PHASE) == ASSIGNED and has(state, _HEADS):
        new_statement(frame)


@njit(**JIT)
def on_const(state: np.uint64, frame: np.uint64, at: np.uint64, stop: np.uint64) -> None:
    """A constant outside of functions is a definition, but for an imported module."""
    end = address(state, END)
    value = first_visible(stop, end)
    word = U64(0)
    if peek(value, end) == 61:
        value = first_visible(value + ONE, end)
        if value < end:
            word = first_bytes(value, end) & U64(0xFFFFFFFFFFFFFF)
    if get(frame, KIND) == TOP and word != U64(0x65726975716572):  # require
        add_name(state, at, stop)


@njit(**JIT)
def want_name(state: np.uint64, frame: np.uint64, at: np.uint64, stop: np.uint64) -> bool:
    """Define the name that a keyword announced; whether it was one."""
    end = address(state, END)
    if has(state, _RUST_RAW) and stop == at + ONE and peek(stop, end) == 35:
        return False  # r#name
    if has(state, _DOTTED) or (has(state, _HEADS) and get(frame, WANT) == WANT_NAME):
        at = last_part(state, at, stop)
        stop = word_end(at, end)
    if has(state, _MARKS) and (peek(stop, end) == 63 or peek(stop, end) == 33):
        stop += ONE
    add_name(state, at, stop)
    if get(frame, WANT) == WANT_GROUP:
        put(frame, MODE, GROUP_NAMES)
    return True


@njit(**JIT)
def on_keyword(state: np.uint64, frame: np.uint64, act: np.int64, previous: np.int64) -> None:
    renew_after_value(state, frame)
    put(state, PREVIOUS, KEYWORD)
    kind = get(frame, KIND)
    if act == _MODIFIER:
        put(state, PREVIOUS, MODIFIER)
        return
    if act == _CONTROL:
        put(frame, WANT, NO_WANT)
        put(frame, VALUE, NO_VALUE)
        put(frame, LAST, 0)
        put(frame, LAST_END, 0)
    elif act == _TYPE_WORD:
        put(state, PREVIOUS, TYPE_WORD)
        put(frame, SINCE, get(frame, SINCE) + 1)
    elif act == _ATTRIBUTE:
        put(state, PREVIOUS, ATTRIBUTE)
    elif act == _FUNCTION:
        put(frame, NEXT, FUNCTION)
        is_literal = has(state, _LINES) and (kind != TOP or get(state, FRESH) == 0)
        put(frame, WANT, NO_WANT if is_literal else WANT_FUNCTION)
    elif act == _TYPE or act == _ENUM or act == _MODULE or act == _INTERFACE:
        go_literal = act == _INTERFACE and has(state, _LINES)
        kinds = TYPE
        if act == _ENUM:
            kinds = ENUM
        elif act == _MODULE:
            kinds = TOP
        elif act == _INTERFACE:
            kinds = INTERFACE
        put(frame, NEXT, kinds)
        put(frame, WANT, WANT_NAME if act == _MODULE else WANT_TYPE)
        if go_literal:
            put(frame, WANT, NO_WANT)
        if has(state, _DEFERRED):
            put(frame, TYPE_AT, 0)
            put(frame, TYPE_END, 0)
    elif act == _NAME:
        put(frame, WANT, WANT_NAME)
        put(frame, MODE, ALIAS)
    elif act == _GROUP:
        put(frame, WANT, WANT_GROUP)
    elif act == _CONST:
        put(frame, WANT, WANT_CONST)
    elif act == _VAR:
        put(frame, WANT, WANT_VAR)
    elif act == _BODY:
        put(frame, NEXT, BLOCK if has(state, _LINES) else TYPE)
    elif act == _TYPEDEF:
        put(frame, MODE, TYPEDEF)
    elif act == _USING:
        put(frame, MODE, USING)
    elif act == _OPERATOR:
        put(frame, PHASE, IN_HEAD)
        put(frame, HEAD, 0)
        put(frame, HEAD_END, 0)
        put(frame, SINCE, 0)
    elif act == _AFTER_AT and previous == 64:
        put(frame, WANT, WANT_NAME)


# -- marks ------------------------------------------------------------------------------------


@njit(**JIT)
def on_open_round(state: np.uint64, frame: np.uint64, at: np.uint64) -> None:
    previous = get(state, PREVIOUS)
    kind, want = get(frame, KIND), get(frame, WANT)
    last, last_end = address(frame, LAST), address(frame, LAST_END)
    opens = ROUND
    if want == WANT_GROUP:
        opens = GROUP
        put(frame, WANT, NO_WANT)
    elif want == WANT_FUNCTION and not has(state, _LINES):
        define_assigned(state, frame)
        put(frame, WANT, NO_WANT)
    elif want == WANT_TYPE and has(state, _DEFERRED) and previous != ATTRIBUTE:
        put(frame, WANT, NO_WANT)
        put(frame, NEXT, 0)
    elif want == WANT_NAME or want == WANT_TYPE:
        put(frame, WANT, NO_WANT)
    value = get(frame, VALUE)
    if value != NO_VALUE and value != TYPED:
        put(frame, VALUE, NO_VALUE if value == BRACKETS else BRACKETS)
    if previous == IDENT and get(frame, WANT) == NO_WANT and last != U64(0):
        if has(state, _HEADS):
            if kind == TOP or kind == TYPE or kind == BLOCK:
                open_head(frame, last, last_end)
            elif kind == ROUND and byte_at(address(frame, OPENED) + ONE) == 42:
                outer = frame - _FRAME_BYTES  # int (*name(int))(int) {
                if not is_round(get(outer, KIND)) and get(outer, PHASE) == NO_PHASE:
                    open_head(outer, last, last_end)
        elif has(state, _MEMBERS):
            if kind == TYPE or (kind == TOP and has(state, _TOP_MEMBERS)):
                if get(frame, PHASE) == NO_PHASE:
                    add_name(state, last, last_end)
                    put(frame, PHASE, IN_HEAD)
        elif has(state, _SCRIPT):
            if get(frame, LAST_STARTS) and get(frame, NEXT) != FUNCTION:
                if kind == TYPE or kind == INTERFACE:
                    add_name(state, last, last_end)
                    put(frame, PHASE, IN_HEAD)
                    put(frame, HEAD_END, 0)
                elif kind == OBJECT:
                    put(frame, HEAD, np.int64(last))
                    put(frame, HEAD_END, np.int64(last_end))
                    put(frame, PHASE, IN_HEAD)
        elif has(state, _LINES):
            if kind == INTERFACE and get(frame, LAST_STARTS):
                add_name(state, last, last_end)
        elif has(state, _SHELL):
            after = first_visible(at + ONE, address(state, END))
            if get(frame, LAST_STARTS) and peek(after, address(state, END)) == 41:
                add_name(state, last, last_end)
    if not has(state, _FLAT):
        push(state, opens, at)


@njit(**JIT)
def open_head(frame: np.uint64, last: np.uint64, last_end: np.uint64) -> None:
    """A name and its bracket, in C: a function's head, or a macro before or behind one."""
    phase = get(frame, PHASE)
    if phase == NO_PHASE:
        put(frame, PHASE, IN_HEAD)
    elif phase != AFTER_HEAD or (get(frame, SINCE) < 2 and not get(frame, LAST_STARTS)):
        return
    put(frame, HEAD, np.int64(last))
    put(frame, HEAD_END, np.int64(last_end))
    put(frame, PHASE, IN_HEAD)
    put(frame, SINCE, 0)


@njit(**JIT)
def define_assigned(state: np.uint64, frame: np.uint64) -> None:
    """A function without a name takes the name of what it is assigned to."""
    if get(frame, NAME) != 0 and get(frame, VALUE) != NO_VALUE:
        add_name(state, address(frame, NAME), address(frame, NAME_END))
    put(frame, NAME, 0)
    put(frame, VALUE, NO_VALUE)


@njit(**JIT)
def on_close_round(state: np.uint64, kind: np.int64) -> None:
    """Close up to the bracket of this kind, unless a brace stands in between."""
    frame = address(state, FRAME)
    bottom = address(state, FRAMES)
    inner = frame
    while inner > bottom and is_round(get(inner, KIND)):
        found = get(inner, KIND)
        if (found == SQUARE) == (kind == SQUARE):
            break
        inner -= _FRAME_BYTES
    if inner <= bottom or not is_round(get(inner, KIND)):
        return
    outer = inner - _FRAME_BYTES
    put(state, FRAME, np.int64(outer))
    if kind == SQUARE:
        return
    if get(outer, MODE) == TYPEDEF and byte_at(address(inner, OPENED) + ONE) == 42:
        put(outer, TYPE_AT, get(inner, LAST))
        put(outer, TYPE_END, get(inner, LAST_END))
    if get(outer, PHASE) == IN_HEAD:
        put(outer, PHASE, AFTER_HEAD)


@njit(**JIT)
def on_open_brace(state: np.uint64, frame: np.uint64, at: np.uint64) -> None:
    kind, phase, following = get(frame, KIND), get(frame, PHASE), get(frame, NEXT)
    previous = get(state, PREVIOUS)
    traits = get(state, TRAITS)
    if kind == FUNCTION and traits & _QUIET:
        push(state, FUNCTION, at)
        return
    opens = BLOCK
    is_value = False
    if following != 0:
        opens = following
        if get(frame, WANT) == WANT_FUNCTION:
            define_assigned(state, frame)
        if traits & _DEFERRED and get(frame, WANT) != NO_WANT:
            add_name(state, address(frame, TYPE_AT), address(frame, TYPE_END))
        if opens == TYPE and get(frame, NAME) != 0 and get(frame, VALUE) != NO_VALUE:
            if get(frame, WANT) == WANT_TYPE:
                define_assigned(state, frame)
    elif traits & _HEADS:
        if phase == INITIALIZERS and previous == IDENT:
            is_value = True
            opens = FUNCTION
        elif phase == AFTER_HEAD or phase == INITIALIZERS:
            add_name(state, address(frame, HEAD), address(frame, HEAD_END))
            opens = FUNCTION
        elif phase == ASSIGNED:
            is_value = True
            opens = FUNCTION
        elif previous == STRING:
            opens = TOP
    elif traits & _MEMBERS:
        opens = FUNCTION
        is_value = phase == ASSIGNED
    elif traits & _SCRIPT:
        if kind == ANNOTATION or (get(frame, MODE) == DECLARED and traits & _TYPES):
            is_value = True
            opens = ANNOTATION
        elif kind == INTERFACE:
            opens = ANNOTATION
        elif get(frame, MODE) == ALIAS and previous == 61:
            opens = INTERFACE
        elif phase == RETURN_TYPE and not (
            previous == IDENT
            or previous == 62
            or previous == 93
            or previous == 125
            or previous == KEYWORD
            or previous == STRING
        ):
            opens = ANNOTATION
            is_value = True
        elif phase == AFTER_HEAD or phase == RETURN_TYPE:
            add_name(state, address(frame, HEAD), address(frame, HEAD_END))
            opens = FUNCTION
        elif previous == 61 or previous == MODIFIER or (kind == OBJECT and previous == 58):
            opens = OBJECT  # what is assigned or exported, not what a call is given
    if get(frame, MODE) == TYPEDEF:
        put(frame, TYPE_AT, 0)
    elif not is_value:
        new_statement(frame)
    put(frame, NEXT, 0)
    put(frame, WANT, 0)
    push(state, opens, at)


@njit(**JIT)
def on_close_brace(state: np.uint64, at: np.uint64) -> np.uint64:
    """Close what is open up to a brace. Where the text goes on: behind the string, for a hole."""
    frame = address(state, FRAME)
    bottom = address(state, FRAMES)
    while frame > bottom and is_round(get(frame, KIND)):
        frame -= _FRAME_BYTES
    put(state, FRAME, np.int64(frame))
    if frame <= bottom:
        new_statement(frame)
        return at + ONE
    if get(frame, KIND) == HOLE:
        quote = get(frame, QUOTE)
        pop(state)
        return go_on_string(state, at + ONE, quote)
    pop(state)
    if has(state, _HEADS) and get(frame, KIND) == FUNCTION and byte_at(at - ONE) == 10:
        # Branches of the preprocessor may open more than they close.
        while address(state, FRAME) > bottom and get(address(state, FRAME), KIND) == FUNCTION:
            pop(state)
    return at + ONE


@njit(**JIT)
def go_on_string(state: np.uint64, at: np.uint64, quote: np.int64) -> np.uint64:
    """The string goes on at `at`: to its end, or to its next hole."""
    end = address(state, END)
    byte = np.uint8(quote & 255)
    traits = get(state, TRAITS)
    hole = np.uint8(0)
    if byte == 96 or traits & _HOLES:
        hole = np.uint8(36)
    elif traits & _HASH_HOLES and byte == 34:
        hole = np.uint8(35)
    if quote & _TRIPLED:
        stop = triple_end(at, end, byte, hole, True)
    else:
        lines = byte == 96
        if byte == 34:
            lines = traits & _LONG_DOUBLE != 0
        elif byte == 39:
            lines = traits & _LONG_SINGLE != 0
        stop = string_end(at, end, byte, hole, True, lines)
    stop = min(stop, end)
    put(state, PREVIOUS, STRING)
    if hole != 0 and stop < end and byte_at(stop - ONE) == 123 and byte_at(stop - U64(2)) == hole:
        push(state, HOLE, stop - ONE)
        put(address(state, FRAME), QUOTE, quote)
        put(state, PREVIOUS, 123)
    return stop


@njit(**JIT)
def on_quote(state: np.uint64, at: np.uint64, byte: np.uint8) -> np.uint64:
    """Behind the string or character whose quote stands at `at`; one further if there is none."""
    start, end = address(state, START), address(state, END)
    traits = get(state, TRAITS)
    before = np.int64(byte_at(at - ONE)) if at > start else np.int64(0)
    if byte == 96:
        if traits & _RAW_BACKTICK:
            put(state, PREVIOUS, STRING)
            return string_end(at + ONE, end, byte, np.uint8(0), False, True)
        return go_on_string(state, at + ONE, np.int64(96)) if traits & _TEMPLATE else at + ONE
    if byte == 39 and not traits & (_SINGLE | _LONG_SINGLE):
        if traits & _LIFETIMES:
            return rust_quote_end(at, end)
        return at + ONE
    if byte == 34 and traits & _RUST_RAW:
        marks = rust_marks(start, at)
        if marks >= 0:
            put(state, PREVIOUS, STRING)
            return rust_raw_end(at + ONE, end, marks)
    tripled = traits & (_TRIPLE_DOUBLE if byte == 34 else _TRIPLE_SINGLE)
    tripled = tripled and peek(at + ONE, end) == byte and peek(at + U64(2), end) == byte
    if traits & (_CPP_RAW | _R_RAW | _AT_RAW):
        if traits & _CPP_RAW and before == 82 and byte == 34:  # R"(
            put(state, PREVIOUS, STRING)
            return cpp_raw_end(at + ONE, end)
        raw = traits & _R_RAW and before == 114 and not is_word(peek(at - U64(2), end))
        if raw or (traits & _AT_RAW and (before == 64 or before == 36)):
            put(state, PREVIOUS, STRING)
            if tripled:
                return triple_end(at + U64(3), end, byte, np.uint8(0), False)
            verbatim = not raw and (before == 64 or peek(at - U64(2), end) == 64)
            return string_end(at + ONE, end, byte, np.uint8(0), not (raw or verbatim), verbatim)
    if byte == 39 and traits & _HEADS and is_word(before):
        word = at
        while word > start and is_word(np.int64(byte_at(word - ONE))) and at - word < U64(32):
            word -= ONE
        if 48 <= byte_at(word) <= 57:
            return at + ONE  # 1'000
    if tripled:
        return go_on_string(state, at + U64(3), np.int64(byte) | _TRIPLED)
    return go_on_string(state, at + ONE, np.int64(byte))


@njit(**JIT)
def on_directive(state: np.uint64, at: np.uint64) -> np.uint64:
    """Behind the preprocessor's line whose `#` stands at `at`."""
    start, end = address(state, START), address(state, END)
    before = at
    while before > start and (byte_at(before - ONE) == 32 or byte_at(before - ONE) == 9):
        before -= ONE
    if before > start and byte_at(before - ONE) != 10:
        return at + ONE
    word = at + ONE
    while peek(word, end) == 32 or peek(word, end) == 9:
        word += ONE
    size = word_end(word, end) - word
    name = first_bytes(word, word + size) if size > U64(0) else U64(0)
    branch = get(state, BRANCH)
    saved = address(state, BRANCHES) + U64(min(branch, MAX_BRANCHES - 1)) * U64(8)
    if name == U64(0x656E69666564):  # define
        macro = first_visible(word + size, line_end(word, end))
        if is_word(peek(macro, end)):
            add_name(state, macro, word_end(macro, end))
    elif name & U64(0xFFFF) == U64(0x6669):  # if, ifdef, ifndef
        put(saved, 0, get(state, FRAME))
        put(state, BRANCH, branch + 1)
        value = first_visible(word + size, end)
        if size == U64(2) and peek(value, end) == 48 and not is_word(peek(value + ONE, end)):
            return skip_branch(line_end(at, end), end)
    elif name == U64(0x65736C65) or name & U64(0xFFFFFFFF) == U64(0x66696C65):  # else, elif
        if 0 < branch <= MAX_BRANCHES:
            put(state, FRAME, get(saved - U64(8), 0))
    elif name == U64(0x6669646E65) and branch > 0:  # endif
        put(state, BRANCH, branch - 1)
    return directive_end(at, end)


@njit(**JIT)
def skip_branch(at: np.uint64, end: np.uint64) -> np.uint64:
    """The line of the directive that ends an `#if 0` behind which `at` stands."""
    depth = 0
    while at < end:
        at += ONE
        mark = at
        while peek(mark, end) == 32 or peek(mark, end) == 9:
            mark += ONE
        if peek(mark, end) == 35:
            word = mark + ONE
            while peek(word, end) == 32 or peek(word, end) == 9:
                word += ONE
            pair = np.int64(0)
            if word + U64(4) <= end:
                pair = np.int64(load64(word) & U64(0xFFFFFFFF))
            if pair & 0xFFFF == 0x6669:
                depth += 1
            elif depth == 0 and (pair == 0x65736C65 or pair == 0x66696C65 or pair == 0x69646E65):
                return mark
            elif pair == 0x69646E65:
                depth -= 1
        at = line_end(at, end)
    return end


@njit(**JIT)
def on_newline(state: np.uint64, frame: np.uint64, at: np.uint64) -> np.uint64:
    put(state, FRESH, 1)
    if has(state, _LINES):
        kind = get(frame, KIND)
        if kind == TOP or kind == GROUP:
            new_statement(frame)
    if get(state, HEREDOC) != 0:
        word, stop = address(state, HEREDOC), address(state, HEREDOC_END)
        put(state, HEREDOC, 0)
        return heredoc_end(at + ONE, address(state, END), word, stop)
    return at + ONE


@njit(**JIT)
def on_less(state: np.uint64, frame: np.uint64, at: np.uint64) -> np.uint64:
    start, end = address(state, START), address(state, END)
    if has(state, _HEREDOC) and peek(at + ONE, end) == 60:
        word = at + U64(2)
        if has(state, _PHP) and peek(word, end) == 60:
            word += ONE
        squiggly = peek(word, end) == 45 or peek(word, end) == 126
        if squiggly:
            word += ONE
        while has(state, _SHELL | _PHP) and peek(word, end) == 32:
            word += ONE
        quoted = peek(word, end) == 34 or peek(word, end) == 39
        if quoted:
            word += ONE
        first = peek(word, end)
        if 65 <= (first & 0xDF) <= 90 or first == 95:
            if has(state, _SHELL | _PHP) or squiggly or quoted or 65 <= first <= 90:
                put(state, HEREDOC, np.int64(word))
                put(state, HEREDOC_END, np.int64(word_end(word, end)))
                return word_end(word, end) + U64(1 if quoted else 0)
    if peek(at + ONE, end) == 61:
        put(state, PREVIOUS, COMPARE)
        return at + U64(2)
    want = get(frame, WANT)
    if get(state, PREVIOUS) == KEYWORD and has(state, _HEADS):  # template <class T>
        return max(angles_end(at, end), at + ONE)
    follows_name = get(state, PREVIOUS) == IDENT and at > start
    if follows_name and (has(state, _SCRIPT)):
        follows_name = is_word(np.int64(byte_at(at - ONE)))
    if follows_name or want == WANT_FUNCTION or get(frame, VALUE) == BEGINS:
        stop = angles_end(at, end)
        if stop > at:
            return stop  # as if nothing had stood between a name and its brackets
    put(frame, WANT, NO_WANT)
    put(state, PREVIOUS, 60)
    return at + ONE


@njit(**JIT)
def on_equals(state: np.uint64, frame: np.uint64, at: np.uint64) -> np.uint64:
    """Behind `=`, `==` or `=>`."""
    end = address(state, END)
    previous = get(state, PREVIOUS)
    after = peek(at + ONE, end)
    traits = get(state, TRAITS)
    kind = get(frame, KIND)
    last, last_end = address(frame, LAST), address(frame, LAST_END)
    if after == 61:
        put(state, PREVIOUS, COMPARE)
        put(frame, VALUE, NO_VALUE)
        return at + U64(2)
    if after == 62:
        if get(frame, VALUE) > BEGINS:
            define_assigned(state, frame)
            put(frame, NEXT, FUNCTION)
        put(frame, VALUE, NO_VALUE)
        put(state, PREVIOUS, ARROW)
        if traits & _MEMBERS:
            put(frame, PHASE, ASSIGNED)
        return at + U64(2)
    want = get(frame, WANT)
    put(frame, WANT, NO_WANT)
    if traits & _CAPITALS and not traits & _COLUMN_0 and previous == IDENT:
        if (kind == TOP or kind == TYPE) and get(frame, PHASE) == NO_PHASE:
            if is_capitals(last, last_end):
                add_name(state, last, last_end)
    if get(frame, MODE) == USING:
        add_name(state, last, last_end)
        put(frame, MODE, NO_MODE)
    if traits & (_HEADS | _MEMBERS):
        put(frame, PHASE, ASSIGNED)
        put(frame, HEAD_END, 0)
        if want == WANT_TYPE:
            put(frame, NEXT, 0)
    elif traits & _ASSIGNED:
        if get(frame, NAME) == 0 and previous == IDENT:
            put(frame, NAME, np.int64(last))
            put(frame, NAME_END, np.int64(last_end))
        if get(frame, MODE) != ALIAS:
            put(frame, MODE, NO_MODE)
        put(frame, VALUE, BEGINS)
        put(frame, PHASE, NO_PHASE)
    put(state, PREVIOUS, 61)
    return at + ONE


@njit(**JIT)
def on_semicolon(state: np.uint64, frame: np.uint64) -> None:
    if get(frame, MODE) == TYPEDEF:
        if get(frame, TYPE_AT) != 0 and get(frame, WANT) == NO_WANT:
            add_name(state, address(frame, TYPE_AT), address(frame, TYPE_END))
        elif get(frame, HEAD) != 0:
            add_name(state, address(frame, HEAD), address(frame, HEAD_END))
        else:
            add_name(state, address(frame, LAST), address(frame, LAST_END))
    if get(frame, KIND) == ENUM and has(state, _MEMBERS):
        put(frame, KIND, TYPE)
    new_statement(frame)


@njit(**JIT)
def on_colon(state: np.uint64, frame: np.uint64) -> None:
    traits = get(state, TRAITS)
    kind, phase = get(frame, KIND), get(frame, PHASE)
    if traits & _HEADS:
        if get(state, PREVIOUS) == TYPE_WORD and phase == NO_PHASE:
            new_statement(frame)  # public:
        elif phase == AFTER_HEAD:
            put(frame, PHASE, INITIALIZERS)
        elif get(frame, WANT) == WANT_TYPE:
            put(frame, WANT, WANT_BASE)
        return
    if traits & _MEMBERS:
        return
    put(frame, WANT, NO_WANT)
    if traits & _SCRIPT:
        if phase == AFTER_HEAD and traits & _TYPES:
            put(frame, PHASE, RETURN_TYPE)
        elif get(frame, VALUE) == BRACKETS and traits & _TYPES:
            put(frame, VALUE, TYPED)
        elif get(frame, MODE) == QUESTION:
            put(frame, MODE, NO_MODE)
        elif kind == OBJECT and get(frame, LAST) != 0 and get(state, PREVIOUS) == IDENT:
            if get(frame, LAST_STARTS) and get(frame, NAME) == 0:
                put(frame, NAME, get(frame, LAST))
                put(frame, NAME_END, get(frame, LAST_END))
                put(frame, VALUE, BEGINS)
        elif kind == TYPE and get(frame, NAME) == 0:
            put(frame, NAME, get(frame, LAST))
            put(frame, NAME_END, get(frame, LAST_END))


@njit(**JIT)
def on_comma(state: np.uint64, frame: np.uint64) -> None:
    traits = get(state, TRAITS)
    if traits & _ASSIGNED:
        following = get(frame, NEXT)
        new_statement(frame)
        if following != FUNCTION:  # class A implements B, C {
            put(frame, NEXT, following)
    elif get(frame, WANT) != WANT_BASE:
        put(frame, WANT, NO_WANT)
        if traits & _DEFERRED:
            put(frame, NEXT, 0)
        if get(frame, MODE) == TYPEDEF and get(frame, TYPE_AT) == 0:
            add_name(state, address(frame, LAST), address(frame, LAST_END))


@njit(**JIT)
def on_sigil(state: np.uint64, at: np.uint64) -> np.uint64:
    """Behind an Elixir sigil whose `~` stands at `at`."""
    end = address(state, END)
    letters = at + ONE
    while 65 <= (peek(letters, end) & 0xDF) <= 90:
        letters += ONE
    if letters == at + ONE:
        return at + ONE
    byte = np.uint8(peek(letters, end))
    if byte == 34 or byte == 39:
        if peek(letters + ONE, end) == byte and peek(letters + U64(2), end) == byte:
            return triple_end(letters + U64(3), end, byte, np.uint8(0), True)
    close = byte
    if byte == 40:
        close = np.uint8(41)
    elif byte == 91 or byte == 123:
        close = np.uint8(byte + 2)
    elif byte == 60:
        close = np.uint8(62)
    elif byte != 34 and byte != 39 and byte != 47 and byte != 124:
        return at + ONE
    put(state, PREVIOUS, STRING)
    return string_end(letters + ONE, end, close, np.uint8(0), True, True)


@njit(**JIT)
def on_slash(state: np.uint64, frame: np.uint64, at: np.uint64) -> np.uint64:
    """Behind a comment or a regular expression."""
    end = address(state, END)
    after = peek(at + ONE, end)
    traits = get(state, TRAITS)
    if traits & _SLASHES:
        if after == 47:
            return line_end(at, end)
        if after == 42:
            return comment_end(at, end, traits & _NESTED != 0)
    previous = get(state, PREVIOUS)
    if traits & _REGEX:
        ends_value = previous == IDENT or previous == NUMBER or previous == STRING
        ends_value = ends_value or previous == 41 or previous == 93 or previous == 125
        if not ends_value:
            put(frame, VALUE, NO_VALUE)
            if at >= address(state, NO_REGEX):
                stop = regex_end(at, end)
                if stop > at + ONE and byte_at(stop - ONE) == 47:
                    put(state, PREVIOUS, STRING)
                    return stop
                put(state, NO_REGEX, np.int64(stop))
    put(state, PREVIOUS, 47)
    put(frame, WANT, NO_WANT)
    put(frame, VALUE, NO_VALUE)
    return at + ONE


@njit(**JIT)
def on_hash(state: np.uint64, at: np.uint64) -> np.uint64:
    start, end = address(state, START), address(state, END)
    traits = get(state, TRAITS)
    if traits & _PREPROCESSOR:
        return on_directive(state, at)
    if traits & _HASHES:
        before = byte_at(at - ONE) if at > start else np.uint8(32)
        if traits & _SHELL and before != 32 and before != 9 and before != 10 and before != 59:
            return at + ONE
        if traits & _PHP and peek(at + ONE, end) == 91:
            return at + ONE
        return line_end(at, end)
    put(state, PREVIOUS, 35)
    return at + ONE


@njit(**INLINE)
def is_operator(byte: np.uint8) -> bool:
    """Whether `=` after it is not an assignment of its own."""
    return bool(
        byte == 33 or byte == 62 or byte == 37 or 42 <= byte <= 45 or byte == 94 or byte == 124
        or byte == 38
    )  # fmt: skip


@njit(**JIT)
def on_mark(state: np.uint64, at: np.uint64) -> np.uint64:
    """Take the mark at `at`; where the text goes on."""
    byte = byte_at(at)
    frame = address(state, FRAME)
    end = address(state, END)
    traits = get(state, TRAITS)
    if byte == 10:
        return on_newline(state, frame, at)
    if byte == 34 or byte == 39 or byte == 96:
        stop = on_quote(state, at, byte)
        put(state, FRESH, 0)
        put(frame, WANT, NO_WANT)
        put(frame, VALUE, NO_VALUE)
        return stop
    if byte == 47:
        return on_slash(state, frame, at)
    if byte == 35:
        return on_hash(state, at)
    if byte == 45 and traits & _DASHES and peek(at + ONE, end) == 45:
        if peek(at + U64(2), end) == 91 and peek(at + U64(3), end) == 91:
            return min(find_long_end(at, end), end)
        return line_end(at, end)
    stop = at + ONE
    if peek(stop, end) == 61 and is_operator(byte):
        put(state, PREVIOUS, COMPARE)
        put(state, FRESH, 0)
        put(frame, WANT, NO_WANT)
        put(frame, VALUE, NO_VALUE)
        return at + U64(2)
    if byte == 40:
        on_open_round(state, frame, at)
    elif byte == 41:
        if not traits & _FLAT:
            on_close_round(state, np.int64(ROUND))
    elif byte == 123:
        if not traits & _FLAT:
            on_open_brace(state, frame, at)
    elif byte == 125:
        if not traits & _FLAT:
            put(state, PREVIOUS, 125)
            put(state, FRESH, 0)
            return on_close_brace(state, at)
    elif byte == 91:
        put(frame, VALUE, NO_VALUE)
        if not traits & _FLAT:
            push(state, SQUARE, at)
    elif byte == 93:
        if not traits & _FLAT:
            on_close_round(state, np.int64(SQUARE))
    elif byte == 60:
        put(state, FRESH, 0)
        return on_less(state, frame, at)
    elif byte == 61:
        put(state, FRESH, 0)
        return on_equals(state, frame, at)
    elif byte == 59:
        on_semicolon(state, frame)
    elif byte == 58 and traits & _HEADS and peek(stop, end) == 58:
        put(state, PREVIOUS, 58)
        return at + U64(2)
    elif byte == 58:
        on_colon(state, frame)
    elif byte == 44:
        on_comma(state, frame)
    elif byte == 126 and traits & _SIGILS:
        return on_sigil(state, at)
    elif byte == 63:
        if traits & _MARKS:
            before = np.int64(byte_at(at - ONE)) if at > address(state, START) else np.int64(0)
            if not is_word(before):
                return at + U64(3 if peek(at + ONE, end) == 92 else 2)
        after = peek(at + ONE, end)
        if after == 40 and traits & _TYPES and get(state, PREVIOUS) == IDENT:
            return stop  # name?(): of an interface
        if traits & _SCRIPT and after != 46 and after != 58 and after != 63:
            put(frame, MODE, QUESTION)
            put(frame, VALUE, NO_VALUE)
    elif byte == 42 or byte == 38 or byte == 62:
        if traits & _DEFERRED and get(frame, WANT) != WANT_BASE:
            put(frame, WANT, NO_WANT)
            put(frame, NEXT, 0)
    elif byte == 33:
        pass  # macro_rules!
    elif byte != 46 and byte != 64:
        put(frame, WANT, NO_WANT)
    if byte != 40 and byte != 41 and byte != 58:
        value = get(frame, VALUE)
        if value == BRACKETS and byte != 46 and byte != 124 and byte != 38:
            put(frame, VALUE, NO_VALUE)
    put(state, PREVIOUS, np.int64(byte))
    put(state, FRESH, 0)
    return stop


@njit(**JIT)
def find_long_end(at: np.uint64, end: np.uint64) -> np.uint64:
    """Behind the `]]` of a Lua comment."""
    place = at + U64(4)
    while place + ONE < end:
        if byte_at(place) == 93 and byte_at(place + ONE) == 93:
            return place + U64(2)
        place += ONE
    return end


# -- the pass ---------------------------------------------------------------------------------


@njit(**JIT)
def scan(state: np.uint64) -> None:
    at, end = address(state, START), address(state, END)
    traits = get(state, TRAITS)
    dollar = np.uint8(36 if traits & _DOLLAR else 95)
    while at < end and not get(state, FULL):
        frame = address(state, FRAME)
        quiet = traits & _QUIET != 0 and get(frame, KIND) == FUNCTION
        keep = limit(end - at)
        word = events = U64(0)
        if quiet:
            events = equal_mask(at, 34) | equal_mask(at, 39) | equal_mask(at, 96)
            events |= equal_mask(at, 47) | equal_mask(at, 123) | equal_mask(at, 125)
            events |= equal_mask(at, 35)
            events &= keep
        else:
            word = range_mask(at, 32, 97, 26) | range_mask(at, 0, 48, 10) | equal_mask(at, 95)
            word = (word | range_mask(at, 0, 128, 128) | equal_mask(at, dollar)) & keep
            blank = equal_mask(at, 32) | equal_mask(at, 9) | equal_mask(at, 13)
            events = (~word & ~blank & keep) | (word & ~(word << ONE))
        going = at + U64(64)
        while events != U64(0):
            bit = lowest_bit(events)
            events &= events - ONE
            place = at + bit
            if (word >> bit) & ONE:
                size = lowest_bit(~(word >> bit))
                if bit + size < U64(64):
                    on_word(state, place, place + size)
                    continue
                if bit > U64(0):
                    going = place
                    break
                going = long_word_end(place, end, dollar)
                on_word(state, place, going)
                break
            stop = max(on_mark(state, place), place + ONE)
            byte = byte_at(place)
            if stop != place + ONE or byte == 123 or byte == 125:
                if stop >= at + U64(64) or byte == 123 or byte == 125:
                    going = stop
                    break
                events &= ~U64(0) << (stop - at)
                # A word that a string runs into begins anew.
                if (word >> (stop - at)) & ONE:
                    going = stop
                    break
        at = going


@njit(**JIT)
def long_word_end(at: np.uint64, end: np.uint64, dollar: np.uint8) -> np.uint64:
    while at < end and (is_word(np.int64(byte_at(at))) or byte_at(at) == dollar):
        at += ONE
    return at


@njit(**JIT)
def scan_texts(
    data: Any, offsets: Any, sizes: Any, kinds: Any, traits: Any, words: Any, found: Any,
    counts: Any,
) -> None:  # fmt: skip
    """Fill (n, MAX_NAMES, 2) int64 with offset and size of each name, and how many there are."""
    row = np.zeros(STATE_COLUMNS, np.int64)
    seen = np.zeros(SEEN_SLOTS, np.uint64)
    frames = np.zeros((MAX_DEPTH + 2) * FRAME_COLUMNS, np.int64)
    branches = np.zeros(MAX_BRANCHES + 1, np.int64)
    state = U64(row.ctypes.data)
    for f in range(offsets.shape[0]):
        counts[f] = 0
        if kinds[f] < 0 or sizes[f] <= 0:
            continue
        row[:] = 0
        seen[:] = 0
        frames[:FRAME_COLUMNS] = 0
        frames[KIND] = TOP
        start = U64(data.ctypes.data) + U64(offsets[f])
        put(state, START, np.int64(start))
        put(state, END, np.int64(start + U64(sizes[f])))
        put(state, TRAITS, traits[kinds[f]])
        put(state, WORDS, np.int64(U64(words.ctypes.data) + U64(kinds[f] * SLOTS * SLOT_BYTES)))
        put(state, FRAME, np.int64(frames.ctypes.data))
        put(state, FRAMES, np.int64(frames.ctypes.data))
        put(state, FRESH, 1)
        put(state, JSON_BYTES, 2)
        put(state, FOUND, np.int64(found.ctypes.data) + f * MAX_NAMES * 16)
        put(state, SEEN, np.int64(seen.ctypes.data))
        put(state, BRANCHES, np.int64(branches.ctypes.data))
        scan(state)
        counts[f] = row[COUNT]


@njit(**JIT)
def write_names(data: Any, offsets: Any, found: Any, counts: Any, out: Any, ends: Any) -> None:
    """Write the names of each text as a JSON array; where it ends. No name needs an escape."""
    to = 0
    for f in range(offsets.shape[0]):
        out[to] = 91
        to += 1
        for k in range(counts[f]):
            out[to] = 44 if k else 34
            to += 1
            if k:
                out[to] = 34
                to += 1
            at = offsets[f] + found[f, k, 0]
            size = found[f, k, 1]
            out[to : to + size] = data[at : at + size]
            out[to + size] = 34
            to += size + 1
        out[to] = 93
        to += 1
        ends[f] = to
