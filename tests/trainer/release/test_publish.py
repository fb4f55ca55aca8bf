"""What a version's folder holds, and that it is there whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from codelupe_daemon.errors import Fatal
from tests.trainer import tiny
from tests.trainer.release import rounds
from tests.trainer.release.rounds import BASE, files, manifest, published
from trainer.release import active_adapter, check_base


def read(folder: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / name).read_bytes())
    return content


def test_a_folder_that_says_everything(models_dir: Path, left: Path) -> None:
    version = published(models_dir, left)
    folder = models_dir / "tiny" / "v0001"
    assert sorted(files(folder)) == [
        "README.md", "adapter_config.json", "adapter_model.safetensors", "hashes.json",
        "manifest.json", "tokenizer.json", "training_info.json", "training_report.json",
    ]  # fmt: skip
    assert [path.name for path in (models_dir / "tiny").iterdir()] == ["v0001"]
    assert read(folder, "hashes.json") == {
        name: hashlib.sha256(content).hexdigest()
        for name, content in files(folder).items()
        if name != "hashes.json"
    }
    assert version.id == "tiny/v0001"
    assert version.path == str(folder)
    assert version.digest == hashlib.sha256(files(folder)["hashes.json"]).hexdigest()
    assert (version.is_active, version.parent, version.base_model) == (True, None, BASE.model)
    assert version.evaluation_results == {
        "validation loss before": 3.0, "validation loss": 2.0,
        "holdout loss before": 3.5, "holdout loss": 2.25,
    }  # fmt: skip
    assert version.performance_metrics["samples"] == 5
    assert active_adapter(models_dir, version) == folder


def test_the_last_weights_are_kept_where_earlier_ones_were_better(
    models_dir: Path, left: Path
) -> None:
    last = rounds.result(left.with_name("final")) / "adapter_model.safetensors"
    last.write_bytes(b"the last step's")
    version = published(models_dir, left, trained=replace(rounds.TRAINED, best_step=15))
    found = files(models_dir / "tiny" / "v0001")
    assert found["adapter_model.safetensors"] == (left / last.name).read_bytes()
    assert found["final/adapter_model.safetensors"] == b"the last step's"
    assert found["final/adapter_config.json"] == found["adapter_config.json"]
    assert active_adapter(models_dir, version) == models_dir / "tiny" / "v0001"  # all is sealed


def test_the_adapters_config_is_in_order(models_dir: Path, left: Path) -> None:
    published(models_dir, left)
    text = (models_dir / "tiny/v0001/adapter_config.json").read_text()
    config = json.loads(text)
    assert list(config) == sorted(config)
    assert config["target_modules"] == ["k_proj", "q_proj", "v_proj"]
    assert (config["base_model_name_or_path"], config["revision"]) == (BASE.model, BASE.revision)
    assert config["inference_mode"] is True


def test_what_is_told_of_the_training(models_dir: Path, left: Path) -> None:
    parent = published(models_dir, left)
    published(models_dir, left, "v0002", parent=parent, of=manifest("s2"))
    info = read(models_dir / "tiny/v0002", "training_info.json")
    assert info["base"] == {
        "model": BASE.model, "revision": "abc123", "digest": "d" * 64, "version": None,
    }  # fmt: skip
    assert (info["session"], info["parent"], info["version"]) == ("s2", "v0001", "v0002")
    assert info["settings"] == tiny.profile(BASE.model).model_dump(mode="json")
    assert {"codelupe", "torch", "transformers", "peft", "python"} <= info["libraries"].keys()
    report = read(models_dir / "tiny/v0002", "training_report.json")
    assert (report["before"], report["after"]) == (rounds.TRAINED.before, rounds.TRAINED.after)
    assert (report["tokens"], report["seconds"], report["steps"]) == (5000, 12.5, 20)
    assert report["history"] == [{"step": 1, "loss": 4.0, "grad_norm": None}]
    assert (report["not_taken"], report["leaked"]) == ({"low quality": 4, "too long": 2}, 1)


def test_the_manifest_names_rows_and_never_text(models_dir: Path, left: Path) -> None:
    published(models_dir, left)
    told = read(models_dir / "tiny/v0001", "manifest.json")
    assert (told["from_id"], told["to_id"], told["seed"]) == (0, 12, 3)
    assert told["rows"] == [
        [row.id, row.content_hash.hex(), row.side, row.origin] for row in rounds.ROWS
    ]
    assert b"secret_" not in files(models_dir / "tiny/v0001")["manifest.json"]


def card(models_dir: Path) -> tuple[dict[str, object], str]:
    _, header, text = (models_dir / "tiny/v0001/README.md").read_text().split("---\n", 2)
    return yaml.safe_load(header), text


def test_the_model_card(models_dir: Path, left: Path) -> None:
    published(models_dir, left)
    header, text = card(models_dir)
    assert header == {
        "license": "other", "license_name": "as-base", "base_model": "example/tiny",
        "library_name": "peft", "pipeline_tag": "text-generation", "language": ["code"],
        "programming_language": ["Python", "Rust"], "tags": ["code", "codelupe", "lora"],
    }  # fmt: skip
    for line in (
        "| validation | 3.0000 | 2.0000 |", "| MIT | 4 |", "| unknown | 1 |", "| Python | 4 |",
        "| low quality | 4 |",
        "| set | before | after |", "| --- | --- | --- |", "| ada/repo1 | 2 |",
    ):  # fmt: skip
        assert line in text.splitlines()
    assert "5 files of 3 repositories, 1 of them also trained on" in text
    assert "2025-10-09" in text


def test_local_repositories_by_their_names(models_dir: Path, left: Path) -> None:
    rows = tuple(rounds.taken(id_, repo="/home/ada/private/app") for id_ in (1, 2))
    published(models_dir, left, of=manifest(rows=rows))
    assert "| app | 2 |" in card(models_dir)[1].splitlines()
    assert not [name for name, it in files(models_dir).items() if b"/home/ada" in it]


def test_names_of_strangers_steer_nothing(models_dir: Path, left: Path) -> None:
    published(models_dir, left)
    _, text = card(models_dir)
    assert r"| eve/\<b\>\|x\` \# y | 1 |" in text.splitlines()


@pytest.mark.parametrize(
    "base, license_id",
    [
        ("Qwen/Qwen2.5-Coder-14B-Instruct", "apache-2.0"),
        ("bigcode/starcoder2-3b", "bigcode-openrail-m"),
    ],
)  # fmt: skip
def test_the_licence_of_a_known_base(
    models_dir: Path, left: Path, base: str, license_id: str
) -> None:
    published(models_dir, left, of=manifest(base=BASE._replace(model=base)))
    header, _ = card(models_dir)
    assert (header["license"], header["base_model"]) == (license_id, base)
    assert "license_name" not in header


def test_a_base_in_a_folder_is_no_name_of_the_hub(models_dir: Path, left: Path) -> None:
    published(models_dir, left, of=manifest(base=BASE._replace(model="/srv/models/own")))
    assert "base_model" not in card(models_dir)[0]


def test_same_inputs_same_bytes(models_dir: Path, left: Path, tmp_path: Path) -> None:
    published(models_dir, left)
    published(tmp_path / "again", left)
    assert files(models_dir) == files(tmp_path / "again")


def test_publishing_a_round_again_gives_the_same(models_dir: Path, left: Path) -> None:
    first = published(models_dir, left)
    inode = (models_dir / "tiny/v0001").stat().st_ino
    assert published(models_dir, left) == first
    assert (models_dir / "tiny/v0001").stat().st_ino == inode


def test_a_version_is_never_overwritten(models_dir: Path, left: Path) -> None:
    published(models_dir, left)
    before = files(models_dir)
    with pytest.raises(Fatal, match=r"is of another round \(s1\)"):
        published(models_dir, left, of=manifest("s2"))
    assert files(models_dir) == before
    modes = {path.stat().st_mode & 0o222 for path in (models_dir / "tiny/v0001").iterdir()}
    assert modes == {0}


def test_a_damaged_one_is_not_taken_for_published(models_dir: Path, left: Path) -> None:
    published(models_dir, left)
    damaged = models_dir / "tiny/v0001/README.md"
    damaged.chmod(0o644)
    damaged.write_text("#")
    with pytest.raises(Fatal, match=r"README\.md is not what was written: remove .*v0001"):
        published(models_dir, left)


def test_a_base_that_changed(models_dir: Path, left: Path) -> None:
    parent = published(models_dir, left)
    other = BASE._replace(digest="e" * 64, revision="def456")
    check_base(models_dir, parent, BASE)
    check_base(models_dir, None, other)
    for act in (
        lambda: check_base(models_dir, parent, other),
        lambda: published(models_dir, left, "v0002", parent=parent, of=manifest("s2", other)),
    ):
        with pytest.raises(Fatal, match="changed since v0001") as told:
            act()
        for part in ("abc123", "def456", "model.revision", 'training.start_from = "base"'):
            assert part in str(told.value)
    assert not (models_dir / "tiny/v0002").exists()


def test_nothing_was_left_by_training(models_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(Fatal, match=r"neither an adapter nor a model, .* once --anew"):
        published(models_dir, tmp_path)
    assert files(models_dir) == {}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB; only root may make one."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "small", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root, with the right to mount, can make a small file system")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("size", ["4k", "40k"])
def test_a_full_disk(small_disk: Path, left: Path, size: str) -> None:
    """Filled up so far that the weights, or one of the later files, have no room."""
    rows = tuple(rounds.taken(id_) for id_ in range(1, 2000))
    (small_disk / "filler").write_bytes(bytes({"4k": 61440, "40k": 24576}[size]))
    with pytest.raises(Fatal, match=r"disk/tiny .*No space left.*make room there"):
        published(small_disk, left, of=manifest(rows=rows))
    assert list((small_disk / "tiny").iterdir()) == []
    subprocess.run(["mount", "-o", "remount,size=4m", small_disk], check=True)
    version = published(small_disk, left, of=manifest(rows=rows))
    assert active_adapter(small_disk, version).name == "v0001"


def test_everything_is_on_the_disk_before_it_has_its_name(
    models_dir: Path, left: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the name itself when publishing ends."""
    flushed: list[str] = []
    flush, rename = os.fsync, Path.rename

    def note(descriptor: int) -> None:
        flushed.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        flush(descriptor)

    def named(self: Path, target: Path) -> Path:
        part = str(self)
        expected = {part, *(f"{part}/{name}" for name in files(self))}
        assert expected - set(flushed) == set()
        flushed.clear()
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(Path, "rename", named)
    published(models_dir, left)
    assert flushed == [str(models_dir / "tiny"), str(models_dir), str(models_dir.parent)]


