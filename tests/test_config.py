"""Settings and the stages that take their values from them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from codelupe_daemon import config
from codelupe_daemon.errors import UsageError
from codelupe_daemon.examine import ExamineSettings
from codelupe_daemon.fetch import FetchLimits
from codelupe_daemon.pipeline import PipelineLimits

SETTINGS = config.Settings()


@pytest.mark.parametrize("stage", [ExamineSettings(), FetchLimits(), PipelineLimits()])
def test_a_stage_and_its_settings_have_the_same_defaults(stage: Any) -> None:
    shared = [f.name for f in fields(stage) if f.name in config.Settings.model_fields]
    assert shared
    assert {name: getattr(stage, name) for name in shared} == {
        name: getattr(SETTINGS, name) for name in shared
    }


def test_every_threshold_of_a_verdict_is_a_setting() -> None:
    names = {field.name for field in fields(ExamineSettings)}
    assert names <= config.Settings.model_fields.keys()


def test_languages_in_the_environment_are_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CODELUPE_LANGUAGES", "Rust, C++,")
    assert config.load().languages == {"Rust", "C++"}


@pytest.mark.parametrize("store", ["postgresql://host/db", "sqlite://host/file.db"])
def test_a_store_of_another_kind_is_refused(store: str) -> None:
    with pytest.raises(UsageError, match="sqlite:///FILE"):
        config.load(store=store)
