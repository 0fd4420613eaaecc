"""Where the server listens, what it says where it cannot, and how it does."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

import dns.message
import dns.rcode
import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import MemoryReactorClock

from dns_questions import ask, packet, zone
from dtkdns.access import Access
from dtkdns.dns import server as server_module
from dtkdns.dns.server import RECEIVE_BUFFER, DNSServer, ListenError, check_listener, each_address
from dtkdns.dns.transports import Counts, DatagramPort
from dtkdns.projection import Projection
from dtkdns.settings import Listener
from dtkdns.slices import STRIDE
from running import TurningClock, running

UDP, TCP = socket.SOCK_DGRAM, socket.SOCK_STREAM
HERE = "127.0.0.1"
SOME = zone(("foo.dtk.io", "A", "10.0.0.1"))
TAKEN = "{} for DNS is taken: stop what answers there (sudo ss -lntup 'sport = {}'), or give another --dns."


def server(*listeners: Listener, on: Any = reactor) -> DNSServer:
    return DNSServer(listeners or (Listener(HERE, 0),), Access(allow=()), on)


unbound = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
"""Twisted leaves a socket that it could not bind to the collection of garbage."""


@contextmanager
def taken(kind: socket.SocketKind, host: str = HERE) -> Iterator[Listener]:
    """A port that somebody else has, over UDP or TCP only."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as other:
        other.bind((host, 0))
        if kind == TCP:
            other.listen()
        yield Listener(host, other.getsockname()[1])


def is_free(listener: Listener, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == TCP:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listener.host, listener.port))
        except OSError:
            return False
        return True


class Unwilling(MemoryReactorClock):
    """A reactor that cannot open some ports."""

    def __init__(self, number: int, udp: int = 0, tcp: int = 0) -> None:
        super().__init__()
        self.error = OSError(number, os.strerror(number) if number < 1000 else "")
        self.refuses = {"udp": udp, "tcp": tcp}
        self.opened: list[str] = []
        self.closed: list[str] = []

    def open(self, kind: str, port: int) -> OpenPort:
        if self.refuses[kind]:
            self.refuses[kind] -= 1
            raise CannotListenError(HERE, port, self.error)
        self.opened.append(kind)
        return OpenPort(self, kind, port or 40000)

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:  # noqa: N802
        return self.open("tcp", port)


@pytest.fixture
def ports_of_the_reactor(monkeypatch: pytest.MonkeyPatch) -> None:
    """UDP ports are opened by the reactor that the server has."""

    def opened(number: int, _protocol: object, _host: str, on: Unwilling) -> OpenPort:
        return on.open("udp", number)

    monkeypatch.setattr(DatagramPort, "opened", opened)


class OpenPort:
    """A port that only says what is done to it; its buffer cannot be made larger."""

    def __init__(self, owner: Unwilling, kind: str, number: int) -> None:
        self.owner, self.kind, self.port = owner, kind, number
        self.socket = self

    def getHost(self) -> OpenPort:  # noqa: N802
        return self

    def setsockopt(self, *_option: int) -> None:
        raise OSError(errno.ENOBUFS, "No buffer space available")

    def stopListening(self) -> None:  # noqa: N802
        self.owner.closed.append(self.kind)


# Listening


@unbound
@ensureDeferred
@pytest.mark.parametrize("host", [HERE, "::1"])
async def test_one_port_is_opened_for_udp_and_tcp_and_closed_again(host: str, log_lines: list[str]) -> None:
    found = server(Listener(host, 0), Listener(host, 0))
    assert found.readiness().ok is False
    assert found.readiness().detail == "not listening"
    found.listen()
    first, second = found.addresses
    assert first != second
    assert {one.host for one in found.addresses} == {host}
    assert log_lines == [f"DNS for the managed domains at {first}, {second} (UDP and TCP)."]
    for listener in found.addresses:
        with pytest.raises(ListenError, match="is taken"):
            check_listener(listener)
    udp = found._ports[1]
    assert udp.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) > 0
    await found.stop()
    assert found.addresses == ()
    for listener in (first, second):
        check_listener(listener)
    await found.stop()


@unbound
@ensureDeferred
@pytest.mark.parametrize("kind", [UDP, TCP])
async def test_a_port_that_somebody_has_over_one_of_the_two_is_taken_and_nothing_stays_open(
    kind: socket.SocketKind,
) -> None:
    with taken(kind) as listener:
        found = server(Listener(HERE, 0), listener)
        with pytest.raises(ListenError) as raised:
            found.listen()
        assert str(raised.value) == TAKEN.format(listener, listener.port)
        assert found.addresses == ()
        assert found._ports == []
        await deferLater(reactor, 0)
        assert is_free(listener, TCP if kind == UDP else UDP)
        await found.stop()


