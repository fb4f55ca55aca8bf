"""Names of versions, the link `active`, a corrupt version, and which folders go."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from codelupe_daemon.errors import Fatal
from tests.trainer.release.rounds import manifest, published
from trainer.registry.base import Version
from trainer.release import active_adapter, next_version, point, prune


def line(models_dir: Path, left: Path, *parents: int) -> list[Version]:
    """Versions 1, 2, ...; each from the one whose number is given (0: none). Newest first."""
    made: list[Version] = []
    for number, parent in enumerate(parents, 1):
        made.append(
            published(
                models_dir, left, f"v{number:04}", of=manifest(f"s{number}"),
                parent=made[parent - 1] if parent else None, is_active=False,
            )
        )  # fmt: skip
    return made[::-1]


def chosen(versions: list[Version], active: str) -> list[Version]:
    return [replace(it, is_active=it.version == active) for it in versions]


def folders(models_dir: Path) -> list[str]:
    return sorted(path.name for path in (models_dir / "tiny").iterdir())


@pytest.mark.parametrize(
    "known, lying, expected",
    [
        ([], [], "v0001"),
        (["v0001", "v0002"], [], "v0003"),
        (["v0001"], ["v0004", ".v0007.part", "active", "notes"], "v0005"),
        (["v9999"], [], "v10000"),
        (["v10000", "v9999"], [], "v10001"),
    ],
)
def test_the_next_version(
    models_dir: Path, known: list[str], lying: list[str], expected: str
) -> None:
    for name in lying:
        (models_dir / "tiny" / name).mkdir(parents=True)
    assert next_version(models_dir, "tiny", known) == expected


@pytest.mark.parametrize("name", ["../v0001", "latest", "v1", "v0001/", ""])
def test_what_is_no_version_names_no_folder(models_dir: Path, left: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not the name of a version"):
        published(models_dir, left, name)


def test_the_link_moves(models_dir: Path, left: Path) -> None:
    versions = line(models_dir, left, 0, 1)
    link = models_dir / "tiny/active"
    for version in ("v0001", "v0002", "v0002", "v0001"):
        point(models_dir, "tiny", chosen(versions, version))
        assert link.readlink() == Path(version)
        assert (link / "adapter_config.json").is_file()
    for none in (versions, []):
        point(models_dir, "tiny", none)
    assert folders(models_dir) == ["v0001", "v0002"]


def test_the_link_is_never_missing(
    models_dir: Path, left: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash before the last step leaves the old link, and its remains hinder nobody."""
    first, second = (chosen(line(models_dir, left, 0, 1), it) for it in ("v0001", "v0002"))
    point(models_dir, "tiny", first)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda *_: os.abort)
        point(models_dir, "tiny", second)
    assert (models_dir / "tiny/active").readlink() == Path("v0001")
    point(models_dir, "tiny", second)
    assert (models_dir / "tiny/active").readlink() == Path("v0002")
    assert folders(models_dir) == ["active", "v0001", "v0002"]


def test_the_link_leads_to_what_is_there(models_dir: Path, left: Path) -> None:
    (version,) = line(models_dir, left, 0)
    point(models_dir, "tiny", chosen([version], "v0001"))
    gone = replace(version, version="v0002", path="/then/tiny/v0002", is_active=True)
    with pytest.raises(Fatal, match=r"v0002 is missing, .* as /then/tiny/v0002: .*--models-dir"):
        point(models_dir, "tiny", [gone, version])
    assert (models_dir / "tiny/active").readlink() == Path("v0001")


def damage(path: Path) -> None:
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "name", ["adapter_model.safetensors", "adapter_config.json", "tokenizer.json", "hashes.json"]
)
def test_a_corrupt_version(models_dir: Path, left: Path, name: str) -> None:
    newest, _, oldest = line(models_dir, left, 0, 1, 2)
    damage(models_dir / "tiny/v0003" / name)
    damage(models_dir / "tiny/v0002/adapter_model.safetensors")
    with pytest.raises(Fatal) as told:
        active_adapter(models_dir, newest)
    assert f"tiny/v0003/{name} is not what was written" in str(told.value)
    assert "v0001 is whole" in str(told.value)
    assert active_adapter(models_dir, oldest) == models_dir / "tiny/v0001"


def test_a_version_with_a_file_gone(models_dir: Path, left: Path) -> None:
    (version,) = line(models_dir, left, 0)
    (models_dir / "tiny/v0001/tokenizer.json").unlink()
    with pytest.raises(Fatal, match=r"tokenizer\.json cannot be read .*no older version is whole"):
        active_adapter(models_dir, version)
    (models_dir / "tiny/v0001/hashes.json").unlink()
    with pytest.raises(Fatal, match=r"hashes\.json is missing or damaged"):
        active_adapter(models_dir, version)


def test_a_version_that_is_gone(models_dir: Path, left: Path) -> None:
    (version,) = line(models_dir, left, 0)
    with pytest.raises(Fatal, match=r"v0009 is missing, .*restore it from a copy"):
        active_adapter(models_dir, replace(version, version="v0009"))


@pytest.mark.parametrize(
    "parents, active, keep, gone",
    [
        # In one line: everything that the active one was trained from stays.
        ((0, 1, 2, 3, 4), 5, 2, []),
        ((0, 1, 2, 3, 4), 3, 1, ["v0004"]),
        # Each from the base.
        ((0, 0, 0, 0, 0), 5, 2, ["v0001", "v0002"]),
        ((0, 0, 0, 0, 0), 1, 2, ["v0002", "v0003"]),
        ((0, 0, 0, 0, 0), 1, 9, []),
        ((0, 0, 0), None, 2, ["v0001"]),
        # 1 <- 3 <- 5 is active, 1 <- 2 <- 4 was not promoted.
        ((0, 1, 1, 2, 3), 5, 1, ["v0002"]),
    ],
)
def test_which_versions_go(
    models_dir: Path,
    left: Path,
    parents: tuple[int, ...],
    active: int | None,
    keep: int,
    gone: list[str],
) -> None:
    versions = chosen(line(models_dir, left, *parents), f"v{active or 0:04}")
    before = folders(models_dir)
    assert sorted(prune(models_dir, "tiny", versions, keep)) == gone
    assert folders(models_dir) == [name for name in before if name not in gone]
    assert prune(models_dir, "tiny", versions, keep) == []


def test_only_what_is_known_goes(models_dir: Path, left: Path) -> None:
    """A folder whose round is not recorded yet stays, and so does one that is being written; what a
    crash left of known ones is removed."""
    versions = line(models_dir, left, 0, 0, 0)
    for name in (".v0001.gone", ".v0002.part", ".v0004.part", "notes", "v0009"):
        (models_dir / "tiny" / name).mkdir()
        (models_dir / "tiny" / name / "file").write_text("")
    (models_dir / "tiny/v0001").rename(models_dir / "tiny/elsewhere")
    assert prune(models_dir, "tiny", versions[::2], 1) == []
    assert folders(models_dir) == [
        ".v0002.part", ".v0004.part", "elsewhere", "notes", "v0002", "v0003", "v0009",
    ]  # fmt: skip


def test_versions_of_other_profiles_stay(models_dir: Path, left: Path) -> None:
    versions = [replace(it, profile="other") for it in line(models_dir, left, 0, 0, 0)]
    assert prune(models_dir, "tiny", versions, 1) == []
    assert prune(models_dir, "never-trained", versions, 1) == []
    assert folders(models_dir) == ["v0001", "v0002", "v0003"]
