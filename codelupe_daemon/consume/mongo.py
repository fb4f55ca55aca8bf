"""The consumer `mongo`: a collection of the live contents in MongoDB.

It writes what lives now, whichever row said that something happened. A document carries the id of
its content's newest row, and none is ever replaced by an older one.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import orjson

from codelupe_daemon.consume.runner import Holding, Lease, LeaseLost, StoredConsumer
from codelupe_daemon.errors import Fatal, Rejected, Transient
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.consumers import ConsumerStore
from codelupe_daemon.model import Entry, LiveContent, by_chars

try:
    from pymongo import AsyncMongoClient, DeleteOne, ReplaceOne, WriteConcern
    from pymongo import errors as pymongo_errors
    from pymongo.asynchronous.collection import AsyncCollection
except ImportError as error:
    raise Fatal(
        "CODELUPE_MONGO is set, and its client is not installed: pip install 'codelupe[mongo]'"
    ) from error

DATABASE: Final = "codelupe"
"""Where the URL names none."""
COLLECTION: Final = "code"
TIMEOUT_MS: Final = 10_000
PAGE_ROWS: Final = 20
"""Documents of 1 MiB: not every server keeps an answer to the size that it may have."""
BULK_CHARS: Final = 8 << 20
REASON_MAX_CHARS: Final = 500
CONTENT_MAX_BYTES: Final = (16 << 20) - (64 << 10)
"""MongoDB takes no document above 16 MiB."""

_Document = dict[str, Any]
_Operation = ReplaceOne[_Document] | DeleteOne

# Error codes of the server.
_DUPLICATE_KEY = 11000
_PASSING = frozenset({50, 64, 91, 112, 189, 262, 10107, 11600, 11602, 13435, 13436, 14031})


class Mongo(StoredConsumer):
    """`states` keeps lease, watermark and dead letters, and is opened and closed by its owner."""

    name = "mongo"

    def __init__(self, states: ConsumerStore, journal: Journal, url: str) -> None:
        """`url`: mongodb://, perhaps with a database."""
        super().__init__(states)
        self._journal, self._url = journal, url
        self._client: AsyncMongoClient[_Document] | None = None

    async def open(self) -> None:
        try:
            self._client = AsyncMongoClient(
                self._url,
                appname="codelupe",
                serverSelectionTimeoutMS=TIMEOUT_MS,
                connectTimeoutMS=TIMEOUT_MS,
                socketTimeoutMS=6 * TIMEOUT_MS,
            )
        except (pymongo_errors.ConfigurationError, ValueError):
            # What the library says may hold a part of the password.
            raise Fatal(
                "CODELUPE_MONGO is no MongoDB URL: write mongodb://USER:PASSWORD@HOST:PORT/DATABASE,"
                " with %-escapes in the password"
            ) from None
        with _explained():
            await self._client.admin.command("ping")

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    async def apply(self, entries: Sequence[Entry], lease: Lease) -> None:
        self._check(is_held=await self._states.advance(self._holder(lease), 0))
        hashes = {entry.content_hash for entry in entries}
        await self._put_live(hashes)
        await self._delete_dead(hashes)
        try:
            await self._advance(lease, entries[-1].id)
        except LeaseLost:
            # What was read before a long sleep may have died, and been deleted, before it was put.
            await self._delete_dead(hashes)
            raise

    async def retry(self, entries: Sequence[Entry], lease: Lease) -> None:
        for entry in entries:
            with suppress(Rejected):
                await self._put_live({entry.content_hash})
                await self._delete_dead({entry.content_hash})
                self._check(is_held=await self._states.exhume(self._holder(lease), [entry.id]))

    async def holdings(self) -> AsyncIterator[list[Holding]]:
        with _explained():
            wanted = {"journal_id": 1, "content": 1}
            async with self._code.find({}, wanted, batch_size=PAGE_ROWS) as cursor:
                while page := await cursor.to_list(PAGE_ROWS):
                    yield [_holding(document) for document in page]

    async def reset(self, lease: Lease) -> None:
        self._check(is_held=await self._states.restart(self._holder(lease)))
        with _explained():
            await self._code.drop()

    # -- what is written ------------------------------------------------------------------------

    @property
    def _code(self) -> AsyncCollection[_Document]:
        assert self._client is not None, "open() comes first"
        database = self._client.get_default_database(DATABASE)
        # The watermark moves when this is acknowledged: then it must be on disk.
        return database.get_collection(COLLECTION, write_concern=WriteConcern("majority", j=True))

    async def _put_live(self, hashes: Collection[bytes]) -> None:
        places = await self._journal.live_by_hashes([*hashes], content=False)
        for group in by_chars(places, lambda row: row.content_chars, BULK_CHARS):
            some = [row.content_hash for row in group]
            rows = await self._journal.live_by_hashes(some, content=True)
            await self._write([_put(row) for row in rows])

    async def _delete_dead(self, hashes: Collection[bytes]) -> None:
        last_id = await self._journal.last_id()
        live = await self._journal.live_by_hashes([*hashes], content=False)
        dead = sorted(set(hashes) - {row.content_hash for row in live})
        # One that returned since has a newer row.
        await self._write([
            DeleteOne({"_id": content_hash.hex(), "journal_id": {"$lte": last_id}})
            for content_hash in dead
        ])  # fmt: skip

    async def _write(self, operations: Sequence[_Operation]) -> None:
        if not operations:
            return
        with _explained():
            await self._code.bulk_write(operations, ordered=False)