@unbound
@ensureDeferred
async def test_where_one_of_several_addresses_is_taken_the_others_are_closed_again() -> None:
    opened: list[Listener] = []

    class Watched(DNSServer):
        def _close(self) -> Any:
            opened.extend(self.addresses)
            return super()._close()

    with taken(UDP) as listener:
        found = Watched((Listener(HERE, 0), listener), Access(), reactor)
        with pytest.raises(ListenError):
            found.listen()
    await deferLater(reactor, 0)
    (first,) = opened
    check_listener(first)


@pytest.mark.parametrize("kind", [UDP, TCP])
@pytest.mark.parametrize("host", [HERE, "::1"])
def test_a_port_that_somebody_has_is_found_out_without_listening(kind: socket.SocketKind, host: str) -> None:
    with taken(kind, host) as listener:
        with pytest.raises(ListenError) as raised:
            check_listener(listener)
        assert str(raised.value) == TAKEN.format(listener, listener.port)
    check_listener(listener)


@unbound
def test_an_address_of_another_machine_cannot_be_listened_at() -> None:
    listener = Listener("203.0.113.7", 5053)
    sentence = "203.0.113.7:5053 for DNS is no address of this machine: give one of its own (ip address)."
    for act in (lambda: check_listener(listener), server(listener).listen):
        with pytest.raises(ListenError) as raised:
            act()
        assert str(raised.value) == sentence


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.EACCES, "127.0.0.1:53 for DNS needs the right to open it: use sudo, or a port above 1023."),
        (errno.EADDRINUSE, TAKEN.format("127.0.0.1:53", 53)),
        (
            errno.EMFILE,
            "127.0.0.1:53 for DNS cannot be listened at (Too many open files): give another --dns.",
        ),
        (9999, "127.0.0.1:53 for DNS cannot be listened at ([Errno 9999] ): give another --dns."),
    ],
)
@pytest.mark.parametrize("kind", ["udp", "tcp"])
@pytest.mark.usefixtures("ports_of_the_reactor")
def test_the_reason_is_a_sentence_that_says_what_to_do(number: int, sentence: str, kind: str) -> None:
    unwilling = Unwilling(number, **{kind: 1})
    with pytest.raises(ListenError) as raised:
        server(Listener(HERE, 53), on=unwilling).listen()
    assert str(raised.value) == sentence
    assert unwilling.opened == unwilling.closed


@pytest.mark.usefixtures("ports_of_the_reactor")
def test_any_free_port_is_one_that_is_free_over_udp_too() -> None:
    unwilling = Unwilling(errno.EADDRINUSE, udp=3)
    found = server(on=unwilling)
    found.listen()
    assert found.addresses == (Listener(HERE, 40000),)
    assert unwilling.opened == ["tcp"] * 4 + ["udp"]
    assert unwilling.closed == ["tcp"] * 3


@pytest.mark.usefixtures("ports_of_the_reactor")
def test_any_free_port_is_not_looked_for_without_an_end() -> None:
    unwilling = Unwilling(errno.EADDRINUSE, udp=1000)
    with pytest.raises(ListenError, match="is taken"):
        server(on=unwilling).listen()
    assert unwilling.opened == unwilling.closed
    assert len(unwilling.opened) == 17


GRANTED = min(RECEIVE_BUFFER, int(Path("/proc/sys/net/core/rmem_max").read_text()))


@ensureDeferred
async def test_questions_may_wait_in_a_large_buffer_as_far_as_the_kernel_grants_it() -> None:
    found = server()
    found.listen()
    assert found._ports[1].socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= GRANTED
    await found.stop()


# Every address of this machine

