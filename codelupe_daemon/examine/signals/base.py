"""Ramps: how a measure becomes a number in 0..1."""

from __future__ import annotations

import numpy as np

from codelupe_daemon.examine.features import Column


def rise(measure: Column, low: float, high: float) -> Column:
    """0 up to `low`, 1 from `high` on, a line between them."""
    return np.clip((measure - low) / (high - low), 0.0, 1.0)


def fall(measure: Column, low: float, high: float) -> Column:
    """1 up to `low`, 0 from `high` on, a line between them."""
    return np.asarray(1.0 - rise(measure, low, high))