def _put(row: LiveContent) -> ReplaceOne[_Document]:
    """Where a newer one is there, it does not match, and the server finds that the id is taken.

    Raises `Rejected`.
    """
    size_bytes = len(str(row.content).encode())
    if size_bytes > CONTENT_MAX_BYTES:
        raise Rejected(f"MongoDB does not take it: {size_bytes} bytes are too many")
    document = {
        "_id": row.content_hash.hex(),
        "journal_id": row.newest_id,
        "add_id": row.id,
        "content_hash": row.content_hash.hex(),
        "repo": row.place.repo,
        "file_path": row.place.path,
        "commit": row.place.commit and row.place.commit.hex(),
        "content": row.content,
        "content_chars": row.content_chars,
        "language": row.language,
        "quality_score": round(row.quality / 100, 3),
        "license": row.license,
        "signals": orjson.loads(row.signals),
        "created_at": row.created_at,
    }
    older = {"_id": document["_id"], "journal_id": {"$lte": row.newest_id}}
    return ReplaceOne(older, document, upsert=True)


def _holding(document: _Document) -> Holding:
    text = str(document["content"]).encode()
    text_hash = hashlib.blake2b(text, digest_size=16).digest()
    return Holding(bytes.fromhex(document["_id"]), document["journal_id"], text_hash)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except pymongo_errors.BulkWriteError as error:
        _raise_worst(error)
    except pymongo_errors.OperationFailure as error:
        said = (error.details or {}).get("errmsg", error)
        if error.code in _PASSING:
            raise Transient(f"MongoDB (CODELUPE_MONGO) is busy: {said}") from error
        raise Fatal(
            f"MongoDB (CODELUPE_MONGO) refuses: {said}; see to user, password and rights"
        ) from error
    except pymongo_errors.ConnectionFailure as error:
        reason = str(error).partition(" (configured")[0]
        if "CERTIFICATE" in reason:
            raise Fatal(f"the certificate of CODELUPE_MONGO does not fit: {reason}") from error
        raise Transient(f"MongoDB (CODELUPE_MONGO) does not answer: {reason}") from error
    except pymongo_errors.PyMongoError as error:
        raise Fatal(f"MongoDB (CODELUPE_MONGO) cannot be used: {error}") from error


def _raise_worst(error: pymongo_errors.BulkWriteError) -> None:
    """What may pass before what one document causes; nothing where newer ones were there."""
    failures = [*error.details["writeErrors"], *error.details["writeConcernErrors"]]
    worst = [failure for failure in failures if not _is_newer_there(failure)]
    worst.sort(key=lambda failure: failure["code"] not in _PASSING)
    for failure in worst[:1]:
        said = str(failure["errmsg"])[:REASON_MAX_CHARS]
        if failure["code"] in _PASSING:
            raise Transient(f"MongoDB (CODELUPE_MONGO) is busy: {said}") from error
        raise Rejected(f"MongoDB does not take it: {said}") from error


def _is_newer_there(failure: _Document) -> bool:
    """The id is taken by a document that the filter passed over."""
    return failure["code"] == _DUPLICATE_KEY and "index: _id_ " in failure["errmsg"]
