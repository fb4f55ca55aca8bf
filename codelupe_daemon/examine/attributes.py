"""What the `.gitattributes` files of a repository say about its files, as GitHub honours it.

Patterns mean what they mean to git: the last line that matches decides, deeper files go before
higher ones, and macros are taken from the root's file. Every pattern is matched in a time bounded
by its length times the path's: each star takes the first place that fits, for good.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from codelupe_daemon.examine.language import by_alias
from codelupe_daemon.paths import unescape_path

MAX_FILE_BYTES = 1 << 20
MAX_LINE_BYTES = 2048
"""Git's own limit: a longer line is ignored."""
MAX_RULES = 1000
"""Of all files together; the rest is ignored."""
FILE_NAME = ".gitattributes"

_MACRO = b"[attr]"
_BLANK = b" \t\r\n"
_PREFIX = b"linguist-"
_NAME = re.compile(rb"(?!-)[-A-Za-z0-9_.]+")
_QUOTED = re.compile(rb'"((?:[^"\\]|\\(?:[abfnrtv"\\]|[0-3][0-7]{2}))*)"')
_ESCAPE = re.compile(rb"\\([0-3][0-7]{2}|.)", re.DOTALL)
_ESCAPES = dict(zip(b'abfnrtv"\\', b'\a\b\f\n\r\t\v"\\', strict=True))
_SPECIAL = re.compile(rb"[*?\[\\]")

Value = bytes | bool | None
"""Set (True or a value), unset with `-`, or unspecified with `!`."""
Matches = Callable[[bytes, bytes], bool]
"""Whether a pattern holds for a file: its path below the attributes file's folder, its name."""


class Attribute(NamedTuple):
    """What is said about one file; None: nothing is said."""

    language: str | None = None
    vendored: bool | None = None
    generated: bool | None = None
    documentation: bool | None = None
    detectable: bool | None = None


NOTHING = Attribute()


class _Rule(NamedTuple):
    """One line: the last of its states is git's first."""

    matches: Matches
    states: list[tuple[bytes, Value]]


class Attributes:
    """The attributes of one repository; made by `parse`."""

    def __init__(
        self,
        rules: dict[bytes, list[_Rule]],
        macros: dict[bytes, list[tuple[bytes, Value]]],
    ) -> None:
        self._rules = rules
        self._macros = macros

    @property
    def is_empty(self) -> bool:
        """Whether nothing is said about any file."""
        return not self._rules

    def of(self, path: str) -> Attribute:
        """What is said about the file at this path."""
        if not self._rules:
            return NOTHING
        states: dict[bytes, Value] = {}
        raw = unescape_path(path)
        name = raw[raw.rfind(b"/") + 1 :]
        for folder, rules in self._above(raw):
            below = raw[len(folder) + 1 :] if folder else raw
            for rule in reversed(rules):
                if rule.matches(below, name):
                    self._fill(rule.states, states)
        return _attribute(states) if states else NOTHING

    def _above(self, path: bytes) -> Iterator[tuple[bytes, list[_Rule]]]:
        """The folders above the file that have rules, the deepest first."""
        at = path.rfind(b"/")
        while at > 0:
            if (rules := self._rules.get(path[:at])) is not None:
                yield path[:at], rules
            at = path.rfind(b"/", 0, at)
        yield b"", self._rules.get(b"", [])

    def _fill(self, given: list[tuple[bytes, Value]], states: dict[bytes, Value]) -> None:
        """Take over what is not decided yet; a macro that is set brings its own states."""
        for name, value in reversed(given):
            if name not in states:
                states[name] = value
                if value is True and name in self._macros:
                    self._fill(self._macros[name], states)


def _attribute(states: dict[bytes, Value]) -> Attribute:
    language = states.get(b"linguist-language")
    return Attribute(
        by_alias(language.decode("utf-8", "replace")) if isinstance(language, bytes) else None,
        *(
            None
            if (value := states.get(_PREFIX + name)) is None
            else value not in (False, b"false")
            for name in (b"vendored", b"generated", b"documentation", b"detectable")
        ),
    )


def parse(files: Iterable[tuple[str, bytes]]) -> Attributes:
    """From the path and the bytes of each `.gitattributes` file of a repository."""
    texts = {
        unescape_path(path)[: -len(FILE_NAME)].rstrip(b"/"): text
        for path, text in files
        if len(text) <= MAX_FILE_BYTES
    }
    if not any(_PREFIX in text for text in texts.values()):
        return Attributes({}, {})  # most repositories
    macros = dict(_macros(texts.get(b"", b"")))
    wanted = frozenset(macros)
    lines = ((folder, line) for folder in sorted(texts) for line in _lines(texts[folder]))
    rules: dict[bytes, list[_Rule]] = {}
    found = ((folder, rule) for folder, line in lines if (rule := _rule(line, wanted)) is not None)
    for folder, rule in islice(found, MAX_RULES):
        rules.setdefault(folder, []).append(rule)
    return Attributes(rules, macros)