@pytest.mark.parametrize(
    "error, told",
    [
        (OSError(errno.EDQUOT, "quota"), "Disk quota exceeded.*make room there"),
        (Exception("No space left on device (os error 28)"), "No space left.*make room there"),
        (PermissionError(errno.EACCES, "denied"), "Permission denied.*let this user write"),
        (OSError(errno.EROFS, "read-only"), "Read-only file system.*let this user write"),
    ],
    ids=["quota", "told by a library", "no right", "read-only"],
)
def test_a_folder_that_cannot_be_written(
    models_dir: Path, left: Path, error: Exception, told: str
) -> None:
    with pytest.raises(Fatal, match=f"var/models/tiny .*{told}"):
        published(models_dir, left, tokenizer=Failing(error))
    assert files(models_dir) == {}


def test_what_else_goes_wrong_is_not_explained_away(models_dir: Path, left: Path) -> None:
    with pytest.raises(ValueError, match="unforeseen"):
        published(models_dir, left, tokenizer=Failing(ValueError("unforeseen")))
    assert list((models_dir / "tiny").iterdir()) == []


class Failing(rounds.Tokenizer):
    """Writes, and then cannot go on."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def save_pretrained(self, folder: Path) -> None:
        super().save_pretrained(folder)
        raise self.error
