"""What all servers have in common: a free port, a temporary folder, a start, and a certain end."""

from __future__ import annotations

import atexit
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import urlsplit
from weakref import WeakSet

import psutil

STOP_S = 30.0
POLL_S = 0.02
# Below the ports that outgoing connections get: one of those could take a stopped server's port,
# and a client that tries the port again and again could even connect to itself.
PORTS = range(15_000, 30_000)

# A server gets a signal when the thread that started it ends, so it has to be one that lives on.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="servers")
_open: WeakSet[Server] = WeakSet()


class Unavailable(Exception):
    """The server cannot be had on this machine; the message says how to get it."""


class Server:
    """One server process with its children; entering starts it, leaving ends and removes it all.

    `start` after `stop` or `kill` uses the same port and data.
    """

    name: ClassVar[str]
    user: ClassVar[str] = ""  # whom root runs it as, where it refuses root
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    orphan_signal: ClassVar[signal.Signals] = signal.SIGKILL  # when this process has died
    ready_s: ClassVar[float] = 30.0

    def __init__(self) -> None:
        self.prepare()
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"codelupe-{self.name}-"))
        self._process: subprocess.Popen[bytes] | None = None
        _open.add(self)
        if self.user and os.geteuid() == 0:
            shutil.chown(self.folder, self.user, self.user)

    @classmethod
    def prepare(cls) -> None:
        """Raises Unavailable where the server cannot be had; quick."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        """Where clients find it; without a password."""
        raise NotImplementedError

    def command(self) -> list[str]:
        """What runs the server in the foreground."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether it does its work by now."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start, and wait until it answers; RuntimeError with its last words where it does not."""
        assert self._process is None, f"{self.name} runs already"
        self._process = _starter.submit(self._spawn).result()
        give_up_at = time.monotonic() + self.ready_s
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                status = self._process.poll()
                self.kill()
                raise RuntimeError(f"{self.name} is not ready (status {status}):\n{self.said()}")
            time.sleep(POLL_S)

    def stop(self) -> None:
        """End it the clean way; after STOP_S the other one."""
        if self._process is None:
            return
        self.go_on()
        self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End all of its processes with SIGKILL; none is left when this returns."""
        if self._process is None:
            return
        processes = self._stopped_processes()
        for process in processes:
            send(process, signal.SIGKILL)
        self._process.wait()
        psutil.wait_procs(processes, STOP_S)
        self._process = None

    def pause(self) -> None:
        """SIGSTOP: connections stay open, and nothing answers."""
        self._stopped_processes()

    def go_on(self) -> None:
        """SIGCONT, after `pause`."""
        for process in self._processes():
            send(process, signal.SIGCONT)

    def close(self) -> None:
        """End it and remove its data; may be called again."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        _open.discard(self)

    @property
    def pids(self) -> list[int]:
        """The server's processes, the first one first; none where it does not run."""
        return [process.pid for process in self._processes()]

    def said(self) -> str:
        """The end of what it logged."""
        return (self.folder / "log").read_text("utf-8", "replace")[-4000:]

    def _spawn(self) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [*bound(self.user, self.orphan_signal), *self.command()],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _processes(self) -> list[psutil.Process]:
        if self._process is None or self._process.poll() is not None:
            return []
        first = psutil.Process(self._process.pid)
        return [first, *first.children(recursive=True)]

    def _stopped_processes(self) -> list[psutil.Process]:
        """All of them, the first one stopped before the rest are listed: it starts no more."""
        for process in self._processes()[:1]:
            send(process, signal.SIGSTOP)
        processes = self._processes()
        for process in processes[1:]:
            send(process, signal.SIGSTOP)
        return processes


def bound(user: str, orphan_signal: signal.Signals = signal.SIGKILL) -> list[str]:
    """What stands before a command that gets the signal when this process dies.

    Root runs it as `user`, where one is named.
    """
    words = ["setpriv", "--pdeathsig", orphan_signal.name.removeprefix("SIG")]
    if user and os.geteuid() == 0:
        words += ["--reuid", user, "--regid", user, "--init-groups"]
    return words


def send(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):  # a child that ended by itself
        process.send_signal(number)


def free_port() -> int:
    for port in random.SystemRandom().sample(PORTS, 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no free port in {PORTS}")


def at_port(url: str, port: int) -> str:
    """The URL, with the same name and path, but at that port of 127.0.0.1."""
    parts = urlsplit(url)
    who, at, _ = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{who}{at}127.0.0.1:{port}").geturl()


def program(name: str, package: str) -> str:
    """The path of a command; raises Unavailable."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if path is None:
        raise Unavailable(f"{name} is not installed: apt-get install {package}")
    return path


@atexit.register
def _close_all() -> None:
    for server in list(_open):
        server.close()
