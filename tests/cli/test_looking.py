"""status, search, why, show and verify: what they print for scripts and people, how they end."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.cli.conftest import SHAPES, Home
from tests.drills.process import done, ingest, rows, run

T = TypeVar("T")
Call = TypeVar("Call", str, tuple[str, ...])
WHY = {
    "path", "kept", "reason", "measured", "limits", "language", "license", "license_from",
    "quality", "signals", "id", "repo", "cluster", "winner", "examiner_version",
}  # fmt: skip


def answer(home: Home, *arguments: str, **options: Any) -> Any:
    return done(run(*arguments, "--json", "--store", home.store, **options))


def at_once(work: Callable[[Call], T], calls: Iterable[Call]) -> dict[Call, T]:
    """What each call gives; two of them run at a time."""
    calls = list(calls)
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(calls, pool.map(work, calls), strict=True))


def search(home: Home, *arguments: str) -> list[str]:
    hits = answer(home, "search", *arguments)["hits"]
    return sorted(Path(hit["repo"], hit["path"]).name for hit in hits)


def test_status(home: Home) -> None:
    assert answer(home, "status") == {
        "store": str(home.store),
        "frontier": "database",
        "search": "embedded index",
        "repositories": {"known": 3, "done": 3, "failed": 0, "due": 0},
        "files": {"listed": 11, "accepted": 9, "distinct": 8, "left_out": 2},
        "reasons": {"not code": 1, "too small": 1},
        "journal": {"last_id": 8},
        "consumers": {
            name: {"watermark": 8, "lag": 0, "dead_letters": 0, "state": "ok"}
            for name in ("search", "near_duplicates")
        },
    }


def test_search_has_the_documented_shape(home: Home) -> None:
    found = answer(home, "search", "OnlyHere", "--path", "new*")
    (hit,) = found.pop("hits")
    assert found == {
        "query": "OnlyHere", "total": 1, "total_is_exact": True, "watermark": 8,
        "engine": "embedded index",
    }  # fmt: skip
    assert set(hit) == {"id", "repo", "path", "language", "quality", "lines"}
    assert (hit["path"], hit["language"]) == (r"new\x0aline.py", "Python")
    assert hit["lines"][0] == {"line": 1, "text": "class OnlyHere:"}


def test_search_options(home: Home) -> None:
    expected = {
        ("area",): [r"back\x5cslash.py", "shapes.py"],
        ("readFile", "--path", "sub"): ["greeting.py"],
        ("readFile", "--path", "*old.py"): ["[b]old.py"],
        ("rotate", "--language", "RUST"): ["rotate.rs"],
        ("OnlyHere", "--repo", "three.git"): [r"bad\xff.py"],
        ("OnlyHere", "--repo", "*/one"): [r"new\x0aline.py"],
        ("area", "--min-quality", "1"): [],
        ('"hello\', name"',): ["-dash.py", "[b]old.py", "greeting.py"],
    }
    assert at_once(lambda options: search(home, *options), expected) == expected


def test_a_limit_leaves_the_total(home: Home) -> None:
    found = answer(home, "search", "greet", "--limit", "1")
    assert (len(found["hits"]), found["total"]) == (1, 3)


WRONG = {
    "search ''": "at least one word",
    "search '\"open'": "close it",
    "search x --min-quality 2": "--min-quality",
    "show xyz": "4 to 32 hex digits",
    "status --stor x": "--store",
    "ingest": "SOURCE",
    "forget ''": "REPO",
    "forget a --content b": "either",
    "forget --content 12ab": "32 hex digits",
    "replay nothing": "search",
    "export --format parquet": "--output",
    "export --update": "--output",
    "export --update --output unknown.jsonl": "unknown.jsonl",
}


def test_a_wrong_call_ends_with_2_and_a_hint(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODELUPE_STORE", str(home.store))
    ended = at_once(lambda call: run(*shlex.split(call)), WRONG)
    assert {call for call, it in ended.items() if (it.code, it.output) != (2, "")} == set()
    assert {call for call, it in ended.items() if WRONG[call] not in it.errors} == set()
    assert not any("Traceback" in it.errors for it in ended.values())


def test_why_of_several_files(home: Home) -> None:
    names = ["one/shapes.py", "one/tiny.py", "two/notes.md"]
    ended = run("why", "--json", "--store", home.store, *(str(home.path / name) for name in names))
    kept, tiny, notes = (json.loads(line) for line in ended.output.splitlines())
    assert set(kept) == set(tiny) == WHY
    assert kept["kept"]
    assert kept["reason"] is None
    assert 0 < kept["quality"] <= 1
    assert {"structure", "documentation", "complexity", "naming", "security"} <= set(
        kept["signals"]
    )
    assert (tiny["kept"], tiny["reason"], tiny["measured"]) == (False, "too small", 6)
    assert (notes["reason"], notes["language"], notes["id"]) == ("not code", "Markdown", None)


TYPED = {
    "one/shapes.py": "shapes.py",
    "./one/../one/sub/greeting.py": "sub/greeting.py",
    "one/new\nline.py": r"new\x0aline.py",
    r"one/new\x0aline.py": r"new\x0aline.py",
    r"one/back\slash.py": r"back\x5cslash.py",
    "one/[b]old.py": "[b]old.py",
    "three.git/bad\udcff.py": r"bad\xff.py",
    r"three.git/bad\xff.py": r"bad\xff.py",
}


def test_why_takes_paths_as_typed_for_cat(home: Home) -> None:
    ended = run("why", "--json", "--store", home.store, *TYPED, cwd=home.path)
    verdicts = [json.loads(line) for line in ended.output.splitlines()]
    assert [verdict["path"] for verdict in verdicts] == list(TYPED.values())
    assert all(verdict["kept"] for verdict in verdicts)


def test_why_takes_a_leading_dash_after_two(home: Home) -> None:
    ended = run("why", "--store", home.store, "--", "-dash.py", cwd=home.path / "one")
    assert ended.output.startswith(f"{home.path}/one/-dash.py: kept  ")


@pytest.mark.parametrize(
    ("target", "hint"), [("one/nothing.py", "listed no file nothing.py"), ("/etc/x", "ingest")]
)
def test_why_of_what_is_not_listed(home: Home, target: str, hint: str) -> None:
    ended = run("why", target, "--store", home.store, cwd=home.path)
    assert (ended.code, ended.output) == (1, "")
    assert hint in ended.errors


def test_show(home: Home) -> None:
    content_id = answer(home, "why", str(home.path / "one/shapes.py"))["id"]
    shown = answer(home, "show", content_id[:6].upper())
    assert set(shown) == {
        "id", "repo", "path", "language", "license", "quality", "signals", "places", "content"
    }  # fmt: skip
    assert (shown["id"], shown["content"]) == (content_id, SHAPES.decode())
    assert sorted(place["repo"] for place in shown["places"]) == [
        f"{home.path}/one", f"{home.path}/two"
    ]  # fmt: skip


def test_show_into_a_file_is_the_text_and_no_more(home: Home) -> None:
    content_id = answer(home, "why", str(home.path / "one/shapes.py"))["id"]
    ended = run("show", content_id, "--store", home.store)
    assert ended.output == SHAPES.decode()
    assert f"{home.path}/one/shapes.py\n" in ended.errors


def test_show_of_an_unknown_id(home: Home) -> None:
    taken = {
        found[0] for found in rows(home.store, "select lower(hex(content_hash)) from contents")
    }
    unknown = next(
        f"{i:04x}" for i in range(9) if not any(id_.startswith(f"{i:04x}") for id_ in taken)
    )
    ended = run("show", unknown, "--store", home.store)
    assert ended.code == 1
    assert unknown in ended.errors


def test_show_of_a_beginning_that_several_ids_share(tmp_path: Path) -> None:
    texts: dict[str, str] = {}
    for number in count():
        text = f"def area_{number}(width, height):\n    return width * height * {number}\n"
        content_id = blake2b(text.encode(), digest_size=16).hexdigest()
        if content_id[:4] in texts:
            break
        texts[content_id[:4]] = text
    source, store = tmp_path / "source", tmp_path / "s.db"
    source.mkdir()
    (source / "a.py").write_text(text)
    (source / "b.py").write_text(texts[content_id[:4]])
    done(ingest(store, [source]))
    ended = run("show", content_id[:4], "--store", store)
    assert (ended.code, ended.output) == (2, "")
    assert content_id in ended.errors
    assert run("show", content_id, "--store", store).output == text


def test_verify(home: Home) -> None:
    checked = answer(home, "verify")
    assert set(checked) == {"ok", "checked", "problems"}
    assert (checked["ok"], checked["problems"]) == (True, [])
    assert run("verify", "--store", home.store).output.endswith("\nok\n")


@pytest.mark.parametrize(
    "command",
    ["search x", "why x", "reexamine", "forget x", "export"],
)
def test_without_a_store_every_command_says_how_to_make_one(tmp_path: Path, command: str) -> None:
    ended = run(*command.split(), "--store", tmp_path / "none" / "x.db")
    assert (ended.code, ended.output) == (1, "")
    assert "codelupe ingest SOURCE" in ended.errors
    assert not (tmp_path / "none").exists()
