"""What each mark does to the statement it stands in."""

from __future__ import annotations

import numpy as np
from numba import njit

from codelupe_daemon.kernels import JIT
from codelupe_daemon.syntax.blocks import U64, byte_at, get, put
from codelupe_daemon.syntax.definitions.brackets import (
    define,
    on_close_brace,
    on_close_round,
    on_open_brace,
    on_open_round,
)
from codelupe_daemon.syntax.definitions.grammar import Act, Trait
from codelupe_daemon.syntax.definitions.lexing import ONE, bracket_end, is_function, is_word, peek
from codelupe_daemon.syntax.definitions.rows import Frame, Kind, Phase, Text, Token
from codelupe_daemon.syntax.definitions.state import address, has, new_statement, push, set_span
from codelupe_daemon.syntax.definitions.strings import on_dashes, on_hash, on_quote, on_slash


@njit(**JIT)
def on_mark(text: np.uint64, at: np.uint64) -> np.uint64:
    """Take the mark at `at`; where the text goes on."""
    byte, end = byte_at(at), address(text, Text.END)
    frame = address(text, Text.FRAME)
    after = peek(at + ONE, end)
    if byte == 10:
        return on_newline(text, frame, at)
    if byte == 47:
        return on_slash(text, frame, at)
    if byte == 35:
        return on_hash(text, at)
    if byte == 45 and after == 45 and has(text, Trait.DASHES):
        return on_dashes(at, end)
    put(text, Text.FRESH, 0)
    if byte == 34 or byte == 39 or byte == 96:
        put(frame, Frame.WANT, 0)
        return on_quote(text, at, byte)
    if after == 61 and is_operator(byte):
        put(frame, Frame.WANT, 0)
        put(text, Text.PREVIOUS, Token.OPERATOR)
        return at + U64(2)
    if byte == 60:
        return on_less(text, frame, at)
    if byte == 61:
        return on_equals(text, frame, at)
    if byte == 58 and after == 58 and has(text, Trait.HEADS):
        put(text, Text.PREVIOUS, 58)
        return at + U64(2)
    if byte == 63 and after == 40 and has(text, Trait.TYPES):
        return at + ONE  # name?(): of an interface
    if byte == 125 and not has(text, Trait.FLAT):
        put(text, Text.PREVIOUS, 125)
        return on_close_brace(text, at)
    if byte == 40 or byte == 41 or byte == 91 or byte == 93 or byte == 123:
        on_bracket(text, frame, at, byte)
    else:
        on_sign(text, frame, at, byte)
    put(text, Text.PREVIOUS, np.int64(byte))
    return at + ONE


@njit(**JIT)
def is_operator(byte: np.uint8) -> bool:
    """Whether `=` after it is not an assignment of its own."""
    return bool(
        byte == 33 or byte == 62 or byte == 37 or 42 <= byte <= 45 or byte == 94 or byte == 124
        or byte == 38
    )  # fmt: skip


@njit(**JIT)
def on_newline(text: np.uint64, frame: np.uint64, at: np.uint64) -> np.uint64:
    put(text, Text.FRESH, 1)
    if has(text, Trait.LINES):
        kind = get(frame, Frame.KIND)
        if kind == Act.MODULE or kind == Kind.GROUPED:
            new_statement(frame)
    return at + ONE


@njit(**JIT)
def on_bracket(text: np.uint64, frame: np.uint64, at: np.uint64, byte: np.uint8) -> None:
    if byte == 40:
        on_open_round(text, frame, at)
    if has(text, Trait.FLAT):
        return
    if byte == 91:
        push(text, Kind.SQUARE, at)
    elif byte == 123:
        on_open_brace(text, frame, at)
    elif byte != 40:
        on_close_round(text, byte == 93)


@njit(**JIT)
def on_sign(text: np.uint64, frame: np.uint64, at: np.uint64, byte: np.uint8) -> None:
    if byte == 59:
        on_semicolon(text, frame)
    elif byte == 58:
        on_colon(text, frame, at)
    elif byte == 44:
        on_comma(text, frame)
    elif byte == 42 or byte == 38 or byte == 62:
        if has(text, Trait.HEADS) and get(frame, Frame.WANT) != Act.BASE:
            put(frame, Frame.WANT, 0)
            put(frame, Frame.NEXT, 0)
    elif byte != 46 and byte != 64 and byte != 33 and byte != 63:  # macro_rules!
        put(frame, Frame.WANT, 0)


@njit(**JIT)
def on_less(text: np.uint64, frame: np.uint64, at: np.uint64) -> np.uint64:
    end, previous = address(text, Text.END), get(text, Text.PREVIOUS)
    after = peek(at + ONE, end)
    if after == 61:
        put(text, Text.PREVIOUS, Token.OPERATOR)
        return at + U64(2)
    if previous == Act.CONTROL and has(text, Trait.HEADS):  # template <class T>
        return max(bracket_end(at, end, 60), at + ONE)
    follows = get(frame, Frame.WANT) == Act.FUNCTION
    if previous == Token.IDENT:
        follows = follows or not has(text, Trait.SCRIPT) or is_word(np.int64(byte_at(at - ONE)))
    if follows:
        stop = bracket_end(at, end, 60)
        if stop > at:
            return stop  # as if nothing had stood between a name and its brackets
    put(frame, Frame.WANT, 0)
    put(text, Text.PREVIOUS, 60)
    return at + ONE


