"""One Redis: the names of its keys, how it is reached and checked, and questions with limits."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import SplitResult, parse_qsl, urlsplit

from redis.asyncio import BlockingConnectionPool
from redis.asyncio import Redis as Client
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    InvalidResponse,
    NoPermissionError,
    OutOfMemoryError,
    RedisError,
)
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import TimeoutError as NotInTime
from redis.utils import str_if_bytes

from codelupe_daemon.errors import Fatal, Transient

T = TypeVar("T")

SETTING: Final = "CODELUPE_REDIS"
SHAPE: Final = "redis://[USER]:PASSWORD@HOST:PORT/DB, rediss://... with TLS, or unix:///SOCKET"
LEAST_VERSION: Final = (6, 2)  # SMISMEMBER
TLS_FILES: Final = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
TLS_OPTIONS: Final = TLS_FILES | {"ssl_cert_reqs", "ssl_check_hostname"}
CALL_S: Final = 3.0
OPEN_S: Final = 10.0
CONNECTIONS_MAX: Final = 32


class Key(StrEnum):
    """The first four are for everybody to look at, the others only for this project."""

    REPOS = "pipeline:repos"
    FILES = "pipeline:files"
    DONE = "pipeline:processed:repos"
    KNOWN = "pipeline:processed:files"
    DONE_STATE = "codelupe:redis:repos"
    KNOWN_STATE = "codelupe:redis:contents"
    OUTSTANDING = "codelupe:redis:outstanding"
    DAEMONS = "codelupe:redis:daemons"
    REFILLING = "codelupe:redis:refilling"
    REPAIRING = "codelupe:redis:repairing"
    PROBE = "codelupe:redis:probe"


TYPES: Final[Mapping[Key, str]] = {
    Key.REPOS: "list",
    Key.FILES: "list",
    Key.DONE: "set",
    Key.KNOWN: "set",
    Key.DONE_STATE: "hash",
    Key.KNOWN_STATE: "hash",
    Key.OUTSTANDING: "hash",
    Key.DAEMONS: "zset",
    Key.REFILLING: "string",
    Key.REPAIRING: "string",
    Key.PROBE: "string",
}
WRITES: Final = "return redis.call('SET', KEYS[1], '', 'PX', 1)"


class Away(Transient):
    """Redis cannot be used now; the message says why."""


class Link:
    """A pool of connections to one server. Nothing that it raises tells the password."""

    def __init__(self, url: str) -> None:
        """Raises `Fatal` for what is no URL of a Redis."""
        self.location = _location(url)
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS_MAX,
            timeout=CALL_S,
            # `ask` limits the time instead: with this, sending goes through asyncio.wait_for, which
            # in Python 3.11 may swallow a cancellation, so that the task is never cancelled.
            socket_timeout=None,
            socket_connect_timeout=CALL_S,
            encoding_errors="replace",
            # A connection that was cut while idle is made again; every question may be asked twice.
            retry=Retry(NoBackoff(), 1, supported_errors=(NotConnected,)),
            protocol=2,  # no commands of newer servers when it connects
            driver_info=None,  # likewise
        )
        self.client = Client.from_pool(pool)
        self.may_evict = ""
        """The server's maxmemory-policy, where that lets it drop our keys."""

    async def open(self) -> None:
        """Raises `Fatal` where the server is not there, or not one that will do."""
        try:
            async with asyncio.timeout(OPEN_S):
                info = await self.client.info()
                problem = _unfit(info) or await self._wrong_type() or await self._not_writable()
        except Exception as error:  # noqa: BLE001 - whatever a foreign server or an odd option leads to
            problem = _refusal(error)
        if problem:
            await self.close()
            raise Fatal(f"{SETTING} names {self.location}: {problem}")
        policy = str(info.get("maxmemory_policy", ""))
        self.may_evict = policy if info.get("maxmemory") and policy.startswith("allkeys") else ""

    async def close(self) -> None:
        await self.client.aclose()

    async def ask(self, question: Callable[[Client], Awaitable[T]], limit_s: float = CALL_S) -> T:
        """Raises `Away`."""
        try:
            async with asyncio.timeout(limit_s):
                return await question(self.client)
        except (RedisError, OSError, TimeoutError) as error:
            raise Away(f"Redis at {self.location}: {_words(error)}") from None

    async def _wrong_type(self) -> str:
        for key, wanted in TYPES.items():
            found = str_if_bytes(await self.client.type(key))
            if found not in {wanted, "none"}:
                return (
                    f"the key {key} there is a {found}, not a {wanted}: another program uses it. "
                    "Name another database of that server, or rename the key"
                )
        return ""

    async def _not_writable(self) -> str:
        try:
            await self.client.eval(WRITES, 1, Key.PROBE)
        except OutOfMemoryError:
            return ""  # it may pass, and reading goes on
        return ""


