"""ingest, export, forget, replay and reexamine, as a person runs them one after the other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import TINY, UNIQUE, Home, build
from tests.drills.process import done, found, ingest, run, why

ROW = [
    "id", "repo", "path", "language", "quality_score", "license", "content", "content_hash",
    "commit",
]  # fmt: skip


@pytest.fixture
def own(tmp_path: Path) -> Home:
    """Sources and a store of the test's own."""
    home = build(tmp_path / "own")
    for name in ("one", "two"):
        done(ingest(home.store, [home.path / name]))
    return home


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def paths(path: Path) -> list[str]:
    return sorted(row["path"] for row in lines(path))


# -- ingest ---------------------------------------------------------------------------------------


def test_ingest_of_a_list_with_comments_doubles_and_what_fails(tmp_path: Path) -> None:
    home = build(tmp_path)
    named = tmp_path / "sources.txt"
    named.write_text(f"# ours\n{tmp_path}/one\n\n  {tmp_path}/two  \n{tmp_path}/gone\n")
    ended = ingest(home.store, [Path(f"@{named}"), tmp_path / "one", tmp_path / "missing"])
    answer = ended.answer
    assert ended.code == 1
    failed = {Path(one["source"]).name: one["reason"] for one in answer["failed"]}
    assert failed == {"gone": "does not exist", "missing": "does not exist"}
    assert answer["files"] == {
        "listed": 9, "accepted": 7, "new": 6, "left_out": 2, "unchanged": 0
    }  # fmt: skip
    assert set(answer) >= {"sources", "failed", "files", "reasons", "bytes", "seconds"}
    assert answer["reasons"] == {"too small": 1, "not code": 1}
    assert "failed: " in ended.errors
    assert done(run("status", "--json", "--store", home.store))["repositories"]["done"] == 2


def test_a_source_inside_another_is_a_source_of_its_own(own: Home) -> None:
    answer = done(ingest(own.store, [own.path / "one" / "sub"]))
    assert answer["files"] == {
        "listed": 1, "accepted": 1, "new": 0, "left_out": 0, "unchanged": 0
    }  # fmt: skip
    assert why(own.store, str(own.path / "one/sub/greeting.py"))["repo"] == f"{own.path}/one/sub"
    (own.path / "one/sub/greeting.py").unlink()
    done(ingest(own.store, [own.path / "one" / "sub", own.path / "one"]))
    assert found(own.store, "greet path:sub")[0] == 0


def test_ingest_without_consumers_leaves_them_behind(own: Home) -> None:
    (own.path / "two" / "more.py").write_bytes(UNIQUE * 2)
    done(ingest(own.store, [own.path / "two", Path("--no-consumers")]))
    consumers = done(run("status", "--json", "--store", own.store))["consumers"]
    assert consumers["search"]["lag"] == 1
    done(ingest(own.store, [Path("--due")]))
    assert found(own.store, "OnlyHere path:more.py")[0] == 1


# -- export and forget ----------------------------------------------------------------------------


def test_export_follows_what_happens_to_the_store(own: Home) -> None:
    output = own.path / "an export.jsonl"
    options = ["--min-quality", "0", "--near-duplicates", "keep"]
    first = done(run("export", *options, "--output", output, "--json", "--store", own.store))
    assert first == {"path": str(output), "rows": 6, "watermark": 6}
    assert [list(row) for row in lines(output)] == [ROW] * 6
    sidecar = json.loads(output.with_name(f"{output.name}.codelupe.json").read_text())
    assert sidecar["watermark"] == 6
    assert sidecar["ids"] == sorted(row["id"] for row in lines(output))

    target = str(own.path / "one/new\nline.py")
    answer = done(run("forget", target, "--json", "--store", own.store))
    assert answer == {
        "target": rf"{own.path}/one/new\x0aline.py", "files": 1, "removed": 1, "moved": 0,
        "exports": [str(output)], "versions": [],
        "next": [f"codelupe export --update --output '{output}'"],
    }  # fmt: skip
    (own.path / "two" / "more.py").write_bytes(UNIQUE * 2)
    done(ingest(own.store, [own.path / "one", own.path / "two"]))
    assert why(own.store, target)["reason"] == "taken down"

    updated = done(run("export", "--update", "--output", output, "--json", "--store", own.store))
    assert updated["rows"] == 6
    assert r"new\x0aline.py" not in paths(output)
    assert "more.py" in paths(output)


