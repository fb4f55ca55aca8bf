"""A real Elasticsearch node from its published Java artifacts (elasticsearch-node/)."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from elastic_transport import TransportError
from elasticsearch import ApiError
from elasticsearch import Elasticsearch as Client

from tests.servers.java import Project
from tests.servers.process import Server

OURS = ("codelupe", "github-coding-repos")
# Newer ones of a series lack one of the two artifacts.
VERSIONS = {"8": ("8.18.8", 17), "9": ("9.5.3", 21)}
# G1 by name: under another collector the memory breaker answers 429 where a collection would do.
FLAGS = ("-XX:+UseG1GC", "-XX:MaxDirectMemorySize=256m", "-XX:+ExitOnOutOfMemoryError")
QUIET = (
    "-XX:-UsePerfData",
    "--enable-native-access=ALL-UNNAMED",
    "-Dio.netty.noUnsafe=true",
    "-Dlog4j2.disable.jmx=true",
    "-Des.bundled_jdk=true",
)
# Each look at a server that is still starting is a line otherwise.
logging.getLogger("elastic_transport").setLevel(logging.ERROR)


class Elasticsearch(Server):
    """Release 8, or 9 where CODELUPE_TEST_ELASTICSEARCH_RELEASE says so; `settings` are the node's.

    It has what is published: no scripts, no `wildcard` fields, the analysis pieces of
    CodeAnalysisPlugin.java.
    """

    name = "elasticsearch"
    ready_s = 90.0

    def __init__(self, settings: Mapping[str, str] | None = None, *, heap_mb: int = 512) -> None:
        super().__init__()
        self.settings = dict(settings or {})
        self.heap_mb = heap_mb

    @classmethod
    def prepare(cls) -> None:
        project().java()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        heap = (f"-Xms{self.heap_mb}m", f"-Xmx{self.heap_mb}m")
        scratch = self.folder / "tmp"
        scratch.mkdir(exist_ok=True)
        java = project().java(*heap, *FLAGS, *QUIET, f"-Djava.io.tmpdir={scratch}")
        settings = [f"{name}={value}" for name, value in self.settings.items()]
        return [*java, str(self.port), str(self.folder / "home"), *settings]

    def answers(self) -> bool:
        """Once the indices of an earlier start are back, too."""
        try:
            with Client(self.url, request_timeout=5, max_retries=0) as client:
                health = client.cluster.health(wait_for_status="yellow", timeout="1s")
                return not health["timed_out"]
        except (ApiError, TransportError):
            return False


def version() -> str:
    """The server's, as chosen."""
    return VERSIONS[major()][0]


def project() -> Project:
    properties = (
        f"elasticsearch.version={version()}",
        f"elasticsearch.major={major()}",
        f"maven.compiler.release={VERSIONS[major()][1]}",
    )
    return Project(Path(__file__).parent / "elasticsearch-node", VERSIONS[major()][1], properties)


def major() -> str:
    return os.environ.get("CODELUPE_TEST_ELASTICSEARCH_RELEASE", "8")


def wipe(url: str) -> None:
    """Remove our indices (with their aliases) and templates, each by its name."""
    with Client(url, request_timeout=30) as client:
        indices = ours(client.indices.get_alias(index="*", expand_wildcards="all"))
        if indices:
            client.indices.delete(index=indices)
        templates = client.indices.get_index_template()["index_templates"]
        for name in ours(template["name"] for template in templates):
            client.indices.delete_index_template(name=name)
        components = client.cluster.get_component_template()["component_templates"]
        for name in ours(component["name"] for component in components):
            client.cluster.delete_component_template(name=name)


def ours(names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(OURS)]
