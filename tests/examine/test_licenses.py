"""Licences of texts, folders and headers, and the expressions that they are written in."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codelupe_daemon import spdx
from codelupe_daemon.examine.licenses import (
    HEAD_BYTES,
    MAX_BYTES,
    Header,
    combine,
    header,
    identify,
    is_license_file,
)

ROOT = Path(__file__).parents[2]
APACHE = (ROOT / "LICENSE").read_bytes()
MIT = b"""\
The MIT License (MIT)

Copyright (c) 2014 Somebody Else <somebody@example.org>

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or
substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT
OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
NO_NOTICE = MIT.replace(MIT[MIT.index(b"\nThe above") : MIT.index(b"\nTHE SOFTWARE")], b"").replace(
    b", subject to the following conditions:", b"."
)
ISC = b"""\
Copyright (c) 2020, Somebody

Permission to use, copy, modify, and/or distribute this software for any purpose with or without
fee is hereby granted, provided that the above copyright notice and this permission notice appear
in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS
SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE
AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES
WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT,
NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE
OF THIS SOFTWARE.
"""
ZERO = ISC.replace(
    b", provided that the above copyright notice and this permission notice appear\nin all copies.",
    b".",
)
CLAUSES = b"""\
1. Redistributions of source code must retain the above copyright notice, this list of
   conditions and the following disclaimer.

2. Redistributions in binary form must reproduce the above copyright notice, this list of
   conditions and the following disclaimer in the documentation and/or other materials
   provided with the distribution.

3. Neither the name of Big Company Inc. nor the names of its contributors may be used to
   endorse or promote products derived from this software without specific prior written
   permission.

4. All advertising materials mentioning features or use of this software must display the
   following acknowledgement: This product includes software developed by Big Company.
""".split(b"\n\n")
DISCLAIMER = b"""
THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR
IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND
FITNESS FOR A PARTICULAR PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR
CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL
DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES; LOSS OF USE,
DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER
IN CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT
OF THE USE OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
"""


def bsd(*clauses: int) -> bytes:
    head = (
        b"Copyright (c) 1998-2024, Big Company Inc.\nAll rights reserved.\n\n"
        b"Redistribution and use in source and binary forms, with or without modification, are\n"
        b"permitted provided that the following conditions are met:\n\n"
    )
    return head + b"\n\n".join(CLAUSES[n - 1] for n in clauses) + DISCLAIMER


TEXTS = {
    "MIT": MIT,
    "MIT-0": NO_NOTICE,
    "ISC": ISC,
    "0BSD": ZERO,
    "Apache-2.0": APACHE,
    "BSD-1-Clause": bsd(1),
    "BSD-2-Clause": bsd(1, 2),
    "BSD-3-Clause": bsd(1, 2, 3),
    "BSD-4-Clause": bsd(1, 2, 4, 3),
}


@pytest.mark.parametrize("expression", TEXTS)
def test_a_text_is_told_from_its_relatives(expression: str) -> None:
    found = identify(TEXTS[expression])
    assert found.expression == expression
    assert found.confidence > 0.8


@pytest.mark.parametrize("expression", TEXTS)
def test_wrapping_case_and_comment_marks_make_no_difference(expression: str) -> None:
    text = TEXTS[expression]
    assert identify(b" ".join(text.split())).expression == expression
    assert identify(b"\r\n".join(b" * " + line for line in text.upper().splitlines())).expression


@pytest.mark.parametrize(
    "text, expression",
    [
        (MIT + b"\n\n" + APACHE, "MIT AND Apache-2.0"),
        (b"You may choose either of these at your option:\n\n" + MIT + APACHE, "MIT OR Apache-2.0"),
        (b"This is dual-licensed under MIT and Apache 2.0.\n" + MIT, "MIT OR Apache-2.0"),
        (MIT + b"\nThis bundles zlike, which comes with this licence:\n\n" + bsd(1, 2), "MIT"),
        (
            b"Licensed under either of Apache License, Version 2.0 or MIT license, at your option.",
            "Apache-2.0 OR MIT",
        ),
        (b"Released under the terms of the GNU GPL v3 or later.", "GPL-3.0-or-later"),
        (b"This library is free software under the same terms as Perl itself.",
         "Artistic-1.0-Perl OR GPL-1.0-or-later"),
        (MIT + b"\nThe Commons Clause Condition\n", "MIT AND LicenseRef-Commons-Clause"),
        (b"SPDX-License-Identifier: mit\n" + b"Something nobody knows. " * 9, "MIT"),
        (b"All rights reserved. Nobody may do anything with this text.", None),
        (b"", None),
        (b"\xff\xfe\x00", None),
    ],
)  # fmt: skip
def test_what_a_file_grants(text: bytes, expression: str | None) -> None:
    assert identify(text).expression == expression


