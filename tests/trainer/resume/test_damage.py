"""A checkpoint of which a file is gone, short or wrong: the one before is gone on from."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from codelupe_daemon.errors import Fatal
from tests.drills.process import mount
from tests.trainer.resume.conftest import IS_FULL, Whole
from tests.trainer.resume.training import Call, StopAt, outcome, steps, train
from trainer.checkpoints import ASIDE, newest
from trainer.types import Stopped

pytestmark = pytest.mark.timeout(300)

FILES = (
    "adapter_config.json", "adapter_model.safetensors", "course.json", "manifest.json",
    "optimizer.pt", "rng_state.pth", "scheduler.pt", "trainer_state.json", "training_args.bin",
)  # fmt: skip


@pytest.fixture(scope="module")
def stopped(
    model: Path, whole: Callable[[str], Whole], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A training with checkpoints after steps 4 and 5; the best is that of step 4."""
    folder = tmp_path_factory.mktemp("stopped")
    at = whole("lora").stop.calls.index(Call("training_step", 5))
    assert train("lora", model, folder, StopAt(at)) == Stopped(5)
    assert steps(folder) == [4, 5]
    return folder


def removed(path: Path) -> None:
    path.unlink()


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x80
    path.write_bytes(content)


DAMAGES = (removed, truncated, flipped)
CASES = [
    (name, damage)
    for at, name in enumerate(FILES)
    for damage in (DAMAGES if IS_FULL else (DAMAGES[at % len(DAMAGES)],))
]


def test_these_are_the_files(stopped: Path) -> None:
    """Beside PEFT's model card, which decides nothing."""
    found = {path.name for path in (stopped / "checkpoints" / "checkpoint-5").iterdir()}
    assert found - {"README.md"} == set(FILES)


@pytest.mark.parametrize("name, damage", CASES)
def test_damaged_it_goes_on_from_the_one_before(
    model: Path,
    whole: Callable[[str], Whole],
    stopped: Path,
    tmp_path: Path,
    name: str,
    damage: Callable[[Path], None],
) -> None:
    shutil.copytree(stopped, tmp_path, dirs_exist_ok=True)
    damage(tmp_path / "checkpoints" / "checkpoint-5" / name)
    stop = StopAt()
    assert outcome(train("lora", model, tmp_path, stop), tmp_path) == whole("lora").outcome
    assert stop.calls[0].step == 4
    assert (tmp_path / "checkpoints" / ASIDE / "checkpoint-5").is_dir()


def test_all_damaged_it_begins_anew(
    model: Path, whole: Callable[[str], Whole], stopped: Path, tmp_path: Path
) -> None:
    shutil.copytree(stopped, tmp_path, dirs_exist_ok=True)
    for step in steps(tmp_path):
        flipped(tmp_path / "checkpoints" / f"checkpoint-{step}" / "optimizer.pt")
    stop = StopAt()
    assert outcome(train("lora", model, tmp_path, stop), tmp_path) == whole("lora").outcome
    assert stop.calls == whole("lora").stop.calls


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for three checkpoints; only root may make one."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() or not mount("-t", "tmpfs", "-o", "size=512k", "checkpoints", place):
        pytest.skip("only root, with the right to mount, can make a small file system")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.parametrize("left_bytes", [0, 8 << 10, 28 << 10, 40 << 10, 64 << 10])
def test_a_disk_that_fills_up(
    model: Path, whole: Callable[[str], Whole], stopped: Path, small_disk: Path, left_bytes: int
) -> None:
    """It is full before anything is written, or in the middle of it."""
    folder = small_disk / "round"
    shutil.copytree(stopped, folder)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(max(0, shutil.disk_usage(small_disk).free - left_bytes)))
    with pytest.raises(Fatal, match=f"written to {folder}/checkpoints, it needs .* GiB"):
        train("lora", model, folder, StopAt())
    good = newest(folder / "checkpoints")
    assert good
    assert good.name in {"checkpoint-5", "checkpoint-6"}
    ballast.unlink()
    assert outcome(train("lora", model, folder, StopAt()), folder) == whole("lora").outcome
