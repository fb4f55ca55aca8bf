"""Files that real generators wrote: parsers, bindings, bundles, compiled scripts, lock files.

The generators are packages of registries; their inputs are files of other packages. What each
wrote lies in the cache, so that only the first run takes minutes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.corpus import Package, archive_of, files_of

MANIFEST = Path(__file__).with_name("measures") / "generated.toml"
MAX_INPUTS = 12
"""For each command."""
LIMIT_S = 60


class Generator(NamedTuple):
    """A command for inputs with an ending.

    In its words {input}, {stem}, {dir} and {out} are the input's path, name and folder, and the
    folder for the output; a word `>NAME` sends standard output to a file of the output folder.
    """

    name: str
    ending: str
    command: str


class Output(NamedTuple):
    generator: str
    path: str
    text: bytes


def _each(name: str, ending: str, command: str, *variants: str) -> list[Generator]:
    return [Generator(f"{name} {kind}", ending, command.replace("KIND", kind)) for kind in variants]


_THRIFT = "py java cpp go js rb php:psr4 c_glib netstd erl lua perl rs swift dart d haxe kotlin"
_FLATC = "cpp java kotlin csharp go python ts php rust lua swift dart lobster"
_PROTOC = "python pyi grpc_python"
_ANTLR = "Java Python3 JavaScript TypeScript Go CSharp Cpp Dart Swift PHP"
_SWIG = "python java ruby lua perl5 csharp go tcl r d javascript\\ -node octave guile"
_BUNDLE = "npx esbuild {input} --bundle --platform=node --outfile={out}/{stem}.js"

GENERATORS = [
    Generator("bison", ".y", "bison -o {out}/{stem}.c --defines={out}/{stem}.h {input}"),
    Generator("byacc", ".y", "byacc -d -o {out}/{stem}.c {input}"),
    Generator("goyacc", ".y", "goyacc -o {out}/{stem}.go {input}"),
    Generator("flex", ".l", "flex -o {out}/{stem}.c {input}"),
    Generator("ragel", ".rl", "ragel -C -o {out}/{stem}.c {input}"),
    Generator("ragel java", ".rl", "ragel -J -o {out}/{stem}.java {input}"),
    Generator("re2c", ".re", "re2c -o {out}/{stem}.c {input}"),
    Generator("gperf", ".gperf", "gperf --output-file={out}/{stem}.c {input}"),
    Generator("peg", ".peg", "peg -o {out}/{stem}.c {input}"),
    Generator("leg", ".leg", "leg -o {out}/{stem}.c {input}"),
    *_each("thrift", ".thrift", "thrift --gen KIND -out {out} {input}", *_THRIFT.split()),
    *_each("flatc", ".fbs", "flatc --KIND -o {out} -I {dir} {input}", *_FLATC.split()),
    *_each(
        "protoc",
        ".proto",
        "python -m grpc_tools.protoc -I{dir} --KIND_out={out} {input}",
        *_PROTOC.split(),
    ),
    Generator(
        "protoc go",
        ".proto",
        "python -m grpc_tools.protoc -I{dir} --go_out={out} "
        "--go_opt=M{stem}.proto=example.org/a {input}",
    ),
    *_each(
        "antlr", ".g4", "java -jar antlr4.jar -Dlanguage=KIND -o {out} {input}", *_ANTLR.split()
    ),
    *_each(
        "swig", ".i", "swig4.0 -KIND -outdir {out} -o {out}/{stem}_wrap.c {input}", *_SWIG.split()
    ),
    Generator("cython", ".py", "cython -3 -o {out}/{stem}.c {input}"),
    Generator("cython", ".pyx", "cython -3 -o {out}/{stem}.c {input}"),
    Generator("lark", ".lark", "python -m lark.tools.standalone {input} -o {out}/{stem}.py"),
    Generator("peggy", ".pegjs", "npx peggy -o {out}/{stem}.js {input}"),
    Generator("jison", ".jison", "npx jison -o {out}/{stem}.js {input}"),
    Generator("nearley", ".ne", "npx nearleyc -o {out}/{stem}.js {input}"),
    Generator("coffee", ".coffee", "npx coffee -c -o {out} {input}"),
    Generator("esbuild", ".entry.js", _BUNDLE),
    Generator("esbuild iife", ".entry.js", f"{_BUNDLE} --format=iife"),
    Generator("esbuild esm", ".entry.js", f"{_BUNDLE} --format=esm"),
    Generator("esbuild minify", ".entry.js", f"{_BUNDLE} --minify"),
    *_each(
        "rollup",
        ".entry.js",
        "npx rollup -p node-resolve -f KIND -n bundle -o {out}/{stem}.js {input}",
        *("umd", "cjs"),
    ),
    *_each(
        "webpack",
        ".entry.js",
        "npx webpack --mode KIND --entry {input} -o {out}",
        *("development", "production", "none"),
    ),
    Generator("browserify", ".cjs.js", "npx browserify {input} -o {out}/{stem}.js"),
    Generator("terser", ".mjs.js", "npx terser -c -m -o {out}/{stem}.js {input}"),
    Generator("uglify", ".mjs.js", "npx uglifyjs -c -m -o {out}/{stem}.js {input}"),
    Generator("babel", ".mjs.js", "npx babel --presets @babel/preset-env -d {out} {input}"),
    Generator(
        "tsc", ".ts", "npx tsc --noCheck --target es5 --module commonjs --outDir {out} {input}"
    ),
    Generator(
        "tsc maps",
        ".ts",
        "npx tsc --noCheck --target es2020 --module es2020 --sourceMap --outDir {out} {input}",
    ),
]

_LIBRARIES = (
    "lodash-es",
    "rxjs",
    "redux",
    "immer",
    "preact",
    "date-fns",
    "zod",
    "uuid",
    "d3-array",
)
_SAMPLES = {
    "number.re": "int scan(const char *YYCURSOR) {\n  /*!re2c\n    re2c:define:YYCTYPE = char;\n"
    "    re2c:yyfill:enable = 0;\n    [0-9]+ { return 1; }\n    * { return 0; }\n  */\n}\n",
    "sum.peg": "sum <- number (plus number)*\nnumber <- [0-9]+\nplus <- '+'\n",
    "sum.leg": "sum = number ('+' number)*\nnumber = < [0-9]+ > { push(yytext); }\n",
    "sum.pegjs": 'sum = head:number tail:("+" @number)* { return [head, ...tail]; }\n'
    "number = digits:[0-9]+ { return parseInt(digits.join(''), 10); }\n",
    "sum.jison": "%lex\n%%\n\\s+ /* skip */\n[0-9]+ return 'NUMBER'\n\"+\" return '+'\n"
    "<<EOF>> return 'EOF'\n/lex\n%left '+'\n%start all\n%%\n"
    "all : sum EOF { return $1; } ;\nsum : NUMBER | sum '+' NUMBER { $$ = $1 + $3; } ;\n",
    "sum.ne": 'sum -> number | sum "+" number\nnumber -> [0-9]:+\n',
    "shapes.coffee": "class Shape\n  constructor: (@name) ->\n  area: -> 0\n\n"
    "class Square extends Shape\n  constructor: (@side) -> super 'square'\n"
    "  area: -> @side * @side\n\nsizes = (shape.area() for shape in [new Square 2])\n",
    "sum.lark": 'start: NUMBER ("+" NUMBER)*\n%import common.NUMBER\n%ignore " "\n',
}
_COMMON = ("rxjs", "redux", "immer", "preact", "uuid", "date-fns", "zod", "lodash")


def outputs(cache: Path) -> Iterator[Output]:
    """What each generator wrote, under the name that it was told to use."""
    home = cache / "generated"
    if not (home / "done").exists():
        if not (home / "installed").exists():
            _install(home)
            (home / "installed").touch()
        _unpack(home / "inputs", cache)
        for generator in GENERATORS:
            _run(generator, home)
        _locks(home)
        (home / "done").touch()
    for path in sorted((home / "outputs").rglob("*")):
        if path.is_file():
            tool, _, name = path.relative_to(home / "outputs").as_posix().partition("/")
            yield Output(tool, name, path.read_bytes())


def _install(home: Path) -> None:
    """Every tool into `home`, each by the client of its registry."""
    tools: dict[str, list[str]] = tomllib.loads(MANIFEST.read_text())["tools"]
    (home / "debs").mkdir(parents=True, exist_ok=True)
    _call(["apt-get", "-qq", "download", *tools["apt"]], home / "debs")
    for deb in (home / "debs").glob("*.deb"):
        _call(["dpkg-deb", "-x", str(deb), str(home / "root")], home)
    _call([sys.executable, "-m", "venv", "--clear", str(home / "venv")], home)
    _call([str(home / "venv/bin/python"), "-m", "pip", "install", "-q", *tools["pypi"]], home)
    (home / "package.json").write_text('{"private": true}')
    _call(["npm", "install", "--silent", "--no-audit", "--no-fund", *tools["npm"]], home)
    for module in tools["go"]:
        _call(["go", "install", module], home, GOBIN=str(home / "gobin"))
    for jar in tools["maven"]:
        into = [f"-Dartifact={jar}", f"-DoutputDirectory={home}", "-Dmdep.stripVersion=true"]
        _call(["mvn", "-q", "-B", "dependency:copy", *into], home)
    for path in home.glob("*-*.jar"):  # antlr4-complete.jar
        path.rename(home / f"{path.stem.partition('-')[0]}.jar")


def _unpack(into: Path, cache: Path) -> None:
    """The files of the input packages as they lie in them, and a script for each library."""
    table: dict[str, list[str]] = tomllib.loads(MANIFEST.read_text())["inputs"]
    for registry, specs in table.items():
        for spec in specs:
            package = Package(registry, *spec.rsplit("@", 1))
            for path, content in files_of(package, archive_of(package, cache)):
                place = into / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
    for name, text in _SAMPLES.items():
        (into / name).write_text(text)
    for library in _LIBRARIES:
        entry = f'import * as library from "{library}";\nexport default library;\n'
        names = "export const names = Object.keys(library);\n"
        (into / f"{library}.entry.js").write_text(entry + names)
    for library in _COMMON:
        (into / f"{library}.cjs.js").write_text(f'module.exports = require("{library}");\n')
    for module in sorted((into / "lodash-es").glob("*.js"))[100:160]:
        shutil.copy(module, into / f"{module.stem}.mjs.js")


def _run(generator: Generator, home: Path) -> None:
    """The command for up to MAX_INPUTS files that it understands."""
    found = [path for path in (home / "inputs").rglob(f"*{generator.ending}") if path.is_file()]
    found.sort(key=lambda path: hashlib.blake2b(path.name.encode(), digest_size=8).digest())
    made = 0
    for path in found[: 4 * MAX_INPUTS]:
        if made < MAX_INPUTS:
            made += _generate(generator, path, home)


def _generate(generator: Generator, path: Path, home: Path) -> bool:
    stem = path.name.removesuffix(generator.ending)
    kept = home / "outputs" / generator.name.replace(" ", "-").replace("\\", "") / stem
    with tempfile.TemporaryDirectory(dir=home) as out:
        words = generator.command.replace("\\ ", "\0").split()
        values = {"input": str(path), "stem": stem, "dir": str(path.parent), "out": out}
        command = [word.replace("\0", " ").format(**values) for word in words]
        command = [part for word in command for part in ([word] if "/" in word else word.split())]
        if _try(command, home):
            shutil.copytree(out, kept, dirs_exist_ok=True)
    return kept.exists() and any(place.is_file() for place in kept.rglob("*"))


def _try(command: list[str], home: Path) -> bool:
    try:
        done = subprocess.run(
            command,
            cwd=home,
            env=_environment(home),
            capture_output=True,
            check=False,
            timeout=LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _environment(home: Path, **more: str) -> dict[str, str]:
    places = [home / "venv/bin", home / "gobin", home / "root/usr/bin", home / "node_modules/.bin"]
    return os.environ | {
        "PATH": ":".join([*map(str, places), os.environ["PATH"]]),
        "BISON_PKGDATADIR": str(home / "root/usr/share/bison"),
        "M4": str(home / "root/usr/bin/m4"),
        "SWIG_LIB": str(home / "root/usr/share/swig4.0"),
        **more,
    }


def _locks(home: Path) -> None:
    """Lock files of package managers, for a project with a few dependencies."""
    into = home / "outputs" / "locks"
    into.mkdir(parents=True, exist_ok=True)
    shutil.copy(home / "package-lock.json", into)
    with tempfile.TemporaryDirectory(dir=home) as scratch:
        place = Path(scratch)
        (place / "src").mkdir()
        (place / "src/lib.rs").touch()
        (place / "Cargo.toml").write_text(
            '[package]\nname = "a"\nversion = "0.1.0"\n[dependencies]\nsyn = "2"\n'
        )
        _call(["cargo", "generate-lockfile", "-q"], place)
        (place / "pyproject.toml").write_text(
            '[project]\nname = "a"\nversion = "0.1"\ndependencies = ["django"]\n'
        )
        _call([str(Path(sys.executable).with_name("uv")), "lock", "-q"], place)
        (place / "go.mod").write_text("module example.org/a\n\ngo 1.21\n")
        _call(["go", "get", "golang.org/x/tools@v0.28.0"], place)
        for name in ("Cargo.lock", "uv.lock", "go.sum"):
            shutil.copy(place / name, into)


def _call(command: Sequence[str], cwd: Path, **more: str) -> None:
    done = subprocess.run(
        command, cwd=cwd, env=_environment(cwd, **more), capture_output=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{(done.stderr or done.stdout).decode()[-2000:]}")


if __name__ == "__main__":
    from collections import Counter

    from benchmarks.corpus import default_cache

    counts = Counter(output.generator for output in outputs(default_cache()))
    for generator, count in sorted(counts.items()):
        print(f"{count:5}  {generator}", file=sys.stdout)
