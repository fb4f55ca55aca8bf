"""The versions of a profile as folders: their names, which is active, which may go."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from codelupe_daemon.errors import Fatal
from trainer.registry.base import Version
from trainer.release.seal import flaw, flush_folder
from trainer.types import Base

ACTIVE = "active"
INFO = "training_info.json"
_VERSION = re.compile(r"v(\d{4,})")
_LEFT_BEHIND = re.compile(r"\.(v\d{4,})\.(?:part|gone)")


def folder_of(models_dir: Path, profile: str, version: str) -> Path:
    """Where a version lies."""
    if not _VERSION.fullmatch(version):
        raise ValueError(f"not the name of a version: {version!r}")
    return models_dir / profile / version


def next_version(models_dir: Path, profile: str, known: Iterable[str]) -> str:
    """`v0001`, `v0002`, ...: above all that are known, and all that lie in the folder."""
    taken = [*known, *published(models_dir / profile)]
    return f"v{max(map(_number, taken), default=0) + 1:04}"


def point(models_dir: Path, profile: str, versions: Iterable[Version]) -> None:
    """Renew the link `active`, which always leads to a whole version: to the one that is active, or
    remove it where none is. Raises `Fatal` where the version's folder is missing."""
    folder = models_dir / profile
    link, aside = folder / ACTIVE, folder / f".{ACTIVE}.part"
    active = next((it for it in versions if it.is_active), None)
    if active is None:
        link.unlink(missing_ok=True)
        return
    _there(models_dir, active)
    if link.is_symlink() and link.readlink() == Path(active.version):
        return
    aside.unlink(missing_ok=True)
    aside.symlink_to(active.version)
    aside.replace(link)
    flush_folder(folder)


def active_adapter(models_dir: Path, version: Version) -> Path:
    """The folder of a version, every byte of it as it was published; else `Fatal` says which file
    is not, and to which version a person can go back."""
    folder = _there(models_dir, version)
    found = flaw(folder, version.digest)
    if found is None:
        return folder
    older = (name for name in published(folder.parent) if _number(name) < _number(folder.name))
    good = next((name for name in older if flaw(folder.parent / name) is None), None)
    way_out = (
        f"{good} is whole: `codelupe-trainer versions --activate {good}` goes back to it"
        if good
        else 'no older version is whole: training.start_from = "base" begins anew'
    )
    raise Fatal(f"{found}: version {version.version} is corrupt. Restore the file, or {way_out}")


def check_base(models_dir: Path, parent: Version | None, base: Base) -> None:
    """Raises `Fatal` where an adapter was trained on other weights than are now to be had."""
    if parent is None:
        return
    folder = folder_of(models_dir, parent.profile, parent.version)
    if not (folder / "adapter_config.json").exists():
        return  # a whole model brings its own weights
    before = json.loads((folder / INFO).read_bytes())["base"]
    if before["digest"] != base.digest:
        raise Fatal(
            f"the base model changed since {parent.version} was trained: {_told(before)} then,"
            f" {_told(base._asdict())} now, and an adapter fits only the weights it was trained on."
            " Name the old one with model.name and model.revision, or begin anew on the new one"
            ' with training.start_from = "base"'
        )


def prune(models_dir: Path, profile: str, versions: Sequence[Version], keep: int) -> list[str]:
    """Remove folders but the active version's, of all that it was trained from, and of the newest
    `keep` others; what the registry does not know stays. Returns the versions that went."""
    folder = models_dir / profile
    mine = [it for it in versions if it.profile == profile]
    known, active = {it.version for it in mine}, active_of(mine)
    newest = sorted(known - {active}, key=_number, reverse=True)[:keep]
    kept = {*newest, *(it.version for it in line(mine, active))}
    gone = [name for name in published(folder) if name in known and name not in kept]
    for name in gone:
        (folder / name).rename(folder / f".{name}.gone")
    for path in list(folder.iterdir()) if folder.is_dir() else ():
        if (left := _LEFT_BEHIND.fullmatch(path.name)) and left[1] in known:
            shutil.rmtree(path, ignore_errors=True)
    return gone


def active_of(versions: Iterable[Version]) -> str | None:
    """The name of the one that is active; None: there is none yet."""
    return next((it.version for it in versions if it.is_active), None)


def line(versions: Iterable[Version], name: str | None) -> list[Version]:
    """The version of that name, what it was trained from, and so on to the first."""
    known = {it.version: it for it in versions}
    found: list[Version] = []
    while name and (one := known.pop(name, None)):
        found.append(one)
        name = one.parent
    return found


def published(folder: Path) -> list[str]:
    """Names of the versions that lie there, newest first."""
    names: list[str] = []
    with suppress(FileNotFoundError):
        names = [path.name for path in folder.iterdir() if _VERSION.fullmatch(path.name)]
    return sorted(names, key=_number, reverse=True)


def _number(version: str) -> int:
    found = _VERSION.fullmatch(version)
    return int(found[1]) if found else 0


def _there(models_dir: Path, version: Version) -> Path:
    folder = folder_of(models_dir, version.profile, version.version)
    if not folder.is_dir():
        raise Fatal(
            f"{folder} is missing, it was published as {version.path}: name the folder of models"
            " with --models-dir, restore it from a copy, or make another version active with"
            " `codelupe-trainer versions --activate VERSION`"
        )
    return folder


def _told(base: dict[str, str | None]) -> str:
    revision = f" at {base['revision']}" if base["revision"] else ""
    return f"{base['model']}{revision} (weights {str(base['digest'])[:12]})"
