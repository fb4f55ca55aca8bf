"""Publishing: from what training left to a version's folder, and its row of the registry."""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from codelupe_daemon import __version__
from codelupe_daemon.errors import Fatal
from trainer.models.digest import digest_of as digest_of_weights
from trainer.profile import Profile
from trainer.registry.base import Version
from trainer.release import card
from trainer.release.keep import INFO, check_base, folder_of, published
from trainer.release.seal import digest_of, flaw, flush_folder, seal, write_json
from trainer.types import Base, Manifest, Side, Trained

ADAPTER, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"
MODEL_FILES = (
    "model*.safetensors", "model.safetensors.index.json", "config.json", "generation_config.json",
    "*.py",
)  # fmt: skip
"""Of a whole model; the modules are those of a model that brings its own code."""
LIBRARIES = (
    "accelerate", "bitsandbytes", "peft", "safetensors", "tokenizers", "torch", "transformers",
)  # fmt: skip
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NO_RIGHT = {errno.EACCES, errno.EPERM, errno.EROFS}


def publish(
    models_dir: Path,
    profile: Profile,
    manifest: Manifest,
    trained: Trained,
    result: Path,
    loaded_tokenizer: Any,
    *,
    parent: Version | None,
    version: str,
    is_active: bool,
) -> Version:
    """Make the version of a round, or find it where it was made before a crash.

    `result`: folder with the adapter or the model that training left; beside it lies `final`, which
    the version keeps where the last step was not the best. Raises `Fatal` where the disk is full or
    not writable, the base model is not the parent's, or the folder is another round's.
    """
    check_base(models_dir, parent, manifest.base)
    place = folder_of(models_dir, profile.name, version)
    if place.exists():
        _check_same_round(place, manifest)
    else:
        part = place.with_name(f".{version}.part")
        with _written_whole(part):
            part.mkdir(parents=True)
            base = _base_of(profile, manifest.base, place.parent)
            _copy_weights(result, part, base)
            if trained.best_step != trained.steps:
                (part / "final").mkdir()
                _copy_weights(result.with_name("final"), part / "final", base)
            loaded_tokenizer.save_pretrained(part)
            _tell(part, version, manifest, trained, parent, base)
            if profile.model_saving.merged and (part / ADAPTER).exists():
                _merge(part, profile, base, loaded_tokenizer)
            seal(part)
            part.rename(place)
            for above in list(place.parents)[:3]:  # the profile's and models_dir may be new
                flush_folder(above)
    return _row(place, manifest, trained, parent, is_active=is_active)


@contextmanager
def _written_whole(part: Path) -> Iterator[None]:
    """Around writing `part`: what an earlier process left of it goes, and what a failure leaves."""
    shutil.rmtree(part, ignore_errors=True)
    try:
        yield
    except Exception as error:
        shutil.rmtree(part, ignore_errors=True)
        code = _errno(error)
        if code not in NO_ROOM | NO_RIGHT:
            raise
        way_out = "make room there" if code in NO_ROOM else "let this user write there"
        raise Fatal(
            f"no version can be written to {part.parent} ({os.strerror(code)}): {way_out} and start"
            " again, and the round, which is trained, is published"
        ) from error


def _errno(error: Exception) -> int:
    """safetensors and tokenizers tell it in their text alone."""
    said = re.search(r"\(os error (\d+)\)", str(error))
    return (isinstance(error, OSError) and error.errno) or int(said[1] if said else 0)


def _check_same_round(place: Path, manifest: Manifest) -> None:
    found = flaw(place)
    if found is not None:
        raise Fatal(f"{found}: remove {place} and start again, and its round is published anew")
    session = json.loads((place / "manifest.json").read_bytes())["session"]
    if session != manifest.session_id:
        raise Fatal(
            f"{place} is of another round ({session}), and versions are never overwritten: move it"
            " away, or set models_dir to a folder that no other registry uses"
        )


def _base_of(profile: Profile, base: Base, folder: Path) -> Base:
    """What loaders of an adapter are told. A `from_scratch` profile's base is its own first
    version, so they are told its folder."""
    if profile.model.from_scratch:
        for place in (folder / name for name in published(folder)):
            if not (place / ADAPTER_CONFIG).exists() and digest_of_weights(place) == base.digest:
                return base._replace(model=os.path.abspath(place), revision=None)
    return base


