"""A desktop for the tests: a private mount namespace with a hosts file of its own, and dtkdns in it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from attrs import define

from process import Dtkdns, Namespace, call, dtkdns, scratch_etc

HOSTS = b"127.0.0.1 localhost\n10.9.9.9 printer # mine, no newline at the end"
CLUSTER_ADDRESS = "192.168.122.167"

Mounted = Callable[[Path, bytes], AbstractContextManager[Namespace]]


@define
class Desktop:
    """Where a person sits: names are looked up here."""

    namespace: Namespace
    service: Dtkdns
    directory: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.service.port}"

    @property
    def names(self) -> list[str]:
        """The names in dtkdns' block of the hosts file, in its order."""
        text = self.hosts()
        assert text.startswith(HOSTS), text
        lines = text.removeprefix(HOSTS).decode().splitlines()
        return [line.split()[1] for line in lines if line and not line.startswith("#")]

    def hosts(self) -> bytes:
        return self.namespace.run("cat", "/etc/hosts").stdout.encode()

    def resolves(self, name: str) -> str | None:
        """The address that the system's resolver gives; None where it has none."""
        found = self.namespace.run("getent", "hosts", name).stdout.split()
        return found[0] if found else None

    def call(self, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
        with self.service.connection() as connection:
            return call(connection, method, path, body)

    def records(self, base: str = "") -> list[dict[str, Any]]:
        status, body = self.call("GET", f"{base}/records")
        assert status == 200
        found: list[dict[str, Any]] = json.loads(body)
        return found

    def catch_up(self) -> None:
        """Take the log of the service as read up to now."""
        mark = f"/domains?{uuid.uuid4().hex}"
        self.call("GET", mark)
        next(line for line in self.service.lines() if mark in line)

    def learn(
        self, base: str = "", *, url: str = "", domain: str = "dtk.io", address: str = CLUSTER_ADDRESS
    ) -> None:
        """Make the two calls that DTK's script makes, as it makes them."""
        for path, value in (("domains", domain), ("clusterip", address)):
            curl = ["curl", "--fail", "--silent", "--show-error", "--noproxy", "*", "-X", "POST"]
            done = self.namespace.run(*curl, f"{url or self.url}{base}/{path}", "-d", value)
            assert done.returncode == 0, done.stderr

    @contextmanager
    def restarted(self) -> Iterator[Desktop]:
        """The same desktop after dtkdns has ended, with a new one on the same port and state."""
        options = _options(self.directory, f"tcp:{self.service.port}:interface=127.0.0.1")
        with dtkdns(*options, prefix=self.namespace.prefix) as service:
            yield Desktop(self.namespace, service, self.directory)


@contextmanager
def desktop(
    directory: Path, *options: str, port: str = "tcp:0:interface=127.0.0.1", mounted: Mounted = scratch_etc
) -> Iterator[Desktop]:
    """A desktop on which dtkdns has just been started, without a domain."""
    with (
        mounted(directory, HOSTS) as namespace,
        dtkdns(*_options(directory, port), *options, prefix=namespace.prefix) as service,
    ):
        yield Desktop(namespace, service, directory)


def _options(directory: Path, port: str) -> list[str]:
    return ["--port", port, "--state", f"{directory}/state", "--debug"]