INTERFACES = [
    ip_interface(one)
    for one in ("10.0.0.2/24", "127.0.0.1/8", "10.0.0.2/32", "fe80::7/64", "fd00::2/64", "::1/128")
]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (HERE, [HERE]),
        ("10.9.9.9", ["10.9.9.9"]),
        ("fe80::9", ["fe80::9"]),
        ("0.0.0.0", ["10.0.0.2", HERE]),
        ("::", ["::1", "fd00::2"]),
    ],
)
def test_the_unspecified_address_stands_for_each_that_this_machine_has(
    host: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reply then comes from the address that was asked."""
    monkeypatch.setattr(server_module, "interfaces", lambda: INTERFACES)
    assert each_address(Listener(host, 5053)) == [Listener(one, 5053) for one in expected]


def test_a_machine_without_an_address_of_that_kind_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "interfaces", lambda: INTERFACES[3:4])
    for host, shown in (("0.0.0.0", "0.0.0.0:53"), ("::", r"\[::\]:53")):
        with pytest.raises(
            ListenError, match=f"{shown} for DNS is no address here: this machine has none of that"
        ):
            each_address(Listener(host, 53))


# Showing


@ensureDeferred
async def test_what_is_shown_is_answered_and_counted() -> None:
    found = server(on=TurningClock())
    assert found.status.serial == 0
    assert ask(found.replies, "foo.dtk.io").rcode() == dns.rcode.SERVFAIL
    await found.show(SOME, ["foo.dtk.io"])
    for name in ("foo.dtk.io", "bar.dtk.io"):
        ask(found.replies, name)
    found.counts.refused, found.counts.silent, found.counts.unsent = 5, 3, 4
    status = found.status
    assert (status.addresses, status.serial, status.held) == ((), 1, False)
    assert (status.answers, status.kept_answers, status.refused, status.dropped) == (6, 3, 5, 7)


@ensureDeferred
async def test_held_it_says_no_to_nothing_until_what_comes_after_the_release() -> None:
    found = server(on=TurningClock())
    found.hold()
    await found.show(SOME, ["foo.dtk.io"])
    assert ask(found.replies, "foo.dtk.io").answer
    assert ask(found.replies, "bar.dtk.io").rcode() == dns.rcode.SERVFAIL
    assert found.status.held
    found.release()
    assert ask(found.replies, "bar.dtk.io").rcode() == dns.rcode.SERVFAIL
    await found.show(SOME, [])
    assert ask(found.replies, "bar.dtk.io").rcode() == dns.rcode.NXDOMAIN


@ensureDeferred
async def test_it_is_ready_once_it_listens_and_knows_all_there_is() -> None:
    found = server()
    found.listen()
    waits = "waits for records: what is not known is answered with SERVFAIL"
    try:
        assert (found.readiness().ok, found.readiness().detail) == (False, waits)
        await found.show(Projection(), [])
        assert (found.readiness().ok, found.readiness().detail) == (True, f"at {found.addresses[0]}")
        found.hold()
        assert (found.readiness().ok, found.readiness().detail) == (False, waits)
    finally:
        await found.stop()


class Turns(Clock):
    """Each turn of this reactor takes a second."""

    def callLater(self, delay: float, *args: Any, **kwargs: Any) -> Any:  # noqa: N802
        return super().callLater(max(delay, 1), *args, **kwargs)


@ensureDeferred
async def test_projections_are_shown_one_after_the_other_however_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is worked on in slices is whole before the next begins."""
    monkeypatch.setattr("dtkdns.slices.SLICE", 0.0)
    clock = Turns()
    found = server(on=clock)
    await found.show(zone(), [])
    large = zone(*((f"n{at}.dtk.io", "A", "10.0.0.1") for at in range(5 * STRIDE)))
    first = found.show(large, sorted(large.shown))
    second = found.show(SOME, ["foo.dtk.io", *sorted(large.shown)])
    assert not first.called
    assert ask(found.replies, "n1.dtk.io").rcode() == dns.rcode.NXDOMAIN
    while not first.called:
        assert not second.called
        clock.advance(1)
    assert ask(found.replies, "n1.dtk.io").answer
    while not second.called:
        clock.advance(1)
    assert ask(found.replies, "foo.dtk.io").answer
    assert ask(found.replies, "n1.dtk.io").rcode() == dns.rcode.NXDOMAIN
    assert set(found.replies.zone._below) == {"dtk.io", "io"}


@ensureDeferred
async def test_what_is_shown_first_is_answered_at_once_however_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes before the ports are opened and the reactor runs."""
    monkeypatch.setattr("dtkdns.slices.SLICE", 0.0)
    found = server(on=Turns())
    large = zone(*((f"n{at}.dtk.io", "A", "10.0.0.1") for at in range(5 * STRIDE)))
    await found.show(large, sorted(large.shown))
    assert ask(found.replies, "n1.dtk.io").answer


@ensureDeferred
async def test_over_a_real_socket_a_question_is_answered_until_it_stops(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        found = service.service._dns
        assert found is not None
        (listener,) = found.addresses
        with socket.socket(socket.AF_INET, UDP) as client:
            client.connect((listener.host, listener.port))
            client.setblocking(False)
            client.send(packet("dtk.io", "SOA"))
            reply = b""
            while not reply:
                await deferLater(reactor, 0)
                try:
                    reply = client.recv(4096)
                except BlockingIOError:
                    continue
            assert dns.message.from_wire(reply).answer[0][0].serial == found.status.serial
        assert found.counts == Counts()
        await service.service.stopService()
        assert is_free(listener, UDP)
        assert is_free(listener, TCP)
