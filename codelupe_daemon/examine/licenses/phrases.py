"""Licences that a text names instead of giving them whole: notices, headers, choices.

Works on words joined by one space: "licensed under the apache license version 2 0".
"""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import NamedTuple

from codelupe_daemon import spdx

_CHOICE = re.compile(
    r"\bat your (?:option|choice|discretion|election)\b(?! any (?:later|newer))|\byour choice\b|"
    r"\b(?:dual|double|triple|multi)(?:ly)? licen|"
    r"\beither (?!express)(?:of |the )?(?:[a-z0-9]+ ){0,12}?"
    r"or (?!at your option)(?:the |a )?(?:[a-z0-9]+ ){0,3}?(?:licen|gpl|lgpl|gnu|mit|bsd|apache)|"
    r"\balternatively (?:this|the|you)\b|\bdisjunctive\b|\byou may choose\b|"
    r"\blicensed under both\b|\bsecondary licenses?\b|"
    r"\bone of the (?:above|following) (?:listed )?licenses\b"
)
_OF_OTHERS = re.compile(
    r"\bthird part(?:y|ies)\b|\bbundle[sd]?\b|\bsubcomponents?\b|\bvendored\b|"
    r"\bincorporat(?:es|ed)\b|"
    r"\bderived from\b|\bbased (?:up)?on\b|\badapted from\b|\bported from\b|\btaken from\b|"
    r"\bportions? of\b|\bthis license applies to\b|"
    r"\b(?:parts|some|code|files?|sections) (?:of|from|in|under)\b|"
    r"\b(?:includes?|contains?|uses?) (?:software|code|parts|portions|the following|a copy)\b|"
    r"\bthe following (?:licen|component|file|copyright|software|notice|librar|applies|text)|"
    r"\b(?:additional|other|separate|original) (?:licen|copyright|notices?)|\boriginally\b|"
    r"\blicenses? (?:for|of) "
)
_GNU = re.compile(
    r"\b(?:(?:gnu )?(?P<word>lesser |library |affero )?(?:gnu )?general public licen[sc]es?|"
    r"(?:gnu )?(?P<letter>[la])?gpl)(?: ?v?(?P<major>[1-3])(?: (?P<minor>[01]))?)?\b"
)
_VERSION = re.compile(r"\b(?:version|v) ?(?P<major>[1-3])(?: (?P<minor>[01]))?\b")
_LATER = re.compile(
    r"\b(?:or|any) (?:later|newer|higher|greater|above|subsequent)\b|\bor any version"
)
_GNU_REACH = 200
_GNU_TITLE = re.compile(
    r"\bgnu (?:lesser |library |affero )?general public license version [\d ]+"
    r"(?:february|june|november)\b"
)
_V2 = r"(?:version |v ?)?2(?: 0)?\b"
_V = r"(?:version |v ?)?"
# A word that must be there (quick to see), what says it, and what that is.
_NAMED = [
    (hint, re.compile(rf"\b(?:{pattern})"), expression)
    for hint, pattern, expression in (
        ("apache", rf"apache(?: software)?(?: public)? license {_V2}|apache {_V2}", "Apache-2.0"),
        ("apache", r"apache org licenses license 2 0\b", "Apache-2.0"),
        ("asl", r"asl ?2 0\b", "Apache-2.0"),
        ("mit", r"mit(?: x11| expat| style)? licen|mit x11\b|opensource org licenses mit\b", "MIT"),
        ("mit", r"licen[sc]ed? (?:is |under |under the |type |as )?mit\b", "MIT"),
        ("expat", r"expat licen", "MIT"),
        ("isc", r"isc licen|opensource org licenses isc\b", "ISC"),
        ("bsd", r"(?:simplified|2 clause|two clause|freebsd) bsd|bsd (?:2|two) clause",
         "BSD-2-Clause"),
        ("bsd", r"(?:new|revised|modified|3 clause|three clause) bsd|bsd (?:3 clause|three|new\b)",
         "BSD-3-Clause"),
        ("bsd", r"0bsd\b|bsd zero clause|zero clause bsd", "0BSD"),
        ("mpl", rf"mpl ?{_V}2 0\b", "MPL-2.0"),
        ("mpl", rf"mpl ?{_V}1 1\b", "MPL-1.1"),
        ("mozilla", rf"mozilla (?:public license|org mpl) ?{_V}2 0\b", "MPL-2.0"),
        ("mozilla", rf"mozilla (?:public license|org mpl) ?{_V}1 1\b", "MPL-1.1"),
        ("epl", rf"epl {_V}2 0\b", "EPL-2.0"),
        ("epl", rf"epl {_V}1 0\b", "EPL-1.0"),
        ("eclipse", rf"eclipse public license {_V}2 0\b", "EPL-2.0"),
        ("eclipse", rf"eclipse public license {_V}1 0\b", "EPL-1.0"),
        ("eclipse", rf"eclipse distribution license {_V}1 0\b", "BSD-3-Clause"),
        ("boost", r"boost software license\b", "BSL-1.0"),
        ("zlib", r"zlib licen", "Zlib"),
        ("unlicense", r"unlicense licen|unlicense org\b|the unlicense\b", "Unlicense"),
        ("cc0", r"cc0\b", "CC0-1.0"),
        ("zero", r"creative commons zero|publicdomain zero 1 0\b", "CC0-1.0"),
        ("artistic", r"artistic license (?:version )?2 0\b", "Artistic-2.0"),
        ("perl", r"same terms as (?:the )?perl", "Artistic-1.0-Perl OR GPL-1.0-or-later"),
        ("microsoft", r"microsoft public license", "MS-PL"),
        ("ms pl", r"ms pl\b", "MS-PL"),
        ("universal", r"universal permissive license", "UPL-1.0"),
        ("upl", r"upl 1 0\b", "UPL-1.0"),
        ("fuck", r"do what the fuck you want to", "WTFPL"),
        ("wtfpl", r"wtfpl\b", "WTFPL"),
        ("cddl", rf"cddl {_V}1 1\b", "CDDL-1.1"),
        ("cddl", rf"cddl\b(?! {_V}1 1)", "CDDL-1.0"),
        ("common", rf"common development and distribution license {_V}1 1\b", "CDDL-1.1"),
        ("common", rf"common development and distribution license\b(?! {_V}1 1)", "CDDL-1.0"),
        ("european", rf"european union public licen[cs]e {_V}1 2\b", "EUPL-1.2"),
        ("eupl", rf"eupl {_V}1 2\b", "EUPL-1.2"),
        ("sspl", r"sspl\b", "SSPL-1.0"),
        ("server side", r"server side public license", "SSPL-1.0"),
        ("elastic", r"elastic license 2 0\b", "Elastic-2.0"),
        ("business", rf"business source license {_V}1 1\b", "BUSL-1.1"),
        ("postgresql", r"postgresql licen", "PostgreSQL"),
        ("ncsa", r"ncsa open source license|university of illinois ncsa", "NCSA"),
        ("psf", r"psf licen", "PSF-2.0"),
        ("python", r"python software foundation licen", "PSF-2.0"),
    )
]  # fmt: skip
_EXCEPTIONS = [
    (re.compile(pattern), base, name)
    for pattern, base, name in (
        (r"classpath exception|linking this library statically or dynamically", "GPL-",
         "Classpath-exception-2.0"),
        (r"gcc runtime library exception", "GPL-3.0", "GCC-exception-3.1"),
        (r"llvm exceptions?\b", "Apache-2.0", "LLVM-exception"),
        (r"part or all of the bison parser skeleton", "GPL-", "Bison-exception-2.2"),
        (r"configuration script generated by autoconf", "GPL-", "Autoconf-exception-generic"),
    )
]  # fmt: skip


