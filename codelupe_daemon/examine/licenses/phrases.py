"""Licences that a text names instead of giving them whole: notices, headers, choices.

Works on words joined by one space: "licensed under the apache license version 2 0".
"""

from __future__ import annotations

import re
from typing import NamedTuple

from codelupe_daemon import spdx

_CHOICE = re.compile(
    r"\bat your (?:option|choice|discretion)\b(?! any (?:later|newer))|\byour choice\b|"
    r"\b(?:dual|double|triple|multi)(?:ly)? licen|\beither (?:of |the )?(?:[a-z0-9]+ ){0,12}?"
    r"or (?!at your option)(?:the |a )?(?:[a-z0-9]+ ){0,3}?(?:licen|gpl|lgpl|gnu|mit|bsd|apache)|"
    r"\balternatively (?:this|the|you)\b|\bdisjunctive\b|\byou may choose\b|"
    r"\bone of the (?:above|following) (?:listed )?licenses\b"
)
_OF_OTHERS = re.compile(
    r"\bthird part(?:y|ies)\b|\bbundle[sd]?\b|\bsubcomponents?\b|\bvendored\b|"
    r"\bincorporat(?:es|ed)\b|"
    r"\bderived from\b|\bbased (?:up)?on\b|\badapted from\b|\bported from\b|\btaken from\b|"
    r"\bportions? of (?:this|the|it)\b|"
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
_GNU_TITLE = re.compile(r"\bgnu (?:lesser |library |affero )?general public license version \d")
_V2 = r"(?: software)?(?: public)? license (?:version |v ?)?2(?: 0)?\b"
_NAMED = [
    (re.compile(rf"\b(?:{pattern})"), expression)
    for pattern, expression in (
        (rf"apache{_V2}|apache (?:version |v ?)?2(?: 0)?\b|asl ?2 0\b", "Apache-2.0"),
        (r"apache org licenses license 2 0\b", "Apache-2.0"),
        (r"(?:mit|expat)(?: x11| expat| style)? licen|mit x11\b", "MIT"),
        (r"licen[sc]ed? (?:is |under |under the |type |as )?mit\b", "MIT"),
        (r"opensource org licenses mit\b", "MIT"),
        (r"isc licen|opensource org licenses isc\b", "ISC"),
        (r"(?:simplified|2 clause|two clause|freebsd) bsd|bsd (?:2|two) clause", "BSD-2-Clause"),
        (
            r"(?:new|revised|modified|3 clause|three clause) bsd|bsd (?:3|three) clause|bsd new\b",
            "BSD-3-Clause",
        ),
        (r"0bsd\b|bsd zero clause|zero clause bsd", "0BSD"),
        (
            r"(?:mozilla public license|mpl) ?(?:version |v ?)?2 0\b|mozilla org mpl 2 0\b",
            "MPL-2.0",
        ),
        (
            r"(?:mozilla public license|mpl) ?(?:version |v ?)?1 1\b|mozilla org mpl 1 1\b",
            "MPL-1.1",
        ),
        (r"eclipse public license (?:version |v ?)?2 0\b|epl (?:v ?)?2 0\b", "EPL-2.0"),
        (r"eclipse public license (?:version |v ?)?1 0\b|epl (?:v ?)?1 0\b", "EPL-1.0"),
        (r"eclipse distribution license (?:version |v ?)?1 0\b", "BSD-3-Clause"),
        (r"boost software license\b", "BSL-1.0"),
        (r"zlib licen", "Zlib"),
        (r"unlicense licen|unlicense org\b|the unlicense\b", "Unlicense"),
        (r"cc0\b|creative commons zero|publicdomain zero 1 0\b", "CC0-1.0"),
        (r"artistic license (?:version )?2 0\b", "Artistic-2.0"),
        (r"same terms as (?:the )?perl", "Artistic-1.0-Perl OR GPL-1.0-or-later"),
        (r"microsoft public license|ms pl\b", "MS-PL"),
        (r"universal permissive license|upl 1 0\b", "UPL-1.0"),
        (r"do what the fuck you want to|wtfpl\b", "WTFPL"),
        (
            r"(?:cddl|common development and distribution license) (?:version |v ?)?1 1\b",
            "CDDL-1.1",
        ),
        (
            r"(?:cddl|common development and distribution license)(?! (?:version |v ?)?1 1)",
            "CDDL-1.0",
        ),
        (r"european union public licen[cs]e (?:version |v ?)?1 2\b|eupl (?:v ?)?1 2\b", "EUPL-1.2"),
        (r"server side public license", "SSPL-1.0"),
        (r"elastic license 2 0\b", "Elastic-2.0"),
        (r"(?:business source license|busl?) (?:version |v ?)?1 1\b", "BUSL-1.1"),
        (r"postgresql licen", "PostgreSQL"),
        (r"ncsa open source license|university of illinois ncsa", "NCSA"),
        (r"python software foundation licen|psf licen", "PSF-2.0"),
    )
]
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
    for pattern, expression in _NAMED:
        match = pattern.search(text)
        if match:
            found.append(Mention(match.start(), expression))
    once: dict[str, Mention] = {}
    for one in sorted(found):
        once.setdefault(one.expression, one)
    return [_excepted(one, text) for one in once.values()]


def _gnu(text: str) -> list[Mention]:
    """GNU licences whose version is said, before the next one is named."""
    if "gpl" not in text and "general public" not in text:
        return []
    found: list[Mention] = []
    matches = list(_GNU.finditer(text))
    for match, following in zip(matches, [*matches[1:], None], strict=True):
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


def of_others(text: str) -> int:
    """Where the text begins to speak of others' work; its length if it does not."""
    match = _OF_OTHERS.search(text)
    return match.start() if match else len(text)


def says_or_later(text: str) -> bool:
    """Whether a notice before a GNU licence's title allows later versions.

    The end of the licence itself proposes such a notice.
    """
    title = _GNU_TITLE.search(text)
    return title is not None and _LATER.search(text, 0, title.start()) is not None
