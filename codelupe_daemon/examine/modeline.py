"""What an Emacs or Vim modeline in the first or last lines says that a text is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from codelupe_daemon.kernels import INLINE, JIT
from codelupe_daemon.syntax.blocks import U64, equal_mask, limit, range_mask

SIDE_BYTES = 1024
"""How much of a text's head and of its tail is looked at."""
_SIDE_LINES = 5

_EMACS_MODE = re.compile(rb"(?:^|[ \t;])mode[ \t]*:[ \t]*([^:;\s]+)", re.IGNORECASE)
_VIM = re.compile(rb"(?:(?:^|[ \t])(?:[vV]im(?:[<=>]?\d+)?|vi)|[ \t]ex):")
_VIM_SET = re.compile(rb"[ \t]*set?[ \t]([^\r\n:]+):")
_VIM_SET_START = re.compile(rb"[ \t]*set?[ \t]")
_VIM_TYPE = re.compile(rb"(?:^|[ \t:])(?:filetype|ft|syntax)[ \t]*=(\w+)(?=$|[\s:])")
_VIMBALL = b"UseVimball"  # an archive of Vim scripts: its modeline is not about itself


def may_have_modeline(head: bytes, tail: bytes) -> bool:
    """Whether it is worth calling `mode_of`: a search for bytes, as nearly no text has one."""
    return (
        (b"-*-" in head or b"vim" in head or b"vi:" in head or b"Vim" in head or b" ex:" in head)
        or (b"vim" in tail or b"-*-" in tail or b"vi:" in tail or b"Vim" in tail)
        or (b" ex:" in tail or b"\tex:" in head or b"\tex:" in tail)
    )


def may_have_modelines(data: Any, offsets: Any, sizes: Any) -> npt.NDArray[np.bool_]:
    """The same for many texts at once, with a few more that have none."""
    found = np.zeros(len(offsets), np.bool_)
    look_for_modelines(data, offsets, sizes, found)
    return found


@njit(**JIT)
def look_for_modelines(data: Any, offsets: Any, sizes: Any, found: Any) -> None:
    side = U64(SIDE_BYTES)
    for f in range(offsets.shape[0]):
        if sizes[f] <= 0:
            continue
        start = U64(data.ctypes.data) + U64(offsets[f])
        end = start + U64(sizes[f])
        found[f] = has_mark(start, min(end, start + side))
        if not found[f] and end > start + side:
            found[f] = has_mark(max(start + side, end - side), end)


@njit(**INLINE)
def has_mark(at: np.uint64, end: np.uint64) -> bool:
    """Whether `-*-`, `vim`, `vi:` or `ex:` stands in at..end."""
    one, two = U64(1), U64(2)
    while at < end:
        dash, colon = equal_mask(at, 45), equal_mask(at, 58)
        mark = dash & (equal_mask(at, 42) >> one) & (dash >> two)
        last = (colon | equal_mask(at, 109)) >> two
        mark |= range_mask(at, 32, 118, 1) & (equal_mask(at, 105) >> one) & last
        mark |= equal_mask(at, 101) & (equal_mask(at, 120) >> one) & (colon >> two)
        if mark & (limit(end - at) >> two) != U64(0):
            return True
        at += U64(62)
    return False


def mode_of(head: bytes, tail: bytes) -> str | None:
    """The name of the mode or file type, as the editor spells it; Emacs goes before Vim."""
    first = head[:SIDE_BYTES].split(b"\n", _SIDE_LINES)[:_SIDE_LINES]
    if any(_VIMBALL in line for line in first):
        return None
    lines = [*first, *tail[-SIDE_BYTES:].rstrip(b"\n").rsplit(b"\n", _SIDE_LINES)[-_SIDE_LINES:]]
    found = next(_emacs(lines), None) or next(_vim(lines), None)
    return found.decode("utf-8", "replace") if found else None


def _emacs(lines: list[bytes]) -> Iterator[bytes]:
    for line in lines:
        _, begin, rest = line.partition(b"-*-")
        variables, end, _ = rest.partition(b"-*-")
        if not begin or not end:
            continue
        if b":" not in variables:
            mode = variables.strip(b" \t")
            if mode and not re.search(rb"[;\s]", mode):
                yield mode
        elif found := _EMACS_MODE.search(variables):
            yield found[1]


def _vim(lines: list[bytes]) -> Iterator[bytes]:
    for line in lines:
        begin = _VIM.search(line)
        if begin is None:
            continue
        options = line[begin.end() :]
        if _VIM_SET_START.match(options):  # the form that ends with a colon: it must be there
            ended = _VIM_SET.match(options)
            options = ended[1] if ended else b""
        types = _VIM_TYPE.findall(options)
        if types:
            yield types[-1]