class Mention(NamedTuple):
    """`at`: its offset in the text."""

    at: int
    expression: str


def mentions(text: str) -> list[Mention]:
    """The licences that a text names, in its order, each once."""
    found = [*_gnu(text)]
    for hint, pattern, expression in _NAMED:
        match = pattern.search(text) if hint in text else None
        if match:
            found.append(Mention(match.start(), expression))
    once: dict[str, Mention] = {}
    for one in sorted(found):
        once.setdefault(one.expression.replace("-or-later", "-only"), one)
    return [_excepted(one, text) for one in once.values()]


def _gnu(text: str) -> list[Mention]:
    """GNU licences whose version is said, before the next one is named."""
    if "gpl" not in text and "general public" not in text:
        return []
    found: list[Mention] = []
    matches = list(_GNU.finditer(text))
    for match, following in zip_longest(matches, matches[1:]):
        end = min(match.end() + _GNU_REACH, following.start() if following else len(text))
        window = text[match.end() : end]
        version = match if match["major"] else _VERSION.search(window)
        if version is None:
            continue
        letter = match["letter"] or (match["word"] or " ")[0]
        later = "or-later" if _LATER.search(window) else "only"
        family = {"l": "L", "a": "A"}.get(letter, "")
        expression = f"{family}GPL-{version['major']}.{version['minor'] or 0}-{later}"
        if spdx.normalise(expression):
            found.append(Mention(match.start(), expression))
    return found


def _excepted(mention: Mention, text: str) -> Mention:
    for pattern, base, name in _EXCEPTIONS:
        if mention.expression.startswith(base) and pattern.search(text):
            return mention._replace(expression=f"{mention.expression} WITH {name}")
    return mention


def named(text: str) -> str | None:
    """The expression of all that a notice names: OR if it leaves a choice, else AND."""
    found = [one.expression for one in mentions(text)]
    if not found:
        return None
    return spdx.joined("OR" if leaves_choice(text) else "AND", found)


def leaves_choice(text: str) -> bool:
    return _CHOICE.search(text) is not None


def speaks_of_others(text: str) -> bool:
    """Whether what follows may hold for others' work only."""
    return _OF_OTHERS.search(text) is not None


def says_or_later(text: str) -> bool:
    """Whether a notice before a GNU licence's title allows later versions.

    The end of the licence itself proposes such a notice.
    """
    title = _GNU_TITLE.search(text)
    return title is not None and _LATER.search(text, 0, title.start()) is not None
