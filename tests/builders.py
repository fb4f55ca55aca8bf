"""Repositories and folders that are broken, hostile or extreme, each built from nothing.

Repositories are bare and made by git's plumbing, because its porcelain refuses to make most of
them. Every builder takes the path to create and returns it.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

FULL = os.environ.get("CODELUPE_TEST_FULL") == "1"
LENIENT = {
    "min_lines": 0, "min_mean_line_chars": 0, "min_letter_share": 0.0, "max_digit_share": 1.0,
    "max_blank_share": 1.0, "max_comment_share": 1.0, "max_duplicate_share": 1.0,
    "max_todo_share": 1.0, "max_pass_share": 1.0, "max_import_share": 1.0, "max_print_share": 1.0,
}  # fmt: skip
"""Settings under which the few lines that a test writes are files worth keeping."""
FILE, LINK, SUBMODULE = "100644", "120000", "160000"

ODD_PATHS = (
    b"new\nline.py",
    b"tab\tand\x01control\x7f.py",
    b"invalid\xff\xfe.py",
    b"-leading-dash.py",
    b"--exec=touch.py",
    b"back\\slash.py",
    b"\xc3\xbcml\xc3\xa4ut.py",
    b'quo"te $(id) `id`.py',
    b"/".join([b"d" * 200] * 20 + [b"f" * 76]),  # 4,096 bytes
)
_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "1700000000 +0000",
    "GIT_COMMITTER_DATE": "1700000000 +0000",
}


def git(git_dir: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """What a git command on the repository prints."""
    command = ["git", "-c", "safe.directory=*", "--git-dir", str(git_dir), *arguments]
    return subprocess.run(
        command, input=stdin, stdout=subprocess.PIPE, check=True, env=_ENVIRONMENT
    ).stdout


def empty_repo(path: Path, *, object_format: str = "sha1") -> Path:
    """Freshly initialised."""
    path.mkdir(parents=True)
    git(path, "init", "-q", "--bare", "-b", "main", f"--object-format={object_format}")
    return path


def repo(
    path: Path, files: Mapping[bytes, bytes], *, modes: Mapping[bytes, str] | None = None
) -> Path:
    """One commit with these files; `modes` for what is no ordinary file."""
    if not path.exists():
        empty_repo(path)
    commit(path, files.items(), modes or {})
    return path


def commit(git_dir: Path, files: Iterable[tuple[bytes, bytes]], modes: Mapping[bytes, str]) -> None:
    """Make a commit with exactly these files the head of main."""
    stream = b"".join(_fast_import(files, modes))
    git(git_dir, "fast-import", "--quiet", "--force", "--date-format=raw", stdin=stream)


def work_tree(path: Path, files: Mapping[bytes, bytes]) -> Path:
    """A clone as a person has it: files, and `.git` below."""
    repo(path / ".git", files)
    git(path / ".git", "config", "core.bare", "false")
    return folder(path, files)


def folder(path: Path, files: Mapping[bytes, bytes]) -> Path:
    """A plain folder."""
    for name, content in files.items():
        place = path / os.fsdecode(name)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return path


def no_head(path: Path) -> Path:
    """HEAD names a branch that does not exist, while another one does."""
    repo(path, {b"a.py": b"a = 1\n"})
    (path / "HEAD").write_text("ref: refs/heads/gone\n")
    return path


def without_head_file(path: Path) -> Path:
    """The file HEAD is missing."""
    repo(path, {b"a.py": b"a = 1\n"})
    (path / "HEAD").unlink()
    return path


def missing_object(path: Path, files: Mapping[bytes, bytes], lost: Iterable[bytes]) -> Path:
    """The blobs of the `lost` paths are listed, but gone."""
    repo(path, files)
    for name in lost:
        _loose(path, blob_id(files[name])).unlink()
    return path


def corrupt_object(path: Path, files: Mapping[bytes, bytes], hurt: Iterable[bytes]) -> Path:
    """The blobs of the `hurt` paths are damaged inside a pack."""
    repo(path, files)
    git(path, "repack", "-adq", "--window=0")
    pack, index = _pack(path)
    offsets = _pack_offsets(path, index)
    for name in hurt:
        _overwrite(pack, offsets[blob_id(files[name])] + 12, b"\xff" * 16)
    return path


def corrupt_pack(path: Path, files: Mapping[bytes, bytes]) -> Path:
    """Nothing in the pack is readable."""
    repo(path, files)
    git(path, "repack", "-adq")
    pack, _ = _pack(path)
    _overwrite(pack, 12, b"\xff" * (pack.stat().st_size - 12))
    return path


def deep_repo(path: Path, depth: int) -> Path:
    """One file that many folders down."""
    empty_repo(path)
    blob = git(path, "hash-object", "-w", "--stdin", stdin=b"deep = True\n").strip()
    tree = _write_tree(path, [b"100644 blob %b\tdeep.py" % blob])
    for _ in range(depth):
        tree = _write_loose(path, b"tree", b"40000 d\0" + bytes.fromhex(tree.decode()))
    _point_main(path, tree)
    return path


def deep_folder(path: Path, depth: int) -> Path:
    """One file that many folders down, deeper than any path name reaches."""
    path.mkdir(parents=True)
    here = os.open(path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("deep.py", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    return path


def endless_repo(path: Path, levels: int = 10) -> Path:
    """A few objects that list as 10 ** levels files: every tree names the one below ten times."""
    empty_repo(path)
    blob = git(path, "hash-object", "-w", "--stdin", stdin=b"again = 1\n").strip()
    entry = b"100644 blob"
    for _ in range(levels):
        tree = _write_tree(path, [b"%b %b\t%d" % (entry, blob, i) for i in range(10)])
        entry, blob = b"040000 tree", tree
    _point_main(path, blob)
    return path


def tiny_files(count: int) -> dict[bytes, bytes]:
    """Many small distinct files in folders of a hundred."""
    return {b"d%d/f%d.py" % (i // 100, i): b"x = %d\n" % i for i in range(count)}


def links(path: Path, outside: Path) -> Path:
    """A folder with a link to itself, two that form a loop, and two out of it."""
    folder(path, {b"kept.py": b"kept = 1\n", b"sub/also.py": b"also = 1\n"})
    for name, target in (
        ("self", "."),
        ("loop-a", "loop-b"),
        ("loop-b", "loop-a"),
        ("sub/out", str(outside)),
        ("out.py", str(outside / "secret.py")),
    ):
        (path / name).symlink_to(target)
    return path


def ext_submodule(path: Path, marker: Path) -> Path:
    """A submodule whose URL would run a program."""
    modules = f'[submodule "s"]\n\tpath = s\n\turl = ext::sh -c "touch {marker}"\n'
    files = {b".gitmodules": modules.encode(), b"a.py": b"a = 1\n", b"s": b"1" * 40}
    return repo(path, files, modes={b"s": SUBMODULE})


def hostile_config(git_dir: Path, marker: Path) -> Path:
    """Make every setting that can run a program create the file `marker`; returns `git_dir`."""
    program = git_dir / "run"
    program.write_text(f"#!/bin/sh\ntouch {marker}\nexit 1\n")
    program.chmod(0o755)
    hooks = git_dir / "hooks"
    hooks.mkdir(exist_ok=True)
    for hook in ("post-checkout", "reference-transaction", "post-index-change", "pre-auto-gc"):
        (hooks / hook).write_bytes(program.read_bytes())
        (hooks / hook).chmod(0o755)
    settings = {
        **{f"core.{name}": program for name in ("fsmonitor", "sshCommand", "gitProxy", "pager")},
        **{f"core.{name}": program for name in ("askPass", "editor", "alternateRefsCommand")},
        "core.hooksPath": hooks,
        **{f"alias.{name}": f"!{program}" for name in ("ls-tree", "cat-file", "rev-parse")},
        **{f"pager.{name}": program for name in ("ls-tree", "cat-file", "rev-parse")},
        "uploadpack.packObjectsHook": program,
        "credential.helper": f"!{program}",
        "protocol.ext.allow": "always",
        "remote.origin.url": f"ext::{program}",
        "remote.origin.promisor": "true",
        "remote.origin.partialclonefilter": "blob:none",
        "remote.origin.uploadpack": program,
        "extensions.partialClone": "origin",
        "core.repositoryFormatVersion": 1,
    }
    for name, value in settings.items():
        git(git_dir, "config", name, str(value))
    return git_dir


def huge_blob(path: Path, size_bytes: int, others: Mapping[bytes, bytes]) -> Path:
    """`huge.py`, that many NUL bytes in a loose object, beside other files."""
    repo(path, others)
    oid = _write_loose(path, b"blob", b"", announced_bytes=size_bytes, zeros=size_bytes)
    return _add_blob(path, b"huge.py", oid)


def lying_blob(path: Path, announced_bytes: int, others: Mapping[bytes, bytes]) -> Path:
    """`bomb.py`, a loose object that announces far more than it holds, beside other files."""
    repo(path, others)
    oid = _write_loose(path, b"blob", b"short", announced_bytes=announced_bytes)
    return _add_blob(path, b"bomb.py", oid)


def packed_bombs(path: Path, count: int, size_bytes: int) -> Path:
    """A small pack of blobs that inflate to `size_bytes` each, and one ordinary file."""
    files = {b"bomb%d.py" % i: b"%d" % i + b"0" * size_bytes for i in range(count)}
    repo(path, {**files, b"kept.py": b"kept = 1\n"})
    git(path, "repack", "-adq")
    return path


def blob_id(content: bytes) -> bytes:
    """Git's id of these bytes."""
    whole = b"blob %d\0" % len(content) + content
    return hashlib.sha1(whole, usedforsecurity=False).digest()


