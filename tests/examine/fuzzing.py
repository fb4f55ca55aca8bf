"""What the fuzzers share: hostile texts, and what must hold for the judgement of any text."""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path

import numpy as np

from codelupe_daemon.examine import Examined, Examiner, ExamineSettings
from codelupe_daemon.examine.contamination import Contamination
from codelupe_daemon.model import Reason, Wanted
from tests.examine.build import pack

MB = 1_000_000
MAX_S_PER_MB = 1.0
"""Of CPU time; what is shorter than a megabyte has as long as one."""
PATIENCE = 3
"""So many times that on a machine that is busy with other tests."""
MAX_MB_PER_MB = 200
PATHS = (
    *("a.py", "a.c", "a.h", "a.cpp", "a.js", "a.ts", "a.tsx", "a.java", "a.go", "a.rs", "a.ex"),
    *("a.dart", "a.rb", "a.pl", "a.lua", "a.m", "a.sh", "a.sql", "a.erl", "a.clj", "a.ml", "a.vb"),
    *("a.f90", "a.php", "a.swift", "a.kt", "a.scala", "a.hs", "a.cs", "a.v", "a", "Makefile"),
)
SAMPLES = Path(__file__).parent / "samples"


@cache
def wide_open() -> ExamineSettings:
    """No limit holds anything back, so that every text comes through all that is done to one."""
    limits = {
        field.name: 0 if field.name.startswith("min_") else 1
        for field in fields(ExamineSettings)
        if field.name.startswith("min_") or field.name.endswith("_share")
    }
    sizes = {"max_line_chars", "mean_line_chars", "max_encoded_bytes", "max_lines"}
    limits |= dict.fromkeys(sizes, 1 << 30) | {"min_table_words": 1 << 30, "max_depth": 256}
    return ExamineSettings(**limits)  # type: ignore[arg-type]


@cache
def examiner(settings: ExamineSettings) -> Examiner:
    benchmark = Contamination.of([("Item/1", (SAMPLES / "retry.go").read_bytes())])
    return Examiner(settings, pack, benchmark)


def examine(
    files: Sequence[tuple[str, bytes]], settings: ExamineSettings | None = None
) -> list[Examined]:
    """Judge files that lie side by side, whatever their paths alone would decide."""
    judge = examiner(settings or wide_open())
    paths = [judge.path_verdict(path) for path, _ in files]
    wanted = [
        Wanted(b"", at.path_class, at.language, [path])
        for at, (path, _) in zip(paths, files, strict=True)
    ]
    sizes = np.array([len(text) for _, text in files], np.int64)
    buffer = memoryview(b"".join(text for _, text in files) + b"\xff" * 64)
    return judge.examine(wanted, buffer, np.cumsum(sizes) - sizes, sizes)


def check(
    files: Sequence[tuple[str, bytes]],
    settings: ExamineSettings | None = None,
    patience: float = PATIENCE,
) -> list[Examined]:
    """Judge them in time, without an exception in any rule."""
    started = time.thread_time()
    judged = examine(files, settings)
    used_s = time.thread_time() - started
    size_bytes = sum(len(text) for _, text in files)
    limit_s = patience * MAX_S_PER_MB * max(size_bytes / MB, 1)
    assert used_s <= limit_s, f"{used_s:.2f} s, {size_bytes} bytes"
    for (path, _), one in zip(files, judged, strict=True):
        reason = one.verdict.reason
        assert (reason is None) == (one.content is not None), path
        assert reason is None or not reason.startswith(Reason.EXAMINER_FAILED), (path, reason)
        assert 0 <= one.verdict.score <= 1, (path, one.verdict.score)
    return judged


