"""The whole service inside the test's own process, and calls to it over a real connection."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import treq
from attrs import frozen
from twisted.internet.threads import deferToThread

from dtkdns.hosts.inplace import Journal
from dtkdns.hosts.kernel import Kernel
from dtkdns.hosts.replace import HostsFile
from dtkdns.service import WebhookService
from dtkdns.tap import Options, makeService
from dtkdns.wire import MEDIA_TYPE

WEBHOOK = {"Content-Type": MEDIA_TYPE.decode("ascii")}
HOSTS = b"127.0.0.1 localhost\n::1 localhost ip6-localhost\n"


@frozen
class Reply:
    status: int
    headers: Any
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8")

    def json(self) -> Any:
        return json.loads(self.body)


@frozen
class Running:
    """A service that listens on a loopback port, and its files."""

    service: WebhookService
    directory: Path

    @property
    def port(self) -> int:
        assert self.service.port is not None
        return int(self.service.port.getHost().port)

    @property
    def hosts(self) -> bytes:
        return (self.directory / "hosts").read_bytes()

    async def call(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Reply:
        response = await treq.request(
            method,
            f"http://127.0.0.1:{self.port}{path}",
            data=body,
            headers=headers or {},
            persistent=False,
            browser_like_redirects=False,
            allow_redirects=False,
        )
        return Reply(response.code, response.headers, await response.content())

    async def change(self, base: str = "", **lists: list[dict[str, Any]]) -> Reply:
        """One `POST /records`."""
        return await self.call("POST", f"{base}/records", json.dumps(lists).encode(), WEBHOOK)

    async def records(self, base: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.call("GET", f"{base}/records")).json()
        return found

    async def raw(self, data: bytes) -> bytes:
        """What comes back for these bytes until the server closes the connection."""
        return await deferToThread(_exchange, self.port, data)


def endpoint(name: str, *targets: str, kind: str = "A", **more: Any) -> dict[str, Any]:
    return {"dnsName": name, "targets": list(targets), "recordType": kind, **more}


def hosts_file(path: Path, kernel: Kernel | None = None) -> HostsFile:
    """A hosts file whose journal lies beside it."""
    kernel = kernel or Kernel()
    return HostsFile(str(path), Journal(str(path.parent / "journal"), kernel), kernel)


@asynccontextmanager
async def running(directory: Path, *options: str) -> AsyncIterator[Running]:
    """A service on scratch files in a directory, with the domain dtk.io; stopped afterwards."""
    hosts = directory / "hosts"
    if not hosts.exists():
        hosts.write_bytes(HOSTS)
    service = make_service(directory, options)
    service.privilegedStartService()
    service.startService()
    try:
        yield Running(service, directory)
    finally:
        if service.running:
            await service.stopService()


def make_service(directory: Path, more: Sequence[str]) -> WebhookService:
    options = Options()
    own = ["--port", "tcp:0:interface=127.0.0.1", "--hosts-file", f"{directory}/hosts"]
    options.parseOptions([*own, "--state", f"{directory}/state", "--domains", "dtk.io", *more])
    service = makeService(options)
    assert isinstance(service, WebhookService)
    return service


def _exchange(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(data)
        received = b""
        while part := connection.recv(65536):
            received += part
        return received