def _fast_import(
    files: Iterable[tuple[bytes, bytes]], modes: Mapping[bytes, str]
) -> Iterator[bytes]:
    yield b"commit refs/heads/main\ncommitter A <a@example.org> 1700000000 +0000\n"
    yield b"data 1\nc\ndeleteall\n"
    for path, content in files:
        mode, quoted = modes.get(path, FILE).encode(), _quoted(path)
        if mode == SUBMODULE.encode():
            yield b"M %b %b %b\n" % (mode, content, quoted)
        else:
            yield b"M %b inline %b\ndata %d\n%b\n" % (mode, quoted, len(content), content)


def _quoted(path: bytes) -> bytes:
    return b'"' + b"".join(b"\\%03o" % byte for byte in path) + b'"'


def _write_tree(git_dir: Path, entries: list[bytes]) -> bytes:
    lines = b"".join(entry + b"\0" for entry in entries)
    return git(git_dir, "mktree", "-z", "--missing", stdin=lines).strip()


def _point_main(git_dir: Path, tree: bytes) -> None:
    made = git(git_dir, "commit-tree", "-m", "c", tree.decode()).decode().strip()
    git(git_dir, "update-ref", "refs/heads/main", made)


def _add_blob(git_dir: Path, name: bytes, oid: bytes) -> Path:
    entries = git(git_dir, "ls-tree", "-z", "HEAD").split(b"\0")[:-1]
    _point_main(git_dir, _write_tree(git_dir, [*entries, b"100644 blob %b\t%b" % (oid, name)]))
    return git_dir


