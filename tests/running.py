"""The whole service inside the test's own process, and calls to it over a real connection."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Event
from typing import Any

import dns.message
import pytest
import treq
from attrs import frozen
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import DatagramProtocol, Protocol, connectionDone
from twisted.internet.task import Clock, deferLater
from twisted.python.failure import Failure

from dtkdns.hosts import replace
from dtkdns.hosts.inplace import Journal
from dtkdns.hosts.kernel import Kernel
from dtkdns.hosts.replace import HostsFile
from dtkdns.service import WebhookService
from dtkdns.tap import Options, makeService
from dtkdns.web.server import WebhookSite
from dtkdns.wire import MEDIA_TYPE

WEBHOOK = {"Content-Type": MEDIA_TYPE.decode("ascii")}
DOMAINS = ("--domains", "dtk.io")
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


class Client(Protocol):
    """A bare connection to the service."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.lost: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        self.lost.callback(None)

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    async def has(self, text: bytes, times: int = 1) -> None:
        """Wait until this has come so often."""
        await until(lambda: self.received.count(text) >= times)

    async def leave(self) -> None:
        """Go away without a word."""
        self.transport.abortConnection()
        await self.lost


class TurningClock(Clock):
    """Stands still, but work in slices (a slow machine needs several) goes on in the reactor's next turn."""

    def callLater(self, when: float, what: Callable[..., object], *args: Any, **how: Any) -> IDelayedCall:  # noqa: N802
        if when == 0:
            return reactor.callLater(0, what, *args, **how)
        return super().callLater(when, what, *args, **how)


class Asker(DatagramProtocol):
    """Waits for one datagram."""

    noisy = False

    def __init__(self) -> None:
        self.received: Deferred[bytes] = Deferred()

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:  # noqa: N802
        self.received.callback(datagram)


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
    def site(self) -> WebhookSite:
        return self.service._site

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

    async def ask(self, name: str, record_type: str = "A") -> dns.message.Message:
        """What DNS answers over UDP, the same at every address."""
        server = self.service._dns
        assert server is not None
        asked = dns.message.make_query(name, record_type)
        replies = []
        for address in server.addresses:
            asker = Asker()
            port = reactor.listenUDP(0, asker, interface=address.host)
            asker.transport.write(asked.to_wire(), (address.host, address.port))
            replies.append(await asker.received)
            await port.stopListening()
        assert len(set(replies)) == 1
        return dns.message.from_wire(replies[0])

    async def records(self, base: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.call("GET", f"{base}/records")).json()
        return found

    async def connect(self, source: str = "127.0.0.1") -> Client:
        """A connection of the peer that has this loopback address."""
        server = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port, bindAddress=(source, 0))
        client: Client = await connectProtocol(server, Client())
        return client

    async def raw(self, data: bytes, source: str = "127.0.0.1") -> bytes:
        """What comes back for these bytes until the server closes the connection."""
        client = await self.connect(source)
        client.send(data)
        await client.lost
        return bytes(client.received)

    def stop_time(self) -> Clock:
        """The clock by which requests and large bodies now wait; it stands still until it is moved."""
        clock = Clock()
        self.site.clock = self.site.large_bodies._clock = clock
        return clock


async def until(true: Callable[[], bool]) -> None:
    """Let the service work until this is so."""
    while not true():
        await deferLater(reactor, 0)


def endpoint(name: str, *targets: str, kind: str = "A", **more: Any) -> dict[str, Any]:
    return {"dnsName": name, "targets": list(targets), "recordType": kind, **more}


def hang(monkeypatch: pytest.MonkeyPatch) -> Event:
    """From now on the disk under the hosts file hangs, until the event is set."""
    slow = Event()
    edit = replace.HostsFile.edit

    def wait_and_edit(
        self: replace.HostsFile, transform: replace.Transform, foreign: replace.Foreign
    ) -> replace.Edited:
        slow.wait()
        return edit(self, transform, foreign)

    monkeypatch.setattr(replace.HostsFile, "edit", wait_and_edit)
    return slow


def credentials_file(directory: Path, *lines: str) -> tuple[str, str]:
    """The option for a file with these lines."""
    path = directory / "credentials"
    path.write_text("\n".join(lines))
    path.chmod(0o600)
    return "--credentials", str(path)


def basic(user: str, secret: str) -> dict[str, str]:
    """The header that gives these credentials."""
    return {"Authorization": "Basic " + b64encode(f"{user}:{secret}".encode()).decode()}


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
        service._site.clock = reactor
        if service.running:
            await service.stopService()


def make_service(directory: Path, more: Sequence[str]) -> WebhookService:
    options = Options()
    own = ["--port", "tcp:0:interface=127.0.0.1", "--hosts-file", f"{directory}/hosts", "--dns", "127.0.0.1:0"]
    options.parseOptions([*own, "--state", f"{directory}/state", *DOMAINS, *more])
    service = makeService(options)
    assert isinstance(service, WebhookService)
    return service
