"""Marks behind which text is stepped over: strings and their holes, comments, directives.

Each function takes the address of the mark and gives the address where the text goes on.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from codelupe_daemon.kernels import JIT
from codelupe_daemon.syntax.blocks import U64, byte_at, first_bytes, get, put
from codelupe_daemon.syntax.definitions.grammar import Act, Trait
from codelupe_daemon.syntax.definitions.lexing import (
    ONE,
    block_comment_end,
    character_end,
    directive_end,
    find_pair,
    first_visible,
    line_end,
    peek,
    regex_end,
    rust_string_end,
    string_end,
    word_end,
)
from codelupe_daemon.syntax.definitions.rows import Frame, Kind, Text, Token
from codelupe_daemon.syntax.definitions.state import add_name, address, has, push

_NO_HOLE = np.uint8(0)
_DEFINE = U64(int.from_bytes(b"define", "little"))


@njit(**JIT)
def on_quote(text: np.uint64, at: np.uint64, byte: np.uint8) -> np.uint64:
    start, end = address(text, Text.START), address(text, Text.END)
    before = np.int64(byte_at(at - ONE)) if at > start else np.int64(0)
    if byte == 39 and not has(text, Trait.SINGLE):
        return character_end(at, end)
    is_number = byte == 39 and 48 <= before <= 57  # 1'000
    if is_number or (byte == 96 and not has(text, Trait.BACKTICK | Trait.TEMPLATE)):
        return at + ONE
    put(text, Text.PREVIOUS, Token.STRING)
    if byte == 96 and has(text, Trait.BACKTICK):
        return string_end(at + ONE, end, byte, at, U64(0), _NO_HOLE, False, True)
    if byte == 34 and has(text, Trait.RUST):
        stop = rust_string_end(at, end, start)
        if stop > at:
            return stop
    return go_on_string(text, at, at + U64(3 if is_tripled(text, at) else 1))


@njit(**JIT)
def is_tripled(text: np.uint64, quote: np.uint64) -> bool:
    """Whether three quotes stand where a string was opened."""
    byte, end = byte_at(quote), address(text, Text.END)
    tripled = peek(quote + ONE, end) == byte and peek(quote + U64(2), end) == byte
    return tripled and byte != 96 and has(text, Trait.TRIPLE)


@njit(**JIT)
def go_on_string(text: np.uint64, quote: np.uint64, at: np.uint64) -> np.uint64:
    """The string that was opened at `quote` goes on at `at`: to its end, or to its next hole."""
    end, byte = address(text, Text.END), byte_at(quote)
    hole = _NO_HOLE
    if byte == 96 or has(text, Trait.HOLES):
        hole = np.uint8(36)
    elif byte == 34 and has(text, Trait.HASH_HOLES):
        hole = np.uint8(35)
    tripled = is_tripled(text, quote)
    lines = tripled or byte == 96 or has(text, Trait.RUST)
    more = U64(2 if tripled else 0)
    stop = min(string_end(at, end, byte, quote + ONE, more, hole, True, lines), end)
    put(text, Text.PREVIOUS, Token.STRING)
    if hole != 0 and stop < end and byte_at(stop - ONE) == 123 and byte_at(stop - U64(2)) == hole:
        push(text, Kind.HOLE, stop - ONE)
        put(address(text, Text.FRAME), Frame.QUOTE, np.int64(quote))
        put(text, Text.PREVIOUS, 123)
    return stop


@njit(**JIT)
def on_slash(text: np.uint64, frame: np.uint64, at: np.uint64) -> np.uint64:
    """A comment, a regular expression, or a slash."""
    end = address(text, Text.END)
    after = peek(at + ONE, end)
    if has(text, Trait.SLASHES) and after == 47:
        return line_end(at, end)
    if has(text, Trait.SLASHES) and after == 42:
        return block_comment_end(at + U64(2), end)
    previous = get(text, Text.PREVIOUS)
    ends_value = previous == Token.IDENT or previous == Token.NUMBER or previous == Token.STRING
    ends_value = ends_value or previous == 41 or previous == 93 or previous == 125
    if has(text, Trait.REGEX) and not ends_value and at >= address(text, Text.NO_REGEX):
        stop = regex_end(at, end)
        if stop > at + ONE and byte_at(stop - ONE) == 47:
            put(text, Text.PREVIOUS, Token.STRING)
            return stop
        put(text, Text.NO_REGEX, np.int64(stop))
    put(text, Text.PREVIOUS, 47)
    put(frame, Frame.WANT, 0)
    return at + ONE


@njit(**JIT)
def on_hash(text: np.uint64, at: np.uint64) -> np.uint64:
    start, end = address(text, Text.START), address(text, Text.END)
    before = byte_at(at - ONE) if at > start else np.uint8(10)
    if has(text, Trait.HASHES) and before != 36 and before != 123:  # $#, ${#name}
        return line_end(at, end)
    # Inside of functions nobody looks for new lines.
    is_quiet = get(address(text, Text.FRAME), Frame.KIND) == Act.FUNCTION
    if has(text, Trait.PREPROCESSOR) and (is_quiet or get(text, Text.FRESH)):
        return on_directive(text, at)
    put(text, Text.PREVIOUS, 35)
    return at + ONE


@njit(**JIT)
def on_directive(text: np.uint64, at: np.uint64) -> np.uint64:
    """The preprocessor's line."""
    end = address(text, Text.END)
    line = line_end(at, end)
    word = first_visible(at + ONE, line)
    stop = word_end(word, end)
    name = first_bytes(word, stop) if stop > word else U64(0)
    if name == _DEFINE:
        macro = first_visible(stop, line)
        add_name(text, macro, word_end(macro, line))
    return directive_end(at, end)


@njit(**JIT)
def on_dashes(at: np.uint64, end: np.uint64) -> np.uint64:
    """A comment of Lua."""
    if peek(at + U64(2), end) == 91 and peek(at + U64(3), end) == 91:
        return min(find_pair(at, end, np.uint8(93), np.uint8(93)) + U64(2), end)
    return line_end(at, end)