def _write_loose(
    git_dir: Path, kind: bytes, content: bytes, *, announced_bytes: int = -1, zeros: int = 0
) -> bytes:
    """Write a loose object (content, then zeros) under the id of all its bytes, in hex."""
    size = announced_bytes if announced_bytes >= 0 else len(content)
    head = b"%b %d\0" % (kind, size) + content
    digest, packer = hashlib.sha1(head, usedforsecurity=False), zlib.compressobj(1)
    packed = [packer.compress(head)]
    block = bytes(1 << 20)
    for start in range(0, zeros, len(block)):
        part = block[: zeros - start]
        digest.update(part)
        packed.append(packer.compress(part))
    place = _loose(git_dir, digest.digest())
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(b"".join(packed) + packer.flush())
    return digest.hexdigest().encode()


def _loose(git_dir: Path, oid: bytes) -> Path:
    return git_dir / "objects" / oid.hex()[:2] / oid.hex()[2:]


def _pack(git_dir: Path) -> tuple[Path, Path]:
    pack = next((git_dir / "objects" / "pack").glob("*.pack"))
    pack.chmod(0o644)
    return pack, pack.with_suffix(".idx")


def _pack_offsets(git_dir: Path, index: Path) -> dict[bytes, int]:
    lines = git(git_dir, "show-index", stdin=index.read_bytes()).decode().splitlines()
    return {bytes.fromhex(line.split()[1]): int(line.split()[0]) for line in lines}


def _overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)
