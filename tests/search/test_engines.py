"""From a query to hits, over a real journal and a real index: what holds for every engine."""

from __future__ import annotations

import pytest

from codelupe_daemon.errors import UsageError
from codelupe_daemon.search import engine
from codelupe_daemon.search.engine import LINE_MAX_CHARS, LINES_MAX, Line
from tests.contract.build import hash_of
from tests.search.stores import Store

FILES = {
    "util.py": "import os\n\n\ndef read_file(path):\n    return open(path).read()\n",
    "main.js": "const x = 1;\nuse(readFile(name));\n",
    "apart.c": "/* read the file */\nint main(void) { return 0; }\n",
    "read_file.go": "package io\r\nfunc (r *Reader) ReadFile() {}\r\n",
    "Server.java": "class HTTPServer2 { void start() {} }\n",
    "greek.py": "größe = 1  # λόγος\n",
}


@pytest.fixture
async def filled(store: Store) -> Store:
    await store.ingest.complete("a/files", FILES)
    await store.follow()
    return store


async def test_an_identifier_is_found_by_any_spelling(filled: Store) -> None:
    for query in ("readFile", "read_file", "ReadFile"):
        assert await filled.paths(query) == ["read_file.go", "util.py", "main.js"], query


async def test_parts_find_it_too(filled: Store) -> None:
    assert set(await filled.paths("read")) == {"read_file.go", "util.py", "main.js", "apart.c"}
    assert set(await filled.paths("file")) == set(await filled.paths("read"))
    assert await filled.paths("http") == ["Server.java"]
    assert await filled.paths("GRÖßE λόγος") == ["greek.py"]


async def test_a_hit_has_all_that_scripts_rely_on(filled: Store) -> None:
    results = await filled.search("httpserver2")
    [hit] = results.hits
    assert (results.query, results.total, results.is_total_exact) == ("httpserver2", 1, True)
    assert results.watermark == await filled.journal.last_id()
    assert hit.id == hash_of(FILES["Server.java"]).hex()
    assert (hit.repo, hit.path, hit.language, hit.quality) == (
        "a/files", "Server.java", "Python", 0.8,
    )  # fmt: skip
    assert hit.lines == [Line(1, "class HTTPServer2 { void start() {} }")]


async def test_lines_are_numbered_whatever_ends_them(filled: Store) -> None:
    [hit] = (await filled.search("readfile language:python path:*.go")).hits
    assert hit.lines == [Line(2, "func (r *Reader) ReadFile() {}")]


async def test_phrases_are_verified_on_the_text(filled: Store) -> None:
    assert await filled.paths('"read the file"') == ["apart.c"]
    assert await filled.paths('"file the read"') == []
    assert (await filled.search('"file the read"')).total == 0


async def test_lines_are_few_and_short_and_show_the_definition(store: Store) -> None:
    calls = "".join(f"walrus({n}) {'x' * 500}\n" for n in range(20))
    await store.ingest.complete("a/a", {"x.py": f"{calls}def walrus(): pass\n"})
    await store.follow()
    [hit] = (await store.search("walrus")).hits
    assert len(hit.lines) == LINES_MAX
    assert hit.lines[-1] == Line(21, "def walrus(): pass")
    assert max(len(line.text) for line in hit.lines) == LINE_MAX_CHARS


async def test_filters_and_options_narrow_down(store: Store) -> None:
    await store.put("a/a", {"src/x.rs": ("fn walrus() {} // one", "Rust", 0.9)})
    await store.put("b/b", {"lib/y.py": ("def walrus(): pass  # two", "Python", 0.5)})
    await store.follow()
    assert await store.paths("walrus") == ["src/x.rs", "lib/y.py"]
    assert await store.paths("walrus language:python") == ["lib/y.py"]
    assert await store.paths("walrus", language="RUST") == ["src/x.rs"]
    assert await store.paths("walrus", repo="b/*") == ["lib/y.py"]
    assert await store.paths("walrus", path="src") == ["src/x.rs"]
    assert await store.paths("walrus", min_quality=0.6) == ["src/x.rs"]
    assert await store.paths("walrus quality:<0.6") == ["lib/y.py"]
    assert await store.paths("walrus language:python", language="rust") == []
    limited = await store.search("walrus", limit=1)
    assert (limited.total, len(limited.hits)) == (2, 1)


async def test_best_first(store: Store) -> None:
    await store.put("a/a", {
        "a_call.py": ("print(walrus(1))", "Python", 0.9),
        "b_call.py": ("print(walrus(2))", "Python", 0.95),
        "walrus_notes.py": ("# about the walrus", "Python", 0.1),
        "c_definition.py": ("def walrus(): pass", "Python", 0.1),
        "walrus.py": ("class Walrus: pass", "Python", 0.1),
    })  # fmt: skip
    await store.follow()
    expected = ["walrus.py", "c_definition.py", "walrus_notes.py", "b_call.py", "a_call.py"]
    assert await store.paths("walrus") == expected
    assert await store.paths("walrus") == expected


async def test_only_what_lives_and_only_up_to_the_watermark(store: Store) -> None:
    await store.ingest.complete("a/a", {"x.py": "walrus = 1", "y.py": "walrus = 2"})
    await store.follow()
    await store.ingest.complete("a/a", {"y.py": "walrus = 2", "z.py": "walrus = 3"})
    results = await store.search("walrus")
    assert [hit.path for hit in results.hits] == ["y.py"]
    assert results.watermark == 2


async def test_total_tells_where_it_is_a_lower_bound(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.ingest.complete("a/a", {f"{n}.py": f"walrus = pup_{n}" for n in range(9)})
    await store.follow()
    monkeypatch.setattr(engine, "VERIFIED_TEXTS", 5)
    assert (await store.search('"walrus ="'))[1::2] == (5, False)
    monkeypatch.setattr(engine, "CANDIDATES_MAX", 4)
    bounded = await store.search("walrus")
    assert (bounded.total, bounded.is_total_exact) == (4, False)
    assert {hit.path for hit in bounded.hits} <= {f"{n}.py" for n in range(9)}


async def test_no_query(store: Store) -> None:
    with pytest.raises(UsageError):
        await store.search("")
