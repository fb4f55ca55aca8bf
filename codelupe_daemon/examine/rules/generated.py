"""What a program wrote: by names that only generators use, or by what the first lines say."""

from __future__ import annotations

import re

import numpy as np

from codelupe_daemon.examine.features import MARKER_LINE, Batch, Column
from codelupe_daemon.examine.rules.base import ContentRule, PathRule
from codelupe_daemon.examine.settings import ExamineSettings
from codelupe_daemon.model import Reason

BY_PATH = PathRule(
    Reason.GENERATED,
    folders=frozenset({"htmlcov", "__generated__", "carthage/build"}),
    names=frozenset(
        {"package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "cargo.lock"}
        | {"poetry.lock", "pdm.lock", "uv.lock", "pipfile.lock", "gemfile.lock", "composer.lock"}
        | {"go.sum", "flake.lock", "deno.lock", "mix.lock", "pubspec.lock", "packages.lock.json"}
        | {"package.resolved", "podfile.lock", "bun.lock", "bun.lockb", ".terraform.lock.hcl"}
        | {"configure", "parsetab.py", "ppport.h", "module.bazel.lock", "gopkg.lock", "pixi.lock"}
    ),
    endings=(
        *("_pb2.py", "_pb2_grpc.py", "_pb2.pyi", ".pb.go", ".pb.gw.go", ".pb.cc", ".pb.h"),
        *(".pb.swift", "_pb.js", "_pb.d.ts", "_pb.rb", ".pb.dart", ".g.dart", ".freezed.dart"),
        *(".gr.dart", ".mocks.dart", ".designer.cs", ".designer.vb", ".g.cs", ".g.i.cs"),
        *(".feature.cs", ".js.map", ".css.map", ".generated.ts", ".generated.go", ".generated.rs"),
        *(".generated.cs", ".generated.swift", ".generated.h", ".gen.go", "_generated.go"),
        *("_generated.rs", ".gen.ts"),
    ),
    pattern=re.compile(r"zz_generated|(?:moc|qrc)_\w+\.cpp$|ui_\w+\.h$"),
)

_AUTO = r"(?:auto|automatically |machine |programmatically )?[- ]?"
_THING = "(?:file|code|source|class|module|document|header|script|table)"
_WAS = "(?:is|was|were|are|has been|have been)"
_BY = rf"(?:code |source |file )?{_AUTO}generated (?:by|from|with|using|on)\b"
_KEEP_OFF = r"do not (?:edit|modify|change)\b"
_NEAR = r"[^\n]{0,120}(?:\n[^\n]{0,120}){0,3}"
_MARKERS = re.compile(
    "|".join(
        (
            r"^[\s\W]{0,12}@generated\b",
            rf"^[\s\W]{{0,12}}(?-i:(?=[A-Z])){_BY}",
            rf"(?:\A|^[^\w\n]*\n)[\s\W]{{0,12}}{_BY}",  # in lower case: not within a sentence
            rf"\b(?:this|these|the following)(?: \w+)? {_THING}s? {_WAS} {_AUTO}generated\b",
            rf"\b{_THING}s? {_WAS} (?:auto|automatically|machine)[- ]?generated\b",
            r"^[\s\W]{0,12}(?:auto|automatically|machine)[- ]?generated\b[^\n]{0,40}$",
            rf"generated\b{_NEAR}{_KEEP_OFF}",
            rf"{_KEEP_OFF}{_NEAR}generated\b",
            rf"^[\s\W]{{0,12}}{_KEEP_OFF}(?: this file)?(?: by hand| manually| directly)?[\s\W]*$",
        )
    ).encode(),
    re.MULTILINE | re.IGNORECASE,
)
_HINT = re.compile(rb"generated|not (?:edit|modify|change)", re.IGNORECASE)
_HEAD_LINES = 40
_WINDOW_BYTES = 400


def _line_of_marker(head: bytes) -> float:
    """Only the surroundings of what may be a marker are looked at closely."""
    lines = b"\n".join(head.split(b"\n", _HEAD_LINES)[:_HEAD_LINES])
    for hint in _HINT.finditer(lines):
        start = lines.rfind(b"\n", 0, hint.start()) + 1
        before = lines.rfind(b"\n", 0, max(start - 1, 0)) + 1
        if _MARKERS.search(lines, before, hint.start() + _WINDOW_BYTES):
            return float(lines.count(b"\n", 0, start) + 1)
    return np.nan


def judge(batch: Batch, _settings: ExamineSettings) -> Column:
    """The line of the marker. The kernel has seen which texts may hold one."""
    measured = np.full(len(batch.table), np.nan)
    for i in np.flatnonzero(batch.column(MARKER_LINE)).tolist():
        measured[i] = _line_of_marker(batch.head(i))
    return measured


RULE = ContentRule(Reason.GENERATED, judge)