def _copy_weights(result: Path, part: Path, base: Base) -> None:
    if (result / ADAPTER).exists():
        shutil.copyfile(result / ADAPTER, part / ADAPTER)
        config = json.loads((result / ADAPTER_CONFIG).read_bytes())
        write_json(part / ADAPTER_CONFIG, _adapter_config(config, base))
        return
    for path in (path for pattern in MODEL_FILES for path in result.glob(pattern)):
        shutil.copyfile(path, part / path.name)
    if not list(part.glob("model*.safetensors")):
        raise Fatal(
            f"{result} has neither an adapter nor a model, though the round is trained: restore it,"
            " or begin the round again with `codelupe-trainer once --anew`"
        )


def _adapter_config(config: dict[str, Any], base: Base) -> dict[str, Any]:
    """peft writes module names out of sets, in any order."""
    for name in ("target_modules", "modules_to_save"):
        if isinstance(config.get(name), list):  # a text is a regular expression
            config[name] = sorted(config[name])
    return config | {
        "base_model_name_or_path": base.model, "revision": base.revision, "inference_mode": True,
    }  # fmt: skip


def _merge(part: Path, profile: Profile, base: Base, tokenizer: Any) -> None:
    from trainer.release.merge import merge

    merge(part, base, tokenizer, part / "merged", is_code_trusted=profile.model.trust_remote_code)


def _tell(
    part: Path,
    version: str,
    manifest: Manifest,
    trained: Trained,
    parent: Version | None,
    base: Base,
) -> None:
    """Everything about the version that is not weights; each file follows from the round alone."""
    write_json(part / INFO, _info(version, manifest, parent))
    write_json(part / "training_report.json", _report(manifest, trained))
    (part / "manifest.json").write_text(_rows(manifest), "utf-8")
    text = card.card(version, manifest, trained, base, is_adapter=(part / ADAPTER).exists())
    (part / "README.md").write_text(text, "utf-8", errors="backslashreplace")


def _info(version: str, manifest: Manifest, parent: Version | None) -> dict[str, Any]:
    return {
        "profile": manifest.profile,
        "version": version,
        "parent": parent.version if parent else None,
        "session": manifest.session_id,
        "created_at": manifest.created_at,
        "base": manifest.base._asdict(),
        "settings": manifest.settings,
        "libraries": {"codelupe": __version__, "python": platform.python_version()}
        | {name: _installed(name) for name in LIBRARIES},
    }


def _installed(name: str) -> str | None:
    try:
        return installed(name)
    except PackageNotFoundError:
        return None


def _report(manifest: Manifest, trained: Trained) -> dict[str, Any]:
    counts = ((str(reason), count) for reason, count in manifest.not_taken.items())
    return asdict(trained) | {"not_taken": dict(counts), "leaked": manifest.leaked}


def _rows(manifest: Manifest) -> str:
    """JSON with a row a line: its id, content hash, side and origin, in the order of training."""
    head = {
        "session": manifest.session_id, "profile": manifest.profile, "source": manifest.source,
        "from_id": manifest.from_id, "to_id": manifest.to_id, "seed": manifest.seed,
        "columns": ["id", "content_hash", "side", "origin"],
    }  # fmt: skip
    rows = ",\n".join(
        json.dumps([row.id, row.content_hash.hex(), row.side, row.origin]) for row in manifest.taken
    )
    return f'{json.dumps(head)[:-1]}, "rows": [\n{rows}\n]}}\n'


def _row(
    place: Path, manifest: Manifest, trained: Trained, parent: Version | None, *, is_active: bool
) -> Version:
    results = {f"{name} loss": loss for name, loss in trained.after.items()}
    results |= {f"{name} loss before": loss for name, loss in trained.before.items()}
    return Version(
        id=f"{manifest.profile}/{place.name}",
        session_id=manifest.session_id,
        profile=manifest.profile,
        version=place.name,
        path=os.path.abspath(place),
        base_model=manifest.base.model,
        parent=parent.version if parent else None,
        digest=digest_of(place),
        is_active=is_active,
        created_at=manifest.created_at,
        performance_metrics={
            "steps": trained.steps, "epochs": trained.epochs, "tokens": trained.tokens,
            "seconds": trained.seconds, "train_loss": trained.train_loss,
            "samples": sum(row.side is Side.TRAIN for row in manifest.taken),
        },
        evaluation_results=results,
    )  # fmt: skip
