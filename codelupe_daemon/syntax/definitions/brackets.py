"""What brackets do: round ones may follow a function's name, braces open bodies and members."""

from __future__ import annotations

import numpy as np
from numba import njit

from codelupe_daemon.kernels import INLINE, JIT
from codelupe_daemon.syntax.blocks import byte_at, get, put
from codelupe_daemon.syntax.definitions.grammar import Act, Trait
from codelupe_daemon.syntax.definitions.lexing import ONE, first_visible, peek
from codelupe_daemon.syntax.definitions.rows import Frame, Kind, Phase, Text, Token
from codelupe_daemon.syntax.definitions.state import (
    FRAME_BYTES,
    add_name,
    address,
    has,
    new_statement,
    push,
    set_span,
)
from codelupe_daemon.syntax.definitions.strings import go_on_string


@njit(**INLINE)
def is_round(kind: np.int64) -> bool:
    return bool(kind >= Kind.ROUND)


@njit(**JIT)
def define(text: np.uint64, frame: np.uint64, column: np.int64) -> None:
    """The name in this column and the next is a definition."""
    add_name(text, address(frame, column), address(frame, column + 1))


@njit(**JIT)
def on_open_round(text: np.uint64, frame: np.uint64, at: np.uint64) -> None:
    previous, want = get(text, Text.PREVIOUS), get(frame, Frame.WANT)
    is_receiver = want == Act.FUNCTION and has(text, Trait.LINES)
    if not is_receiver and previous != Act.ATTRIBUTE and want != Act.BASE:
        put(frame, Frame.WANT, 0)
        if want == Act.TYPE and has(text, Trait.HEADS):
            put(frame, Frame.NEXT, 0)
    if previous == Token.IDENT and get(frame, Frame.WANT) == 0 and get(frame, Frame.LAST) != 0:
        on_call(text, frame, at)
    if not has(text, Trait.FLAT):
        push(text, Kind.GROUPED if want == Act.GROUP else Kind.ROUND, at)


@njit(**JIT)
def on_call(text: np.uint64, frame: np.uint64, at: np.uint64) -> None:
    """A name and its bracket: a call, or the head of a function."""
    kind, end = get(frame, Frame.KIND), address(text, Text.END)
    starts = get(frame, Frame.LAST_STARTS) != 0
    if has(text, Trait.HEADS):
        phase = get(frame, Frame.PHASE)
        is_head = phase == 0 or (phase == Phase.AFTER_HEAD and starts)  # it was a macro
        if is_head and (kind == Act.MODULE or kind == Act.TYPE or kind == Kind.BLOCK):
            set_span(frame, Frame.HEAD, address(frame, Frame.LAST), address(frame, Frame.LAST_END))
            put(frame, Frame.PHASE, Phase.IN_HEAD)
    elif has(text, Trait.MEMBERS):
        if (kind == Act.TYPE or kind == Act.MODULE) and get(frame, Frame.PHASE) == 0:
            define(text, frame, Frame.LAST)
            put(frame, Frame.PHASE, Phase.IN_HEAD)
    elif has(text, Trait.SCRIPT):
        is_member = kind == Act.TYPE or kind == Act.INTERFACE or kind == Kind.OBJECT
        if is_member and starts and get(frame, Frame.NEXT) != Act.FUNCTION:
            define(text, frame, Frame.LAST)
    elif has(text, Trait.LINES):
        if starts and kind == Act.INTERFACE:
            define(text, frame, Frame.LAST)
    elif has(text, Trait.SHELL) and starts and peek(first_visible(at + ONE, end), end) == 41:
        define(text, frame, Frame.LAST)


