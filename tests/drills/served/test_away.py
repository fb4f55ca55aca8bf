"""A server goes away under load: stopped for a while, killed, then slow and unreliable."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.drills.served.daemons import Daemon
from tests.drills.served.state import Corpus, Site
from tests.servers.process import Server
from tests.servers.proxy import Proxy

DELAY_S = 0.02
PAUSE_S = 0.2
ROUNDS = 4
pytestmark = pytest.mark.timeout(1200)


@pytest.mark.parametrize("name", ["store", "redis", "elasticsearch"])
def test_a_server_goes_away(
    name: str,
    servers: dict[str, Server],
    urls: dict[str, str],
    corpus: Corpus,
    tmp_path: Path,
    *,
    full: bool,
) -> None:
    server = servers[name]
    with (
        Proxy(urls[name]) as proxy,
        Site(corpus, tmp_path, urls["store"], **urls | {name: proxy.url}) as site,
    ):
        site.hold_back()
        daemon = site.start(CODELUPE_REPO_WORKERS="1")  # so that there is load left
        site.hears([daemon], "works on")
        released(site, 0.7)
        server.stop()
        missed(site, daemon, name)
        time.sleep(60 if full else 5)
        server.start()
        site.wait(lambda: not daemon.troubles(name))
        released(site, 0.05)
        site.release(0.05)
        server.kill()
        missed(site, daemon, name)
        server.start()
        site.wait(lambda: not daemon.troubles(name))
        disturb(site, proxy)
        site.assert_undisturbed()


def released(site: Site, share: float) -> None:
    """There is new work, and some of it has come through."""
    row = site.reader.last_id
    site.release(share)
    site.wait(lambda: site.reader.last_id > row)


def missed(site: Site, daemon: Daemon, name: str) -> None:
    """The daemon notices; whoever may have been idle gets work."""
    if name != "store":
        site.release(0.05)
    site.wait(lambda: daemon.troubles(name))


def disturb(site: Site, proxy: Proxy) -> None:
    """Slow, then with answers that end in the middle, connections that break, and no new ones."""
    proxy.delay(DELAY_S)
    released(site, 0.01)
    time.sleep(PAUSE_S)
    for _ in range(ROUNDS):
        proxy.normal()
        proxy.half_answer(2)
        site.release(0.02)
        site.wait(lambda: proxy.halved > 0)
        proxy.cut()
        time.sleep(PAUSE_S)
        proxy.refuse()
        time.sleep(PAUSE_S)
    proxy.normal()
    site.release(1)
    assert proxy.halved > 0
