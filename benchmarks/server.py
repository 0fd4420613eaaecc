"""A webhook server under measurement: dtkdns as a process, or external-dns' own."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from attrs import frozen

import peers
from benchmarks.programs import MissingError
from process import Dtkdns, call, dtkdns

VERSION = peers.EXTERNAL_DNS[-1]
PORT = 8888
"""At which external-dns' webhook server listens, and cannot be told otherwise."""
OPTIONS = ["--webhook-server", "--provider=inmemory", "--inmemory-zone=dtk.io", "--source=fake", "--policy=sync"]
LINES_BEFORE = b"127.0.0.1 localhost\n::1 localhost\n"


@frozen
class Server:
    """One that runs, and a connection to it that stays."""

    pid: int
    port: int
    connection: HTTPConnection

    def call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """The answer to one call, which must be done as asked."""
        status, answer = call(self.connection, method, path, body)
        if status not in {200, 204}:
            raise AssertionError(f"{method} {path}: {status} {answer[:200]!r}")
        return answer

    def another(self) -> Server:
        """The same server by a connection of its own."""
        return Server(self.pid, self.port, _connection(self.port))

    def status(self) -> dict[str, Any]:
        """What dtkdns says of itself."""
        found: dict[str, Any] = json.loads(self.call("GET", "/status"))
        return found

    @property
    def memory(self) -> float:
        """Resident, in MB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


def _connection(port: int) -> HTTPConnection:
    return HTTPConnection("127.0.0.1", port, timeout=60)


@contextmanager
def ours(directory: Path, *, prefix: Sequence[str] = ()) -> Iterator[tuple[Server, Dtkdns]]:
    """A dtkdns with its hosts file and its state in this directory, which may hold them from before."""
    hosts = directory / "hosts"
    directory.mkdir(exist_ok=True)
    if not hosts.exists():
        hosts.write_bytes(LINES_BEFORE)
    files = ("--hosts-file", str(hosts), "--state", str(directory / "state"))
    own = ("--port", "tcp:0:interface=127.0.0.1", "--domains", "dtk.io")
    with dtkdns(*own, *files, prefix=prefix) as service:
        server = Server(service.process.pid, service.port, _connection(service.port))
        server.call("GET", "/")  # from the first answer on it can be stopped as well
        yield server, service
        server.connection.close()
        service.stop()


@contextmanager
def reference() -> Iterator[Server]:
    """external-dns' own webhook server, which keeps its records in memory only."""
    command = [str(peers.external_dns(VERSION)), *OPTIONS]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            connection = _connection(PORT)
            while not _answers(connection):
                if process.poll() is not None:
                    raise MissingError(f"external-dns ended at once: is port {PORT} taken? It needs that one.")
                time.sleep(0.01)
            yield Server(process.pid, PORT, connection)
            connection.close()
        finally:
            process.kill()  # it takes no notice of SIGTERM


def _answers(connection: HTTPConnection) -> bool:
    try:
        return call(connection, "GET", "/")[0] == 200
    except ConnectionRefusedError:
        connection.close()
        return False