def test_bundled_parts_are_named() -> None:
    found = identify(MIT + b"\nThis bundles zlike, under this licence:\n\n" + bsd(1, 2))
    assert (found.ids, found.parts) == (("MIT", "BSD-2-Clause"), ("BSD-2-Clause",))


@pytest.mark.parametrize(
    "path",
    [
        "LICENSE",
        "licence.md",
        "COPYING",
        "COPYING.LESSER",
        "COPYING3",
        "UNLICENSE",
        "LICENSE-MIT",
        "MIT-LICENSE.txt",
        "LICENSE.APACHE2",
        "LICENSE_1_0.txt",
        "docs/LICENSE.rst",
        "GPL-3.0.txt",
        "LICENSES/CC0-1.0.txt",
        "COPYRIGHT",
        "a/LICENSES/GPL-2.0-or-later.txt",
        "LICENSE-2.0.txt",
    ],
)
def test_license_files(path: str) -> None:
    assert is_license_file(path)


@pytest.mark.parametrize(
    "path",
    [
        "NOTICE",
        "license.py",
        "license_checker.go",
        "LICENSE-3RD-PARTY.txt",
        "README.md",
        "mit.rs",
        "licensing.js",
        "LICENSES/readme.txt",
        "copyright.h",
        "THIRD-PARTY-LICENSES",
        "apache.conf",
    ],
)
def test_other_files(path: str) -> None:
    assert not is_license_file(path)


@pytest.mark.parametrize(
    "files, root",
    [
        ({"LICENSE-MIT": MIT, "LICENSE-APACHE": APACHE}, "MIT OR Apache-2.0"),
        ({"LICENSE": APACHE, "LICENSE-MIT": MIT}, "Apache-2.0 OR MIT"),
        ({"LICENSE": MIT, "COPYING": bsd(1, 2, 3)}, "MIT AND BSD-3-Clause"),
        ({"LICENSE": MIT, "COPYRIGHT": b"Apache License 2.0"}, "MIT"),
        ({"COPYRIGHT": b"Licensed under the Apache License 2.0"}, "Apache-2.0"),
        ({"LICENSES/MIT.txt": MIT, "LICENSES/CC0-1.0.txt": b""}, "MIT AND CC0-1.0"),
        ({"LICENSES/MIT.txt": MIT, "LICENSE": APACHE}, "Apache-2.0"),
        ({"LICENSE": b"You may not do this or that. " * 20}, "NOASSERTION"),
        ({"LICENSE": b"see the website"}, None),
        ({"vendor/x/LICENSE": MIT}, None),
        ({}, None),
    ],
)
def test_root(files: dict[str, bytes], root: str | None) -> None:
    found = combine(list(files.items()))
    assert found.root == root
    assert found.of("src/a.c") == root


def test_lesser() -> None:
    lesser = b"GNU Lesser General Public License version 3"
    files = [("COPYING", b"GNU General Public License version 3"), ("COPYING.LESSER", lesser)]
    assert combine(files).root == "LGPL-3.0-only"


def test_the_nearest_folder_counts() -> None:
    found = combine([("LICENSE", MIT), ("vendor/x/LICENSE", bsd(1, 2)), ("vendor/y/COPYING", b"-")])
    assert found.of("a.c") == found.of("vendor/a.c") == found.of("vendor/y/a.c") == "MIT"
    assert found.of("vendor/x/a.c") == found.of("vendor/x/deep/er/a.c") == "BSD-2-Clause"


GPL3 = """This program is free software: you can redistribute it and/or modify
it under the terms of the GNU General Public License as published by
the Free Software Foundation, either version 3 of the License, or
(at your option) any later version."""
GPL2 = """This program is free software; you can redistribute it and/or modify it
under the terms of the GNU General Public License version 2 as published by the Free Software
Foundation."""
LGPL = GPL3.replace("General", "Lesser General").replace("version 3", "version 2.1")
TRI = """The contents of this file are subject to the Mozilla Public License Version 1.1.
Alternatively, the contents of this file may be used under the terms of either the GNU General
Public License Version 2 or later (the "GPL"), or the GNU Lesser General Public License Version 2.1
or later (the "LGPL"), in which case their provisions are applicable."""
TERMS = [
    ('Licensed under the Apache License, Version 2.0 (the "License");', "Apache-2.0"),
    ("http://www.apache.org/licenses/LICENSE-2.0", "Apache-2.0"),
    (GPL3, "GPL-3.0-or-later"),
    (GPL2, "GPL-2.0-only"),
    (LGPL, "LGPL-2.1-or-later"),
    (GPL3.replace("General", "Affero General"), "AGPL-3.0-or-later"),
    (GPL2 + "\nSubject to the Classpath exception.", "GPL-2.0-only WITH Classpath-exception-2.0"),
    ("Licensed under the Apache License v2.0 with LLVM Exceptions.",
     "Apache-2.0 WITH LLVM-exception"),
    ("Licensed under the MIT license or the Apache License, Version 2.0, at your option.",
     "MIT OR Apache-2.0"),
    (TRI, "MPL-1.1 OR GPL-2.0-or-later OR LGPL-2.1-or-later"),
    ("Mozilla Public License, v. 2.0. If a copy of the MPL", "MPL-2.0"),
    ("Distributed under the Boost Software License, Version 1.0.", "BSL-1.0"),
    ("Use of this source code is governed by a BSD-style\nlicense that is in LICENSE.", None),
    ("All rights reserved.", None),
    (MIT.decode(), "MIT"),
    (bsd(1, 2, 3).decode(), "BSD-3-Clause"),
]  # fmt: skip