def _location(url: str) -> str:
    """What may be shown of a URL. Raises `Fatal`, also for what would be taken for another URL."""
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        port = parts.port or 6379
    except ValueError:
        parts, options, port = urlsplit(""), {}, 0
    if not _is_fit(parts, options):
        raise Fatal(
            f"{SETTING} is not of the form {SHAPE}. Write special characters of the password as "
            f"%XX; options after ? are, with rediss:// only, {', '.join(sorted(TLS_OPTIONS))}"
        )
    for option in TLS_FILES & options.keys():
        if not Path(options[option]).is_file():
            raise Fatal(f"{SETTING} names {options[option]} as {option}: there is no such file")
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{port}/{parts.path.strip('/') or 0}"


def _is_fit(parts: SplitResult, options: Mapping[str, str]) -> bool:
    if parts.scheme == "unix":
        return parts.path != "" and options.keys() <= {"db"} and not parts.fragment
    allowed = TLS_OPTIONS if parts.scheme == "rediss" else frozenset()
    return (
        parts.scheme in {"redis", "rediss"}
        and bool(parts.hostname)
        and re.fullmatch(r"/?\d*", parts.path) is not None
        and options.keys() <= allowed
        and not parts.fragment
    )


def _unfit(info: Mapping[str, Any]) -> str:
    """What INFO says against a server."""
    version = str(info.get("redis_version", ""))
    numbers = tuple(map(int, re.findall(r"\d+", version)[:2]))
    if not numbers or info.get("redis_mode") == "sentinel":
        return "what answers there is not a Redis that holds data. Name one that does"
    if numbers < LEAST_VERSION:
        return f"that is Redis {version}, and 6.2 is the oldest that will do. Upgrade it"
    if info.get("cluster_enabled"):
        return "that is a Redis Cluster, which spreads keys over servers. Name a single server"
    if info.get("role") == "slave":
        return (
            f"that is a replica, which is read only. Name its master, "
            f"{info.get('master_host')}:{info.get('master_port')}"
        )
    return ""


def _refusal(error: Exception) -> str:
    """Why a server could not be opened, and the way out."""
    words = _words(error)
    if isinstance(error, AuthenticationError):
        return f"it refuses the user or the password: {words}. The form is {SHAPE}"
    if isinstance(error, NoPermissionError):
        return f"its user lacks a right: {words}. Grant +@all on ~pipeline:* and ~codelupe:*"
    if isinstance(error, BusyLoadingError):
        return "it is still loading its data. Try again in a moment"
    if _is_tls(error):
        return (
            f"TLS failed: {words}. The host must be the one in the certificate, whose authority is "
            "named by ?ssl_ca_certs=FILE at the end"
        )
    if "DB index" in words:
        return f"{words}. Its databases are numbered from 0, `CONFIG GET databases` says how many"
    if isinstance(error, InvalidResponse):
        return "what answers there is not a Redis. Check host and port"
    if isinstance(error, (NotConnected, NotInTime, OSError, TimeoutError)):
        return (
            f"it cannot be reached: {words}. Start it, or leave {SETTING} empty to do without; "
            "rediss:// is with TLS, redis:// without"
        )
    return f"{words}. The form is {SHAPE}"


def _is_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _words(error: Exception) -> str:
    return str(error).rstrip(".") or "it did not answer in time"
