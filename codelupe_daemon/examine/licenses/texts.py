"""Which known licence texts a text contains, by shared groups of words."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from codelupe_daemon.examine.licenses.words import Groups

Integers = npt.NDArray[np.int64]

_MAX_TRIED = 32
_MIN_SHARE = 0.8
"""Of a licence's groups, the share that a text must have to carry it."""
_MIN_FRESH = 0.5
"""The share that no licence found before explains."""


class Found(NamedTuple):
    """A licence or an exception in a text. `begin`: the group about which it begins there."""

    name: str
    share: float
    begin: int


class Index(NamedTuple):
    """Names are empty for appendices, which say nothing.

    Sorted hashes; the texts that have hash i are owners[starts[i]:starts[i + 1]].
    """

    names: list[str]
    sizes: Integers
    hashes: Groups
    starts: Integers
    owners: npt.NDArray[np.uint16]


@cache
def index() -> Index:
    with files(__package__).joinpath("texts.npz").open("rb") as file, np.load(file) as data:
        return Index(
            data["names"].tolist(),
            data["sizes"].astype(np.int64),
            np.cumsum(data["gaps"], dtype=np.uint32),
            np.concatenate([[0], np.cumsum(data["counts"], dtype=np.int64)]),
            data["owners"],
        )


def find(groups: Groups) -> tuple[list[Found], npt.NDArray[np.bool_]]:
    """The texts that are contained, in their order there; and which groups none of them has.

    The text that explains most is taken first, and what it explains counts no more.
    """
    known = index()
    distinct, first, back = np.unique(groups, return_index=True, return_inverse=True)
    row = np.minimum(np.searchsorted(known.hashes, distinct), len(known.hashes) - 1)
    group = np.flatnonzero(known.hashes[row] == distinct)
    counts = np.diff(known.starts)[row[group]]
    begin = np.repeat(known.starts[row[group]] - np.cumsum(counts) + counts, counts)
    owner = known.owners[begin + np.arange(len(begin))]
    member = np.repeat(group, counts)
    total = np.bincount(owner, minlength=len(known.names))
    missing = known.sizes - total
    contained = total >= _MIN_SHARE * known.sizes
    is_open = np.ones(len(distinct), np.bool_)
    found: list[Found] = []
    for _ in range(_MAX_TRIED):
        fresh = np.bincount(owner[is_open[member]], minlength=len(known.names))
        gain = np.where(contained & (fresh >= _MIN_FRESH * known.sizes), fresh - missing, 0)
        best = int(np.argmax(gain))
        if gain[best] <= 0:
            break
        mine = member[owner == best]
        places = np.sort(first[mine[is_open[mine]]])
        if _is_scattered(places):
            contained[best] = False
            continue
        share = float(total[best] / known.sizes[best])
        # Many of its groups stand in other licences as well, perhaps in one before it.
        found.append(Found(known.names[best], share, int(places[len(places) // 3])))
        is_open[mine] = False
    return sorted((one for one in found if one.name), key=lambda one: one.begin), is_open[back]


def _is_scattered(places: Integers) -> bool:
    """Whether groups in order of their places come from several texts, not from one."""
    tenth = len(places) // 20
    return int(places[-1 - tenth] - places[tenth]) > 2 * len(places) + 200