@pytest.mark.parametrize("terms, expression", TERMS)
@pytest.mark.parametrize("mark", ["//", "#", "--", ";;", "*", '"""', "<!--"])
def test_header(terms: str, expression: str | None, mark: str) -> None:
    said = f"Copyright 2020 Somebody\n\n{terms}"
    comment = {
        "*": f"/*\n{said}\n*/\n",
        '"""': f'"""\n{said}\n"""\n',
        "<!--": f"<!--\n{said}\n-->\n",
    }.get(mark) or "".join(f"{mark} {line}".rstrip() + "\n" for line in said.splitlines())
    head = comment.encode()
    found = header(head + b"\n\nwork(1);\n")
    assert found.expression == expression
    assert head.strip() == head[found.copyright_start :][: found.copyright_bytes].strip()


@pytest.mark.parametrize(
    "line, expression",
    [
        ("// SPDX-License-Identifier: GPL-2.0+", "GPL-2.0-or-later"),
        ("/* SPDX-License-Identifier: (GPL-2.0 OR ISC) */", "GPL-2.0-only OR ISC"),
        ("<!-- SPDX-License-Identifier: mit -->", "MIT"),
        ("#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception",
         "Apache-2.0 WITH LLVM-exception"),
        ('"""SPDX-License-Identifier: ISC"""', "ISC"),
        ("// SPDX-License-Identifier: MIT/Apache-2.0", "MIT OR Apache-2.0"),
        ("// SPDX-License-Identifier: nonsense here", None),
        ("package a\n\n// SPDX-License-Identifier: MIT", "MIT"),
        ('x = "SPDX-License-Identifier: MIT"', None),
    ],
)  # fmt: skip
def test_tags(line: str, expression: str | None) -> None:
    assert header(f"{line}\nint a;\n".encode()).expression == expression


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"package a\n\nfunc License() {}\n",
        b'"""Finds the license of a file.\n\nA long text on licenses.\n"""\nimport re\n',
        b"// Package license reads licenses.\npackage license\n",
        b"/// Returns the license.\nfn license() {}\n",
        b"/* never closed Copyright (c) 2020",
    ],
)
def test_no_header(head: bytes) -> None:
    assert header(head) == Header(None, 0)


def test_the_header_ends_where_documentation_begins() -> None:
    license_part = b"// Copyright 2009 The Go Authors. All rights reserved.\n"
    found = header(license_part + b"\n// Package a does it.\npackage a\n")
    assert found.copyright_bytes == len(license_part)
    found = header(b"#!/bin/sh\n# Copyright 2009 X\n\necho\n")
    assert (found.copyright_start, found.copyright_bytes) == (10, 19)


def test_equal_beginnings_do_not_hide_what_follows() -> None:
    license_part = b"// Copyright 2009 The Go Authors of one thing.\n// Licensed under MIT terms.\n"
    more = b"\n// SPDX-License-Identifier: ISC\n"
    plain, tagged = license_part + b"\npackage a\n", license_part + more + b"package a\n"
    same_comment = license_part + b"// Package a.\npackage a\n"
    first = [header(head) for head in (plain, tagged, same_comment)]
    assert [found.expression for found in first] == ["MIT", "ISC", "MIT"]
    assert [header(head) for head in (plain, tagged, same_comment)] == first
    assert first[2].copyright_bytes == same_comment.index(b"package")


