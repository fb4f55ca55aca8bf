"""The indices behind the alias `codelupe-code`: how they are made, taken over and let go.

Two aliases tell what is going on. `codelupe-code-write` is the index that is written; without it
what was written is gone. `codelupe-code` is the index that is searched: the same one, or during a
replay the old one, until the new one has caught up.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from string import ascii_lowercase, digits
from typing import Any, Final, NamedTuple

from elasticsearch import AsyncElasticsearch, BadRequestError, NotFoundError

from codelupe_daemon.elastic import CODE, CODE_WRITE, WATERMARKS, explained
from codelupe_daemon.errors import Fatal, Transient

_CUSTOM: Final = f"{CODE}@custom"
"""A component template that a person may make: its settings (shards, replicas) win over ours."""
_NUMBERED: Final = re.compile(rf"{CODE}-(\d{{3,}})")
_MADE_BY: Final = "codelupe"
SEARCHES_END_S: Final = 1.0
"""How long an index stays when it is searched no more, for searches that began on it."""

_MERGE_S: Final = 900.0
_COPIES_S: Final = 60
"""How long copies of a shard may lag behind before that is told."""

_LOADING: Final = {
    "refresh_interval": "-1",
    "auto_expand_replicas": "false",
    "number_of_replicas": "0",
}
"""Of an index that is filled: nobody needs each document at once, or twice."""

_SETTINGS: Final = {
    # Who needs to see what was written refreshes.
    "refresh_interval": "30s",
    "auto_expand_replicas": "0-1",
    # How long a delete is remembered, and a late add with an older version refused.
    "gc_deletes": "15m",
    # What was taken down leaves the files for certain when they are merged.
    "merge.policy.expunge_deletes_allowed": 0,
    "analysis": {
        "tokenizer": {
            "words": {"type": "pattern", "pattern": r"[^\p{L}\p{N}_]+"},
            "folders": {"type": "path_hierarchy"},
        },
        # As `syntax/identifiers.py` has it: a word, and its parts, up to 64 characters.
        "filter": {
            "no_data": {"type": "length", "min": 1, "max": 128},
            "terms": {"type": "length", "min": 1, "max": 64},
            "letters": {"type": "stop", "stopwords": [*ascii_lowercase, *digits, "_"]},
            # What begins with a digit is a number, and has no parts.
            "numbers": {"type": "keyword_marker", "keywords_pattern": r"\p{Nd}.*"},
            "parts": {
                "type": "word_delimiter_graph",
                "ignore_keywords": True,
                "preserve_original": True,
                "stem_english_possessive": False,
            },
            # word_delimiter_graph leaves HTTPServer whole.
            "acronyms": {
                "type": "pattern_capture",
                "preserve_original": True,
                "patterns": [r"(\p{Lu}+)(?=\p{Lu}\p{Ll})", r"(\p{Lu}\p{Ll}+)$"],
            },
        },
        "analyzer": {
            "code": {
                "type": "custom",
                "tokenizer": "words",
                "filter": [
                    "no_data", "numbers", "parts", "flatten_graph", "acronyms", "lowercase",
                    "remove_duplicates", "terms", "letters",
                ],
            },
            "code_query": {
                "type": "custom",
                "tokenizer": "words",
                "filter": ["no_data", "numbers", "parts", "lowercase"],
            },
            "exact": {"type": "custom", "tokenizer": "words", "filter": ["no_data"]},
            "folders": {"type": "custom", "tokenizer": "folders"},
        },
        "normalizer": {"folded": {"type": "custom", "filter": ["lowercase"]}},
    },
}  # fmt: skip

_CODE_TEXT: Final = {"type": "text", "analyzer": "code", "search_analyzer": "code_query"}
_FOLDED: Final = {"folded": {"type": "keyword", "normalizer": "folded"}}
_SECONDS: Final = {"type": "date", "format": "epoch_second"}

FIELDS: Final[Mapping[str, Any]] = {
    "content": {
        **_CODE_TEXT,
        "index_options": "offsets",
        "fields": {"exact": {"type": "text", "analyzer": "exact"}},
    },
    # The names that the text defines.
    "symbols": {**_CODE_TEXT, "fields": {"exact": {"type": "keyword", "ignore_above": 256}}},
    "content_hash": {"type": "keyword"},
    "content_chars": {"type": "integer"},
    "language": {"type": "keyword", "fields": _FOLDED},
    "quality_score": {"type": "float"},
    "license": {"type": "keyword", "ignore_above": 1024},
    "repo": {"type": "keyword", "fields": _FOLDED},
    "full_name": {"type": "alias", "path": "repo"},
    "file_path": {
        "type": "keyword",
        "fields": {
            "tree": {"type": "text", "analyzer": "folders", "search_analyzer": "keyword"},
            "words": _CODE_TEXT,
        },
    },
    "commit": {"type": "keyword"},
    "stars": {"type": "integer"},
    "forks": {"type": "integer"},
    "pushed_at": _SECONDS,
    "created_at": _SECONDS,
    "journal_id": {"type": "long"},
    "add_id": {"type": "long"},
    "cluster_id": {"type": "keyword"},
    "cluster_winner": {"type": "keyword"},
    # Shown, not searched: whatever the examiner says can never be refused.
    "signals": {"type": "object", "enabled": False},
}
"""Of a document: the seeds' and ours. `quality_score` is 0..1, times are seconds since 1970."""


