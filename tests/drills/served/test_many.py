"""Many daemons on one store: work is shared, nothing is done twice, and the dead are succeeded."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from codelupe_daemon.spdx import license_class
from tests import builders
from tests.drills.served.conftest import LICENSES, made_of, text
from tests.drills.served.daemons import Daemon
from tests.drills.served.state import Site

DAEMONS = 8
REFUSED = re.compile(r"another process took over (\S+) in the middle")
pytestmark = pytest.mark.timeout(1200)


def test_two_of_eight_are_killed_and_one_is_stopped(site: Site, *, full: bool) -> None:
    stopped_s, lease_s = (60.0, 20.0) if full else (5.0, 3.0)
    daemons = [site.start(CODELUPE_LEASE_S=str(lease_s)) for _ in range(DAEMONS)]
    site.reaches(site.corpus.texts // 10)
    for victim in sorted(daemons, key=site.runs_consumers)[-2:]:
        victim.kill()
    site.reaches(site.corpus.texts // 5)
    # A runner that is stopped holds its consumers for a minute: too long for a short drill.
    left = [one for one in daemons if one.is_wanted]
    stopped, held = stopped_in_mid_batch(site, sorted(left, key=site.runs_consumers, reverse=full))
    until = time.monotonic() + stopped_s
    site.wait(lambda: time.monotonic() > until and not site.held_by(stopped))
    taken_over = {name for name, epoch in site.epochs().items() if epoch > held.get(name, epoch)}
    assert taken_over
    stopped.go_on()
    site.assert_undisturbed()
    assert taken_over <= set(REFUSED.findall(stopped.said()))


def stopped_in_mid_batch(site: Site, daemons: Sequence[Daemon]) -> tuple[Daemon, dict[str, int]]:
    """A stopped daemon, and the epochs of what it is visiting."""
    while not site.is_done():
        for daemon in daemons:
            daemon.pause()
            if held := site.held_by(daemon):
                return daemon, held
            daemon.go_on()
    raise AssertionError("all was done too soon")


def test_a_content_in_fifty_repositories_at_once(urls: dict[str, str], tmp_path: Path) -> None:
    repos = [
        builders.repo(
            tmp_path / f"r{n:02}.git",
            {
                b"lib/m%d.py" % (n % 3): text(b"common"),
                b"own.py": text(b"own_%d" % n),
                b"LICENSE": b"SPDX-License-Identifier: %b\n" % LICENSES[n % 3],
            },
        )
        for n in range(50, 0, -1)  # those that come last are better
    ]
    corpus = made_of(repos, tmp_path)
    with Site(corpus, tmp_path, urls["store"], **urls) as site:
        for _ in range(4):
            site.start()
        site.assert_undisturbed()
        history = site.rows(
            "select op, j.license, full_name, file_path from journal j"
            " join repositories r on r.id = j.repo_id where content_hash = ("
            " select content_hash from occurrences where content_hash is not null group by 1"
            " order by count(*) desc limit 1)"
            " order by j.id"
        )
    assert [op for op, *_ in history] == ["add"] + ["move"] * (len(history) - 1)
    places = [(license_class(license_id), repo, path) for _, license_id, repo, path in history]
    assert places == sorted(places, reverse=True)
    assert len(set(places)) == len(places)
    assert places[-1] == (0, str(repos[-3]), "lib/m0.py")
