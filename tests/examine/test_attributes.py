"""`.gitattributes` mean to us what they mean to git, whatever stands in them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from codelupe_daemon.examine.attributes import MAX_RULES, NOTHING, Attribute, Attributes, parse
from codelupe_daemon.paths import escape_path

NAMES = ("vendored", "generated", "documentation", "detectable")


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("*.h linguist-language=C++", "a/b.h", Attribute(language="C++")),
        ("*.h linguist-language=cpp", "a/b.h", Attribute(language="C++")),
        ("*.h linguist-language=Objective-C", "b.h", Attribute(language="Objective-C")),
        ("*.nb linguist-language=jupyter-notebook", "b.nb", Attribute(language="Jupyter Notebook")),
        ("*.h linguist-language=Nobodys", "b.h", NOTHING),
        ("*.h linguist-language", "b.h", NOTHING),
        ("lib/** linguist-vendored", "lib/a/b.c", Attribute(vendored=True)),
        ("lib/** -linguist-vendored", "lib/a/b.c", Attribute(vendored=False)),
        ("lib/** linguist-vendored=false", "lib/a/b.c", Attribute(vendored=False)),
        ("lib/** linguist-vendored=true", "lib/a/b.c", Attribute(vendored=True)),
        ("lib linguist-vendored", "lib/a/b.c", NOTHING),
        ("lib/ linguist-vendored", "lib/a/b.c", NOTHING),
        ("*.c linguist-vendored\nb.c !linguist-vendored", "lib/b.c", NOTHING),
        ("[attr]made linguist-generated=true\n*.c made", "b.c", Attribute(generated=True)),
        ('"a b.c" linguist-documentation', "x/a b.c", Attribute(documentation=True)),
        ("*.c text\n*.c linguist-detectable diff=c", "x.c", Attribute(detectable=True)),
        ("!*.c linguist-detectable", "x.c", NOTHING),
        ("# *.c linguist-detectable", "x.c", NOTHING),
    ],
)
def test_what_a_line_says(text: str, path: str, said: Attribute) -> None:
    assert parse([(".gitattributes", text.encode())]).of(path) == said


def test_deeper_files_and_later_lines_win() -> None:
    attributes = parse(
        [
            (".gitattributes", b"*.c linguist-vendored\n*.c linguist-generated\n"),
            ("a/b/.gitattributes", b"*.c -linguist-vendored\n/x.c linguist-vendored\n"),
        ]
    )
    assert attributes.of("y.c") == Attribute(vendored=True, generated=True)
    assert attributes.of("a/b/y.c") == Attribute(vendored=False, generated=True)
    assert attributes.of("a/b/x.c") == Attribute(vendored=True, generated=True)
    assert attributes.of("a/b/c/x.c") == Attribute(vendored=False, generated=True)


def test_most_repositories_say_nothing() -> None:
    assert parse([]).is_empty
    attributes = parse([(".gitattributes", b"* text=auto\n*.png binary\n")])
    assert attributes.is_empty
    assert attributes.of("a.c") == NOTHING


def test_what_is_too_large_is_ignored() -> None:
    line = b"*.c linguist-vendored\n"
    assert parse([(".gitattributes", line + b"#" * (1 << 20))]).is_empty
    assert parse([(".gitattributes", b"*.c linguist-vendored " + b"x" * 3000)]).is_empty
    many = b"*.d linguist-vendored\n" * MAX_RULES + line
    assert parse([(".gitattributes", many)]).of("x.c") == NOTHING


def test_a_hostile_pattern_takes_no_time() -> None:
    pattern = "*a" * 400 + "b"
    deep = "/**/x".join("*a*" for _ in range(100)) + "/b"
    text = f"{pattern} linguist-vendored\n{deep} linguist-vendored\n".encode()
    attributes = parse([(".gitattributes", text)])
    assert attributes.of("a" * 4000) == NOTHING
    assert attributes.of("/".join(["aaaa", "x"] * 500)) == NOTHING


@given(st.binary(max_size=300), st.text(max_size=60))
def test_any_bytes_are_read(text: bytes, path: str) -> None:
    files = [(".gitattributes", b"* linguist-vendored\n" + text)]
    assert isinstance(parse(files).of(path), Attribute)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("attributes")
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    (folder / "a" / "b").mkdir(parents=True)
    return folder


def asked_of_git(folder: Path, paths: list[bytes]) -> list[dict[str, bool | None]]:
    wanted = [f"linguist-{name}" for name in NAMES]
    done = subprocess.run(
        ["git", "-c", "core.attributesFile=/dev/null", "check-attr", "-z", "--stdin", *wanted],
        input=b"\0".join(paths) + b"\0",
        cwd=folder,
        capture_output=True,
        check=True,
    )
    fields = done.stdout.split(b"\0")[:-1]
    known: dict[bytes, bool | None] = {b"set": True, b"unset": False, b"unspecified": None}
    values = [known.get(value, value != b"false") for value in fields[2::3]]
    rows = zip(*[iter(values)] * len(NAMES), strict=True)
    return [dict(zip(NAMES, row, strict=True)) for row in rows]


PIECES = ["a", "b", "ab", ".c", "*", "**", "/", "/**/", "**/", "?", "[ab]", "[!a]", "[^b-]", "[]a]"]
PIECES += ["[[:alpha:]]", "[[:nope:]]", "[a-c]", "[a", "\\*", "\\", "[\\]a]", "é", "x y", "[[:a]"]
STATES = [
    "linguist-vendored",
    "-linguist-vendored",
    "!linguist-vendored",
    "linguist-vendored=false",
]
STATES += [
    "linguist-generated=1",
    "linguist-documentation",
    "m",
    "-m",
    "!m",
    "m=1",
    "n",
    "-bad name",
]
STATES += ["--x", "linguist-detectable=", "text", "="]

names = st.lists(st.sampled_from(["a", "b", "ab", "a.c", "b.c", "*", "x y", "é", "c"]), max_size=3)
paths = names.map(lambda parts: "/".join(["a", "b"][: len(parts)] + parts) or "a.c") | names.map(
    lambda parts: "/".join(parts) or "b"
)


@st.composite
def near(draw: st.DrawFn) -> str:
    """A path in which some places are a piece of a pattern: it often matches that path."""
    text = draw(paths)
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(start + 2, len(text))))
        text = text[:start] + draw(st.sampled_from(PIECES)) + text[end:]
    return text


patterns = near() | st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join)
quoted = patterns.map(lambda text: '"' + text.replace("\\", "\\\\") + '"')
states = st.lists(st.sampled_from(STATES), max_size=3).map(" ".join)
macros = st.sampled_from(["[attr]m", "[attr]n", "[attr] m", "[attr]-x", '"[attr]m"', '"[attr]n x"'])
lines = st.tuples(patterns | quoted | macros, states).map(" ".join) | st.sampled_from(
    ["[attr]m linguist-generated n", "[attr]n -linguist-vendored", "# x", "", "[attr]n m"]
)
texts = st.lists(lines, max_size=6).map("\n".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(top="a**/b linguist-vendored", nested="", asked=["ax/b", "a/x/b", "ab"])
@example(top="**\\/b linguist-vendored", nested="", asked=["a/b", "b", "a/x/b"])
@example(top="[attr]m -n\n* m\n* !m", nested="*.c m", asked=["a.c", "a/b/a.c"])
@given(texts, texts, st.lists(paths, min_size=1, max_size=8))
def test_git_says_the_same(repository: Path, top: str, nested: str, asked: list[str]) -> None:
    (repository / ".gitattributes").write_text(top)
    (repository / "a" / "b" / ".gitattributes").write_text(nested)
    attributes: Attributes = parse(
        [(".gitattributes", top.encode()), ("a/b/.gitattributes", nested.encode())]
    )
    wanted = [path.encode() for path in asked]
    for path, said in zip(wanted, asked_of_git(repository, wanted), strict=True):
        ours = attributes.of(escape_path(path))._asdict()
        assert {name: ours[name] for name in NAMES} == said, path
