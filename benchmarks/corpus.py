"""A corpus of real code: named packages of the registries, as bare git repositories.

Each registry is asked through its ordinary client. Everything lies in a cache outside the
checkout and is kept: what was interrupted goes on where it was. The same manifest gives the same
commits on every machine.

    python -m benchmarks.corpus [--times 4]
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Annotated, NamedTuple

import typer

MANIFEST = Path(__file__).with_name("corpus.toml")
DATE = "1700000000 +0000"
AUTHOR = f"Benchmark <benchmark@localhost> {DATE}"
HASH_COMMENTS = frozenset({".py", ".pyi", ".sh", ".rb", ".pl", ".yml", ".yaml", ".toml", ".cmake"})


class Package(NamedTuple):
    """A package of a registry (`pypi`, `npm`, `cargo`, `go`, `maven`, `debian`) at one version."""

    registry: str
    name: str
    version: str

    @property
    def folder(self) -> str:
        """Where its files stand in the repository."""
        return self.name.replace(":", "/").removeprefix("@")

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


class Origin(NamedTuple):
    """One repository of the corpus and what is in it."""

    name: str
    packages: list[Package]


def default_cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "codelupe" / "benchmark"


def read_manifest(path: Path = MANIFEST) -> list[Origin]:
    tables: dict[str, dict[str, list[str]]] = tomllib.loads(path.read_text())
    return [
        Origin(name, [_package(registry, spec) for registry in table for spec in table[registry]])
        for name, table in tables.items()
    ]


def _package(registry: str, spec: str) -> Package:
    name, _, version = spec.rpartition("@")
    return Package(registry, name, version)


# -- archives, each by its registry's client ------------------------------------------------


def archive_of(package: Package, cache: Path) -> Path:
    """The package's source archive in the cache, fetched if it is not there yet."""
    kept = cache / "archives" / package.registry / f"{package.folder}@{package.version}"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            fetched = CLIENTS[package.registry](package, Path(scratch))
            part = shutil.copyfile(fetched, kept.with_name(f"{kept.name}.part"))
        part.replace(kept)
    return kept


def _from_pypi(package: Package, scratch: Path) -> Path:
    wanted = ["--no-binary", package.name, f"{package.name}=={package.version}"]
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--ignore-requires-python"]
    _call([*pip, *wanted, "-d", str(scratch)], scratch)
    return _only(scratch.glob("*.*"), package)


def _from_wheels(package: Package, scratch: Path) -> Path:
    """As `pypi`, but the built form, which carries its metadata."""
    wanted = ["--only-binary", ":all:", f"{package.name}=={package.version}"]
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--ignore-requires-python"]
    _call([*pip, *wanted, "-d", str(scratch)], scratch)
    return _only(scratch.glob("*.whl"), package)


def _from_npm(package: Package, scratch: Path) -> Path:
    _call(["npm", "pack", "--silent", "--ignore-scripts", str(package)], scratch)
    return _only(scratch.glob("*.tgz"), package)


def _from_cargo(package: Package, scratch: Path) -> Path:
    (scratch / "src").mkdir()
    (scratch / "src" / "lib.rs").touch()
    (scratch / "Cargo.toml").write_text(
        '[package]\nname = "corpus"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\n'
        f'{package.name} = {{ version = "={package.version}", default-features = false }}\n'
    )
    _call(["cargo", "fetch", "-q"], scratch)
    home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    return _only(
        (home / "registry").glob(f"cache/*/{package.name}-{package.version}.crate"), package
    )


def _from_go(package: Package, scratch: Path) -> Path:
    return Path(json.loads(_call(["go", "mod", "download", "-json", str(package)], scratch))["Zip"])


def _from_maven(package: Package, scratch: Path) -> Path:
    artifact = f"-Dartifact={package.name}:{package.version}:jar:sources"
    into = f"-DoutputDirectory={scratch}"
    _call(["mvn", "-q", "-B", "dependency:copy", artifact, into], scratch)
    return _only(scratch.glob("*.jar"), package)


def _from_debian(package: Package, scratch: Path) -> Path:
    """The upstream archive of a source package, by the machine's own sources of packages."""
    state = scratch.parent / "apt"
    config = state / "apt.conf"
    if not config.exists():
        for folder in ("lists/partial", "cache/archives/partial"):
            (state / folder).mkdir(parents=True, exist_ok=True)
        machine = Path("/etc/apt/sources.list.d").glob("*.sources")
        sources = "\n".join(path.read_text() for path in machine)
        (state / "all.sources").write_text(sources.replace("Types: deb\n", "Types: deb-src\n"))
        part = state / "apt.conf.part"
        part.write_text(
            f'Dir::State::Lists "{state}/lists";\nDir::Cache "{state}/cache";\n'
            f'Dir::Etc::SourceList "{state}/all.sources";\nDir::Etc::SourceParts "-";\n'
            'APT::Sandbox::User "root";\n'
        )
        _call(["apt-get", "-qq", "-c", str(part), "update"], scratch)
        part.rename(config)
    wanted = f"{package.name}={package.version}"
    source = ["source", "--download-only", "--tar-only", wanted]
    _call(["apt-get", "-qq", "-c", str(config), *source], scratch)
    archives = sorted(scratch.glob("*.tar.*"), key=lambda path: ".debian." in path.name)
    return _only(iter([path for path in archives if path.suffix != ".asc"]), package)


CLIENTS: dict[str, Callable[[Package, Path], Path]] = {
    "pypi": _from_pypi,
    "wheel": _from_wheels,
    "npm": _from_npm,
    "cargo": _from_cargo,
    "go": _from_go,
    "maven": _from_maven,
    "debian": _from_debian,
}


