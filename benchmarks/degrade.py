"""Code made worse by rule, so that a score can be asked which of two twins is the better one.

Each degradation takes a text and its language and answers the worse twin, or None where the text
gives no occasion. Comments and strings are told from code by patterns; what a twin says matters
no more, only what it looks like.
"""

from __future__ import annotations

import ast
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count, product
from string import ascii_lowercase
from typing import NamedTuple

from codelupe_daemon.examine.languages import ANALYSERS, KIND_OF_LANGUAGE

_TRIPLE = r'"""(?:[^\\]|\\.)*?"""|' + r"'''(?:[^\\]|\\.)*?'''"
_DOUBLE = r'"(?:[^"\\\n]|\\.)*"'
_SINGLE = r"'(?:[^'\\\n]|\\.)*'"
_SLASHES = r"//[^\n]*|/\*[\s\S]*?\*/"
_CHARACTER = r"'(?:[^'\\\n]|\\[^\n]{1,8}?)'"
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_TEXTS = {
    "Python": ("#[^\n]*", rf"{_TRIPLE}|{_DOUBLE}|{_SINGLE}"),
    "JavaScript": (_SLASHES, rf"`(?:[^`\\]|\\.)*`|{_DOUBLE}|{_SINGLE}"),
    "TypeScript": (_SLASHES, rf"`(?:[^`\\]|\\.)*`|{_DOUBLE}|{_SINGLE}"),
    "Go": (_SLASHES, rf"`[^`]*`|{_DOUBLE}|{_CHARACTER}"),
    "Rust": (_SLASHES, rf'r#"[\s\S]*?"#|"(?:[^"\\]|\\[\s\S])*"|{_CHARACTER}'),
    "Java": (_SLASHES, rf"{_TRIPLE}|{_DOUBLE}|{_CHARACTER}"),
    "C": (_SLASHES, rf"{_DOUBLE}|{_CHARACTER}"),
    "C++": (_SLASHES, rf'R"\([\s\S]*?\)"|{_DOUBLE}|{_CHARACTER}'),
}
LANGUAGES = tuple(_TEXTS)
_SCANNERS = {
    language: re.compile(rf"(?P<comment>{comment})|(?P<string>{string})|(?P<name>{_NAME})")
    for language, (comment, string) in _TEXTS.items()
}
_NO_CONTROL = r"(?!(?:if|for|while|switch|catch|with|return|else|do)\b|#|\})"
_HEADS = {
    "Python": r"^[ \t]*(?:async +)?def +(?P<name>\w+)",
    "Go": r"^func\b[^\n]*?(?P<name>\w+)\([^\n]*\{$",
    "Rust": r"^[ \t]*(?:pub(?:\([^)]*\))? +)?(?:const +|async +|unsafe +)*"
    r"fn +(?P<name>\w+)[^\n;]*\{$",
    "JavaScript": r"^[ \t]*(?:export +|default +|async +|static +)*(?:function\*? +)?"
    rf"{_NO_CONTROL}(?P<name>\w+) *\([^\n;]*\) *\{{$",
    "TypeScript": r"^[ \t]*(?:export +|default +|async +|static +|public +|private +|protected +)*"
    rf"(?:function +)?{_NO_CONTROL}(?P<name>\w+)(?:<[^\n]*>)? *\([^\n;]*\{{$",
    "Java": rf"^[ \t]*{_NO_CONTROL}[A-Za-z_][\w<>\[\],.:&* \t]*?"
    r"[ \t*&]~?(?P<name>\w+) *\([^;{}=]*\)[^;{}()=]*\{[ \t]*$",
}
_HEADS["C"] = _HEADS["C++"] = _HEADS["Java"]
_HEAD = {language: re.compile(head, re.MULTILINE) for language, head in _HEADS.items()}


class Function(NamedTuple):
    """Where a function stands: its head, its body, and its end, as offsets."""

    name: str
    start: int
    body: int
    body_end: int
    end: int


def blanked(text: str, language: str) -> str:
    """The text with every comment and string as blanks, of the same length."""

    def blank(found: re.Match[str]) -> str:
        return found[0] if found["name"] else re.sub(r"[^\n]", " ", found[0])

    return _SCANNERS[language].sub(blank, text)


def functions(text: str, language: str) -> list[Function]:
    """Functions that do not lie in one another, in order."""
    code = blanked(text, language)
    found: list[Function] = []
    for head in _HEAD[language].finditer(code):
        if found and head.start() < found[-1].end:
            continue
        ends = (_python_end if language == "Python" else _brace_end)(code, head)
        if ends is not None:
            found.append(Function(head["name"], head.start(), *ends))
    return found