def _lines(text: bytes) -> Iterator[bytes]:
    for whole in text.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        line = whole.strip(_BLANK)
        if line and not line.startswith(b"#") and len(line) < MAX_LINE_BYTES:
            yield line


def _macros(root: bytes) -> Iterator[tuple[bytes, list[tuple[bytes, Value]]]]:
    """Macros may be defined in the root's file only, and hold wherever they are used."""
    for line in _lines(root):
        pattern, rest = _pattern_of(line)
        if _is_macro(pattern):
            name, _ = _split(pattern[len(_MACRO) :].lstrip(_BLANK))
            states = _states(rest)
            if _NAME.fullmatch(name) and states is not None:
                yield name, states


def _is_macro(pattern: bytes) -> bool:
    return len(pattern) > len(_MACRO) and pattern.startswith(_MACRO)


def _rule(line: bytes, macros: frozenset[bytes]) -> _Rule | None:
    """The line as a rule if it says anything about an attribute of ours or a macro."""
    if not (_PREFIX in line or any(macro in line for macro in macros)):
        return None
    pattern, rest = _pattern_of(line)
    states = _states(rest)
    if states is None or _is_macro(pattern) or pattern.startswith(b"!"):
        return None
    kept = [state for state in states if state[0].startswith(_PREFIX) or state[0] in macros]
    return _Rule(_matcher(pattern), kept) if kept else None


def _pattern_of(line: bytes) -> tuple[bytes, bytes]:
    """The pattern, or `[attr]` and the macro's name, and the rest of the line."""
    quoted = _QUOTED.match(line)
    if quoted:
        return _ESCAPE.sub(_unescape, quoted[1]), line[quoted.end() :]
    return _split(line)


def _unescape(escape: re.Match[bytes]) -> bytes:
    what = escape[1]
    return bytes([int(what, 8) if len(what) == 3 else _ESCAPES[what[0]]])


def _split(line: bytes) -> tuple[bytes, bytes]:
    """The first word and what follows it."""
    word, *rest = re.split(rb"[ \t\r\n]", line, maxsplit=1)
    return word, rest[0] if rest else b""


def _states(rest: bytes) -> list[tuple[bytes, Value]] | None:
    """The attributes of a line; None if one of them has no valid name: git drops such lines."""
    states: list[tuple[bytes, Value]] = []
    for word in re.split(rb"[ \t\r\n]+", rest.strip(_BLANK)):
        name, equals, value = word.partition(b"=")
        if not word:
            continue
        state: Value = value if equals else True
        if name[:1] in (b"-", b"!"):
            state = False if name[:1] == b"-" else None
            name = name[1:]
        if not _NAME.fullmatch(name):
            return None
        states.append((name, state))
    return states


# -- patterns -------------------------------------------------------------------------------------


def _matcher(pattern: bytes) -> Matches:
    """As git matches: without a slash on the name, else on the path below the folder."""
    if pattern.endswith(b"/"):
        return _never  # folders only, and folders have no attributes
    if b"/" not in pattern:
        return _on_name(pattern)
    pattern = pattern.removeprefix(b"/")
    special = _SPECIAL.search(pattern)
    if special is None:
        return lambda path, _name: path == pattern
    # What stands before the first special character is compared first, and the rest is a pattern
    # of its own: so `a**/b` has a leading `**/`.
    prefix, rest = pattern[: special.start()], _expression(pattern[special.start() :])
    if rest is None:
        return _never
    whole = re.compile(re.escape(prefix) + rest, re.DOTALL)
    return lambda path, _name: whole.fullmatch(path) is not None


def _on_name(pattern: bytes) -> Matches:
    if _SPECIAL.search(pattern) is None:
        return lambda _path, name: name == pattern
    if pattern.startswith(b"*") and _SPECIAL.search(pattern, 1) is None:
        ending = pattern[1:]
        return lambda _path, name: name.endswith(ending)
    expression = _expression(pattern)
    if expression is None:
        return _never
    whole = re.compile(expression, re.DOTALL)
    return lambda _path, name: whole.fullmatch(name) is not None


def _never(_path: bytes, _name: bytes) -> bool:
    return False


_STAR, _FOLDERS, _ANYTHING = b"*", b"**/", b"**"


def _expression(pattern: bytes) -> bytes | None:
    """The pattern as a regular expression for `fullmatch`; None: it matches nothing."""
    tokens = _tokens(pattern)
    return None if tokens is None else _folders(tokens)


