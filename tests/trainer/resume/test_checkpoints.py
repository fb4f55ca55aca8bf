"""Sealing, finding and removing checkpoints, on folders as Trainer writes them."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from codelupe_daemon.errors import Fatal
from tests.drills.process import mount
from trainer import checkpoints
from trainer.checkpoints import ASIDE, MANIFEST, Sealing, flaw, newest, path_of, prune, seal

FILES = (
    "adapter_model.safetensors", "optimizer.pt", "rng_state.pth", "scheduler.pt",
    "trainer_state.json", "inner/shard_0.bin",
)  # fmt: skip


def written(folder: Path, step: int, best_step: int | None = None) -> Path:
    """A checkpoint as Trainer leaves it, not sealed."""
    checkpoint = path_of(folder, step)
    for name in FILES:
        (checkpoint / name).parent.mkdir(parents=True, exist_ok=True)
        (checkpoint / name).write_bytes(f"{name} of {step}".encode() * 100)
    state = json.dumps({"best_global_step": best_step, "global_step": step})
    (checkpoint / "trainer_state.json").write_text(state)
    return checkpoint


def sealed(folder: Path, step: int, best_step: int | None = None) -> Path:
    checkpoint = written(folder, step, best_step)
    seal(checkpoint)
    return checkpoint


def steps(folder: Path) -> list[int]:
    return sorted(
        int(path.name.removeprefix("checkpoint-")) for path in folder.glob("checkpoint-*")
    )


def test_without_any_it_begins_anew(tmp_path: Path) -> None:
    assert newest(tmp_path) is None
    assert newest(tmp_path / "not there") is None


def test_the_newest_is_by_number(tmp_path: Path) -> None:
    for step in (100, 9, 20):
        sealed(tmp_path, step)
    assert newest(tmp_path) == path_of(tmp_path, 100)
    assert steps(tmp_path) == [9, 20, 100]


def test_other_folders_are_left_alone(tmp_path: Path) -> None:
    for name in ("checkpoint-", "checkpoint-last", "best"):
        (tmp_path / name).mkdir()
    assert newest(tmp_path) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best",
        "checkpoint-",
        "checkpoint-last",
    ]


def test_what_is_not_sealed_is_no_checkpoint(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = sealed(tmp_path, 10)
    written(tmp_path, 20)
    assert newest(tmp_path) == good
    assert (tmp_path / ASIDE / "checkpoint-20" / "optimizer.pt").exists()
    assert [record.getMessage() for record in caplog.records] == [
        f"{path_of(tmp_path, 20)} is not resumed from: it was not written to its end"
    ]


def removed(path: Path) -> None:
    path.unlink()


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [removed, truncated, emptied, flipped])
@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_damaged_one_is_moved_aside_with_its_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, damage: Callable[[Path], None]
) -> None:
    good, bad = sealed(tmp_path, 10), sealed(tmp_path, 20)
    damage(bad / name)
    assert newest(tmp_path) == good
    assert steps(tmp_path) == [10]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    reason = record.getMessage().split("from: ")[1]
    assert Path(name).name in reason or reason == "it was not written to its end"


@pytest.mark.parametrize("text", ["[]", '{"sha256": 7}', '{"sha256": {"optimizer.pt": 7}}', "{}"])
def test_a_manifest_that_is_none(tmp_path: Path, text: str) -> None:
    bad = sealed(tmp_path, 10)
    (bad / MANIFEST).write_text(text)
    assert flaw(bad) is not None


def test_only_the_last_that_was_moved_aside_takes_room(tmp_path: Path) -> None:
    for step in (10, 20, 30):
        written(tmp_path, step)
    assert newest(tmp_path) is None
    assert steps(tmp_path / ASIDE) == [10]


def test_whole_checkpoints_whose_best_is_damaged_are_not_gone_on_with(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = sealed(tmp_path, 10, 10)
    best = sealed(tmp_path, 20, 20)
    sealed(tmp_path, 30, 20)
    flipped(best / "adapter_model.safetensors")
    assert newest(tmp_path) == first
    assert "checkpoint-20, which holds the best weights so far" in caplog.records[0].getMessage()


def test_a_best_that_is_gone_counts_as_damaged(tmp_path: Path) -> None:
    sealed(tmp_path, 30, 20)
    assert newest(tmp_path) is None


def test_removing_keeps_the_newest_and_their_best(tmp_path: Path) -> None:
    bests = {10: 10, 20: 20, 30: 20, 40: 20, 50: 50, 60: 50}
    for step, best_step in bests.items():
        sealed(tmp_path, step, best_step)
    prune(tmp_path, 2)
    assert steps(tmp_path) == [50, 60]


def test_removing_keeps_the_best_of_the_one_before(tmp_path: Path) -> None:
    """If 50 is damaged, 40 is resumed from, and needs 20."""
    for step, best_step in {10: 10, 20: 20, 30: 20, 40: 20, 50: 50}.items():
        sealed(tmp_path, step, best_step)
    prune(tmp_path, 2)
    assert steps(tmp_path) == [20, 40, 50]


def test_removing_counts_only_what_is_sealed(tmp_path: Path) -> None:
    for step in (10, 20, 30):
        sealed(tmp_path, step)
    written(tmp_path, 40)
    prune(tmp_path, 2)
    assert steps(tmp_path) == [20, 30, 40]


def test_a_removal_that_is_broken_off_leaves_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (10, 20):
        sealed(tmp_path, step)

    def power_cut(path: Path) -> None:
        (path / "optimizer.pt").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", power_cut)
        with pytest.raises(KeyboardInterrupt):
            prune(tmp_path, 1)
    assert flaw(path_of(tmp_path, 10)) == "it was not written to its end"
    assert newest(tmp_path) == path_of(tmp_path, 20)


def test_the_manifest_comes_last_and_after_everything_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = written(tmp_path, 10)
    flushed: list[str] = []
    really = os.fsync

    def fsync(number: int) -> None:
        path = Path(f"/proc/self/fd/{number}").readlink()
        flushed.append(path.relative_to(tmp_path).as_posix())
        assert not (checkpoint / MANIFEST).exists() or path == checkpoint
        really(number)

    monkeypatch.setattr(os, "fsync", fsync)
    seal(checkpoint)
    names = [f"checkpoint-10/{name}" for name in FILES]
    assert sorted(flushed[: len(FILES)]) == sorted(names)
    assert flushed[len(FILES)] == f"checkpoint-10/{MANIFEST}.part"
    assert sorted(flushed[len(FILES) + 1 : -1]) == [".", "checkpoint-10", "checkpoint-10/inner"]
    assert flushed[-1] == "checkpoint-10"
    seal(checkpoint)
    assert flushed[-1] == "checkpoint-10"
    assert len(flushed) == len(FILES) + 5


def test_sealing_follows_a_save(tmp_path: Path) -> None:
    sealing = Sealing(keep=1)
    for step in (10, 20):
        written(tmp_path, step)
        state = SimpleNamespace(global_step=step)
        sealing.on_save(SimpleNamespace(output_dir=str(tmp_path)), state, None)
    assert steps(tmp_path) == [20]
    assert newest(tmp_path) == path_of(tmp_path, 20)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 kB; only root may make one."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() or not mount("-t", "tmpfs", "-o", "size=200k", "checkpoints", place):
        pytest.skip("only root, with the right to mount, can make a small file system")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def by_torch(path: Path) -> None:
    torch.save({"weights": torch.zeros(100_000)}, path / "optimizer.pt")


def by_safetensors(path: Path) -> None:
    save_file({"weights": torch.zeros(100_000)}, path / "model.safetensors")


def by_python(path: Path) -> None:
    (path / "trainer_state.json").write_text("0" * 400_000)


@pytest.mark.parametrize("write", [by_torch, by_safetensors, by_python])
def test_a_full_disk_says_where_and_how_much(
    small_disk: Path, write: Callable[[Path], None]
) -> None:
    good = sealed(small_disk, 10)
    half = path_of(small_disk, 20)
    half.mkdir()
    with pytest.raises(Fatal) as full, checkpoints.telling_of_room(half):
        write(half)
    assert str(small_disk) in str(full.value)
    assert "make room" in str(full.value)
    assert not half.exists()
    assert newest(small_disk) == good


def test_too_little_room_is_seen_before_anything_is_written(tmp_path: Path) -> None:
    with (
        pytest.raises(Fatal, match=r"needs 2\.05e\+03 GiB: .* GiB are free"),
        checkpoints.telling_of_room(path_of(tmp_path, 10), 2200 * 10**9),
    ):
        pytest.fail("it went on")


def test_other_errors_pass_as_they_are(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="another"),
        checkpoints.telling_of_room(written(tmp_path, 10)),
    ):
        raise RuntimeError("another")
    assert path_of(tmp_path, 10).exists()


def test_an_error_of_the_disk_while_sealing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = sealed(tmp_path, 10)
    written(tmp_path, 20)

    def fsync(_number: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    args, state = SimpleNamespace(output_dir=str(tmp_path)), SimpleNamespace(global_step=20)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        with pytest.raises(Fatal, match="Input/output error"):
            Sealing(2).on_save(args, state, None)
    assert newest(tmp_path) == good


def test_how_much_a_checkpoint_needs() -> None:
    frozen, trained = torch.nn.Linear(10, 10, bias=False), torch.nn.Linear(4, 4, bias=False)
    frozen.requires_grad_(requires_grad=False)
    model = torch.nn.Sequential(frozen, trained)
    optimizer = torch.optim.AdamW(trained.parameters())
    assert checkpoints.size_bytes(model, None, is_adapter=True) == 4 * 16
    assert checkpoints.size_bytes(model, None, is_adapter=False) == 4 * 116
    trained(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    assert checkpoints.size_bytes(model, optimizer, is_adapter=True) == 4 * 16 * 3 + 4
