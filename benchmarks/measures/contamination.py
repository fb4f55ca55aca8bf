"""Benchmark contamination: planted copies are found, real code is not marked.

The benchmark is made of a package's documented functions, as public ones are: a prompt (the head
and the docstring) and a solution. Benchmarks of one's own, JSON or JSON lines, gzip or not, join
the measurement from the folder `contamination` in the cache.
"""

from __future__ import annotations

import ast
import json
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.blobs import Blobs, blobs_of, laid_out
from benchmarks.corpus import Package, archive_of, build, files_of
from benchmarks.measures.base import Row
from codelupe_daemon.examine.contamination import Contamination, read_benchmark

PACKAGES = (Package("pypi", "toolz", "1.0.0"), Package("pypi", "boltons", "24.1.0"))
MIN_WORDS = 20
HOSTS = 2000
_NAME = re.compile(r"[A-Za-z_]\w*")


class Item(NamedTuple):
    """One task of a benchmark."""

    name: str
    prompt: str
    solution: str


def measure(cache: Path) -> list[Row]:
    rows = _measured("toolz, boltons", list(_made_items(cache)), cache)
    for path in sorted((cache / "contamination").glob("*.json*")):
        texts: dict[str, list[str]] = {}
        for name, text in read_benchmark(path.name.split(".")[0], path.read_bytes()):
            texts.setdefault(name, []).append(text.decode())
        items = [Item(name, parts[0], "\n".join(parts[1:])) for name, parts in texts.items()]
        rows += _measured(path.name.split(".")[0], items, cache)
    return rows


def _measured(label: str, items: list[Item], cache: Path) -> list[Row]:
    packed = json.dumps(
        [
            {"task_id": item.name, "prompt": item.prompt, "canonical_solution": item.solution}
            for item in items
        ]
    )
    contamination = Contamination.of(read_benchmark(label, packed.encode()))
    repositories = [blobs_of(repo) for repo in build(cache)]
    hosts = [
        blobs.text(i)
        for blobs in repositories
        for i, path in enumerate(blobs.paths)
        if path.endswith(".py") and 500 < blobs.sizes[i] < 20_000
    ]
    hosts = random.Random(1).sample(hosts, min(HOSTS, len(hosts)))
    planted = {
        "whole": [item.prompt + item.solution for item in items],
        "prompt in comments": [_in_comments(item.prompt) for item in items],
        "solution alone": [item.solution for item in items],
        "whole, renamed": [_renamed(item.prompt + item.solution) for item in items],
    }
    rows = [
        _recall(f"contamination: {what}", contamination, items, texts, hosts, label)
        for what, texts in planted.items()
    ]
    return [*rows, *_false_marks(contamination, repositories, label)]


def _recall(
    what: str,
    contamination: Contamination,
    items: list[Item],
    texts: list[str],
    hosts: list[bytes],
    label: str,
) -> Row:
    """Marked, of the texts that have at least MIN_WORDS words."""
    long = [k for k, text in enumerate(texts) if len(re.findall(r"\w+", text)) >= MIN_WORDS]
    blobs = laid_out([(items[k].name, _planted(hosts[k % len(hosts)], texts[k])) for k in long])
    found = contamination.find(blobs.data, blobs.offsets, blobs.sizes)
    right = sum(found.get(place) == items[k].name for place, k in enumerate(long))
    target = 0.95 if what.endswith(("whole", "comments")) else None
    detail = (
        f"{label}: {len(long)} of {len(items)} items, in real files; {right} under their own name"
    )
    return Row(what, len(found) / max(len(long), 1), target, detail)


def _planted(host: bytes, text: str) -> bytes:
    middle = host.find(b"\n", len(host) // 2) + 1
    return host[:middle] + b"\n" + text.encode() + b"\n" + host[middle:]


def _false_marks(
    contamination: Contamination, repositories: list[Blobs], label: str
) -> Iterator[Row]:
    marked: list[str] = []
    started = time.process_time()
    for blobs in repositories:
        found = contamination.find(blobs.data, blobs.offsets, blobs.sizes)
        marked += [f"{blobs.paths[i]} as {name}" for i, name in found.items()]
    cpu_s = time.process_time() - started
    files = sum(len(blobs.paths) for blobs in repositories)
    size_mb = sum(int(blobs.sizes.sum()) for blobs in repositories) / 1e6
    detail = f"{label}: {len(marked)} of {files:,} real files: {'; '.join(marked[:4])}"
    yield Row("contamination: real code marked", len(marked) / files, 0.001, detail, True)
    detail = f"{label}: {len(contamination.keys) // 2:,} 10-grams at most, {cpu_s:.2f} CPU s"
    yield Row("contamination: MB a CPU second", size_mb / cpu_s, 300, detail)


# -- items out of a package ------------------------------------------------------------------


def _made_items(cache: Path) -> Iterator[Item]:
    """Its functions that are documented and long enough, one of each name."""
    seen: set[str] = set()
    for package in PACKAGES:
        for path, text in files_of(package, archive_of(package, cache)):
            if not path.endswith(".py") or "test" in path:
                continue
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef) and node.name not in seen:
                    item = _item(f"{package.name}/{node.name}", text.decode(), node)
                    if item is not None:
                        seen.add(node.name)
                        yield item


def _item(name: str, text: str, node: ast.FunctionDef) -> Item | None:
    if ast.get_docstring(node) is None or len(node.body) < 2:
        return None
    lines = text.splitlines(keepends=True)
    split = node.body[0].end_lineno or 0
    prompt, solution = lines[node.lineno - 1 : split], lines[split : node.end_lineno]
    if len(re.findall(r"\w+", "".join(solution))) < MIN_WORDS:
        return None
    return Item(name, "".join(prompt), "".join(solution))


def _in_comments(text: str) -> str:
    words = text.split()
    return "".join(f"// {' '.join(words[i : i + 9])}\n" for i in range(0, len(words), 9))


def _renamed(text: str) -> str:
    """What the code defines gets other names, in its documentation as well."""
    try:
        tree = ast.parse(text if text.lstrip() == text else f"if 1:\n{text}")
    except SyntaxError:
        return text
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and _is_set(node)}
    names |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    names |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    other = {name: f"v{number}_{name[::-1]}" for number, name in enumerate(sorted(names))}
    return _NAME.sub(lambda match: other.get(match[0], match[0]), text)


def _is_set(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)
