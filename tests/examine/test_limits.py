"""The published limits: a text that each leaves out, a near miss, and a twin in plain Python."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codelupe_daemon.examine import ExamineSettings, features, kernel, text
from codelupe_daemon.examine.languages import ANALYSERS, KIND_OF_LANGUAGE, MARKS, WORDS
from codelupe_daemon.examine.shares import SEEN_MAX_SLOTS
from codelupe_daemon.model import Reason
from tests.examine import reference
from tests.examine.build import judge

C, PYTHON = KIND_OF_LANGUAGE["C"], KIND_OF_LANGUAGE["Python"]
NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def functions(count: int) -> str:
    """Five lines each; names, and so lines, repeat in no other function."""
    names = [f"{a}_{b}" for a in NUMBERS for b in NUMBERS][:count]
    return "".join(
        f"def area_{name}(width_{name}, height_{name}):\n"
        f'    """How much room is in {name}."""\n'
        f"    return width_{name} * height_{name}\n\n\n"
        for name in names
    )


def verdict(code: str, path: str = "a.py", **limits: Any) -> tuple[Reason | None, float | None]:
    found = judge(path, code, ExamineSettings(**limits)).verdict
    return found.reason, found.measured


def measures(*codes: bytes, kind: int = C) -> list[list[int]]:
    """The table of a batch of texts of one kind."""
    sizes = np.array([len(code) for code in codes], np.int64)
    offsets = np.cumsum([0, *sizes[:-1]], dtype=np.int64)
    data = np.frombuffer(b"".join(codes) + bytes(64), np.uint8)
    texts = np.zeros((len(codes), text.TEXT_COLUMNS), np.int64)
    text.scan_texts(data, offsets, sizes, texts)
    table = np.zeros((len(codes), kernel.ROW_COLUMNS), np.int64)
    kinds = np.full(len(codes), kind, np.int64)
    kernel.measure_texts(data, offsets, sizes, texts, kinds, MARKS, WORDS, table)
    return [[int(value) for value in row] for row in table]


# -- each limit ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reason", "measured"),
    [
        (functions(1) + "print(area_zero_zero(2, 3))\n", Reason.TOO_FEW_LINES, 6),
        ("\n" * 30 + "ab = cd\n" * 7 + "abc\n" * 3, Reason.SHORT_LINES, 2.45),
        (functions(2) + "xs = ['@', 'a', '|', '&']\n" * 15, Reason.FEW_LETTERS, 0.438),
        (
            functions(2) + "SIZES = [\n" + "    1200, 4800,\n" * 99 + "]\n",
            Reason.FEW_LETTERS,
            0.158,
        ),
        (
            functions(9) + "".join(f"size_{a} = 12003400560078\n" for a in NUMBERS) * 4,
            Reason.MANY_DIGITS,
            0.288,
        ),
        (functions(2) + "if a:\n" + " " * 40 + "return area\n" * 19, Reason.REPETITIVE, 0.792),
        (functions(1) + "# A long explanation of it all.\n" * 20, Reason.MOSTLY_COMMENTS, 0.869),
        (functions(9) + "# TODO: finish\n", Reason.UNFINISHED, 0.022),
        (functions(9) + "# Fixme\n", Reason.UNFINISHED, 0.022),
        (functions(9) + "# insert your code here\n", Reason.UNFINISHED, 0.022),
        (functions(9) + "class Error(Exception):\n    pass\n" * 1, Reason.MOSTLY_STUBS, 0.05),
        ("import re\nfrom os import path\n" + functions(3), Reason.MOSTLY_IMPORTS, 0.25),
        (functions(4) + "print('a')\nprint('b')\nprint('c')\n" * 2, Reason.MOSTLY_PRINTS, 0.429),
    ],
)
def test_a_limit_leaves_out(code: str, reason: Reason, measured: float) -> None:
    tight: dict[str, Any] = {"max_pass_share": 0.04, "max_import_share": 0.24}
    found, share = verdict(code, **tight)
    assert found is reason
    assert share == pytest.approx(measured, abs=0.0011)


def test_blanks_are_a_share_of_all_characters() -> None:
    deep = "".join(f"{' ' * 40}return area_{name}\n" for name in NUMBERS)
    reason, measured = verdict("def all():\n  if True:\n" + deep)
    assert reason is Reason.MOSTLY_BLANK
    assert measured == pytest.approx(0.7, abs=0.05)
    assert verdict("def all():\n  if True:\n" + deep, max_blank_share=0.8)[0] is None


def test_too_many_lines() -> None:
    assert verdict(functions(9), max_lines=44) == (Reason.TOO_MANY_LINES, 45.0)
    assert verdict(functions(9), max_lines=45) == (None, None)


@pytest.mark.parametrize(
    "code",
    [
        functions(2),  # ten lines
        functions(3) + "password = passing\nprinter = importer\nfrom_here = 1\n",
        functions(20) + "# TODO: finish\n",  # 1 of 101
        functions(9) + "# A method, todays and mastodons, our code here\n" * 2,
        functions(9) + "TODO = 1\n",
        functions(2) + "if a:\n    pass\n" * 0,
        functions(5) + "x = (\n    {\n    },\n)\n" * 20,
    ],
)
def test_a_near_miss_is_kept(code: str) -> None:
    assert verdict(code) == (None, None)


def test_imports_and_prints_are_limits_of_python_alone() -> None:
    code = "import { area } from './area'\nimport { size } from './size'\n" + "".join(
        f"export const {name} = area(size.{name})\n" for name in NUMBERS
    )
    assert verdict("import a.b.C;\n" * 5 + code, "a.ts", max_import_share=0.1) == (None, None)


def test_a_licence_at_the_top_is_no_comment() -> None:
    words = "".join(
        f"# {name} of the rules that follow from it for everybody\n" for name in NUMBERS
    )
    code = functions(3)
    owned = "# Copyright of the authors\n" + words + "\n" + code
    assert verdict(owned, max_comment_share=0.5)[0] is None
    assert verdict(words + "\n" + code, max_comment_share=0.5)[0] is Reason.MOSTLY_COMMENTS
    # What stands after a blank line belongs to the code again.
    split = "# Copyright of the authors\n\n" + words + code
    assert verdict(split, max_comment_share=0.5)[0] is Reason.MOSTLY_COMMENTS


def test_every_limit_can_be_switched_off() -> None:
    off: dict[str, Any] = {
        field.name: 0.0 if field.name.startswith("min_") else 1.0
        for field in fields(ExamineSettings)
        if field.name.endswith("_share") or field.name.startswith("min_")
    }
    for code in ("pass\n" * 9, "# TODO\n" * 30, "import a\n" * 30, "\n" * 90 + "x", "a = 1\n"):
        assert verdict(code, **off)[0] is None


# -- against plain Python ----------------------------------------------------------------------

PIECES = [
    *(
        "/*",
        "*/",
        "//",
        "\n",
        "\r\n",
        "\t",
        "  ",
        "{",
        "}",
        "},",
        ")",
        ":",
        "if",
        "x",
        "snake_case",
    ),
    *(
        "todo",
        "FIXME",
        "TODO: ",
        "fixme",
        "your code here",
        "Your Code Her",
        "code here",
        "od",
        "xm",
    ),
    *("12", "é", "漢", "a" * 70, "pass\n", "print(", "import ", "from", "printer", "return 1\n"),
]
codes = st.lists(st.sampled_from(PIECES), max_size=120).map(lambda pieces: "".join(pieces).encode())


TODO = re.compile(rb"(?<![\w\x80-\xff])(?:todo|fixme|your code here)(?![\w\x80-\xff])")


def plain(code: bytes) -> dict[int, int]:
    """The same counts for C, by the words of the definitions."""
    lines = reference.lines_of(code)
    kinds = reference.kinds_of(lines, ANALYSERS[C])
    stripped = [line.strip(reference.BLANKS) for line in lines]
    counted = Counter(line for line, kind in zip(stripped, kinds, strict=True) if kind == "code")
    comments = [line for line, kind in zip(lines, kinds, strict=True) if kind == "comment"]
    return {
        features.LETTERS: len(re.findall(r"[a-zA-Z\x80-\U0010ffff]", code.decode())),
        features.DIGITS: len(re.findall(rb"\d", code)),
        features.BLANKS: len(re.findall(rb"[ \t\n\v\f\r]", code)),
        features.COMMENT_BYTES: sum(len(line) + 1 for line in comments),
        features.DUPLICATES: sum(
            times
            for line, times in counted.items()
            if times > 1 and len(line) > 1 and line != b"},"
        ),
        features.TODOS: sum(TODO.search(line.lower()) is not None for line in comments),
        features.PASS_LINES: 0,
    }


@settings(max_examples=400, deadline=None)
@given(codes)
@example(b"x = 1\n" * 9)
@example(b"// \xff todo\n".replace(b"\xff", b"a" * 62))
@example(b"//" + b" " * 57 + b"your code here\n")
def test_counts_are_those_of_plain_python(code: bytes) -> None:
    expected = plain(code)
    [measured] = measures(code)
    assert {feature: measured[feature] for feature in expected} == expected


@settings(max_examples=200, deadline=None)
@given(st.lists(codes, min_size=2, max_size=5))
def test_texts_of_a_batch_share_no_lines(batch: Sequence[bytes]) -> None:
    duplicates = [row[features.DUPLICATES] for row in measures(*batch)]
    assert duplicates == [measures(code)[0][features.DUPLICATES] for code in batch]


STATEMENT = re.compile(rb"(pass|import|from|print)(?![\w\x80-\xff])")
COLUMN = {b"pass": features.PASS_LINES, b"import": features.IMPORT_LINES}
COLUMN |= {b"from": features.IMPORT_LINES, b"print": features.PRINT_LINES}


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(["pass", "import", "from", "print", "er", " ", "(", "é", "\n"])))
def test_statements_begin_a_line(pieces: list[str]) -> None:
    code = "".join(pieces).encode()
    found = [STATEMENT.match(line.lstrip()) for line in code.split(b"\n")]
    expected = Counter(COLUMN[match[1]] for match in found if match)
    [measured] = measures(code, kind=PYTHON)
    assert {column: measured[column] for column in set(COLUMN.values())} == {
        column: expected[column] for column in set(COLUMN.values())
    }


def test_a_text_of_more_lines_than_the_table_holds() -> None:
    different = b"".join(b"%07d\n" % number for number in range(2 * SEEN_MAX_SLOTS))
    [once] = measures(different)
    assert once[features.DUPLICATES] == 0
    [twice] = measures(different + b"same line\n" * 1000)
    assert twice[features.DUPLICATES] <= 1000
    few = measures(*(b"same\nother\n" for _ in range(200)))
    assert all(a == b for a, b in pairwise(row[features.DUPLICATES] for row in few))
