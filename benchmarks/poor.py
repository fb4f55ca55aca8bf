"""Code that is poor by a stated rule, made by tools that exist, from named packages.

- prettified: a package's own minified JavaScript, laid out again: no names, no comments
- shrunk: Python after python-minifier, laid out again by `ast`: the same
- decompiled: Java out of a package's classes, by Vineflower: no comments, invented names
- transpiled: Rust out of c2rust, C out of f2c, JavaScript with the state machine of a compiled
  generator: translated by a machine
- tutorial: a package that repeats a tutorial

`poor.json` lists the files that passed the rules of the examiner, by rule, split and package.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Container, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from benchmarks.corpus import Package, archive_of, files_of

MANIFEST = Path(__file__).with_name("poor.json")
MAX_FILES_OF_PACKAGE = 30
SIZES = range(600, 200_000)
TOOLS = ("jsbeautifier==2.0.3", "python-minifier==3.4.0")
VINEFLOWER = "org.vineflower:vineflower:1.10.1"
_STATE_MACHINE = re.compile(rb"switch \(_(?:a|context)\.(?:label|prev = )|regeneratorRuntime")
_BY_F2C = re.compile(rb"translated by f2c|f2c\.h")
_BY_C2RUST = re.compile(
    rb"libc::c_|::core::ffi::c_|wrapping_offset|unsafe extern \"C\" fn|offset\("
)

Text = tuple[str, str]
"""A path and what stands there."""


class Poor(NamedTuple):
    """Where a poor text comes from. `split`: `develop` or `held-out`, by package."""

    rule: str
    package: Package
    path: str
    language: str
    split: str


_NPM_DEVELOP = "jquery@4.0.0 moment@2.31.0 backbone@1.6.1 axios@1.21.1 leaflet@1.9.4 dayjs@1.11.23"
_NPM_HELD_OUT = (
    "vue@3.5.45 chart.js@4.6.1 underscore@1.13.8 handlebars@4.7.10 knockout@3.5.3 angular@1.8.3 "
    "immutable@5.2.1 highlight.js@11.12.0 sweetalert2@11.26.25 hammerjs@2.0.8 redux@5.0.1 "
    "socket.io-client@4.8.4 bluebird@3.7.2 async@3.2.6 ramda@0.32.0 mustache@4.2.0 d3@7.9.2 "
    "interactjs@1.10.28 preact@11.2.0 marked@18.2.1"
)
SOURCES: dict[str, dict[str, dict[str, str]]] = {
    "prettified": {"npm": {"develop": _NPM_DEVELOP, "held-out": _NPM_HELD_OUT}},
    "shrunk": {
        "pypi": {
            "develop": "flask@3.1.0 requests@2.32.3",
            "held-out": "click@8.1.8 docutils@0.21.2 werkzeug@3.1.3 attrs@24.3.0",
        }
    },
    "decompiled": {
        "maven": {
            "develop": "com.google.code.gson:gson@2.11.0 org.jsoup:jsoup@1.18.3",
            "held-out": "org.apache.commons:commons-lang3@3.17.0 "
            "org.apache.commons:commons-collections4@4.4 commons-io:commons-io@2.18.0",
        }
    },
    "transpiled": {
        "cargo": {
            "develop": "unsafe-libyaml@0.2.11 slsqp@1.0.2",
            "held-out": "tree-sitter-c2rust@0.25.2 unsafe-libopus@0.2.0 cobyla@1.0.4",
        },
        "pypi": {"develop": "", "held-out": "igraph@0.11.8"},
        "npm": {
            "develop": "@ethersproject/providers@5.8.0 @ethersproject/web@5.8.0",
            "held-out": "@ethersproject/contracts@5.8.0 @ethersproject/abstract-signer@5.8.0 "
            "@ethersproject/wallet@5.8.0 @ethersproject/json-wallets@5.8.0 formik@2.4.9",
        },
    },
    "tutorial": {"cargo": {"develop": "", "held-out": "minigrep@0.1.0 guessing_game@0.1.2"}},
}


def sources() -> Iterator[tuple[str, Package, str]]:
    """Every rule with every package that it is applied to, and the package's split."""
    for rule, registries in SOURCES.items():
        for registry, splits in registries.items():
            for split, specs in splits.items():
                for spec in specs.split():
                    name, _, version = spec.rpartition("@")
                    yield rule, Package(registry, name, version), split


# -- the rules, each from a package to texts ----------------------------------------------------


