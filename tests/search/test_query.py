"""The query language, without an index."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codelupe_daemon.errors import UsageError
from codelupe_daemon.search.query import QUERY_MAX_CHARS, Filters, parse
from codelupe_daemon.syntax.identifiers import fold


def matches(query: str, text: str) -> bool:
    return all(any(word.find(text, fold(text))) for word in parse(query).words)


@pytest.mark.parametrize("query", ["readFile", "read_file", "READ_FILE", "read", "file"])
@pytest.mark.parametrize("text", ["read_file", "readFile", "fast_read_file", "READ_FILE2"])
def test_an_identifier_is_found_by_any_spelling(query: str, text: str) -> None:
    assert matches(query, f"x = {text}(y)")


@pytest.mark.parametrize(
    "query, text, expected",
    [
        ("read_file", "read the file", False),
        ("read_file", "spread_files", False),
        ("ead", "read", False),
        ("iphone", "myIPhone", True),
        ("größe", "GRÖSSE GRÖßE", True),
        ("x_y", "a.xY", True),
        ('"def read"', "DEF READ_FILE():", True),
        ('"def read"', "undef reader", False),
        ('"aa  bb"', "aa bb", False),
        (r'"say \"hi\""', 'say "hi"', True),
        ("std::vector", "#include <vector> std::vector<int>", True),
        ("foo.bar(", "foo.bar(1)", True),
        ("foo.bar(", "foo.barn(1)", False),
        ("http://example", "see http://example.org", True),
        ("one two", "two_one", True),
        ("one two", "one", False),
    ],
)  # fmt: skip
def test_words_and_phrases(query: str, text: str, expected: bool) -> None:
    assert matches(query, text) is expected


@pytest.mark.parametrize("spelling", ["readFile", "read_file", "READ_File", "ReadFile"])
def test_spellings_ask_the_index_for_the_same(spelling: str) -> None:
    assert parse(spelling).words == parse("read_file").words


def test_qualifiers() -> None:
    query = parse('open language:c++ language:"C" repo:psf/* path:"src dir" quality:>=0.8')
    assert len(query.words) == 1
    accept = query.filters.accept
    assert accept("C++", "psf/requests", "src dir/a.c", 0.8)
    assert accept("c", "psf/black", "src dir/b/c.h", 1.0)
    assert not accept("Rust", "psf/requests", "src dir/a.c", 0.8)
    assert not accept("C", "other/requests", "src dir/a.c", 0.8)
    assert not accept("C", "psf/requests", "src/a.c", 0.8)
    assert not accept("C", "psf/requests", "src dir/a.c", 0.799)


@pytest.mark.parametrize(
    "bound, passing",
    [("0.5", [0.5, 0.9]), (">0.5", [0.9]), ("<=0.5", [0.1, 0.5]), ("<.5", [0.1]), ("=0.5", [0.5])],
)
def test_bounds_of_the_quality(bound: str, passing: list[float]) -> None:
    filters = parse(f"open quality:{bound}").filters
    assert [q for q in (0.1, 0.5, 0.9) if filters.accept("C", "a/b", "c", q)] == passing


def test_a_bound_means_every_step_of_the_score_exactly() -> None:
    for step in range(1001):
        stored = round(step / 10, 1)  # as the journal has it
        filters = Filters(min_quality=step / 1000, max_quality=step / 1000)
        assert filters.accept("C", "a/b", "c", stored / 100)
        assert not filters.accept("C", "a/b", "c", (stored + 0.1) / 100)
        assert not filters.accept("C", "a/b", "c", (stored - 0.1) / 100)


def test_repositories_and_paths() -> None:
    assert Filters(repos=["click"]).accept("C", "pallets/click", "a", 0)
    assert not Filters(repos=["lick"]).accept("C", "pallets/click", "a", 0)
    assert Filters(paths=["*.rs"]).accept("C", "a/b", "x/y.rs", 0)
    assert not Filters(paths=["y.rs"]).accept("C", "a/b", "x/y.rs", 0)


@pytest.mark.parametrize(
    "query, fix",
    [
        ("", "at least one word"),
        ("x", "at least one word"),
        ("language:c", "at least one word"),
        ("== +", "at least one word"),
        ("lang:python open", "but language:python"),
        ("langauge:python open", "but language:python"),
        ("open quality:good", "write quality:>=0.8"),
        ("open quality:80", "write quality:>=0.8"),
        ('open "file', "close it"),
        ('open"file', "close it"),
        ("a" * (QUERY_MAX_CHARS + 1), "shorten it"),
    ],
)
def test_bad_queries_name_the_fix(query: str, fix: str) -> None:
    with pytest.raises(UsageError, match=fix):
        parse(query)


@given(st.text(max_size=60))
def test_any_text_is_a_query_or_a_usage_error(text: str) -> None:
    try:
        query = parse(text)
    except UsageError:
        return
    assert query.words
