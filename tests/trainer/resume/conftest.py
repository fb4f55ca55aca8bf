"""One model, and each uninterrupted training once."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.trainer.resume.training import Outcome, StopAt, make_model, outcome, train

IS_FULL = os.environ.get("CODELUPE_TEST_FULL") == "1"


class Whole(NamedTuple):
    """An uninterrupted training: when it asked whether to stop, and what came out."""

    stop: StopAt
    outcome: Outcome


@pytest.fixture(scope="package")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="package")
def whole(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Whole]:
    @cache
    def of(variant: str) -> Whole:
        folder, stop = tmp_path_factory.mktemp(variant), StopAt()
        return Whole(stop, outcome(train(variant, model, folder, stop), folder))

    return of