class Standing(NamedTuple):
    """What stands on the server. Names of indices behind each alias; normally one, and the same."""

    searched: Sequence[str]
    written: Sequence[str]
    indices: Mapping[str, Any]

    @property
    def is_loading(self) -> bool:
        """Whether the index that is written has the settings of one that is filled."""
        settings = self.indices[self.written[0]]["settings"]
        return bool(settings.get("index.refresh_interval") == _LOADING["refresh_interval"])

    @property
    def leftovers(self) -> list[str]:
        """Indices that we made, and that nobody writes or searches any more."""
        return [name for name, index in self.indices.items() if _is_ours(name, index)]

    def check(self) -> None:
        """Raises `Fatal` where the index cannot be written as it is."""
        conflicts = sorted(
            conflict
            for name in self.written
            for conflict in _conflicts(FIELDS, self.indices[name]["mappings"].get("properties", {}))
        )
        if conflicts or len(self.written) > 1:
            raise Fatal(
                f"the index behind {CODE_WRITE} ({', '.join(self.written)}) is not as it was made:"
                f" {', '.join(conflicts) or 'one index is enough'}; `codelupe replay"
                " elasticsearch` makes a new one"
            )


def _is_ours(name: str, index: Mapping[str, Any]) -> bool:
    made_by = index["mappings"].get("_meta", {}).get("made_by")
    return not index["aliases"] and made_by == _MADE_BY and bool(_NUMBERED.fullmatch(name))


def _conflicts(
    wanted: Mapping[str, Any], found: Mapping[str, Any], prefix: str = ""
) -> Iterator[str]:
    for name, field in wanted.items():
        there = found.get(name, {})
        kind = there.get("type", "object" if there else "missing")
        if kind != field["type"] or there.get("analyzer") != field.get("analyzer"):
            yield f"{prefix}{name} is {kind}, not {field['type']}"
        yield from _conflicts(field.get("fields", {}), there.get("fields", {}), f"{prefix}{name}.")


async def look(es: AsyncElasticsearch) -> Standing:
    """Raises `Fatal` where an index has the name of an alias."""
    with explained():
        answer = await es.indices.get(
            index=[CODE, CODE_WRITE, f"{CODE}-*"],
            ignore_unavailable=True,
            flat_settings=True,
            expand_wildcards=["open", "closed"],
        )
    indices: dict[str, Any] = answer.body
    for name in indices.keys() & {CODE, CODE_WRITE}:
        raise Fatal(
            f"{name} is an index in Elasticsearch, and has to be an alias: keep its documents under"
            f" another name (_reindex), then delete it: curl -X DELETE http://HOST:9200/{name}"
        )
    searched, written = (
        [name for name, index in indices.items() if alias in index["aliases"]]
        for alias in (CODE, CODE_WRITE)
    )
    return Standing(searched, written, indices)


async def prepare(es: AsyncElasticsearch) -> None:
    """Put the template that our indices are made by, and make the index of the marker."""
    mappings = {"dynamic": "strict", "_meta": {"made_by": _MADE_BY}, "properties": FIELDS}
    with explained():
        await es.cluster.put_component_template(
            name=CODE, template={"settings": {"index": _SETTINGS}, "mappings": mappings}
        )
        await es.indices.put_index_template(
            name=CODE,
            index_patterns=[f"{CODE}-*"],
            composed_of=[CODE, _CUSTOM],
            ignore_missing_component_templates=[_CUSTOM],
            priority=500,
        )
        await _make_watermarks(es)


async def begin(es: AsyncElasticsearch) -> str:
    """Make the next index, and the one that is written; searched too if none is. Its name."""
    await prepare(es)
    standing = await look(es)
    numbers = [int(match[1]) for match in map(_NUMBERED.fullmatch, standing.indices) if match]
    name = f"{CODE}-{max(numbers, default=0) + 1:03d}"
    with explained():
        await es.indices.create(index=name, settings={"index": _LOADING})
        await _point(es, CODE_WRITE, standing.written, name)
        if not standing.searched:
            await _mark(es, await _marker(es), 0)
            await _point(es, CODE, [], name)
    await _drop_leftovers(es)
    return name


