"""What every source does, whatever holds the rows."""

from __future__ import annotations

import asyncio

import pytest

from codelupe_daemon.errors import Fatal
from tests.contract.build import hash_of, text
from tests.trainer.intake.build import SCORE, Corpus, InFile, all_rows, profile
from tests.trainer.intake.conftest import GROWING
from tests.trainer.intake.test_freeze import trained
from trainer.intake import elasticsearch, journal, texts
from trainer.intake.elasticsearch import ElasticsearchSource
from trainer.intake.freeze import pending
from trainer.intake.table import TableSource
from trainer.registry.base import Registry

FILES = {
    "ada/one": {f"src/{n}.py": text(f"ada{n}") for n in range(7)},
    "bob/two": {"größer.py": text("größe"), "long.py": "# 10,000 chars\n" + "x" * 10_000},
}
TEXTS = {body: (repo, path) for repo, paths in FILES.items() for path, body in paths.items()}


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "PAGE_ROWS", 3)
    monkeypatch.setattr(journal, "TEXTS_AT_ONCE", 3)
    monkeypatch.setattr(elasticsearch, "PAGE_ROWS", 3)
    monkeypatch.setattr(elasticsearch, "TEXTS_AT_ONCE", 3)
    monkeypatch.setattr(texts, "TEXTS_AT_ONCE", 3)
    for module in ("table", "files"):
        monkeypatch.setattr(f"trainer.intake.{module}.PAGE_ROWS", 3)
        monkeypatch.setattr(f"trainer.intake.{module}.PAGE_BYTES", 5000)


async def test_every_row_once_by_id_with_its_facts(corpus: Corpus) -> None:
    await corpus.add(FILES)
    await corpus.source.open()
    rows = await all_rows(corpus.source)
    assert await corpus.source.head() == rows[-1].id == len(TEXTS)
    assert [row.id for row in rows] == list(range(1, 1 + len(TEXTS)))
    assert {row.content_hash: (row.repo, row.path, row.chars) for row in rows} == {
        hash_of(body): (*place, len(body)) for body, place in TEXTS.items()
    }
    for row in rows:
        assert (row.is_candidate, row.is_live, row.before) == (True, True, None)
        assert (row.language, row.quality, row.license) == ("Python", SCORE, None)
        assert (row.cluster, row.is_winner, row.is_contaminated) == (None, True, False)
        assert row.created_at > 1_700_000_000


async def test_windows_part_the_rows(corpus: Corpus) -> None:
    await corpus.add(FILES)
    await corpus.source.open()
    whole = await all_rows(corpus.source)
    parts = [await all_rows(corpus.source, *bounds) for bounds in ((0, 4), (4, 5), (5, 99))]
    assert [len(part) for part in parts] == [4, 1, len(TEXTS) - 5]
    assert [row for part in parts for row in part] == whole
    assert await all_rows(corpus.source, len(TEXTS), len(TEXTS)) == []


async def test_texts_are_found_by_their_hashes(corpus: Corpus) -> None:
    """Also by a process that has read no rows, or only some, as after a crash."""
    await corpus.add(FILES)
    await corpus.source.open()
    hashes = [hash_of(body) for body in TEXTS]
    assert len(await all_rows(corpus.source, 4, 6)) == 2
    asked = [*hashes, hash_of("nobody has it")]
    assert await corpus.source.texts(asked) == {hash_of(body): body for body in TEXTS}
    assert await corpus.source.alive(asked) == set(hashes)
    assert await corpus.source.texts([]) == {}
    assert await corpus.source.alive([]) == set()
    assert await corpus.source.members(hashes) == {}


@pytest.mark.parametrize("kind", ["table-sqlite", "table-postgres", "file"])
async def test_who_asks_at_once_reads_the_rows_once(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    await corpus.add(FILES)
    await corpus.source.open()
    assert isinstance(corpus.source, texts.TextSource)
    page, begun = corpus.source._page, []

    async def counted(after_id: int, to_id: int) -> list[texts.TextRow]:
        begun.append(after_id)
        return await page(after_id, to_id)

    monkeypatch.setattr(corpus.source, "_page", counted)
    found = await asyncio.gather(*(corpus.source.texts([hash_of(body)]) for body in TEXTS))
    assert found == [{hash_of(body): body} for body in TEXTS]
    assert len(begun) == len(set(begun))


async def test_nothing_at_all(corpus: Corpus) -> None:
    await corpus.add({})
    await corpus.source.open()
    assert await corpus.source.head() == 0
    assert await all_rows(corpus.source) == []


async def test_rows_that_are_not_those_that_were_considered(
    corpus: Corpus, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a file that was written anew, or a store. A table's rows may change, and a document's
    number."""
    await corpus.add(FILES)
    await corpus.source.open()
    plan = profile(max_window_rows=3)
    await trained(corpus.source, registry, plan)
    assert (await pending(corpus.source, registry, plan)).rows == 3
    for row_id, changes in ((3, TableSource), (99, TableSource | ElasticsearchSource)):

        async def renumbered(*_: str, at: int = row_id) -> tuple[int, bytes]:
            return at, hash_of("another text")

        monkeypatch.setattr(registry, "last_taken", renumbered)
        if isinstance(corpus.source, changes):
            assert (await pending(corpus.source, registry, plan)).rows == 3
        else:
            with pytest.raises(Fatal, match=f"row {row_id} of {corpus.source.name} is not the one"):
                await pending(corpus.source, registry, plan)


@pytest.mark.parametrize("kind", GROWING)
async def test_what_comes_later_has_greater_ids(corpus: Corpus) -> None:
    await corpus.add(FILES)
    await corpus.source.open()
    head = await corpus.source.head()
    await corpus.add({"ada/one": {"later.py": text("later")}})
    [later] = await all_rows(corpus.source, head)
    assert later.content_hash == hash_of(text("later"))
    assert later.id > head


@pytest.mark.parametrize("kind", GROWING)
async def test_what_is_taken_down_is_gone(corpus: Corpus) -> None:
    await corpus.add(FILES)
    await corpus.source.open()
    gone = text("ada3")
    before = await all_rows(corpus.source)
    await corpus.take_down(gone)
    left = {hash_of(body) for body in TEXTS} - {hash_of(gone)}
    asked = [row.content_hash for row in before]
    assert await corpus.source.alive(asked) == left
    assert set(await corpus.source.texts(asked)) == left
    after = await all_rows(corpus.source)
    assert {row.content_hash for row in after if row.is_live} == left


async def test_a_text_in_two_rows_is_one_content(corpus: Corpus) -> None:
    if isinstance(corpus, InFile):
        await corpus.add({"a/a": {"1.py": text("ant")}, "b/b": {"2.py": text("ant")}})
        await corpus.source.open()
        assert len(await all_rows(corpus.source)) == 2
    else:
        await corpus.add({"a/a": {"1.py": text("ant")}})
        await corpus.add({"b/b": {"2.py": text("ant")}})
        await corpus.source.open()
    assert await corpus.source.texts([hash_of(text("ant"))]) == {hash_of(text("ant")): text("ant")}
