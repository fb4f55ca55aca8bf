"""The rules of the house that no linter knows; the limits may only be lowered."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
MEASURES = ("benchmarks/measures/", "benchmarks/served/")  # run by their names
NOT_WRITTEN_HERE = {"LICENSE", "constraints.txt"}
# Cut in two, so that this file does not hold what it forbids.
UNFINISHED = re.compile("(?:TO" + "DO|FIX" + "ME|X" + r"XX)(?=[:(\s])")
REGISTRIES = "pypi·org pythonhosted· crates·io npmjs· rubygems·org repo1·maven proxy·golang hex·pm"
REGISTRY_HOSTS = re.compile(re.escape(REGISTRIES.replace("·", ".")).replace("\\ ", "|"))


@cache
def tracked() -> tuple[str, ...]:
    """Files that git tracks (and that are still there), relative to the root."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return tuple(path for path in listed.split("\0") if path and (ROOT / path).is_file())


@cache
def text_of(path: str) -> str:
    return (ROOT / path).read_text("utf-8", "replace")


def python_files() -> list[str]:
    return [path for path in tracked() if path.endswith(".py")]


def captioned() -> dict[str, str]:
    """The tree in ARCHITECTURE.md: path -> caption; a folder's path ends with a slash."""
    tree = re.search(r"```tree\n(.*?)```", text_of("ARCHITECTURE.md"), re.DOTALL)
    assert tree, "ARCHITECTURE.md has no block ```tree"
    captions: dict[str, str] = {}
    folders: list[str] = []
    for line in tree[1].splitlines():
        indent, name, caption = re.fullmatch(r"( *)(\S+) *(.*)", line).groups()  # type: ignore[union-attr]
        path = "".join(folders[: len(indent) // 2]) + name
        folders[len(indent) // 2 :] = [name]
        captions[path] = caption
    return captions


def test_the_captioned_tree_is_true() -> None:
    captions = captioned()
    folders = {path for path in captions if path.endswith("/")}
    closed = tuple(
        folder
        for folder in folders
        if not any(p != folder and p.startswith(folder) for p in captions)
    )
    files = {path for path in tracked() if not path.startswith(closed)}
    named = captions.keys() - folders
    assert (sorted(files - named), sorted(named - files)) == ([], []), "(not captioned, not there)"
    assert [folder for folder in closed if not any(p.startswith(folder) for p in tracked())] == []
    assert [path for path, caption in captions.items() if len(caption) < 4] == []


def module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imported_by(path: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text_of(path))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def entry_points() -> set[str]:
    """Modules that start something: console scripts, what any file tells Python to run, and what a
    server of forks is told to import."""
    scripts = tomllib.loads(text_of("pyproject.toml"))["project"]["scripts"].values()
    used = {script.split(":")[0] for script in scripts}
    used |= {module_name(path) for path in python_files() if path.startswith(MEASURES)}
    for path in tracked():
        if not is_data(path):
            used.update(re.findall(r'-m"?,? "?([a-z]\w+(?:\.\w+)+)', text_of(path)))
            used.update(map(module_name, re.findall(r"python3? ([\w/]+\.py)", text_of(path))))
            used.update(re.findall(r'_preload\(\[.*"([\w.]+)"\]\)', text_of(path)))
    return used


def test_every_module_is_used() -> None:
    used = entry_points()
    for path in python_files():
        used.update(name for name in imported_by(path) if name != module_name(path))
    dead = [
        path
        for path in python_files()
        if module_name(path) not in used
        and not re.search(r"(^|/)(test_\w+|conftest|__init__|sitecustomize)\.py$", path)
    ]
    assert dead == []


def test_no_file_is_long() -> None:
    lines = {path: text_of(path).count("\n") for path in tracked() if not is_data(path)}
    assert {path: count for path, count in lines.items() if count > FILE_LINES_MAX} == {}


def is_data(path: str) -> bool:
    return path in NOT_WRITTEN_HERE or Path(path).suffix in {
        ".json",
        ".gz",
        ".bin",
        ".npz",
        ".png",
        ".svg",
    }


@pytest.mark.parametrize("path", python_files())
def test_no_function_is_long(path: str) -> None:
    functions = (
        node
        for node in ast.walk(ast.parse(text_of(path)))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    sizes = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    assert {name: size for name, size in sizes.items() if size > FUNCTION_LINES_MAX} == {}


def test_nothing_is_left_unfinished() -> None:
    assert found(UNFINISHED) == {}


def test_no_file_names_the_host_of_a_registry() -> None:
    assert found(REGISTRY_HOSTS) == {}


def found(pattern: re.Pattern[str]) -> dict[str, str]:
    hits = ((path, pattern.search(text_of(path))) for path in tracked() if path not in NOT_CODE)
    return {path: hit[0] for path, hit in hits if hit}


NOT_CODE = {"LICENSE", "tests/examine/test_limits.py"}  # the test of a limit on such words