def peak_mb() -> float:
    """The most memory that this process has had since `reset_peak`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1000
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


# -- hostile texts ---------------------------------------------------------------------------

CHARACTERS = "a Z0_\t\n\r\v(){}[]<>\"'`@#/*\\=-.:;,$%&!?|~^+é漢😀\x01\x7f\u2028\ufeff"
UNITS = (
    *("()", "({[", ")]}", "/*", "*/", "/**/", "//", "'''", '"""', "<!--", "--[[", "(*", "{-"),
    *("a.", "a@", "a@b.", "a@b.cc ", "@.", "1.", "1.2.3.4 ", "1.2.3.", "::", "fe80:", "0x", "1e"),
    *("a=", 'a="', "a='", "password=", 'password = "', "token: ", "api_key=a1", "AKIA", "ghp_"),
    *("http://", "http://a:b@", "://:@", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----\n", "eyJ"),
    *("eyJhbGci.", "sk_live_", "xox", "\\u", "\\x", "\\", "%q(", 'r#"', "<<EOF\n", "$(", "${"),
    *("def a", "def a():\n", "class A {", "function a(){", "fn a(", "func a() {", "if ", "else "),
    *("#if\n", "#endif\n", "=begin\n", "=end\n", '@doc """\n', "\\\n", "a\n", "x = ", "a b\n"),
    *("# TODO\n", "generated ", "do not edit ", "SPDX-License-Identifier: ", "Copyright (c) "),
    *("vim: ", "vim: set ft=", "-*- ", "-*- mode: ", "#!", "#!/usr/bin/env ", "license ", "MIT "),
    *("0123456789abcdef", "ABCDabcd0123+/", "a1" * 40, "word " * 40, "x" * 119 + "\n"),
)


def repeated(unit: str | bytes, size_bytes: int = MB) -> bytes:
    one = unit.encode() if isinstance(unit, str) else unit
    return (one * (size_bytes // len(one) + 1))[:size_bytes]


def hostile() -> dict[str, bytes]:
    """By name, a megabyte each."""
    texts = {f"one {character!r}": repeated(character) for character in CHARACTERS}
    texts |= {f"many {unit!r}": repeated(unit) for unit in UNITS}
    half = MB // 2
    for opening, closing in ("()", "[]", "{}", "<>"):
        texts[f"nested {opening}"] = (opening * half + closing * half).encode()
    stairs = "".join(f"{' ' * depth}if a:\n" for depth in range(1400))[:MB]
    texts["stairs"] = stairs.encode()
    texts["one long line of code"] = repeated("a = b(c, 'd') + e[1]; ")
    texts["one long comment"] = b"/* " + repeated("nothing is said here at all, ", MB - 3)
    texts["an open string"] = b's = "' + repeated("text and more text ", MB - 5)
    texts["short lines"] = b"".join(b"%x\n" % (number % 65_521) for number in range(220_000))[:MB]
    texts["different names"] = b" ".join(b"name_%d" % number for number in range(90_000))[:MB]
    texts["different definitions"] = b"".join(
        b"def f%d(): pass\n" % number for number in range(50_000)
    )
    texts["different secrets"] = b"".join(
        b'key_%d = "%s"\n' % (number, b"Zk8vQ2nR7tYw4LpX"[number % 7 :] + b"%x" % (number * 7919))
        for number in range(25_000)
    )
    texts["different mails"] = b"".join(b"# a%d@host%d.org\n" % (n, n) for n in range(45_000))
    texts["invalid"] = repeated(b"\xff")
    texts["cut short"] = repeated("漢", 999_999)[:-1] + b"\n"
    texts["surrogates"] = repeated(b"\xed\xa0\x80")
    texts["UTF-16"] = "x = 1\n".encode("utf-16-le") * 80_000
    texts["UTF-16 with its mark"] = b"\xff\xfe" + texts["UTF-16"]
    texts["UTF-32 with its mark"] = b"\xff\xfe\0\0" + "a = '漢'\n".encode("utf-32-le") * 30_000
    texts["NUL at the end"] = repeated("x = 1\n", MB - 1) + b"\0"
    return texts