@njit(**JIT)
def on_close_round(text: np.uint64, is_square: bool) -> None:
    """Close up to the bracket of this kind, unless a brace stands in between."""
    inner, bottom = address(text, Text.FRAME), address(text, Text.FRAMES)
    while is_round(get(inner, Frame.KIND)):
        if (get(inner, Frame.KIND) == Kind.SQUARE) == is_square:
            break
        inner -= FRAME_BYTES
    if inner == bottom or not is_round(get(inner, Frame.KIND)):
        return
    outer = inner - FRAME_BYTES
    put(text, Text.FRAME, np.int64(outer))
    if is_square:
        return
    is_pointer = byte_at(address(inner, Frame.OPENED) + ONE) == 42
    if is_pointer and get(outer, Frame.MODE) == Act.TYPEDEF:
        last, last_end = address(inner, Frame.LAST), address(inner, Frame.LAST_END)
        set_span(outer, Frame.TYPE_AT, last, last_end)
    if get(outer, Frame.PHASE) == Phase.IN_HEAD:
        put(outer, Frame.PHASE, Phase.AFTER_HEAD)


@njit(**JIT)
def on_open_brace(text: np.uint64, frame: np.uint64, at: np.uint64) -> None:
    if get(frame, Frame.KIND) == Act.FUNCTION and has(text, Trait.QUIET):
        push(text, Act.FUNCTION, at)
        return
    previous = get(text, Text.PREVIOUS)
    phase, following = get(frame, Frame.PHASE), get(frame, Frame.NEXT)
    opens = np.int64(Kind.BLOCK)
    is_value = False
    if following != 0:
        opens = following
        if get(frame, Frame.WANT) != 0 and has(text, Trait.HEADS):
            define(text, frame, Frame.TYPE_AT)
    elif has(text, Trait.HEADS):
        is_value = phase == Phase.ASSIGNED
        if phase == Phase.INITIALIZERS and previous == Token.IDENT:
            is_value = True
        elif phase == Phase.AFTER_HEAD or phase == Phase.INITIALIZERS:
            define(text, frame, Frame.HEAD)
        if phase != 0:
            opens = np.int64(Act.FUNCTION)
        elif previous == Token.STRING:  # extern "C"
            opens = np.int64(Act.MODULE)
    elif has(text, Trait.MEMBERS):
        opens = np.int64(Act.FUNCTION)
        is_value = phase == Phase.ASSIGNED
    elif has(text, Trait.SCRIPT):
        # What is assigned or exported, not what a call is given.
        is_member = get(frame, Frame.KIND) == Kind.OBJECT and previous == 58
        if previous == 61 and get(frame, Frame.MODE) == Act.NAME:
            opens = np.int64(Act.INTERFACE)
        elif not has(text, Trait.TYPES) and (
            previous == 61 or previous == Act.MODIFIER or is_member
        ):
            opens = np.int64(Kind.OBJECT)
    elif has(text, Trait.RUST) and previous == 33:  # macro! { ... }
        opens = np.int64(Act.FUNCTION)
    if get(frame, Frame.MODE) == Act.TYPEDEF:
        put(frame, Frame.TYPE_AT, 0)
    elif not is_value:
        new_statement(frame)
    put(frame, Frame.NEXT, 0)
    put(frame, Frame.WANT, 0)
    push(text, opens, at)


@njit(**JIT)
def on_close_brace(text: np.uint64, at: np.uint64) -> np.uint64:
    """Close what is open up to a brace. Where the text goes on: behind the string, for a hole."""
    frame, bottom = address(text, Text.FRAME), address(text, Text.FRAMES)
    while is_round(get(frame, Frame.KIND)):
        frame -= FRAME_BYTES
    kind = get(frame, Frame.KIND)
    if frame == bottom:
        put(text, Text.FRAME, np.int64(frame))
        new_statement(frame)
        return at + ONE
    frame -= FRAME_BYTES
    if kind == Act.FUNCTION and byte_at(at - ONE) == 10 and has(text, Trait.HEADS):
        # Branches of the preprocessor may open more than they close.
        while get(frame, Frame.KIND) == Act.FUNCTION:
            frame -= FRAME_BYTES
    put(text, Text.FRAME, np.int64(frame))
    if kind == Kind.HOLE:
        return go_on_string(text, address(frame + FRAME_BYTES, Frame.QUOTE), at + ONE)
    return at + ONE