def texts_of(
    rule: str, package: Package, cache_dir: Path, wanted: Container[str] | None = None
) -> Iterator[Text]:
    """The texts that a rule takes from a package, or those of them at the wanted paths."""
    if rule == "decompiled":
        found = _decompiled(package, cache_dir)
        yield from ((path, text) for path, text in found if wanted is None or path in wanted)
        return
    for path, data in files_of(package, archive_of(package, cache_dir)):
        if (wanted is None or path in wanted) and len(data) in SIZES:
            text = _text_of(rule, path, data, cache_dir)
            if text:
                yield path, text


def _text_of(rule: str, path: str, data: bytes, cache_dir: Path) -> str | None:
    if rule == "prettified" and path.endswith(".min.js"):
        return _by_tool("beautify", data, cache_dir)
    if rule == "shrunk" and path.endswith(".py"):
        return _by_tool("minify", data, cache_dir)
    if rule == "tutorial" and path.endswith(".rs"):
        return data.decode()
    if rule == "transpiled" and _is_transpiled(path, data):
        return data.decode(errors="replace")
    return None


def _is_transpiled(path: str, data: bytes) -> bool:
    if path.endswith(".c"):
        return _BY_F2C.search(data) is not None
    if path.endswith(".rs"):
        return len(_BY_C2RUST.findall(data)) >= 5
    return path.endswith(".js") and ".min." not in path and _STATE_MACHINE.search(data) is not None


_SCRIPTS = {
    "beautify": "import sys, jsbeautifier\n"
    "sys.stdout.write(jsbeautifier.beautify(sys.stdin.read()) + '\\n')",
    "minify": "import ast, sys, python_minifier\n"
    "small = python_minifier.minify(sys.stdin.read(), rename_globals=True,\n"
    "    remove_literal_statements=True)\n"
    "sys.stdout.write(ast.unparse(ast.parse(small)) + '\\n')",
}


def _by_tool(script: str, data: bytes, cache_dir: Path) -> str:
    command = [str(environment(cache_dir / "peers" / "poor", TOOLS)), "-c", _SCRIPTS[script]]
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    return done.stdout.decode(errors="replace")


@cache
def environment(home: Path, packages: tuple[str, ...]) -> Path:
    """The interpreter of an environment that has these packages, made if it is not there yet."""
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *packages], check=True)
        (home / "ready").touch()
    return python


def _decompiled(package: Package, cache_dir: Path) -> Iterator[Text]:
    kept = cache_dir / "decompiled" / f"{package.folder}@{package.version}"
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=cache_dir) as scratch:
            jars = [
                _jar(artifact, Path(scratch))
                for artifact in (VINEFLOWER, f"{package.name}:{package.version}")
            ]
            out = Path(scratch) / "out"
            command = ["java", "-jar", str(jars[0]), "-log=ERROR", str(jars[1]), str(out)]
            subprocess.run(command, check=True, capture_output=True)
            kept.parent.mkdir(parents=True, exist_ok=True)
            out.rename(kept)
    for path in sorted(kept.rglob("*.java")):
        yield f"{package.folder}/{path.relative_to(kept)}", path.read_text(errors="replace")


def _jar(artifact: str, scratch: Path) -> Path:
    folder = scratch / artifact.replace(":", "_")
    copy = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={artifact}:jar"]
    subprocess.run([*copy, f"-DoutputDirectory={folder}"], check=True, cwd=scratch)
    return next(folder.glob("*.jar"))


# -- the list -----------------------------------------------------------------------------------


def read_manifest() -> list[Poor]:
    """rule -> split -> registry:name@version -> language -> paths"""
    tables: dict[str, dict[str, dict[str, dict[str, list[str]]]]] = json.loads(MANIFEST.read_text())
    found = []
    for rule, splits in tables.items():
        for split, packages in splits.items():
            for spec, languages in packages.items():
                registry, _, rest = spec.partition(":")
                name, _, version = rest.rpartition("@")
                package = Package(registry, name, version)
                found += [
                    Poor(rule, package, path, language, split)
                    for language, paths in languages.items()
                    for path in paths
                ]
    return found


def poor_texts(cache_dir: Path) -> Iterator[tuple[Poor, str]]:
    """The files of the manifest with their texts."""
    listed: dict[tuple[str, Package], dict[str, Poor]] = {}
    for poor in read_manifest():
        listed.setdefault((poor.rule, poor.package), {})[poor.path] = poor
    for (rule, package), poors in listed.items():
        for path, text in texts_of(rule, package, cache_dir, poors):
            yield poors[path], text
