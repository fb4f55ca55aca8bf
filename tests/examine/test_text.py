"""From bytes to the stored text, and every reason why there is none."""

from __future__ import annotations

import codecs
import threading
from hashlib import blake2b

import pytest

from codelupe_daemon.examine import Examined, ExamineSettings
from codelupe_daemon.model import Reason
from tests.examine.build import MIB, examine_batch, judge

CODE = "def add(first, second):\n    return first + second\n\n\nprint(add(1, 2))\n"


def stored(examined: Examined) -> str:
    assert examined.content is not None, examined.verdict
    assert examined.content.packed is not None
    return examined.content.packed.decode()


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_every_encoding_becomes_the_same_text(mark: bytes, encoding: str) -> None:
    code = CODE + "# é 漢 😀\r\n"
    examined = judge("a.py", mark + code.encode(encoding))
    assert stored(examined) == code
    assert examined.content is not None
    assert examined.content.chars == len(code)
    expected = blake2b(code.encode(), digest_size=16).digest()
    assert examined.content.content_hash == expected


def test_unpaired_surrogates_become_the_replacement_character() -> None:
    wide = codecs.BOM_UTF16_LE + (CODE + "# \ud800!").encode("utf-16-le", "surrogatepass")
    assert stored(judge("a.py", wide)) == CODE + "# \ufffd!"
    narrow = (CODE + "# \udc00 and \ud83d\ude00").encode("utf-8", "surrogatepass")
    assert stored(judge("a.py", narrow)) == CODE + "# \ufffd and 😀"


@pytest.mark.parametrize(
    ("blob", "reason", "measured"),
    [
        (CODE.encode() + b"\0", Reason.BINARY, float(len(CODE))),
        (CODE.encode() + b"\xff\n", Reason.NOT_TEXT, float(len(CODE))),
        (CODE.encode() + "漢".encode()[:2], Reason.NOT_TEXT, float(len(CODE))),
        (codecs.BOM_UTF16_LE + CODE.encode("utf-16-le") + b"x", Reason.NOT_TEXT, 140.0),
        (codecs.BOM_UTF16_LE + "a\0b".encode("utf-16-le"), Reason.BINARY, 1.0),
        (b"", Reason.TOO_SMALL, 0.0),
        ("漢".encode() * 49, Reason.TOO_SMALL, 49.0),
        (codecs.BOM_UTF8 + b"#" * 49, Reason.TOO_SMALL, 49.0),
        (b"#" * (MIB + 1), Reason.TOO_LARGE, MIB + 1.0),
        (b"version https://git-lfs.github.com/spec/v1\noid x\n", Reason.LFS_POINTER, None),
    ],
)
def test_what_is_no_text_has_a_reason(blob: bytes, reason: Reason, measured: float | None) -> None:
    examined = judge("a.py", blob)
    assert examined.content is None
    assert examined.verdict[:3] == (reason, measured, "Python")


def test_line_ends_are_kept_and_carriage_returns_end_lines() -> None:
    old = CODE.replace("\n", "\r")
    examined = judge("a.py", old)
    assert stored(examined) == old
    assert b'"lines":5,' in examined.verdict.signals


def test_one_line_of_a_megabyte_is_minified() -> None:
    examined = judge("a.js", b"x = 1; " * (MIB // 7))
    assert examined.verdict[:2] == (Reason.MINIFIED, float(MIB // 7 * 7))


def test_a_batch_judges_like_one_by_one() -> None:
    files: list[tuple[str, bytes | None]] = [
        ("a.py", CODE.encode()),
        ("b.py", None),
        ("c.py", codecs.BOM_UTF16_LE + CODE.encode("utf-16-le")),
        ("d.go", b"\0"),
        ("e.c", b"int main(void) {\n  return 0;\n}\n" * 3),
        ("f.py", codecs.BOM_UTF8 + CODE.encode()),
        ("g", b"#!/usr/bin/env python3\n" + CODE.encode()),
        ("h.rs", b""),
    ]
    examined = examine_batch(files, tail=b"\xff" * 64)
    assert examined[1].verdict.reason is Reason.UNREADABLE
    alone = [judge(path, blob) if blob is not None else examined[1] for path, blob in files]
    assert examined == alone


def test_threads_do_not_disturb_each_other() -> None:
    files: list[tuple[str, bytes | None]] = [
        (f"{i}.h", (CODE * (i % 7 + 1) + "class A { public: int b; };\n").encode())
        for i in range(200)
    ]
    expected = examine_batch(files)
    results: list[list[Examined]] = []
    threads = [
        threading.Thread(target=lambda: results.append(examine_batch(files))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 6


def test_the_version_follows_the_settings() -> None:
    from codelupe_daemon.examine.settings import fingerprint

    changed = [
        ExamineSettings(),
        ExamineSettings(min_file_chars=51),
        ExamineSettings(languages=frozenset({"Go"})),
    ]
    assert len({fingerprint(settings) for settings in changed}) == 3
    lower = ExamineSettings(languages=frozenset({"go"}))
    assert fingerprint(lower) == fingerprint(changed[2])