@pytest.mark.parametrize(
    "text", [b"-", b"\0", b"copyright\n", b"(c) ", b"either or ", b"1. ", b"/*"]
)
def test_the_longest_text_of_one_kind(text: bytes) -> None:
    assert identify(text * (MAX_BYTES // len(text))).expression is None


def test_gnu_families() -> None:
    later = GPL3.replace("General", "Lesser General").encode()
    assert identify(later).expression == "LGPL-3.0-or-later"
    assert spdx.joined("AND", ["MIT", "MIT OR ISC", "MIT"]) == "MIT AND (MIT OR ISC)"


@given(st.binary(max_size=3000))
def test_any_bytes(text: bytes) -> None:
    for one in (text, b"// Copyright 2020 " + text, MIT + text):
        found = header(one)
        assert 0 <= found.copyright_start + found.copyright_bytes <= min(len(one), HEAD_BYTES)
        assert 0 <= identify(one).confidence <= 1
        combine([("LICENSE", one), ("a/COPYING", text)])


@pytest.mark.parametrize(
    "text, normal",
    [
        ("mit", "MIT"),
        ("MIT/Apache-2.0", "MIT OR Apache-2.0"),
        ("(MIT or apache-2.0) and (BSD-3-CLAUSE)", "(MIT OR Apache-2.0) AND BSD-3-Clause"),
        ("MIT OR Apache-2.0 AND ISC", "MIT OR (Apache-2.0 AND ISC)"),
        ("GPL-2.0+", "GPL-2.0-or-later"),
        ("gpl-3.0", "GPL-3.0-only"),
        ("GPL-2.0-with-classpath-exception", "GPL-2.0-only WITH Classpath-exception-2.0"),
        ("GPL-2.0-only WITH classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"),
        ("Apache-2.0+", "Apache-2.0+"),
        ("LicenseRef-Own", "LicenseRef-Own"),
        ("MIT OR MIT", "MIT"),
        *((bad, None) for bad in ("", "(", "MIT OR", "MIT ISC", "()", "Foo", "MIT WITH MIT")),
        *((bad, None) for bad in ("MIT, ISC", "(" * 99 + "MIT" + ")" * 99, "MIT OR " * 900)),
    ],
)  # fmt: skip
def test_expressions(text: str, normal: str | None) -> None:
    assert spdx.normalise(text) == normal
    if normal:
        assert spdx.normalise(normal) == normal


@given(st.text(st.sampled_from("()MITORANDWH-+./ "), max_size=60))
def test_any_expression(text: str) -> None:
    normal = spdx.normalise(text)
    assert normal is None or spdx.normalise(normal) == normal
    spdx.license_class(text)


@pytest.mark.parametrize(
    "expression, number",
    [
        ("MIT", 0),
        ("MIT OR GPL-2.0-only", 0),
        ("MIT AND GPL-2.0-only", 1),
        ("Apache-2.0 WITH LLVM-exception", 0),
        ("GPL-2.0-only WITH Classpath-exception-2.0", 1),
        ("MPL-2.0", 1),
        ("NOASSERTION", 1),
        ("LicenseRef-Own", 1),
        ("unheard of", 1),
        *((none, 2) for none in (None, "", "NONE")),
        *((name, 0) for name in ("CC0-1.0", "Unlicense", "PSF-2.0", "Zlib", "WTFPL", "Python-2.0")),
    ],
)
def test_class(expression: str | None, number: int) -> None:
    assert spdx.license_class(expression) == number


@pytest.mark.parametrize(
    "policy, yes, no",
    [
        ("any", [None, "MIT", "what"], []),
        ("permissive", ["MIT", "GPL-2.0-only OR ISC"], [None, "GPL-2.0-only", "NOASSERTION"]),
        ("mit, apache-2.0", ["MIT", "MIT AND Apache-2.0", "MIT OR GPL-2.0-only"], [None, "ISC"]),
        ("MIT", ["MIT"], ["MIT AND Apache-2.0"]),
        ("GPL-2.0", ["GPL-2.0-only", "GPL-2.0-or-later"], ["GPL-3.0-only"]),
        ("GPL-2.0-or-later", ["GPL-2.0-or-later"], ["GPL-2.0-only"]),
        (
            "GPL-2.0-only WITH Classpath-exception-2.0",
            ["GPL-2.0-only WITH Classpath-exception-2.0"],
            ["GPL-2.0-only"],
        ),
    ],
)
def test_policies(policy: str, yes: list[str | None], no: list[str | None]) -> None:
    accepts = spdx.accepts(policy)
    assert all(map(accepts, yes))
    assert not any(map(accepts, no))


@pytest.mark.parametrize(
    "policy, near", [("Apache2", "Apache-2.0"), ("MIT,MPL2.0", "MPL-2.0"), ("", "")]
)
def test_an_unknown_id_is_answered_with_the_nearest(policy: str, near: str) -> None:
    with pytest.raises(ValueError, match=f"nearest is {near}"):
        spdx.accepts(policy)