def _call(command: Sequence[str], cwd: Path) -> bytes:
    done = subprocess.run(command, cwd=cwd, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{(done.stderr or done.stdout).decode()}")
    return done.stdout


def _only(found: Iterator[Path], package: Package) -> Path:
    path = next(found, None)
    if path is None:
        raise SystemExit(f"{package.registry} gave no archive for {package}")
    return path


# -- archives into repositories ---------------------------------------------------------------


def files_of(package: Package, archive: Path) -> Iterator[tuple[str, bytes]]:
    """The regular files of an archive under the package's folder, in the archive's order."""
    for member, text in _members(archive):
        path = _below_the_top(package, member)
        if _is_wanted(path):
            yield f"{package.folder}/{path}", text


def _below_the_top(package: Package, member: str) -> str:
    """Archives but jars have one folder on top; Go's is as deep as the module's name."""
    if package.registry == "maven":
        return member
    if package.registry == "go":
        return member.removeprefix(f"{package}/")
    return member.partition("/")[2]


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as bundle:
            for info in bundle.infolist():
                if not info.is_dir():
                    yield info.filename, bundle.read(info)
        return
    with tarfile.open(archive) as tape:
        for member in tape:
            source = tape.extractfile(member) if member.isreg() else None
            if source is not None:
                yield member.name, source.read()


def _is_wanted(path: str) -> bool:
    """A path that fast-import takes as it stands; source maps are in packages, not in sources."""
    parts = PurePosixPath(path).parts
    odd = any(part in ("..", ".", "/", ".git") for part in parts) or path.endswith(".map")
    return bool(parts) and not odd and path.isprintable() and '"' not in path


def varied(path: str, text: bytes, copy: int) -> bytes:
    """The text with a comment line of its copy's own, so that copies share no content."""
    if copy == 1:
        return text
    mark = b"#" if PurePosixPath(path).suffix in HASH_COMMENTS else b"//"
    return text + b"\n%b copy %d\n" % (mark, copy)


def write_commit(into: IO[bytes], files: Iterator[tuple[str, bytes]], parent: str | None) -> None:
    """Write a commit on `main` for `git fast-import`; with a parent, on top of its tree."""
    into.write(f"commit refs/heads/main\ncommitter {AUTHOR}\ndata 7\ncorpus\n\n".encode())
    if parent:
        into.write(f"from {parent}\n".encode())
    for path, text in files:
        into.write(b"M 100644 inline %b\ndata %d\n%b\n" % (path.encode(), len(text), text))


def import_commit(repo: Path, files: Iterator[tuple[str, bytes]], parent: str | None) -> None:
    command = ["git", "-C", str(repo), "fast-import", "--quiet", "--force"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as importer:
        assert importer.stdin is not None
        write_commit(importer.stdin, files, parent)
        importer.stdin.close()
    if importer.returncode:
        raise SystemExit(f"git fast-import failed in {repo}")


def repository_of(origin: Origin, copy: int, cache: Path) -> Path:
    """The origin's bare repository in the cache, built if it is not there yet."""
    # The build's own rules count as well: another way to build is another repository.
    key = hashlib.blake2b(repr((origin, AUTHOR)).encode(), digest_size=4).hexdigest()
    kept = cache / "repositories" / f"{origin.name}-{key}" / f"copy{copy}.git"
    if not kept.exists():
        part = kept.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        _call(["git", "init", "-q", "--bare", "-b", "main", "--template=", str(part)], cache)
        import_commit(part, _origin_files(origin, copy, cache), None)
        _call(["git", "-C", str(part), "-c", "pack.threads=1", "repack", "-adfq"], cache)
        part.rename(kept)
    return kept


def _origin_files(origin: Origin, copy: int, cache: Path) -> Iterator[tuple[str, bytes]]:
    for package in origin.packages:
        for path, text in files_of(package, archive_of(package, cache)):
            yield path, varied(path, text, copy)


def build(cache: Path, times: int = 1) -> list[Path]:
    """Every repository of the corpus, `times` copies of each; progress goes to standard error."""
    cache.mkdir(parents=True, exist_ok=True)
    steps = [(origin, copy) for copy in range(1, times + 1) for origin in read_manifest()]
    repositories = []
    for number, (origin, copy) in enumerate(steps, 1):
        print(f"corpus {number}/{len(steps)} {origin.name} copy {copy}", file=sys.stderr)
        repositories.append(repository_of(origin, copy, cache))
    return repositories


def measure(repo: Path) -> tuple[int, int]:
    """The files at HEAD and their bytes."""
    listing = _call(["git", "-C", str(repo), "ls-tree", "-r", "-l", "-z", "HEAD"], repo)
    sizes = [int(entry.split(maxsplit=4)[3]) for entry in listing.split(b"\0") if entry]
    return len(sizes), sum(sizes)


def main(
    times: Annotated[int, typer.Option(help="Copies of each repository, all different.")] = 1,
    cache: Annotated[Path | None, typer.Option(help="Where everything is kept.")] = None,
) -> None:
    """Build the corpus and say how large it is."""
    total_files = total_bytes = 0
    for repo in build(cache or default_cache(), times):
        files, size_bytes = measure(repo)
        total_files, total_bytes = total_files + files, total_bytes + size_bytes
        print(f"{files:8,} files {size_bytes / 1e6:8.1f} MB  {repo}")
    print(f"{total_files:8,} files {total_bytes / 1e6:8.1f} MB  in all")


if __name__ == "__main__":
    typer.run(main)
