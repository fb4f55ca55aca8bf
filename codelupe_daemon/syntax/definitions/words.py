"""What a word does to its statement: a keyword announces, a name is what was wanted."""

from __future__ import annotations

import numpy as np
from numba import njit

from codelupe_daemon.kernels import INLINE, JIT
from codelupe_daemon.syntax.blocks import U64, byte_at, first_bytes, get, load64, put
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
    bracket_end,
    first_visible,
    is_word,
    peek,
    word_end,
)
from codelupe_daemon.syntax.definitions.rows import Frame, Kind, Phase, Text, Token
from codelupe_daemon.syntax.definitions.state import add_name, address, has, new_statement, set_span

_MIX_LOW, _MIX_HIGH = U64(MIX_LOW), U64(MIX_HIGH)
_REQUIRE = U64(int.from_bytes(b"require", "little"))


@njit(**JIT)
def on_word(text: np.uint64, at: np.uint64, stop: np.uint64) -> None:
    frame, end = address(text, Text.FRAME), address(text, Text.END)
    if 48 <= byte_at(at) <= 57:
        put(text, Text.PREVIOUS, Token.NUMBER)
        put(text, Text.FRESH, 0)
        return
    previous, kind = get(text, Text.PREVIOUS), get(frame, Frame.KIND)
    if previous == 125 and get(frame, Frame.PHASE) == Phase.ASSIGNED and has(text, Trait.HEADS):
        new_statement(frame)  # a macro without a semicolon may end `x = {...}`
    starts = starts_statement(text, previous, kind)
    act = act_of(at, stop, address(text, Text.WORDS))
    if act & CONTEXTUAL:
        is_keyword = (starts or has(text, Trait.MEMBERS)) and word_follows(stop, end)
        act = act & (CONTEXTUAL - 1) if is_keyword else np.int64(0)
    is_member = previous == 46 and get(text, Text.FRESH) == 0  # .type, but not `...` and a new line
    if is_member or (previous == 35 and has(text, Trait.RUST)):  # r#type
        act = np.int64(0)
    if act == 0:
        on_name(text, frame, at, stop, starts)
    else:
        on_keyword(text, frame, act)
    put(text, Text.FRESH, 0)


@njit(**INLINE)
def act_of(at: np.uint64, stop: np.uint64, words: np.uint64) -> np.int64:
    size = stop - at
    if size > U64(WORD_MAX_BYTES):
        return np.int64(0)
    low = first_bytes(at, stop)
    high = first_bytes(at + U64(8), stop) if size > U64(8) else U64(0)
    place = ((low * _MIX_LOW) ^ (high * _MIX_HIGH)) >> U64(56)
    while True:
        slot = words + place * U64(SLOT_BYTES)
        if (load64(slot) == low and load64(slot + U64(8)) == high) or get(slot, 2) == 0:
            return get(slot, 2)
        place = (place + ONE) & U64(SLOTS - 1)


@njit(**INLINE)
def starts_statement(text: np.uint64, previous: np.int64, kind: np.int64) -> bool:
    return (
        get(text, Text.FRESH) != 0
        or previous == 0
        or previous == Act.MODIFIER
        or previous == 123  # {
        or previous == 125  # }
        or previous == 59  # ;
        or previous == 44  # ,
        or previous == 42  # *
        or (previous == 41 and kind == Act.TYPE)  # @decorated()
    )


@njit(**JIT)
def word_follows(at: np.uint64, end: np.uint64) -> bool:
    after = first_visible(at, end)
    byte = peek(after, end)
    return after > at and (is_word(byte) or byte == 36 or byte == 91 or byte == 42 or byte == 35)


