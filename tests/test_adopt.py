"""A database of the first CodeLupe becomes a store: ids, order and texts stay as they are."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from codelupe_daemon.app.migrating import migrate
from codelupe_daemon.config import Settings
from codelupe_daemon.errors import Fatal
from codelupe_daemon.journal.postgres import PostgresJournal
from codelupe_daemon.model import Op, Standing
from tests.contract.build import EXAMINER, Ingest, all_live, hash_of, repo, text, where
from tests.servers.postgres import query

TRAINER = """
select id, content, language, quality_score from processed_files
where id > $1 and quality_score >= 70 and length(content) between 50 and 8000
order by quality_score desc, id limit 100000"""
A, B, C, D, E, F = (text(word) for word in ("ant", "bee", "cat", "dog", "eel", "fox"))
FILES = """
create table processed_files (
    id serial primary key, file_path text not null, content text, language varchar(50),
    quality_score double precision, created_at timestamp default now(){more}
)"""
REPOSITORIES = """
create table repositories (
    id serial primary key, full_name text unique not null, stars integer, forks integer,
    language text, license text, quality_score double precision, local_path text,
    code_lines bigint, file_count integer, pushed_at timestamptz
)"""


def make(url: str, *, more: str = "", repositories: bool = True) -> None:
    query(url, FILES.format(more=more))
    if repositories:
        query(url, REPOSITORIES)


def put(url: str, table: str, *rows: dict[str, Any]) -> None:
    for row in rows:
        marks = ", ".join(f"${n}" for n in range(1, len(row) + 1))
        statement = f"insert into {table} ({', '.join(row)}) values ({marks})"  # noqa: S608 - made here
        query(url, statement, *row.values())


def file(id_: int, path: str | None, content: str | None, **more: Any) -> dict[str, Any]:
    given = {"id": id_, "file_path": path, "content": content, "language": "python"}
    return given | {"quality_score": 80.0} | more


async def adopt(url: str, *, drop_old: bool = False) -> dict[str, Any]:
    return await migrate(Settings(store=url), lambda _: None, drop_old=drop_old)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[PostgresJournal]:
    """The store, which must be sound before and after."""
    journal = PostgresJournal(url)
    await journal.open(create=False)
    try:
        assert (await journal.verify())[1] == []
        yield journal
        assert (await journal.verify())[1] == []
    finally:
        await journal.close()


async def test_a_trainer_goes_on_where_it_was(postgres_url: str) -> None:
    url = postgres_url
    make(url)
    rows = [
        file(n * 3, f"src/f{n}.py", text(f"f{n}"), quality_score=69.95 + n / 100)
        for n in range(1, 11)
    ]
    put(url, "processed_files", *rows)
    query(url, "select setval('processed_files_id_seq', 41)")
    before = query(url, TRAINER, 0)
    told = await adopt(url)
    assert (told["before"], told["adopted"]["files"], told["adopted"]["texts"]) == (0, 10, 10)
    after = query(url, TRAINER, 0)
    assert [row[:2] + row[3:] for row in after] == [row[:2] + row[3:] for row in before]
    assert {row[2] for row in after} == {"Python"}
    assert query(url, TRAINER, 18) == [row for row in after if row[0] > 18]
    async with opened(url) as journal:
        assert [one.id for one in await all_live(journal)] == [row["id"] for row in rows]
        await Ingest(journal).complete("n/n", {"new.py": text("new")})
    assert [row[0] for row in query(url, TRAINER, 30)] == [42]  # the old sequence had given 41


async def test_what_is_written_afterwards_is_like_what_was_adopted(postgres_url: str) -> None:
    """The trainer never sees a text that was removed, blanked or replaced."""
    make(postgres_url, repositories=False, more=", repo text")
    files = {"a.py": A, "b.py": B, "c.py": C, "d.py": D}
    rows = [
        file(n, path, content, repo="o/n")
        for n, (path, content) in enumerate(files.items(), start=1)
    ]
    put(postgres_url, "processed_files", *rows)
    await adopt(postgres_url)
    async with opened(postgres_url) as journal:
        ingest = Ingest(journal)
        await ingest.complete("o/n", {"a.py": A, "b.py": E, "c.py": C, "d.py": D})
        await journal.forget_places("o/n", "c.py")
        await journal.forget_content(hash_of(D))
        await ingest.complete("p/p", {"x.py": C, "y.py": D, "z.py": F})
        ops = Counter(entry.op for entry in await journal.read(4, 10))
        assert ops == {Op.REVISE: 3, Op.ADD: 2, Op.REMOVE: 3}
        found = await journal.find("o/n", "a.py")
        assert found is not None
        assert found.examiner_version == EXAMINER
    seen = {row[1]: row[0] for row in query(postgres_url, TRAINER, 0)}
    assert seen.keys() == {A, E, F}
    assert seen[A] == 1


async def test_repositories_keep_their_ids_and_what_is_known_of_them(postgres_url: str) -> None:
    make(postgres_url)
    put(
        postgres_url, "repositories",
        {"id": 7, "full_name": "o/one", "stars": 50, "forks": 4, "license": "mit"},
        {"id": 3, "full_name": "/srv/local", "local_path": "/srv/local"},
        {"id": 9, "full_name": "not a repository"},
    )  # fmt: skip
    query(postgres_url, "update repositories set pushed_at = to_timestamp(1700000000) where id = 7")
    put(postgres_url, "processed_files", file(1, "/srv/local/a.py", A), file(2, "o/one/b.py", B))
    told = (await adopt(postgres_url))["adopted"]
    assert told["repositories"] == 3
    async with opened(postgres_url) as journal:
        rows = {row.id: row for row in await journal.repositories()}
        assert {(id_, row.full_name, row.state) for id_, row in rows.items()} == {
            (3, "/srv/local", "done"), (7, "o/one", "due"), (9, "not a repository", "done"),
        }  # fmt: skip
        assert rows[7].standing == Standing("MIT", 50, 4, 1_700_000_000)
        assert rows[7].location == "https://github.com/o/one"
        assert rows[3].is_local
        assert await journal.due(10) == [7]
        assert await journal.register(repo("o/two")) == 10
        assert [where(one) for one in await all_live(journal)] == ["/srv/local/a.py", "o/one/b.py"]


@pytest.mark.parametrize(
    ("more", "row", "expected"),
    [
        ("", {"file_path": "/clones/o/one/src/a.py"}, "o/one/src/a.py"),
        ("", {"file_path": "/app/repos/o/two/src/a.py"}, "o/two/src/a.py"),
        ("", {"file_path": "o/two/src/a.py"}, "o/two/src/a.py"),
        ("", {"file_path": "/clones/o/one/deep/er/a.py"}, "o/deep/er/a.py"),
        ("", {"file_path": "src/a.py"}, "adopted/processed_files/src/a.py"),
        ("", {"file_path": "/x//./y/../a.py"}, "adopted/processed_files/x/a.py"),
        ("", {"file_path": "a\\b\n.py"}, r"adopted/processed_files/a\x5cb\x0a.py"),
        ("", {"file_path": ""}, "adopted/processed_files/5"),
        (", repository_id int", {"file_path": "src/a.py", "repository_id": 2}, "o/two/src/a.py"),
        (
            ", repository_id int",
            {"file_path": "a.py", "repository_id": 8},
            "adopted/processed_files/a.py",
        ),
        (", repo_id bigint", {"file_path": "/clones/o/one/a.py", "repo_id": 1}, "o/one/a.py"),
        (", repo_name text", {"file_path": "src/a.py", "repo_name": "o/two"}, "o/two/src/a.py"),
        (", repo_name text", {"file_path": "a.py", "repo_name": "new/one"}, "new/one/a.py"),
        (", repo text", {"file_path": "a.py", "repo": "a b"}, "a b/a.py"),
        (", repo text", {"file_path": "a.py", "repo": ""}, "adopted/processed_files/a.py"),
    ],
    ids=str,
)
async def test_where_a_file_stands(
    postgres_url: str, more: str, row: dict[str, Any], expected: str
) -> None:
    make(postgres_url, more=more)
    put(
        postgres_url, "repositories",
        {"id": 1, "full_name": "o/one", "local_path": "/clones/o/one/"},
        {"id": 2, "full_name": "o/two"},
        {"id": 3, "full_name": "/o/deep", "local_path": "/clones/o/one/deep"},
    )  # fmt: skip
    put(postgres_url, "processed_files", file(5, None, A) | row)
    await adopt(postgres_url)
    async with opened(postgres_url) as journal:
        assert [where(one).lstrip("/") for one in await all_live(journal)] == [expected]


async def test_texts_that_are_there_twice(postgres_url: str) -> None:
    make(postgres_url)
    put(
        postgres_url, "repositories",
        {"id": 1, "full_name": "o/few", "stars": 1},
        {"id": 2, "full_name": "o/many", "stars": 100},
    )  # fmt: skip
    put(
        postgres_url, "processed_files",
        file(10, "o/few/a.py", A, quality_score=75),
        file(11, "o/many/z.h", A, quality_score=90, language="C"),
        file(12, "o/few/a.py", A, quality_score=60),
        file(13, "o/few/a.py", B),
        file(14, "o/few/a~13.py", C),
        file(15, "o/few/a.py", D),
        file(16, "o/many/again.py", B),
    )  # fmt: skip
    told = (await adopt(postgres_url))["adopted"]
    numbers = {name: told[name] for name in ("files", "texts", "duplicates", "renamed", "last_id")}
    assert numbers == {"files": 7, "texts": 4, "duplicates": 3, "renamed": 3, "last_id": 16}
    async with opened(postgres_url) as journal:
        live = await all_live(journal)
        assert [(one.id, where(one), one.language, one.quality) for one in live] == [
            (10, "o/many/z.h", "C", 90),
            (13, "o/many/again.py", "Python", 80),
            (14, "o/few/a~13~14.py", "Python", 80),
            (15, "o/few/a~15.py", "Python", 80),
        ]
        places = [row.occurrence.path for row in await journal.occurrences(hash_of(A))]
        assert places == ["a.py", "z.h"]
        # The best place of a text goes: the other one, in its own language, is left.
        await Ingest(journal).complete(repo("o/many", None, 100), {})
        live = await all_live(journal)
        assert (live[0].id, where(live[0]), live[0].language) == (10, "o/few/a.py", "Python")
        assert live[0].quality == 75
        assert (await journal.read(15, 1))[0].op == Op.REVISE


async def test_rows_without_text_score_or_time(postgres_url: str) -> None:
    make(postgres_url)
    put(
        postgres_url, "processed_files",
        file(1, "a.py", None), file(2, "b.py", ""), file(3, "c.py", C, quality_score=None),
        file(4, "d", D, language=None, created_at=None), file(5, "e.rs", E, language=None),
        file(6, "f.xyz", F, language="Klingon"), file(7, "g.py", ""),
    )  # fmt: skip
    query(
        postgres_url, "update processed_files set created_at = '2024-05-06 07:08:09.5' where id = 3"
    )
    query(postgres_url, "update processed_files set created_at = 'infinity' where id = 6")
    told = (await adopt(postgres_url))["adopted"]
    assert (told["files"], told["texts"], told["without_text"], told["last_id"]) == (7, 4, 3, 7)
    assert (told["without_score"], told["without_time"]) == (1, 2)
    async with opened(postgres_url) as journal:
        live = {one.id: one for one in await all_live(journal)}
    assert {id_: (one.language, one.quality) for id_, one in live.items()} == {
        3: ("Python", 0), 4: ("Text", 80), 5: ("Rust", 80), 6: ("Klingon", 80),
    }  # fmt: skip
    assert live[3].created_at == 1_714_979_289


async def test_scores_from_0_to_1(postgres_url: str) -> None:
    make(postgres_url)
    rows = [file(n, f"{n}.py", text(f"t{n}"), quality_score=n / 50) for n in range(1, 51)]
    put(postgres_url, "processed_files", *rows)
    told = (await adopt(postgres_url))["adopted"]
    assert told["is_scaled"]
    async with opened(postgres_url) as journal:
        assert [one.quality for one in await all_live(journal)] == [2.0 * n for n in range(1, 51)]


async def test_ids_of_any_kind_of_number_and_no_other_column(postgres_url: str) -> None:
    query(postgres_url, "create table processed_files (id bigint, content varchar)")
    rows = [{"id": id_, "content": text(f"t{id_}")} for id_ in (1 << 40, 9, 1 << 33)]
    put(postgres_url, "processed_files", *rows)
    told = await adopt(postgres_url)
    assert told["adopted"]["repositories"] == 1
    async with opened(postgres_url) as journal:
        assert [one.id for one in await all_live(journal)] == [9, 1 << 33, 1 << 40]
        assert await journal.last_id() == 1 << 40


async def test_repositories_alone(postgres_url: str) -> None:
    query(postgres_url, REPOSITORIES)
    put(postgres_url, "repositories", {"id": 4, "full_name": "o/n", "stars": 5})
    told = await adopt(postgres_url)
    assert told["adopted"]["tables"] == ["repositories_before_codelupe"]
    async with opened(postgres_url) as journal:
        assert [row.id for row in await journal.repositories()] == [4]
        await Ingest(journal).complete("o/n", {"a.py": A})
        assert [one.id for one in await all_live(journal)] == [1]


async def test_adopting_is_once_and_the_old_tables_go_when_told(postgres_url: str) -> None:
    make(postgres_url)
    put(postgres_url, "repositories", {"id": 1, "full_name": "o/n"})
    put(postgres_url, "processed_files", file(1, "o/n/a.py", A))
    assert (await adopt(postgres_url))["adopted"]["texts"] == 1
    kept = ["processed_files_before_codelupe", "repositories_before_codelupe"]
    old_texts = "select content from processed_files_before_codelupe"
    assert query(postgres_url, old_texts) == [(A,)]
    again = await adopt(postgres_url)
    assert (again["before"], again["adopted"]) == (again["after"], None)
    query(postgres_url, f"create view mine as {old_texts}")
    with pytest.raises(Fatal, match="view mine"):
        await adopt(postgres_url, drop_old=True)
    query(postgres_url, "drop view mine")
    assert (await adopt(postgres_url, drop_old=True))["dropped"] == kept
    assert (await adopt(postgres_url, drop_old=True))["dropped"] == []
    left = query(postgres_url, "select relname from pg_class where relname like '%before_codelupe'")
    assert left == []
    async with opened(postgres_url) as journal:
        assert len(await all_live(journal)) == 1


async def test_who_could_read_the_old_table_reads_the_view(postgres_url: str) -> None:
    role = "codelupe_test_" + hashlib.sha1(postgres_url.encode()).hexdigest()[:8]
    make(postgres_url)
    put(postgres_url, "processed_files", file(1, "a.py", A))
    query(postgres_url, f"create role {role}")
    try:
        query(postgres_url, f"grant select on processed_files to {role}")
        await adopt(postgres_url)
        may = f"select has_table_privilege('{role}', $1, 'select')"
        assert query(postgres_url, may, "processed_files") == [(True,)]
        assert query(postgres_url, may, "journal") == [(False,)]
    finally:
        query(postgres_url, f"drop owned by {role}")
        query(postgres_url, f"drop role {role}")


REFUSED = {
    "a view": ("create view good as select * from processed_files", "good would go on reading"),
    "a key": (
        "create table runs (file integer references processed_files)", "runs would go on reading",
    ),
    "a name": ("create table results (id integer)", 'relation "results" already exists'),
    "scores": ("insert into processed_files values (2, 'x', 'y', 'z', 250)", "80.0 to 250.0"),
    "no score": ("insert into processed_files values (2, 'x', 'y', 'z', 'nan')", "to nan"),
    "ids": ("insert into processed_files values (0, 'x', 'y', 'z', 1)", "the first is 0"),
    "no id": ("alter table processed_files drop column id", "whole number `id`"),
    "names": ("alter table processed_files alter id type text", "whole number `id`"),
    "bytes": ("alter table processed_files alter content type bytea using ''", "a text `content`"),
    "another": ("create table repositories (id integer, owner text)", "has no full_name"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
async def test_what_cannot_be_adopted_is_left_as_it_was(postgres_url: str, case: str) -> None:
    statement, message = REFUSED[case]
    make(postgres_url, repositories=False)
    put(postgres_url, "processed_files", file(1, "a.py", A))
    query(postgres_url, statement)
    before = query(postgres_url, "select relname, relkind from pg_class order by 1, 2")
    with pytest.raises(Fatal, match=message):
        await adopt(postgres_url)
    assert query(postgres_url, "select relname, relkind from pg_class order by 1, 2") == before


async def test_ids_that_are_there_twice(postgres_url: str) -> None:
    query(postgres_url, "create table processed_files (id integer, content text)")
    put(postgres_url, "processed_files", *[{"id": 1, "content": one} for one in (A, B)])
    with pytest.raises(Fatal, match="1 are there twice"):
        await adopt(postgres_url)


async def test_through_a_bouncer(postgres_url: str, pgbouncer_url: str) -> None:
    make(postgres_url)
    rows = [file(n, f"{n}.py", text(f"t{n}")) for n in range(1, 301)]  # several pages
    put(postgres_url, "processed_files", *rows[:3])
    query(
        postgres_url,
        "insert into processed_files (id, file_path, content)"
        " select n, n || '.py', repeat('x', n) from generate_series(4, 300) n",
    )
    assert (await adopt(pgbouncer_url))["adopted"]["texts"] == 300
    async with opened(pgbouncer_url) as journal:
        assert len(await all_live(journal)) == 300
