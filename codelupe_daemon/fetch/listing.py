"""`git ls-tree -r -z` and `git diff-tree -r -z` as streams of pages."""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Iterable, Iterator
from itertools import pairwise
from operator import lt

from codelupe_daemon.errors import Rejected
from codelupe_daemon.fetch.tree import Changes, FetchLimits
from codelupe_daemon.model import Listed, Reason
from codelupe_daemon.paths import escape_path

_REASONS = {b"160000": Reason.SUBMODULE, b"120000": Reason.SYMLINK}


def pages(blocks: Iterable[bytes], limits: FetchLimits) -> Iterator[list[Listed]]:
    """Cut the stream into pages. Raises `Rejected` beyond `max_files` or `max_path_bytes`."""
    page: list[Listed] = []
    count = page_bytes = 0
    last = b""
    for records in _whole_records(blocks, limits.max_path_bytes):
        last = check_order([last, *(record[record.index(b"\t") + 1 :] for record in records)])
        page += [_listed(record, limits.max_depth) for record in records]
        page_bytes += sum(map(len, records))
        if len(page) >= limits.page_files or page_bytes >= limits.page_bytes:
            count = check_count(count + len(page), limits)
            yield page
            page, page_bytes = [], 0
    check_count(count + len(page), limits)
    if page:
        yield page


def changes(blocks: Iterable[bytes], limits: FetchLimits) -> Iterator[Changes]:
    """Cut `git diff-tree -r -z` into pages: `:mode mode id id status`, then the path."""
    header = last = b""
    for records in _whole_records(blocks, limits.max_path_bytes):
        page = Changes([], [])
        for record in records:
            if not header:
                header = record
                continue
            _, mode, _, oid, status = header.split(b" ")
            if status == b"D":
                page.gone.append(escape_path(record))
            else:
                page.listed.append(_entry(mode, oid, record, limits.max_depth))
            last, header = check_order([last, record]), b""
        yield page


def check_count(count: int, limits: FetchLimits) -> int:
    """Raises `Rejected` where the tree has more entries than allowed (it may have no end)."""
    if count > limits.max_files:
        raise Rejected(f"more than {limits.max_files} files")
    return count


def check_order(paths: list[bytes]) -> bytes:
    """The last path. Raises `Rejected` where they do not rise: git makes no such tree, and what
    is listed twice would be recorded as two files in one place."""
    if not all(map(lt, paths, paths[1:])):
        path = next(after for path, after in pairwise(paths) if path >= after)
        raise Rejected(f"a damaged tree: {escape_path(path)} is listed twice or out of order")
    return paths[-1]


def _whole_records(blocks: Iterable[bytes], max_path_bytes: int) -> Iterator[list[bytes]]:
    tail = b""
    for block in blocks:
        records = (tail + block).split(b"\0")
        tail = records.pop()
        if len(tail) > max_path_bytes or len(max(records, key=len, default=b"")) > max_path_bytes:
            raise Rejected(f"a path of more than {max_path_bytes} bytes")
        yield records


def _listed(record: bytes, max_depth: int) -> Listed:
    """From `100644 blob <hex id>\\t<path>`."""
    tab = record.index(b"\t")
    oid = record[record.rindex(b" ", 0, tab) + 1 : tab]
    return _entry(record[:6], oid, record[tab + 1 :], max_depth)


def _entry(mode: bytes, hex_oid: bytes, raw_path: bytes, max_depth: int) -> Listed:
    oid, path = unhexlify(hex_oid), escape_path(raw_path)
    depth = path.count("/") if len(path) > 2 * max_depth else 0
    if depth > max_depth:
        return Listed(path, oid, Reason.TOO_DEEP, depth)
    return Listed(path, oid, _REASONS.get(mode))
