"""File names, extensions, shebangs, and what only the content tells."""

from __future__ import annotations

import pytest

from codelupe_daemon.examine import ExamineSettings
from codelupe_daemon.examine.language import by_content, by_name, by_shebang, tables
from codelupe_daemon.model import Reason
from tests.examine.build import examiner, judge


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("main.go", "Go"),
        ("lib.RS", "Rust"),
        ("app.test.tsx", "TSX"),
        ("mix.exs", "Elixir"),
        ("Makefile", "Makefile"),
        ("CMakeLists.txt", "CMake"),
        ("page.html.erb", "HTML+ERB"),
        ("main.dart", "Dart"),
        ("README.md", "Markdown"),
        ("unknown.zzz", None),
        ("LICENSE", "Text"),
        ("noextension", None),
        (".bashrc", "Shell"),
    ],
)
def test_a_name_tells_the_language(name: str, language: str | None) -> None:
    assert by_name(name).language == language


@pytest.mark.parametrize(
    ("line", "language"),
    [
        (b"#!/bin/sh", "Shell"),
        (b"#!/usr/bin/env python3.11", "Python"),
        (b"#! /usr/bin/env -S node --no-warnings", "JavaScript"),
        (b"#!/usr/bin/env FOO=1 ruby", "Ruby"),
        (b"#!/usr/bin/env", None),
        (b"#!", None),
        (b"#!/nowhere/zzz", None),
        (b"#!\xff\xfe", None),
    ],
)
def test_a_shebang_tells_the_language(line: bytes, language: str | None) -> None:
    assert by_shebang(line + b"\nexit 0\n") == language


@pytest.mark.parametrize(
    ("extension", "text", "language"),
    [
        (".h", b"int main(void);\n", "C"),
        (".h", b"class A {\n public:\n  int b;\n};\n", "C++"),
        (".h", b"@interface A : NSObject\n@end\n", "Objective-C"),
        (".m", b"% matrices\nx = [1 2];\n", "MATLAB"),
        (".m", b"#import <Foundation/Foundation.h>\n", "Objective-C"),
        (".pl", b"likes(X, Y) :- friend(X, Y).\n", "Prolog"),
        (".pl", b"use strict;\nmy $x = 1;\n", "Perl"),
        (".v", b"module top(input a);\nendmodule\n", "Verilog"),
        (".v", b"Require Import List.\nProof.\nQed.\n", "Rocq Prover"),
        (".ts", b"const a: number = 1;\n", "TypeScript"),
        (".ts", b'<?xml version="1.0"?>\n<TS version="2.1">\n', "XML"),
        (".rs", b"fn main() {}\n", "Rust"),
        # What linguist leaves to its classifier:
        (".m", b"x = 1;\nfunction y = f(x)\n", "MATLAB"),
        (".m", b"/* words */\nint main(void) { return 0; }\n", "Objective-C"),
        (".inc", b"static const int a[] = {\n  1,\n};\n", "C++"),
        (".inc", b"create table a (b int);\n", "SQL"),
        (".inc", b"<?php\necho 1;\n", "PHP"),
        (".v", b"Definition two := S (S O).\n", "Rocq Prover"),
        (".v", b"assign a = b;\n", "Verilog"),
        (".ml", b"let f = fun x -> x\n", "OCaml"),
        (".ml", b"structure A = struct\nfun f x = x\nend\n", "Standard ML"),
        (".p", b"member(X, [X|_]).\na :- b.\n", "Prolog"),
        (".sls", b"(library (a b)\n  (export c))\n", "Scheme"),
        (".gs", b"init\n  print 1\n", "Genie"),
    ],
)
def test_the_content_tells_what_a_shared_extension_means(
    extension: str, text: bytes, language: str
) -> None:
    assert by_content(extension, text) == language


@pytest.mark.parametrize("extension", sorted(tables().shared))
def test_every_shared_extension_can_be_judged(extension: str) -> None:
    assert by_content(extension, b"\n") in {*tables().types, None}


def test_every_language_of_the_tables_is_known() -> None:
    known = tables()
    named = {*known.extensions.values(), *known.filenames.values(), *known.interpreters.values()}
    named.update(rule[0] for rules in known.shared.values() for rule in rules)
    assert named <= known.types.keys()


def test_only_wanted_languages_pass() -> None:
    settings = ExamineSettings(languages=frozenset({"PYTHON", "c++"}), min_lines=0)
    wanted = examiner(settings)
    assert wanted.path_verdict("a.py").reason is None
    assert wanted.path_verdict("a.go")[1:3] == ("Go", Reason.NOT_CODE)
    plain = "int add(int a, int b) {\n  return a + b;\n}\n" * 2
    assert judge("a.h", plain, settings).verdict[:3] == (Reason.NOT_CODE, None, "C")
    assert judge("a.h", "class A {\n public:\n};\n" + plain, settings).content is not None


def test_a_text_without_a_language_is_no_code() -> None:
    prose = "Some words of which nobody knows the language.\n" * 3
    assert judge("NOTES", prose).verdict[:3] == (Reason.NOT_CODE, None, None)
    assert judge("tool", "#!/bin/sh\n" + prose).verdict.language == "Shell"
