"""redis-server without persistence."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from redis import Redis as Client
from redis import RedisError

from tests.servers.process import Server, program


class Redis(Server):
    """`options` are redis-server's own, such as `--maxmemory 20mb`; a restart forgets all keys."""

    name = "redis"

    def __init__(
        self, options: Sequence[str] = (), *, password: str = "", tls: bool = False
    ) -> None:
        super().__init__()
        self.options = list(options)
        self.password = password
        self.certificate = certificate(self.folder) if tls else None

    @classmethod
    def prepare(cls) -> None:
        program("redis-server", "redis-server")

    @property
    def url(self) -> str:
        return f"redis{'s' if self.certificate else ''}://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        words = ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]
        words += ["--dir", str(self.folder)]
        if self.password:
            words += ["--requirepass", self.password]
        if self.certificate:
            words += ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"]
            words += ["--tls-cert-file", str(self.certificate)]
            words += ["--tls-key-file", str(self.certificate.with_suffix(".key"))]
        else:
            words += ["--port", str(self.port)]
        return [program("redis-server", "redis-server"), *words, *self.options]

    def client(self) -> Client:
        """A client with all that the server asks for; to be closed."""
        trusted = {"ssl_ca_certs": str(self.certificate)} if self.certificate else {}
        return Client.from_url(
            self.url, password=self.password or None, socket_timeout=10, **trusted
        )

    def answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except RedisError:
            return False


def certificate(folder: Path, address: str = "IP:127.0.0.1") -> Path:
    """A self-signed certificate, which is its own authority; the key is beside it."""
    path = folder / "server.pem"
    words = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-days", "2", "-subj", "/CN=codelupe-test", "-addext", f"subjectAltName={address}"]
    words += ["-keyout", str(path.with_suffix(".key")), "-out", str(path)]
    subprocess.run(["openssl", "req", *words], check=True, capture_output=True)
    return path
