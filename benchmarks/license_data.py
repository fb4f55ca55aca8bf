"""Makes what the daemon knows of licences from the SPDX texts that packages carry.

    python -m benchmarks.license_data

`codelupe_daemon/spdx.json`: ids, exceptions, which are permissive, what replaced deprecated ids.
`codelupe_daemon/examine/licenses/texts.npz`: hashed word groups of each text, none of the texts.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import typer

import codelupe_daemon
from benchmarks.corpus import Package, archive_of, default_cache, files_of
from codelupe_daemon.examine.licenses.words import groups, words

TEXTS = Package("cargo", "spdx", "0.13.6")
CATEGORIES = Package("pypi", "license-expression", "30.4.4")
ROOT = Path(codelupe_daemon.__file__).parent
PERMISSIVE = {"Permissive", "Public Domain"}
_GPL3 = re.compile(r"GNU GENERAL PUBLIC LICENSE\s+Version 3, 29.*", re.DOTALL)
# How to apply a licence is not always copied with it: a text of its own, without a name.
_AFTER_TERMS = re.compile(r"(?i)END OF (?:THE )?TERMS AND CONDITIONS.*", re.DOTALL)
# Deprecated ids that are not GNU's: https://spdx.org/licenses, "deprecated".
RENAMED = {
    "BSD-2-Clause-FreeBSD": "BSD-2-Clause-Views",
    "BSD-2-Clause-NetBSD": "BSD-2-Clause",
    "bzip2-1.0.5": "bzip2-1.0.6",
    "eCos-2.0": "GPL-2.0-or-later WITH eCos-exception-2.0",
    "GPL-2.0-with-autoconf-exception": "GPL-2.0-only WITH Autoconf-exception-2.0",
    "GPL-2.0-with-bison-exception": "GPL-2.0-only WITH Bison-exception-2.2",
    "GPL-2.0-with-classpath-exception": "GPL-2.0-only WITH Classpath-exception-2.0",
    "GPL-2.0-with-font-exception": "GPL-2.0-only WITH Font-exception-2.0",
    "GPL-2.0-with-GCC-exception": "GPL-2.0-only WITH GCC-exception-2.0",
    "GPL-3.0-with-autoconf-exception": "GPL-3.0-only WITH Autoconf-exception-3.0",
    "GPL-3.0-with-GCC-exception": "GPL-3.0-only WITH GCC-exception-3.1",
    "Nunit": "zlib-acknowledgement",
    "StandardML-NJ": "SMLNJ",
    "wxWindows": "LGPL-2.0-or-later WITH WxWindows-exception-3.1",
}


def main() -> None:
    """Fetch both packages and write both files."""
    cache = default_cache()
    cache.mkdir(parents=True, exist_ok=True)
    crate = {path.partition("/src/")[2]: text for path, text in _files(TEXTS, cache)}
    index = next(text for path, text in _files(CATEGORIES, cache) if path.endswith("-index.json"))
    identifiers = crate["identifiers.rs"].decode()
    table = _ids(identifiers, json.loads(index))
    (ROOT / "spdx.json").write_text(json.dumps(table, indent=0, sort_keys=True) + "\n")
    texts = {name: _text(crate, name) for name in _texts_wanted(table)}
    # SPDX has the GPL's text with it, which COPYING.LESSER has not.
    texts["LGPL-3.0-only"] = _GPL3.sub("", texts["LGPL-3.0-only"])
    terms = [(name, _AFTER_TERMS.sub("", text)) for name, text in texts.items() if text]
    after = {match[0]: "" for text in texts.values() if (match := _AFTER_TERMS.search(text))}
    _write_index([*terms, *((name, text) for text, name in after.items())])


def _files(package: Package, cache: Path) -> list[tuple[str, bytes]]:
    return list(files_of(package, archive_of(package, cache)))


def _ids(identifiers: str, categories: list[dict[str, Any]]) -> dict[str, Any]:
    """The crate knows the ids and which are deprecated; ScanCode's index, what they allow."""
    licenses, exceptions = (
        dict(re.findall(r'name: "([^"]+)".*?flags: ([^,]+),', part, re.DOTALL))
        for part in identifiers.split("pub const EXCEPTIONS")
    )
    allowing = {
        name
        for entry in categories
        if entry["category"] in PERMISSIVE
        for name in [entry["spdx_license_key"], *entry["other_spdx_license_keys"]]
    }
    old = {name for name, flags in licenses.items() if "IS_DEPRECATED" in flags}
    for name in ("NOASSERTION", "NONE"):
        licenses.pop(name, None)
    only = {name for name in old if f"{name}-only" in licenses}
    renamed = RENAMED | {name: f"{name}-only" for name in only}
    renamed |= {f"{name}+": f"{name}-or-later" for name in only}
    current = [name for name in licenses if name not in renamed]
    return {
        "permissive": [name for name in current if name in allowing],
        "other": [name for name in current if name not in allowing],
        "exceptions": sorted(exceptions),
        "renamed": dict(sorted(renamed.items())),
    }


def _texts_wanted(table: dict[str, Any]) -> list[str]:
    """One name a text: both forms of a GNU licence share it."""
    ids = [*table["permissive"], *table["other"], *table["exceptions"]]
    return [name for name in ids if not name.endswith("-or-later")]


def _text(crate: dict[str, bytes], name: str) -> str:
    base = name.removesuffix("-only")
    for place in (f"text/licenses/{name}", f"text/licenses/{base}", f"text/exceptions/{name}"):
        if place in crate:
            return crate[place].decode().removeprefix('r#"').removesuffix('"#')
    return ""


def _write_index(texts: list[tuple[str, str]]) -> None:
    """Names; how many groups each has; each group's hash, sorted, and whose it is."""
    of_text = [np.unique(groups(words(text.encode()))) for _, text in texts]
    sizes = np.array([len(one) for one in of_text])
    hashes = np.concatenate(of_text)
    owners = np.repeat(np.arange(len(texts), dtype=np.uint16), sizes)
    order = np.argsort(hashes, kind="stable")
    unique, counts = np.unique(hashes, return_counts=True)
    np.savez_compressed(
        ROOT / "examine" / "licenses" / "texts.npz",
        names=np.array([name for name, _ in texts]),
        sizes=sizes.astype(np.uint16),
        gaps=np.diff(unique, prepend=np.uint32(0)),
        counts=counts.astype(np.uint16),
        owners=owners[order],
    )


if __name__ == "__main__":
    typer.run(main)
