"""Modelines of Emacs and Vim, and what only looks like one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codelupe_daemon.examine.language import by_alias, decide
from codelupe_daemon.examine.modeline import SIDE_BYTES, may_have_modeline, mode_of


@pytest.mark.parametrize(
    ("line", "mode"),
    [
        ("// -*- C++ -*-", "C++"),
        ("// -*-c++-*-", "c++"),
        ("/* -*- Mode: C; tab-width: 4 -*- */", "C"),
        ("# -*- coding: utf-8; mode: python -*-", "python"),
        ("# -*-mode:tcl; coding: utf-8-*-", "tcl"),
        ("# -*- coding: utf-8 -*-", None),
        ("# -*- two words -*-", None),
        ("# -*- open", None),
        ("# vim: ft=ruby", "ruby"),
        ("# vim: set ft=ruby:", "ruby"),
        ("/* vim: set sw=2 filetype=cpp ts=2 : */", "cpp"),
        ("# vim: set ft=ruby", None),
        ("# vim:sw=2:syntax=perl:noet", "perl"),
        ("# vi: ft=perl", "perl"),
        ("# Vim: noai ft = perl".replace(" = ", "="), "perl"),
        ("# vim>700: ft=lua", "lua"),
        ("# ex: ft=tcl", "tcl"),
        ("# vim: sw=4", None),
        ("regex: ft=tcl", None),
        ("navi: ft=tcl", None),
        ("# vim: ft=", None),
    ],
)
def test_a_modeline_names_a_mode(line: str, mode: str | None) -> None:
    text = line.encode()
    body = b"x\n" * 40
    assert mode_of(text + b"\n" + body, body) == mode
    assert mode_of(body, body + text + b"\n") == mode
    assert mode is None or (may_have_modeline(text, b"") and may_have_modeline(b"", text))


def test_only_the_first_and_the_last_lines_count() -> None:
    line, body = b"// vim: ft=cpp\n", b"x\n"
    assert mode_of(body * 4 + line + body * 9, body * 9) == "cpp"
    assert mode_of(body * 5 + line + body * 9, body * 9) is None
    assert mode_of(body * 9, line + body * 4) == "cpp"
    assert mode_of(body * 9, line + body * 5) is None
    assert mode_of(b"y" * SIDE_BYTES + line, body) is None


def test_emacs_goes_before_vim_and_archives_are_not_asked() -> None:
    assert mode_of(b"# vim: ft=perl\n# -*- ruby -*-\n", b"") == "ruby"
    assert mode_of(b'" Vimball\nUseVimball\n# vim: ft=vim\n', b"") is None


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("cpp", "C++"),
        ("C++", "C++"),
        ("sh", "Shell"),
        ("golang", "Go"),
        ("emacs-lisp", "Emacs Lisp"),
        ("Emacs Lisp", "Emacs Lisp"),
        ("ruby,erb", "Ruby"),
        ("nobodys", None),
    ],
)
def test_a_language_has_other_names(name: str, language: str | None) -> None:
    assert by_alias(name) == language


@pytest.mark.parametrize(
    ("named", "extension", "head", "language"),
    [
        ("C", ".h", b"// -*- C++ -*-\nint a;\n", "C++"),
        ("Python", "", b"# -*- coding: utf-8 -*-\n", "Python"),
        ("Python", "", b"# vim: ft=nobodys\n", "Python"),
        ("Perl", ".pl", b"#!/usr/bin/swipl\n", "Prolog"),
        (None, "", b"#!/bin/sh\n# -*- tcl -*-\n", "Tcl"),
        (None, "", b'#!/bin/sh\n# \\\nexec wish "$0" "$@"\n', "Tcl"),
        (None, "", b'#!/bin/sh\nexec nobody "$0" "$@"\n', None),
        (None, "", b'<?xml version="1.0"?>\n<a/>\n', "XML"),
        ("Go", "", b'<?xml version="1.0"?>\n<a/>\n', "Go"),
        (None, "", b"words\n", None),
        ("JavaScript", "", b"#!/nowhere/zzz\nlet a\n", "JavaScript"),
    ],
)
def test_the_order_is_modeline_shebang_extension_content(
    named: str | None, extension: str, head: bytes, language: str | None
) -> None:
    assert decide(named, extension, head, head) == language


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_have_an_answer(head: bytes, tail: bytes) -> None:
    lines = b"# vim: " + head + b" ft=c\n-*-" + tail
    assert isinstance(mode_of(lines, lines), str | None)
    if mode_of(head, tail) is not None:
        assert may_have_modeline(head, tail)