def _brace_end(code: str, head: re.Match[str]) -> tuple[int, int, int] | None:
    body = head.end()
    depth = 1
    for mark in re.compile(r"[{}]").finditer(code, body):
        depth += 1 if mark[0] == "{" else -1
        if depth == 0:
            line = code.find("\n", mark.start())
            alone = not code[mark.end() : line].strip(" ;")
            return (body, mark.start(), line + 1) if alone and line > 0 else None
    return None


def _python_end(code: str, head: re.Match[str]) -> tuple[int, int, int] | None:
    indent = len(head[0]) - len(head[0].lstrip())
    colon = re.compile(r":[ \t]*\n").search(code, head.end())
    if colon is None:
        return None
    end = colon.end()
    for line in re.compile(r"[^\n]*\n").finditer(code, end):
        if line[0].strip() and len(line[0]) - len(line[0].lstrip()) <= indent:
            break
        end = line.end() if line[0].strip() else end
    return (colon.end(), end, end) if end > colon.end() else None


def shorten_names(text: str, language: str, _chance: random.Random) -> str | None:
    """Every name of four letters or more that stands twice becomes one of one or two."""
    words = {
        w for group in ANALYSERS[KIND_OF_LANGUAGE[language]].words.values() for w in group.split()
    }
    seen = Counter(m["name"] for m in _SCANNERS[language].finditer(text) if m["name"])
    pool = _short_names(set(seen) | words)
    short = {
        name: next(pool)
        for name, times in seen.most_common()
        if times > 1 and len(name) > 3 and name not in words and not name.startswith("__")
    }
    if len(short) < 5:
        return None
    return _SCANNERS[language].sub(lambda m: short.get(m[0], m[0]) if m["name"] else m[0], text)


def _short_names(taken: set[str]) -> Iterator[str]:
    for size in count(1):
        for letters in product(ascii_lowercase, repeat=size):
            if "".join(letters) not in taken:
                yield "".join(letters)


def strip_comments(text: str, language: str, _chance: random.Random) -> str | None:
    """All comments go, and in Python all docstrings; the lines that they stood on as well."""
    if language == "Python":
        text_without = _without_docstrings(text)
        if text_without is None:
            return None
    else:
        text_without = text
    gone = _SCANNERS[language].sub(
        lambda m: "\0" if m["comment"] is not None else m[0], text_without
    )
    gone = re.sub(r"^[ \t]*\0[ \t\0]*\n", "", gone, flags=re.MULTILINE).replace("\0", "")
    lines = len(text.splitlines()) - len(gone.splitlines())
    return gone if lines >= 3 else None


def _without_docstrings(text: str) -> str | None:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    lines = text.split("\n")
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if ast.get_docstring(node, clean=False) is None:
            continue
        doc = node.body[0]
        first, last = doc.lineno - 1, doc.end_lineno or doc.lineno
        indent = re.match(r"[ \t]*", lines[first])
        keep = "" if len(node.body) > 1 or indent is None else indent[0] + "pass"
        lines[first:last] = [keep or "\0"] + ["\0"] * (last - first - 1)
    return "\n".join(line for line in lines if line != "\0")


def merge_functions(text: str, language: str, _chance: random.Random) -> str | None:
    """The bodies of all functions stand one after the other in the first of them."""
    found = functions(text, language)
    if not _are_much(found, text):
        return None
    first, rest = found[0], found[1:]
    bodies = "".join(text[f.body : f.body_end].rstrip(" \t") for f in rest)
    pieces = [text[: first.body_end].rstrip(" \t"), bodies]
    at = first.body_end
    for function in rest:
        pieces.append(text[at : function.start])
        at = function.end
    return "".join([*pieces, text[at:]])


def append_copies(text: str, language: str, _chance: random.Random) -> str | None:
    """Behind every function stands a copy of it under another name, that nobody calls."""
    found = functions(text, language)
    if not _are_much(found, text):
        return None
    for function in reversed(found):
        copy = text[function.start : function.end]
        copy = copy.replace(function.name, f"{function.name}_old", 1)
        text = text[: function.end] + "\n" + copy + text[function.end :]
    return text


def _are_much(found: list[Function], text: str) -> bool:
    """Whether there are three functions, and together they are a fifth of the text."""
    return len(found) >= 3 and sum(f.end - f.start for f in found) * 5 >= len(text)


def break_syntax(text: str, language: str, chance: random.Random) -> str | None:
    """The end is missing, or a bracket, or a quote, or an indentation is wrong."""
    ways = [_cut_off, _drop_bracket, _drop_quote, *([_shift_line] if language == "Python" else [])]
    return chance.choice(ways)(text, language, chance)