async def finish(es: AsyncElasticsearch, name: str, watermark: int) -> None:
    """The index has caught up: give it its normal settings, and let it be searched."""
    standing = await look(es)
    with explained():
        made = await es.indices.simulate_index_template(name=name)
        settings = made["template"]["settings"]["index"]
        restored = {key: settings.get(key) for key in _LOADING}
        await es.indices.put_settings(index=name, settings={"index": restored})
        await es.indices.refresh(index=name)
        marker = await _marker(es)
        if marker.watermark > watermark:  # of another journal, or of rows that it lost
            await _mark(es, marker, watermark)
        if standing.searched != [name]:
            await _point(es, CODE, standing.searched, name)
            await asyncio.sleep(SEARCHES_END_S)
    await _drop_leftovers(es)


async def _point(es: AsyncElasticsearch, alias: str, olds: Sequence[str], new: str) -> None:
    """From one index to the other in one step."""
    removals = [{"remove": {"index": old, "alias": alias}} for old in olds if old != new]
    addition = {"add": {"index": new, "alias": alias, "is_write_index": True}}
    await es.indices.update_aliases(actions=[*removals, addition])


async def _drop_leftovers(es: AsyncElasticsearch) -> None:
    standing = await look(es)
    with explained():
        for name in standing.leftovers:
            await es.indices.delete(index=name, ignore_unavailable=True)


async def is_in_place(es: AsyncElasticsearch, name: str, *, is_searched: bool) -> bool:
    """Whether the index still is the one that is written, and searched."""
    try:
        answer = await es.indices.get_alias(index=name)
    except NotFoundError:
        return False
    aliases: dict[str, Any] = answer.body[name]["aliases"]
    return aliases.keys() >= ({CODE, CODE_WRITE} if is_searched else {CODE_WRITE})


async def is_empty(es: AsyncElasticsearch) -> bool:
    with explained():
        return bool((await es.count(index=CODE_WRITE))["count"] == 0)


async def expunge(es: AsyncElasticsearch) -> None:
    """Leave nothing in the files of what is deleted by now. Raises `Transient`."""
    es = es.options(request_timeout=_MERGE_S)
    with explained(), suppress(NotFoundError):
        await _wait_for_copies(es)
        await es.indices.flush(index=CODE_WRITE, force=True)  # else a merge keeps what it held
        await es.indices.forcemerge(index=CODE_WRITE, only_expunge_deletes=True)
        await es.indices.flush(index=CODE_WRITE, force=True)


async def _wait_for_copies(es: AsyncElasticsearch) -> None:
    """What is deleted is kept until every copy of a shard is known to know it: half a minute."""
    done = {shard: stats["seq_no"]["max_seq_no"] for shard, stats in await _shards(es)}
    for _ in range(_COPIES_S):
        leases = [
            (shard, lease["retaining_seq_no"])
            for shard, stats in await _shards(es)
            for lease in stats["retention_leases"]["leases"]
        ]
        if all(kept > done.get(shard, -1) for shard, kept in leases):
            return
        await asyncio.sleep(1)
    raise Transient("Elasticsearch still keeps what was deleted, for copies that lag behind")


async def _shards(es: AsyncElasticsearch) -> list[tuple[tuple[str, str], Any]]:
    """Statistics of each primary shard, by index and number."""
    answer = await es.indices.stats(index=CODE_WRITE, level="shards")
    return [
        ((name, number), stats)
        for name, found in answer["indices"].items()
        for number, copies in found["shards"].items()
        for stats in copies
        if stats["routing"]["primary"]
    ]


async def publish(es: AsyncElasticsearch, watermark: int) -> None:
    """Tell readers how much a search sees; less than they were told already is not told."""
    with explained():
        marker = await _marker(es)
        if marker.watermark < watermark:
            await _mark(es, marker, watermark)


class _Marker(NamedTuple):
    watermark: int
    condition: Mapping[str, Any]
    """Holds for as long as nobody else writes the marker."""


async def _marker(es: AsyncElasticsearch) -> _Marker:
    try:
        found = await es.get(index=WATERMARKS, id=CODE)
    except NotFoundError as error:
        if "error" in error.body:
            await _make_watermarks(es)
        return _Marker(-1, {"op_type": "create"})
    condition = {"if_seq_no": found["_seq_no"], "if_primary_term": found["_primary_term"]}
    return _Marker(found["_source"]["watermark"], condition)


async def _mark(es: AsyncElasticsearch, marker: _Marker, watermark: int) -> None:
    document = {"watermark": watermark, "at": datetime.now(UTC).isoformat(timespec="seconds")}
    await es.index(index=WATERMARKS, id=CODE, document=document, **marker.condition)


async def _make_watermarks(es: AsyncElasticsearch) -> None:
    try:
        await es.indices.create(
            index=WATERMARKS,
            settings={"number_of_shards": 1, "auto_expand_replicas": "0-1"},
            mappings={"properties": {"watermark": {"type": "long"}, "at": {"type": "date"}}},
        )
    except BadRequestError as error:
        if error.error != "resource_already_exists_exception":
            raise