def test_export_of_every_place_and_of_the_good_only(home: Home, copy: Path, tmp_path: Path) -> None:
    every, best = tmp_path / "every.parquet", tmp_path / "best.parquet"
    for output, duplicates in ((every, "keep"), (best, "skip")):
        options = ["--format", "parquet", "--min-quality", "0", "--duplicates", duplicates]
        options += ["--near-duplicates", "keep"]
        done(run("export", *options, "--output", output, "--json", "--store", copy))
    assert pq.read_table(every).column_names == ROW
    assert (pq.read_table(every).num_rows, pq.read_table(best).num_rows) == (9, 8)
    good = run("export", "--min-quality", "0.8", "--store", home.store).output.splitlines()
    assert 0 < len(good) < 4  # of what is nearly the same, one each
    assert all(json.loads(line)["quality_score"] >= 0.8 for line in good)


def test_export_where_nothing_can_be_written(copy: Path, tmp_path: Path) -> None:
    for output in (tmp_path / "missing" / "x.jsonl", tmp_path):
        ended = run("export", "--output", output, "--store", copy)
        assert (ended.code, ended.output) == (1, "")
        assert str(output) in ended.errors
        assert "Traceback" not in ended.errors


def test_forget_takes_what_cat_takes(own: Home) -> None:
    ended = run("forget", r"one/back\slash.py", "--store", own.store, cwd=own.path)
    assert ended.code == 0
    assert ended.output.startswith(rf"{own.path}/one/back\x5cslash.py: taken down for good")
    assert why(own.store, rf"{own.path}/one/back\slash.py")["reason"] == "taken down"


def test_forget_in_advance(own: Home) -> None:
    """By the name that the source will have: of a folder its absolute path, of a URL its name."""
    later = own.path / "later"
    ended = run("forget", "./later", "--store", own.store, cwd=own.path)
    assert f"no file of {later} was kept" in ended.output
    shutil.copytree(own.path / "one", later)
    assert done(ingest(own.store, [later]))["reasons"]["taken down"] == 7
    url = ["https://github.com/ada/lovelace.git", "--json"]
    assert done(run("forget", *url, "--store", own.store))["target"] == "ada/lovelace"


def test_forget_a_text_wherever_it_stands(own: Home) -> None:
    content_id = why(own.store, str(own.path / "one/shapes.py"))["id"]
    answer = done(run("forget", "--content", content_id, "--json", "--store", own.store))
    assert (answer["files"], answer["removed"]) == (2, 1)
    assert run("show", content_id, "--store", own.store).code == 1


def test_replay_gives_the_same_answers(copy: Path) -> None:
    before = [found(copy, query) for query in ("area", '"def greet"', "rotate")]
    assert done(run("replay", "search", "--json", "--store", copy))["consumer"] == "search"
    assert [found(copy, query) for query in ("area", '"def greet"', "rotate")] == before


# -- reexamine ------------------------------------------------------------------------------------


def reexamine(store: Path) -> dict[str, int]:
    answer: dict[str, int] = done(run("reexamine", "--json", "--store", store))
    return answer


def test_reexamine_judges_recorded_texts_without_their_source(
    own: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(own.path / "two")
    (own.path / "one" / "tiny.py").unlink()
    (own.path / "one" / "shapes.py").unlink()
    monkeypatch.setenv("CODELUPE_LANGUAGES", "Rust, c++")
    ended = run("reexamine", "--json", "--store", own.store)
    assert (ended.answer["texts"], ended.answer["remove"]) == (6, 6)
    assert ended.code == 1
    assert "two: does not exist" in ended.errors
    assert found(own.store, "area")[0] == 0


def test_reexamine_visits_local_sources_and_has_nothing_to_do_then(
    own: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODELUPE_MIN_FILE_CHARS", str(len(TINY)))
    answer = reexamine(own.store)
    assert (answer["texts"], answer["repositories visited"], answer["repositories due"]) == (
        6,
        2,
        0,
    )
    assert why(own.store, str(own.path / "one/tiny.py"))["kept"]
    ended = run("reexamine", "--store", own.store)
    assert (ended.code, ended.output) == (
        0, "nothing to do: everything was judged by these rules and settings\n"
    )  # fmt: skip


def test_reexamine_leaves_remote_sources_to_ingest_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = build(tmp_path)
    url = f"file://{home.path}/three.git"
    monkeypatch.setenv("CODELUPE_LANGUAGES", "Python")
    done(run("ingest", url, "--json", "--store", home.store))
    monkeypatch.delenv("CODELUPE_LANGUAGES")
    answer = reexamine(home.store)
    assert (answer["repositories visited"], answer["repositories due"]) == (0, 1)
    assert found(home.store, "rotate")[0] == 0
    assert done(ingest(home.store, [Path("--due")]))["sources"] == 1
    assert found(home.store, "rotate")[0] == 1
    assert not any(reexamine(home.store).values())
