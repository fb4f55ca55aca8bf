"""`codelupe examine`: the verdicts that an ingest would give, on files as they lie on disk."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from codelupe_daemon.app import judge, verdicts
from codelupe_daemon.config import load
from codelupe_daemon.errors import UsageError
from codelupe_daemon.examine import ExamineSettings
from codelupe_daemon.examine.signals import SIGNALS
from codelupe_daemon.model import Occurrence
from codelupe_daemon.observe import explain, report
from codelupe_daemon.observe.report import Counted
from tests import builders
from tests.cli.conftest import GREETING, ROTATE, SHAPES, TINY, UNIQUE
from tests.drills.process import done, ingest, run

KEYS = [
    "path", "kept", "reason", "measured", "limits", "language", "license", "license_from",
    "quality", "signals", "id", "repo", "cluster", "winner", "examiner_version",
]  # fmt: skip
MIT = b"// SPDX-License-Identifier: MIT\n"
PROJECT = {
    b".gitattributes": b"made/* linguist-generated\n*.inc linguist-language=PHP\n",
    b"LICENSE": b"SPDX-License-Identifier: Apache-2.0\n",
    b"sub/LICENSES/BSD-3-Clause.txt": b"",
    b"shapes.py": SHAPES,
    b"made/greeting.py": GREETING,
    b"node_modules/x.js": b"function f() { return 1 }\n" * 3,
    b"vendor/tool": b"#!/usr/bin/env ruby\nputs 'a tool that somebody copied to this place'\n",
    b"src/own.rs": MIT + ROTATE,
    b"src/page.inc": b"<?php\nfunction area($width, $height) {\n  return $width * $height;\n}\n",
    b"sub/rotate.rs": ROTATE,
    b"sub/notes.md": b"Nothing but words. " * 9,
    b"tiny.py": TINY,
    b"blob.py": b"x = '\0'\n" * 20,
    b"latin.py": b"name = 'caf\xe9'\n" * 20,
    b"new\nline.py": UNIQUE,
    b"bad\xff.py": UNIQUE + b"# other\n",
}  # fmt: skip


def examined(*paths: Path) -> dict[str, dict[str, Any]]:
    judged = judge.examine(load(), [str(path) for path in paths])
    return {verdict["path"]: verdict for verdict in judged}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = builders.folder(tmp_path_factory.mktemp("examine") / "project", PROJECT)
    (path / "link.py").symlink_to("shapes.py")
    (path / "large.py").write_bytes(b"x = 1\n" * 200_000)
    os.mkfifo(path / "fifo")
    return path


def test_a_folder_is_judged_as_an_ingest_of_it_would(project: Path, tmp_path: Path) -> None:
    done(ingest(tmp_path / "x.db", [project]))
    seen = done_lines("examine", project, "--json")
    paths = [f"{project}/{verdict['path']}" for verdict in seen]
    recorded = done_lines("why", *paths, "--json", "--store", tmp_path / "x.db")
    copies = {"cluster": None, "winner": None}  # only a store knows of near-duplicates
    assert [it for it in seen if it["path"] != "vendor/tool"] == [
        it | copies
        for it in recorded
        if it["path"] != "vendor/tool"  # which no ingest reads
    ]
    winners = {verdict["winner"]["path"] for verdict in recorded if verdict["winner"]}
    assert winners == {r"bad\xff.py"}
    assert len(seen) == len(PROJECT) + 2
    assert all(list(verdict) == KEYS for verdict in seen)


def done_lines(*arguments: str | Path) -> list[dict[str, Any]]:
    ended = run(*arguments)
    assert ended.code == 0, ended.errors
    return [json.loads(line) for line in ended.output.splitlines()]


def test_reasons_languages_and_licenses(project: Path) -> None:
    seen = examined(project)
    shown = {
        path: (it["reason"], it["language"], it["license"], it["license_from"])
        for path, it in seen.items()
    }
    apache, bsd = ("Apache-2.0", "folder"), ("BSD-3-Clause", "folder")
    assert shown["shapes.py"] == (None, "Python", *apache)
    assert shown["src/own.rs"] == (None, "Rust", "MIT", "header")
    assert shown["src/page.inc"] == (None, "PHP", *apache)
    assert shown["sub/rotate.rs"] == (None, "Rust", *bsd)
    assert shown["made/greeting.py"][:2] == ("generated", "Python")
    assert shown["node_modules/x.js"][:2] == ("vendored", "JavaScript")
    assert shown["vendor/tool"][:2] == ("vendored", "Ruby")
    assert shown["sub/notes.md"][:2] == ("not code", "Markdown")
    assert (seen["tiny.py"]["measured"], seen["tiny.py"]["limits"]) == (6, {"min_file_chars": 50})
    reasons = {path: it["reason"] for path, it in seen.items()}
    assert reasons["link.py"] == "symlink"
    assert reasons["large.py"] == "too large"
    assert reasons["blob.py"] == "binary"
    assert reasons["latin.py"] == "not text"
    assert reasons[r"new\x0aline.py"] is None
    assert reasons[r"bad\xff.py"] is None
    assert "fifo" not in reasons


def test_licenses_that_are_not_accepted(project: Path) -> None:
    seen = {it["path"]: it for it in judge.examine(load(licenses="MIT"), [str(project)])}
    assert seen["src/own.rs"]["kept"]
    refused = seen["shapes.py"]
    assert (refused["reason"], refused["license"]) == ("license", "Apache-2.0")
    assert refused["limits"] == {"licenses": "MIT"}
    assert (refused["quality"], refused["id"]) == (None, None)


def test_small_batches_give_the_same(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = examined(project)
    monkeypatch.setattr(judge, "BATCH_FILES", 2)
    assert list(examined(project).items()) == list(whole.items())


@pytest.fixture
def work_tree(tmp_path: Path) -> Path:
    """A git work tree, as far as `examine` looks at one."""
    path = builders.folder(tmp_path / "tree", PROJECT)
    builders.empty_repo(path / ".git")
    return path


def test_a_part_of_a_work_tree_is_judged_as_in_the_whole(work_tree: Path) -> None:
    whole = examined(work_tree)
    assert not any(path.startswith(".git/") for path in whole)
    one_by_one: dict[str, Any] = {}
    for name in PROJECT:
        one_by_one |= examined(work_tree / os.fsdecode(name))
    assert one_by_one == whole
    parts = [work_tree / name for name in ("made", "sub", "vendor")]
    below = ("made/", "sub/", "vendor/")
    assert examined(*parts) == {at: it for at, it in whole.items() if at.startswith(below)}


def test_single_files_that_are_no_text(project: Path) -> None:
    names = ("link.py", "large.py", "blob.py")
    seen = examined(*(project / name for name in names))
    whole = examined(project)
    assert seen == {name: whole[name] for name in names}


def test_paths_are_relative_to_where_the_command_runs(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project / "sub")
    [verdict] = judge.examine(load(), ["../shapes.py"])
    assert (verdict["repo"], verdict["path"]) == (str(project), "shapes.py")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing.py", "nothing.py: no such file or directory"),
        ("shapes.py/below", "not a directory"),
        ("fifo", "neither a file nor a folder"),
    ],
)
def test_what_cannot_be_judged_is_said_before_anything_is(
    project: Path, name: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        judge.examine(load(), [str(project), str(project / name)])


def test_nothing_has_the_empty_name() -> None:
    with pytest.raises(UsageError, match="empty name"):
        judge.examine(load(), [""])


def test_a_bare_repository_is_a_source_for_ingest(tmp_path: Path) -> None:
    bare = builders.repo(tmp_path / "bare.git", {b"shapes.py": SHAPES})
    with pytest.raises(UsageError, match="codelupe ingest"):
        judge.examine(load(), [str(bare)])


def test_exit_codes(project: Path) -> None:
    kept, out = project / "shapes.py", project / "tiny.py"
    assert run("examine", out).code == 0
    assert run("examine", "--check", kept).code == 0
    assert run("examine", "--check", kept, out).code == 1
    missing = run("examine", "--check", "--json", kept, project / "nothing.py")
    assert (missing.code, missing.output) == (2, "")
    assert str(project / "nothing.py") in missing.errors


def test_what_people_see_of_one_file(project: Path) -> None:
    shown = run("examine", project / "src/own.rs").output
    assert shown.startswith(f"{project}/src/own.rs: kept")
    assert "MIT, its own header" in shown
    assert "functions of a size that can be read" in shown
    assert "rotate" in shown.split("defines")[1]
    signals = examined(project / "src/own.rs")["own.rs"]["signals"]
    assert [name for name in explain.SIGNALS if f"\n  {name} " not in shown] == []
    assert f"{signals['lines']} lines" in shown

    left_out = run("examine", project / "tiny.py").output
    assert "left out: too small\nmeasured  6 characters\nsetting   min_file_chars = 50" in left_out


def test_what_people_see_of_a_folder(project: Path) -> None:
    ended = run("examine", project / "sub", "--json")
    assert len(ended.output.splitlines()) == 3
    assert "kept                1" in ended.errors
    assert "left out: not code" in ended.errors
    plain = run("examine", project / "sub").output
    assert f"{project}/sub/rotate.rs: kept" in plain
    assert f"{project}/sub/notes.md: left out: not code\n" in plain
    assert "\nmedian quality 0." in plain


def test_a_name_cannot_steer_the_terminal(tmp_path: Path) -> None:
    name = tmp_path / "a\x1b[31mred.py"
    name.write_bytes(SHAPES)
    assert "\x1b" not in run("examine", name).output


def test_every_signal_and_limit_is_explained() -> None:
    assert list(explain.SIGNALS) == [signal.__name__ for signal, _ in SIGNALS]
    held = {name for names in verdicts.LIMITS.values() for name in names}
    assert held == {field.name for field in fields(ExamineSettings)}


def test_people_are_told_which_copy_won(capsys: pytest.CaptureFixture[str]) -> None:
    verdict = as_json("repo", Occurrence("a.py", None, "", "Python", b"1" * 16, None, None), 0.5)
    for winner, told in (
        ({"id": verdict["id"]}, "has nearly the same text elsewhere, and won over it"),
        ({"id": "0f" * 16, "repo": "b/b", "path": "c.py"}, "of b/b/c.py (0f0f0f0f0f0f), which won"),
    ):
        report.verdict(report.console(), verdict | {"winner": winner})
        assert f"near-duplicate  {told}\n" in capsys.readouterr().out


def as_json(repo: str, at: Occurrence, quality: float) -> dict[str, Any]:
    return verdicts.as_json(repo, at, quality, b"{}", "0", load())


def test_the_median_is_that_of_the_kept() -> None:
    counted = Counted()
    for quality in (0.1, 0.5, 0.8):
        counted.count({"kept": True, "quality": quality})
    counted.count({"kept": False, "reason": "binary"})
    assert (counted.files, counted.kept, counted.median_quality) == (4, 3, 0.5)
