"""Ramps: how a measure becomes a number in 0..1, without a flat end.

Where a ramp were flat, a text that gets worse would keep its score.
"""

from __future__ import annotations

import numpy as np

from codelupe_daemon.examine.features import Column


def rise(measure: Column, half: float, power: float = 1.0) -> Column:
    """0 at 0, 0.5 at `half`, 1 at infinity; the steeper around `half` the greater `power`."""
    return np.asarray(1.0 - fall(measure, half, power))


def fall(measure: Column, half: float, power: float = 1.0) -> Column:
    """1 at 0, 0.5 at `half`, 0 at infinity."""
    return np.asarray(1.0 / (1.0 + (np.maximum(measure, 0.0) / half) ** power))