@njit(**JIT)
def on_name(
    text: np.uint64, frame: np.uint64, at: np.uint64, stop: np.uint64, starts: bool
) -> None:
    previous, want = get(text, Text.PREVIOUS), get(frame, Frame.WANT)
    if want == Act.TYPE and has(text, Trait.HEADS):
        set_span(frame, Frame.TYPE_AT, at, stop)
    elif want == Act.CONST or want == Act.VAR:
        set_span(frame, Frame.NAME, at, stop)
        put(frame, Frame.WANT, 0)
        is_outside = get(frame, Frame.KIND) == Act.MODULE
        if want == Act.CONST and is_outside and not is_import(stop, address(text, Text.END)):
            add_name(text, at, stop)
    elif want != 0 and want != Act.BASE:
        want_name(text, frame, at, stop, want)
    elif get(frame, Frame.KIND) == Kind.GROUPED and get(text, Text.FRESH):
        add_name(text, at, stop)
    set_span(frame, Frame.LAST, at, stop)
    put(frame, Frame.LAST_STARTS, starts)
    put(text, Text.PREVIOUS, Token.IDENT)
    if previous == 64:
        put(text, Text.PREVIOUS, Act.ATTRIBUTE)


@njit(**JIT)
def is_import(at: np.uint64, end: np.uint64) -> bool:
    """Whether `= require` stands here."""
    value = first_visible(first_visible(at, end) + ONE, end)
    return value + U64(7) < end and load64(value) & U64(0xFFFFFFFFFFFFFF) == _REQUIRE


@njit(**JIT)
def want_name(
    text: np.uint64, frame: np.uint64, at: np.uint64, stop: np.uint64, want: np.int64
) -> None:
    """Define the name that a keyword announced."""
    end = address(text, Text.END)
    if stop == at + ONE and peek(stop, end) == 35 and has(text, Trait.RUST):
        return  # r#name
    is_path = want == Act.MODULE and has(text, Trait.HEADS)
    if is_path or has(text, Trait.DOTTED):
        at = last_part(at, stop, end)
        stop = word_end(at, end)
    if has(text, Trait.MARKS) and (peek(stop, end) == 63 or peek(stop, end) == 33):
        stop += ONE
    add_name(text, at, stop)
    put(frame, Frame.WANT, 0)


@njit(**JIT)
def last_part(at: np.uint64, stop: np.uint64, end: np.uint64) -> np.uint64:
    """Where the last name of a path as `a.b::c` begins that begins with at..stop."""
    while True:
        after = bracket_end(stop, end, 60) if peek(stop, end) == 60 else stop
        byte = peek(after, end)
        if byte != 46 and byte != 58 and byte != 92:
            return at
        after += U64(2 if byte == 58 and peek(after + ONE, end) == 58 else 1)
        first = peek(after, end)
        if not is_word(first) or 48 <= first <= 57:
            return at
        at = after
        stop = word_end(at, end)


@njit(**JIT)
def on_keyword(text: np.uint64, frame: np.uint64, act: np.int64) -> None:
    previous, lines = get(text, Text.PREVIOUS), has(text, Trait.LINES)
    put(text, Text.PREVIOUS, act)
    if act <= Act.INTERFACE:
        put(frame, Frame.NEXT, act)
        set_span(frame, Frame.TYPE_AT, U64(0), U64(0))
        is_literal = get(frame, Frame.KIND) != Act.MODULE or get(text, Text.FRESH) == 0
        if lines and (act == Act.INTERFACE or is_literal):  # of Go
            act = np.int64(0)
    if act <= Act.VAR:
        put(frame, Frame.WANT, act)
        if act == Act.NAME:
            put(frame, Frame.MODE, act)
    elif act == Act.CONTROL:
        put(frame, Frame.WANT, 0)
        set_span(frame, Frame.LAST, U64(0), U64(0))
    elif act == Act.BODY:
        put(frame, Frame.NEXT, np.int64(Kind.BLOCK) if lines else np.int64(Act.TYPE))
    elif act == Act.TYPEDEF or act == Act.USING:
        put(frame, Frame.MODE, act)
    elif act == Act.AFTER_AT and previous == 64:
        put(frame, Frame.WANT, Act.NAME)
