"""One thread for each process that computes: on tiny models more of them only wait for each other,
twenty times as long where cores are shared. Set before anything imports torch."""

import os
from pathlib import Path

import pytest

os.environ["OMP_NUM_THREADS"] = "1"

OF_LIBRARIES = (
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning",  # peft asks transformers so
)
"""Warnings of one library about how another uses it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for warning in OF_LIBRARIES:
                item.add_marker(pytest.mark.filterwarnings(warning))