@njit(**JIT)
def on_equals(text: np.uint64, frame: np.uint64, at: np.uint64) -> np.uint64:
    """Behind `=`, `==` or `=>`."""
    after = peek(at + ONE, address(text, Text.END))
    if after == 61:
        put(text, Text.PREVIOUS, Token.OPERATOR)
        return at + U64(2)
    if after == 62:
        put(text, Text.PREVIOUS, Token.OPERATOR)
        if has(text, Trait.MEMBERS):
            put(frame, Frame.PHASE, Phase.ASSIGNED)
        return at + U64(2)
    on_assignment(text, frame, at)
    put(text, Text.PREVIOUS, 61)
    return at + ONE


@njit(**JIT)
def on_assignment(text: np.uint64, frame: np.uint64, at: np.uint64) -> None:
    want = get(frame, Frame.WANT)
    put(frame, Frame.WANT, 0)
    on_constant(text, frame)
    if get(frame, Frame.MODE) == Act.USING:
        define(text, frame, Frame.LAST)
        put(frame, Frame.MODE, 0)
    if has(text, Trait.HEADS | Trait.MEMBERS):
        put(frame, Frame.PHASE, Phase.ASSIGNED)
        if want == Act.TYPE:
            put(frame, Frame.NEXT, 0)
    elif has(text, Trait.ASSIGNED):
        is_declared = get(frame, Frame.NAME) != 0 and get(frame, Frame.LAST_STARTS) == 0
        if is_declared or get(text, Text.PREVIOUS) == Token.IDENT:
            if is_function(at + ONE, address(text, Text.END)):
                define(text, frame, np.int64(Frame.NAME) if is_declared else np.int64(Frame.LAST))
        put(frame, Frame.NAME, 0)


@njit(**JIT)
def on_constant(text: np.uint64, frame: np.uint64) -> None:
    """NAME before `=` or, in Python, before `:`."""
    kind, last = get(frame, Frame.KIND), address(frame, Frame.LAST)
    if not has(text, Trait.CAPITALS) or get(text, Text.PREVIOUS) != Token.IDENT:
        return
    if (kind != Act.MODULE and kind != Act.TYPE) or get(frame, Frame.PHASE) != 0:
        return
    is_indented = last > address(text, Text.START) and byte_at(last - ONE) != 10
    if is_indented and has(text, Trait.FLAT):
        return
    if is_capitals(last, address(frame, Frame.LAST_END)):
        define(text, frame, Frame.LAST)


@njit(**JIT)
def is_capitals(at: np.uint64, stop: np.uint64) -> bool:
    if stop < at + U64(2) or not 65 <= byte_at(at) <= 90:
        return False
    for place in range(at, stop):
        if 97 <= byte_at(place) <= 122 or byte_at(place) >= 128:
            return False
    return True


@njit(**JIT)
def on_semicolon(text: np.uint64, frame: np.uint64) -> None:
    if get(frame, Frame.MODE) == Act.TYPEDEF:
        if get(frame, Frame.TYPE_AT) != 0 and get(frame, Frame.WANT) == 0:
            define(text, frame, Frame.TYPE_AT)
        elif get(frame, Frame.HEAD) != 0:
            define(text, frame, Frame.HEAD)
        else:
            define(text, frame, Frame.LAST)
    if get(frame, Frame.KIND) == Act.ENUM and has(text, Trait.MEMBERS):
        put(frame, Frame.KIND, Act.TYPE)
    new_statement(frame)


@njit(**JIT)
def on_colon(text: np.uint64, frame: np.uint64, at: np.uint64) -> None:
    phase = get(frame, Frame.PHASE)
    if has(text, Trait.HEADS):
        if get(text, Text.PREVIOUS) == Act.TYPE_WORD and phase == 0:
            new_statement(frame)  # public:
        elif phase == Phase.AFTER_HEAD:
            put(frame, Frame.PHASE, Phase.INITIALIZERS)
        elif get(frame, Frame.WANT) == Act.TYPE:
            put(frame, Frame.WANT, Act.BASE)
    elif not has(text, Trait.MEMBERS):
        put(frame, Frame.WANT, 0)
        if has(text, Trait.FLAT):
            on_constant(text, frame)
        if has(text, Trait.SCRIPT):
            on_script_colon(text, frame, at)


@njit(**JIT)
def on_script_colon(text: np.uint64, frame: np.uint64, at: np.uint64) -> None:
    """Between a member and its value, or a field and its type."""
    if get(frame, Frame.KIND) == Act.TYPE and get(frame, Frame.LAST_STARTS):
        set_span(frame, Frame.NAME, address(frame, Frame.LAST), address(frame, Frame.LAST_END))
    elif get(frame, Frame.KIND) == Kind.OBJECT and get(frame, Frame.LAST_STARTS):
        if is_function(at + ONE, address(text, Text.END)):
            define(text, frame, Frame.LAST)


@njit(**JIT)
def on_comma(text: np.uint64, frame: np.uint64) -> None:
    if has(text, Trait.ASSIGNED):
        following = get(frame, Frame.NEXT)
        new_statement(frame)
        if following != Act.FUNCTION:  # class A implements B, C {
            put(frame, Frame.NEXT, following)
    elif get(frame, Frame.WANT) != Act.BASE:
        put(frame, Frame.WANT, 0)
        if has(text, Trait.HEADS):
            put(frame, Frame.NEXT, 0)
        if get(frame, Frame.MODE) == Act.TYPEDEF and get(frame, Frame.TYPE_AT) == 0:
            define(text, frame, Frame.LAST)