def _folders(tokens: list[bytes]) -> bytes:
    """`**/` takes the first folder from which what follows, up to the next one, fits."""
    parts: list[list[bytes]] = [[]]
    for token in tokens:
        if token in (_FOLDERS, _ANYTHING):
            parts.append([token])
        else:
            parts[-1].append(token)
    first, *others = parts
    expression = _stars(first, is_last=not others)
    for k, (jump, *rest) in enumerate(others):
        is_last = k == len(others) - 1
        inner = _stars(rest, is_last=is_last)
        reach = rb"(?:.*/)?" if jump == _FOLDERS else rb".*"
        expression += reach + inner if is_last else b"(?>" + _lazy(reach) + inner + b")"
    return expression


def _lazy(reach: bytes) -> bytes:
    return rb"(?:.*?/)??" if reach.endswith(b"?") else rb".*?"


def _stars(tokens: list[bytes], *, is_last: bool) -> bytes:
    """`*` takes the first place from which what follows, up to the next star, fits."""
    expression, chunk, after_star = b"", b"", False
    for token in tokens:
        if token != _STAR:
            chunk += token
            continue
        expression += b"(?>[^/]*?" + chunk + b")" if after_star else chunk
        chunk, after_star = b"", True
    if not after_star:
        return expression + chunk
    if is_last:
        return expression + b"[^/]*" + chunk
    return expression + b"(?>[^/]*?" + chunk + b")"


def _tokens(pattern: bytes) -> list[bytes] | None:
    """Stars, and expressions for one byte each; None for a class that does not end."""
    tokens: list[bytes] = []
    at = 0
    while at < len(pattern):
        byte = pattern[at : at + 1]
        if byte == b"*":
            end = at + 1
            while pattern[end : end + 1] == b"*":
                end += 1
            token = _star(pattern, at, end)
            tokens.append(token)
            at = end + (token == _FOLDERS)
            continue
        if byte == b"[":
            bytes_of, at = _class(pattern, at + 1)
            if bytes_of is None:
                return None
            tokens.append(bytes_of)
            continue
        if byte == b"\\":
            at += 1
            byte = pattern[at : at + 1]
            if not byte:
                return None
            tokens.append(re.escape(byte))
        else:
            tokens.append(rb"[^/]" if byte == b"?" else re.escape(byte))
        at += 1
    return tokens


def _star(pattern: bytes, start: int, end: int) -> bytes:
    """Two stars and more cross folders only where they stand between slashes."""
    if end - start == 1 or (start > 0 and pattern[start - 1 : start] != b"/"):
        return _STAR
    if pattern[end : end + 1] == b"/":
        return _FOLDERS
    return _ANYTHING if end == len(pattern) or pattern[end : end + 2] == b"\\/" else _STAR


_CLASSES: dict[bytes, Callable[[bytes], bool]] = {
    b"alnum": lambda byte: byte.isalnum(),
    b"alpha": lambda byte: byte.isalpha(),
    b"blank": lambda byte: byte in b" \t",
    b"cntrl": lambda byte: byte < b" " or byte == b"\x7f",
    b"digit": lambda byte: byte.isdigit(),
    b"graph": lambda byte: b"!" <= byte <= b"~",
    b"lower": lambda byte: byte.islower(),
    b"print": lambda byte: b" " <= byte <= b"~",
    b"punct": lambda byte: b"!" <= byte <= b"~" and not byte.isalnum(),
    b"space": lambda byte: byte in b" \t\n\v\f\r",
    b"upper": lambda byte: byte.isupper(),
    b"xdigit": lambda byte: byte in b"0123456789abcdefABCDEF",
}
_ALL_BYTES = frozenset(range(256))
_CLASS_ITEM = re.compile(
    rb"\[:([^\]]*):\]|(\\.|[^\\])(?:-(?!\])(\\.|[^\\]))?",  # a named class, a byte, a range
    re.DOTALL,
)


def _class(pattern: bytes, at: int) -> tuple[bytes | None, int]:
    """The bytes of a class that begins at `at`, as an expression, and where it ends."""
    is_negated = pattern[at : at + 1] in (b"!", b"^")
    at += is_negated
    found: frozenset[int] = frozenset()
    start = at
    while at == start or pattern[at : at + 1] != b"]":
        item = _CLASS_ITEM.match(pattern, at)
        if item is None or (item[2] is None and item[1] not in _CLASSES):
            return None, at
        found |= _bytes_of(item)
        at = item.end()
    kept = (_ALL_BYTES - found if is_negated else found) - {ord("/")}
    if not kept:
        return rb"(?!)", at + 1
    return b"[" + b"".join(b"\\x%02x" % value for value in sorted(kept)) + b"]", at + 1


def _bytes_of(item: re.Match[bytes]) -> frozenset[int]:
    name, low, high = item.groups()
    if low is None:
        return frozenset(value for value in range(256) if _CLASSES[name](bytes([value])))
    both = frozenset({low[-1]})
    return both if high is None else both | frozenset(range(low[-1], high[-1] + 1))
