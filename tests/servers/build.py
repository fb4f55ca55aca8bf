"""`python -m tests.servers.build`: build the servers that are built; name those not to be had."""

from __future__ import annotations

import sys

from tests.servers import elasticsearch, mongo
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.mongo import Mongo
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgres import Postgres
from tests.servers.process import Unavailable
from tests.servers.redis import Redis


def main() -> None:
    builds = {Elasticsearch: elasticsearch.project().build, Mongo: mongo.PROJECT.build}
    for server in (Postgres, PgBouncer, Redis, Elasticsearch, Mongo):
        try:
            builds.get(server, server.prepare)()
        except Unavailable as why:
            sys.stderr.write(f"servers: no {server.name}: {why}\n")


if __name__ == "__main__":
    main()