def _cut_off(text: str, language: str, chance: random.Random) -> str | None:
    """The text up to a line within brackets, in Python also up to the head of a block."""
    ends, depth = [], 0
    for line in re.finditer(r"[^\n]*\n", blanked(text, language)):
        depth += len(re.findall(r"[\[({]", line[0])) - len(re.findall(r"[\])}]", line[0]))
        if depth > 0 or (language == "Python" and line[0].rstrip().endswith(":")):
            ends.append(line.end())
    ends = [end for end in ends if 0.3 * len(text) < end < 0.95 * len(text)]
    return text[: chance.choice(ends)] if ends else None


def _drop_bracket(text: str, language: str, chance: random.Random) -> str | None:
    places = [m.start() for m in re.finditer(r"[][(){}]", blanked(text, language))]
    return _without(text, places, chance)


def _drop_quote(text: str, language: str, chance: random.Random) -> str | None:
    strings = (m for m in _SCANNERS[language].finditer(text) if m["string"])
    places = [m.end() - 1 for m in strings if m[0][0] == '"' and m[0][:3] != '"""']
    return _without(text, places, chance)


def _without(text: str, places: list[int], chance: random.Random) -> str | None:
    if not places:
        return None
    at = chance.choice(places)
    return text[:at] + text[at + 1 :]


def _shift_line(text: str, language: str, chance: random.Random) -> str | None:
    code = blanked(text, language)
    heads = [
        m.end()
        for m in re.finditer(r"^[ \t]*(?:if|for|while|def|class)\b.*:\n", code, re.MULTILINE)
    ]
    heads = [at for at in heads if re.compile(r"[ \t]+[^ \t\n]").match(code, at)]
    if not heads:
        return None
    at = chance.choice(heads)
    return text[:at] + text[at:].lstrip(" \t")


def swallow_errors(text: str, language: str, _chance: random.Random) -> str | None:
    """What handles an error does nothing; what tests for one does not."""
    worse = text
    if language == "Python":
        pattern = r"^([ \t]*)except\b[^\n]*:\n(?![ \t]*pass\n)"
        pattern += r"(?:\1[ \t]+[^\n]*\n|[ \t]*\n(?=\1[ \t]+\S))+"
        worse = re.sub(pattern, r"\1except Exception:\n\1    pass\n", text, flags=re.MULTILINE)
    if language in ("JavaScript", "TypeScript", "Java", "C++"):
        worse = _emptied(worse, language, r"\bcatch *(?:\([^()]*\) *)?\{")
    if language == "Go":
        worse = _emptied(worse, language, r"\bif err != nil \{")
    if language == "Rust":
        code = blanked(worse, language)
        for at in reversed([m.start() for m in re.finditer(r"\?(?=[;)\n])", code)]):
            worse = worse[:at] + ".unwrap()" + worse[at + 1 :]
        worse = _emptied(worse, language, r"\bErr\([^()]*\) => \{")
    if language in ("C", "C++"):
        call = r"^([ \t]*)if \(!?(\w+\([^;{}()]*\))(?: *(?:[!=<>]=|[<>]) *[\w-]+)?\)"
        worse = re.sub(
            call + r" *\n[ \t]*(?:return|goto)\b[^;]*;", r"\1(void)\2;", worse, flags=re.MULTILINE
        )
        worse = re.sub(call + r" *\{[^{}]*\}", r"\1(void)\2;", worse, flags=re.MULTILINE)
    return worse if worse != text else None


def _emptied(text: str, language: str, opening: str) -> str:
    """The blocks that `opening` begins, without what is in them."""
    code = blanked(text, language)
    pieces, at = [], 0
    for head in re.finditer(opening, code):
        ends = _block_end(code, head.end())
        if head.start() >= at and ends is not None:
            indent = re.search(r"[ \t]*\Z", code[:ends])
            pieces += [text[at : head.end()], "\n", indent[0] if indent else ""]
            at = ends
    return "".join([*pieces, text[at:]])


def _block_end(code: str, body: int) -> int | None:
    depth = 1
    for mark in re.compile(r"[{}]").finditer(code, body):
        depth += 1 if mark[0] == "{" else -1
        if depth == 0:
            return mark.start()
    return None


Degradation = Callable[[str, str, random.Random], str | None]
DEGRADATIONS: tuple[Degradation, ...] = (
    shorten_names,
    strip_comments,
    merge_functions,
    append_copies,
    break_syntax,
    swallow_errors,
)
