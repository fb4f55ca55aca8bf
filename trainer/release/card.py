"""The model card, README.md: what the version is, what it was made from, under which licences."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from codelupe_daemon.observe.report import PICTURES
from trainer.types import Base, Manifest, Origin, Side, Taken, Trained

LARGEST = 20
"""So many repositories are named."""
LICENSES = {
    "bigcode/starcoder2-3b": "bigcode-openrail-m",
    "gpt2-medium": "mit",
    "microsoft/phi-2": "mit",
    "openai-community/gpt2-medium": "mit",
    "qwen/qwen2.5-coder-14b-instruct": "apache-2.0",
}
"""Of the bases of our profiles, as the Hub spells them; what is trained from one goes with it."""
FILES = """## Files

`training_info.json` has all settings, `training_report.json` the course of the training,
`manifest.json` the id and hash of every row, `hashes.json` the SHA-256 of every file."""
_HUB_NAME = re.compile(r"[\w.-]+(?:/[\w.-]+)?")
_MARKUP = re.compile(r"([\\`*_{}\[\]<>|#])")


def card(
    version: str, manifest: Manifest, trained: Trained, loaded: Base, *, is_adapter: bool
) -> str:
    """Markdown under the YAML that the Hugging Face Hub reads. `loaded`: what loaders of an adapter
    are told, which may be a version of ours."""
    import yaml

    rows = [row for row in manifest.taken if row.side is Side.TRAIN]
    header = _header(manifest, rows, is_adapter=is_adapter)
    sets = sorted({*trained.before, *trained.after})
    losses = [(name, trained.before.get(name), trained.after.get(name)) for name in sets]
    return "\n\n".join([
        f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---",
        f"# {_cell(manifest.profile)} {version}",
        _about(manifest, loaded, is_adapter=is_adapter),
        "## Losses\n\nMeans over supervised tokens, of repositories that it was not trained on.",
        _table(("set", "before", "after"), losses),
        f"## Data\n\n{_data(manifest, rows)}",
        _table(("licence", "files"), _counts(row.license for row in rows)),
        _table(("language", "files"), _counts(row.language for row in rows)),
        _table(("largest repositories", "files"), _counts(map(_repo, rows))[:LARGEST]),
        _table(("not taken, because", "rows"), sorted(manifest.not_taken.items())),
        FILES,
    ]) + "\n"  # fmt: skip


def _header(manifest: Manifest, rows: Sequence[Taken], *, is_adapter: bool) -> dict[str, Any]:
    base, is_from_scratch = manifest.base, manifest.settings["model"]["from_scratch"]
    license_id = LICENSES.get(base.model.lower())
    is_on_hub = _HUB_NAME.fullmatch(base.model) and not is_from_scratch
    return {
        "license": license_id or "other",
        **({} if license_id else {"license_name": f"as-{'data' if is_from_scratch else 'base'}"}),
        **({"base_model": base.model} if is_on_hub else {}),
        "library_name": "peft" if is_adapter else "transformers",
        "pipeline_tag": "text-generation",
        "language": ["code"],
        "programming_language": sorted({row.language for row in rows if row.language}),
        "tags": ["code", "codelupe", *(["lora"] if is_adapter else [])],
    }


def _about(manifest: Manifest, loaded: Base, *, is_adapter: bool) -> str:
    base, is_ours = manifest.base, manifest.settings["model"]["from_scratch"]
    kind = "A LoRA adapter for" if is_adapter else "A whole model, trained from"
    if is_ours:
        kind += f" {Path(loaded.model).name} of" if is_adapter else " random weights of"
    revision = f" at revision {_cell(base.revision)}" if base.revision else ""
    began = f", going on from version {_cell(base.version)}" if base.version else ""
    return (
        f"{kind} {_cell(base.model)}{revision} (weights {_cell(base.digest)}){began}, fine-tuned by"
        " CodeLupe on source code. It may repeat code that it was trained on, and for that the"
        " licences below hold as for its source."
    )


def _data(manifest: Manifest, rows: Sequence[Taken]) -> str:
    date = datetime.fromtimestamp(manifest.created_at, UTC).date()
    source = manifest.source.partition(":")[0]
    again = sum(row.origin is Origin.REPLAY for row in rows)
    return (
        f"{len(rows):,} files of {len({row.repo for row in rows}):,} repositories, {again:,} of"
        f" them also trained on in earlier rounds; chosen on {date} from rows"
        f" {manifest.from_id + 1} to {manifest.to_id} of {_cell(source)}."
        f" {len(manifest.taken) - len(rows):,} further files are only measured on, and"
        f" {manifest.leaked:,} no longer, since near-duplicates of them were trained on."
    )


def _repo(row: Taken) -> str:
    """A local one by its folder's name: where it lies is nobody's business."""
    return Path(row.repo).name if row.repo.startswith("/") else row.repo


def _counts(names: Iterable[str | None]) -> list[tuple[str, int]]:
    """The most frequent first, then by name."""
    return sorted(Counter(it or "unknown" for it in names).items(), key=lambda it: (-it[1], it[0]))


def _table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [" | ".join(titles), " | ".join(["---"] * len(titles))]
    lines += [" | ".join(map(_cell, row)) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _cell(value: object) -> str:
    """A figure, or a name of strangers as plain text in Markdown, on one line."""
    if isinstance(value, int | float):
        return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
    text = "" if value is None else str(value).translate(PICTURES).replace("\n", " ")
    return _MARKUP.sub(r"\\\1", text)
