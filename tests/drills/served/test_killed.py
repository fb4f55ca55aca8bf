"""kill -9 of the daemon, again and again."""

from __future__ import annotations

import time
from random import Random

import pytest

from tests.drills.served.state import Site

SEED = 5
pytestmark = pytest.mark.timeout(1200)


def test_killed_at_random_moments(site: Site, *, full: bool) -> None:
    random, texts = Random(SEED), site.corpus.texts
    reached: list[int] = []
    for left in range(30 if full else 3, 0, -1):
        daemon = site.start()
        here = site.reader.last_id
        site.reaches(here + int(random.uniform(0, 2 * (texts - here) / (left + 1))))
        time.sleep(random.uniform(0, 0.3))
        daemon.kill()
        reached.append(site.reader.last_id)
    site.start()
    site.assert_undisturbed()
    assert any(0 < row < texts for row in reached)
