"""The rows of int64 that the pass over a text works on: of the text, and of each open bracket."""

from __future__ import annotations

from enum import IntEnum

Text = IntEnum(
    "Text",
    "START END TRAITS WORDS FRAME FRAMES PREVIOUS FRESH COUNT FULL JSON_BYTES FOUND NO_REGEX",
    start=0,
)
"""FRAME, FRAMES: the innermost and the outermost. PREVIOUS: the byte of the mark before, the act of
the keyword or a Token. FRESH: whether a line began since. FULL: whether no name has room any more.
FOUND: rows of offset and size. NO_REGEX: up to there no slash begins a regular expression."""
Frame = IntEnum(
    "Frame",
    "KIND QUOTE OPENED PHASE HEAD HEAD_END NEXT WANT MODE NAME NAME_END TYPE_AT TYPE_END "
    "LAST LAST_END LAST_STARTS",
    start=0,
)
"""KIND: an Act up to INTERFACE or a Kind. QUOTE: of the string whose hole this is. From PHASE on of
the statement in it: HEAD: the name before the brackets of what may be a function's head. NEXT: what
the next brace opens. WANT: the act that the next name is for. NAME: what is declared. LAST: the
last name, and whether it began a statement."""
Token = IntEnum("Token", "IDENT NUMBER STRING OPERATOR", start=21)
Kind = IntEnum("Kind", "BLOCK OBJECT HOLE ROUND GROUPED SQUARE", start=21)
Phase = IntEnum("Phase", "IN_HEAD AFTER_HEAD INITIALIZERS ASSIGNED")
