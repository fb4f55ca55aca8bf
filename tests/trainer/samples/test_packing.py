"""Documents into rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.samples.packing import gather, pack

LENGTHS = st.lists(st.integers(1, 64), max_size=200)


@given(LENGTHS, st.integers(64, 100))
def test_packing_loses_nothing(lengths: list[int], max_length: int) -> None:
    rows = pack(np.array(lengths, np.int64), max_length)
    assert sorted(rows.order.tolist()) == list(range(len(lengths)))
    assert rows.counts.sum() == len(lengths)
    assert (rows.counts > 0).all()
    parts = np.split(rows.order, np.cumsum(rows.counts)[:-1]) if len(lengths) else []
    assert all(sum(lengths[n] for n in part) <= max_length for part in parts)
    assert all((np.diff(part) > 0).all() for part in parts)
    earliest = [int(part[0]) for part in parts]
    assert earliest == sorted(earliest)


@given(LENGTHS)
def test_no_two_rows_would_fit_into_one(lengths: list[int]) -> None:
    rows = pack(np.array(lengths, np.int64), 64)
    parts = np.split(rows.order, np.cumsum(rows.counts)[:-1]) if len(lengths) else []
    sums = sorted(sum(lengths[n] for n in part) for part in parts)
    assert len(sums) < 2 or sums[0] + sums[1] > 64


def test_rows_are_full() -> None:
    lengths = np.random.default_rng(1).lognormal(6.3, 0.9, 20_000).astype(np.int64).clip(1, 4096)
    rows = pack(lengths, 4096)
    assert lengths.sum() / (len(rows.counts) * 4096) >= 0.99


@pytest.mark.parametrize("lengths", [[0], [3, 65], [-1]], ids=["none", "too long", "negative"])
def test_what_fits_no_row_is_refused(lengths: list[int]) -> None:
    with pytest.raises(ValueError, match=r"1\.\.64 tokens"):
        pack(np.array(lengths, np.int64), 64)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), max_size=30))
def test_stretches_are_taken_one_after_the_other(stretches: list[tuple[int, int]]) -> None:
    starts, sizes = np.array(stretches, np.int64).reshape(-1, 2).T
    expected = [place for start, size in stretches for place in range(start, start + size)]
    assert gather(np.arange(60), starts, sizes).tolist() == expected
