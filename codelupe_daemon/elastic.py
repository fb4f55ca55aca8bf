"""Elasticsearch: how it is reached, what its errors mean, and what is called how in it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from elastic_transport import (
    ConnectionTimeout,
    NdjsonSerializer,
    SerializationError,
    TlsError,
    TransportError,
)
from elasticsearch import ApiError, AsyncElasticsearch, UnsupportedProductError
from elasticsearch.serializer import OrjsonSerializer

from codelupe_daemon.errors import CodeLupeError, Fatal, Rejected, Transient

CODE: Final = "codelupe-code"
"""The alias that is searched: live contents."""
CODE_WRITE: Final = "codelupe-code-write"
"""The alias that is written: the same index, or during a replay the one that will replace it."""
REPOSITORIES: Final = "github-coding-repos"
WATERMARKS: Final = "codelupe-watermarks"
"""Its document `codelupe-code` says in `watermark` how much of the journal a search sees."""

SETTING: Final = "CODELUPE_ELASTICSEARCH"
PORT: Final = 9200
TIMEOUT_S: Final = 30.0
KEEP_ALIVE: Final = "5m"
REASON_MAX_CHARS: Final = 500
_OLDEST: Final = (8, 7)
"""Knows component templates that need not be there."""
_TOO_NEW: Final = (10, 0)
"""Refuses a client of release 8."""
_BUSY: Final = frozenset({408, 409, 429, 500, 502, 503, 504})


class Gone(Rejected):
    """There is no such index or alias."""


class _Body(BytesIO):
    """Goes out piece by piece: of bytes, what the socket does not take at once would be copied."""

    def decode(self, encoding: str, errors: str) -> str:
        """As the client does with what it logs."""
        return self.getvalue().decode(encoding, errors)


class _Ready(NdjsonSerializer):
    """Takes bodies that are NDJSON already."""

    def dumps(self, data: Any) -> Any:
        """`bytes`, or what aiohttp takes as well."""
        return _Body(data) if isinstance(data, bytes) else super().dumps(data)


_SERIALIZERS: Final = {"application/json": OrjsonSerializer(), "application/x-ndjson": _Ready()}


def connect(url: str, ca: Path | None = None) -> AsyncElasticsearch:
    """A client that never tries again by itself; nothing is sent yet. Raises `Fatal`.

    `url`: http(s)://HOST:PORT with USER:PASSWORD@ or APIKEY@, %-escaped, before the host.
    `ca`: the certificates that an https server's is checked by, instead of the system's.
    """
    try:
        parts = urlsplit(url)
        if not parts.hostname:
            raise ValueError(url)
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        node = f"{parts.scheme}://{host}:{parts.port or PORT}{parts.path.rstrip('/')}"
        options = _credentials(parts.username, parts.password)
        if ca is not None and parts.scheme == "https":
            ca.stat()
            options["ca_certs"] = str(ca)
        return AsyncElasticsearch(
            node, request_timeout=TIMEOUT_S, max_retries=0, serializers=_SERIALIZERS, **options
        )
    except OSError as error:  # also what ssl says of a file that holds no certificates
        raise Fatal(f"{SETTING}_CA={ca} cannot be used: {error}") from error
    except ValueError:  # whose message may hold the password
        raise Fatal(
            f"{SETTING} is no URL of a server: write http://HOST:9200 or"
            " https://USER:PASSWORD@HOST:9200, with %-escapes in the password"
        ) from None


def _credentials(user: str | None, password: str | None) -> dict[str, Any]:
    if not user:
        return {}
    if password is None:
        return {"api_key": unquote(user)}
    return {"basic_auth": (unquote(user), unquote(password))}


async def check(es: AsyncElasticsearch) -> None:
    """Whether this is an Elasticsearch that can be used. Raises `Fatal` and `Transient`."""
    try:
        with explained():
            version = (await es.info())["version"]["number"]
        major, minor = (int(number) for number in version.split(".")[:2])
    except (Gone, AttributeError, KeyError, TypeError, ValueError):
        raise Fatal(f"the server that {SETTING} names is no Elasticsearch") from None
    if not _OLDEST <= (major, minor) < _TOO_NEW:
        raise Fatal(f"{SETTING} names an Elasticsearch {version}: 8.7 to 9.x will do")


@contextmanager
def explained() -> Iterator[None]:
    """What the client raises becomes `Transient`, `Gone` or `Fatal`."""
    try:
        yield
    except UnsupportedProductError as error:
        raise Fatal(f"the server that {SETTING} names is no Elasticsearch") from error
    except ApiError as error:
        body = error.body if isinstance(error.body, Mapping) else {}
        raise refusal(error.meta.status, body.get("error") or error.message) from error
    except TlsError as error:
        if "EOF" in error.message:  # the connection broke off
            raise Transient(f"Elasticsearch cannot be reached: {error.message}") from error
        if "WRONG_VERSION_NUMBER" in error.message:
            raise Fatal(f"the server that {SETTING} names speaks no TLS: write http://") from error
        raise Fatal(
            f"the certificate of {SETTING} does not fit: {error.message}; name the authority that"
            f" signed it in {SETTING}_CA"
        ) from error
    except ConnectionTimeout as error:
        raise Transient(f"Elasticsearch ({SETTING}) does not answer in time") from error
    except SerializationError as error:
        raise Transient(f"Elasticsearch ({SETTING}) answers in broken JSON") from error
    except TransportError as error:
        raise Transient(f"Elasticsearch ({SETTING}) cannot be reached: {error.message}") from error


def refusal(status: int, error: Any) -> CodeLupeError:
    """What an error of the server's means, whether of an answer or of one item in it."""
    kind, reason = told(error)
    if kind == "cluster_block_exception":
        return Transient(_blocked(reason))
    if kind == "index_closed_exception":
        return Transient(f"an index of Elasticsearch is closed, until it is opened: {reason}")
    if status in _BUSY:
        return Transient(f"Elasticsearch is busy ({status}): {kind} {reason}".rstrip())
    if kind == "index_not_found_exception":
        return Gone(reason)
    if status == 401:
        return Fatal(
            f"Elasticsearch refuses user and password, or API key: see to {SETTING},"
            " https://USER:PASSWORD@HOST:9200"
        )
    if status == 403:
        return Fatal(f"Elasticsearch does not allow the user of {SETTING} to do it: {reason}")
    if status == 404:
        return Gone(reason or kind)
    return Fatal(f"Elasticsearch ({SETTING}) refuses ({status}): {kind} {reason}".rstrip())


def told(error: Any) -> tuple[str, str]:
    """Type and reason of an error, shortened."""
    if not isinstance(error, Mapping):
        return str(error)[:REASON_MAX_CHARS], ""
    cause = error.get("caused_by") or {}
    reason = f"{error.get('reason')}" + (f": {cause['reason']}" if cause.get("reason") else "")
    return str(error.get("type")), reason[:REASON_MAX_CHARS]


def _blocked(reason: str) -> str:
    if "flood-stage" in reason or "read-only-allow-delete" in reason:
        return (
            "the disk of Elasticsearch is full, and its indices are read-only: make room or add a"
            f" node, and it goes on by itself ({reason})"
        )
    return f"Elasticsearch takes no writes until its block is lifted: {reason}"


async def pages(
    es: AsyncElasticsearch, index: str, *, size: int, source: Sequence[str], **asked: Any
) -> AsyncGenerator[list[dict[str, Any]], None]:
    """Every document of an index or alias as it is now, in pages of hits with these fields.

    `asked`: more of the search, such as `query` and `sort`. Take them as they come: after five
    minutes without a question the server forgets the rest. Raises `Gone`, `Transient` and `Fatal`.
    """
    asked = {"sort": [{"_shard_doc": "asc"}], **asked}
    with explained():
        pit = (await es.open_point_in_time(index=index, keep_alive=KEEP_ALIVE))["id"]
    after: list[Any] | None = None
    try:
        while True:
            with explained():
                answer = await es.search(
                    pit={"id": pit, "keep_alive": KEEP_ALIVE},
                    size=size,
                    search_after=after,
                    source={"includes": list(source)} if source else False,
                    track_total_hits=False,
                    allow_partial_search_results=False,
                    **asked,
                )
            pit, hits = answer["pit_id"], answer["hits"]["hits"]
            if hits:
                yield hits
            if len(hits) < size:
                return
            after = hits[-1]["sort"]
    finally:
        with suppress(ApiError, TransportError):  # it ends by itself as well
            await es.close_point_in_time(id=pit)
