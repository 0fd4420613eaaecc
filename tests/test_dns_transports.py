"""Questions over UDP and TCP: who gets answers, how many at once, and what becomes of clients that misbehave."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent

from dns_questions import packet, replies_for, zone
from dtkdns.access import Access, Caller
from dtkdns.dns import transports
from dtkdns.dns.server import DNSServer
from dtkdns.dns.transports import (
    IDLE_SECONDS,
    MOST_AT_A_TIME,
    MOST_CONNECTIONS,
    MOST_OF_A_PEER,
    MOST_REMEMBERED,
    REMEMBERED_SECONDS,
    Counts,
    DatagramPort,
    Datagrams,
    Peers,
    Streams,
    _Stream,
)
from dtkdns.projection import Projection
from running import Client, Running, endpoint, running, until

STRANGER = "203.0.113.7"
SOME = zone(("foo.dtk.io", "A", "10.0.0.1"))
LARGE = '"' + "x" * 250 + '" '
"""Two hundred of these are an answer of 50 KB."""


def framed(*messages: bytes) -> bytes:
    return b"".join(struct.pack("!H", len(message)) + message for message in messages)


def unframed(data: bytes) -> list[bytes]:
    found = []
    while data:
        (length,) = struct.unpack_from("!H", data)
        found.append(data[2 : 2 + length])
        assert len(found[-1]) == length
        data = data[2 + length :]
    return found


def ids(data: bytes | bytearray) -> list[int]:
    return [dns.message.from_wire(one).id for one in unframed(bytes(data))]


# Who may ask


class Watched(Access):
    """Rules that count how often they are looked at."""

    looked = 0

    def caller(self, peer: object) -> Caller:
        Watched.looked += 1
        return Access.caller(self, cast("IPv4Address", peer))


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.advance(1_700_000_000)
    return clock


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("10.1.2.3", True),
        ("fd00::1", True),
        (STRANGER, False),
        ("2001:db8::1", False),
    ],
)
def test_this_machine_and_private_networks_may_ask_and_the_rest_of_the_internet_may_not(
    host: str, allowed: bool, clock: Clock
) -> None:
    peers = Peers(Access(), clock)
    assert [peers.may_ask(host), peers.may_ask(host)] == [allowed, allowed]
    assert Peers(Access(allow=()), clock).may_ask(host) == (host in {"127.0.0.1", "::1"})


def test_who_may_ask_is_remembered_for_a_moment(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(Watched, "looked", 0)
    peers = Peers(Watched(allow=()), clock)
    for seconds, looked in ((0, 1), (REMEMBERED_SECONDS - 0.1, 1), (0.1, 2), (0, 2), (REMEMBERED_SECONDS, 3)):
        clock.advance(seconds)
        assert not peers.may_ask(STRANGER)
        assert Watched.looked == looked


def test_a_clock_that_is_put_back_makes_nothing_remembered_for_longer(clock: Clock) -> None:
    peers = Peers(Access(allow=()), clock)
    assert not peers.may_ask(STRANGER)
    clock.rightNow -= 3600
    assert not peers.may_ask(STRANGER)
    assert peers._known[STRANGER][1] == clock.seconds() + REMEMBERED_SECONDS


def test_only_so_many_peers_are_remembered(clock: Clock) -> None:
    peers = Peers(Access(allow=()), clock)
    for number in range(3 * MOST_REMEMBERED):
        peers.may_ask(f"192.0.{number >> 8}.{number & 255}")
        assert 0 < len(peers._known) <= MOST_REMEMBERED


# Datagrams, at a transport that is none


class Handle:
    """A socket that takes replies, or does not."""

    def __init__(self, error: OSError | None = None) -> None:
        self.sent: list[tuple[bytes, tuple[str, int]]] = []
        self.error = error

    def sendto(self, data: bytes, where: tuple[str, int]) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append((data, where))


def datagrams(handle: Handle, counts: Counts, access: Access | None = None) -> Datagrams:
    found = Datagrams(replies_for(SOME), Peers(access or Access(allow=()), Clock()), counts)
    found.transport = cast("transports.Port", SimpleNamespace(getHandle=lambda: handle))
    found.startProtocol()
    return found


def test_a_peer_that_may_not_ask_gets_nothing_over_udp() -> None:
    handle, counts = Handle(), Counts()
    server = datagrams(handle, counts)
    for message in (packet("foo.dtk.io"), b"", b"garbage of some length"):
        server.datagramReceived(message, (STRANGER, 5353))
    assert handle.sent == []
    assert counts == Counts(refused=3)
    server.datagramReceived(packet("foo.dtk.io"), ("127.0.0.1", 5353))
    assert [where for _, where in handle.sent] == [("127.0.0.1", 5353)]


def test_what_gets_no_reply_is_counted_and_so_is_what_the_kernel_does_not_take() -> None:
    handle, counts = Handle(), Counts()
    server = datagrams(handle, counts)
    for message in (b"", b"short", packet("foo.dtk.io", flags=dns.flags.QR)):
        server.datagramReceived(message, ("127.0.0.1", 5353))
    assert (handle.sent, counts) == ([], Counts(silent=3))
    for error in (BlockingIOError(), PermissionError(), OSError(22, "Invalid argument")):
        handle.error = error
        server.datagramReceived(packet("foo.dtk.io"), ("127.0.0.1", 0))
    assert counts == Counts(silent=3, unsent=3)


class Queue:
    """A socket with datagrams that wait to be read."""

    def __init__(self, *datagrams: tuple[bytes, tuple[str, int] | tuple[str, int, int, int]]) -> None:
        self.waiting = list(datagrams)

    def recvfrom(self, _size: int) -> tuple[bytes, tuple[str, int] | tuple[str, int, int, int]]:
        if not self.waiting:
            raise BlockingIOError
        return self.waiting.pop(0)


def port_that_reads(queue: Queue, protocol: object) -> DatagramPort:
    port = DatagramPort(0, protocol, reactor=Clock())
    port.socket = cast("socket.socket", queue)
    return port


@pytest.mark.parametrize("datagram", [b"", packet("foo.dtk.io")])
def test_however_short_datagrams_are_only_so_many_are_read_at_a_time(datagram: bytes) -> None:
    """A flood of empty ones, which count as nothing to Twisted, keeps the reactor from nothing else."""
    handle, counts = Handle(), Counts()
    queue = Queue(*[(datagram, ("127.0.0.1", 5353))] * (2 * MOST_AT_A_TIME + 7))
    port = port_that_reads(queue, datagrams(handle, counts))
    for left in (MOST_AT_A_TIME + 7, 7, 0, 0):
        port.doRead()
        assert len(queue.waiting) == left
    assert counts.silent + len(handle.sent) == 2 * MOST_AT_A_TIME + 7


def test_a_link_local_peer_gets_its_reply_where_it_is() -> None:
    handle = Handle()
    peer = ("fe80::7", 5353, 0, 2)
    access = Access(allow=(ip_network("fe80::/10"),))
    port_that_reads(Queue((packet("foo.dtk.io"), peer)), datagrams(handle, Counts(), access)).doRead()
    assert [where for _, where in handle.sent] == [peer]


def test_a_fault_of_ours_is_logged_and_the_next_datagram_is_answered(no_lost_errors: list[LogEvent]) -> None:
    received: list[bytes] = []

    class Faulty:
        def datagramReceived(self, datagram: bytes, _addr: object) -> None:  # noqa: N802
            received.append(datagram)
            if datagram == b"first":
                raise ZeroDivisionError

    port_that_reads(Queue((b"first", ("127.0.0.1", 1)), (b"second", ("127.0.0.1", 2))), Faulty()).doRead()
    assert received == [b"first", b"second"]
    assert [event["log_failure"].type for event in no_lost_errors] == [ZeroDivisionError]
    no_lost_errors.clear()


# Connections, at a transport that is none


def streams(counts: Counts | None = None, access: Access | None = None) -> Streams:
    return Streams(replies_for(SOME), Peers(access or Access(allow=()), Clock()), counts or Counts())


def connect(
    server: Streams, host: str = "127.0.0.1", clock: Clock | None = None
) -> tuple[_Stream, StringTransport]:
    stream = server.buildProtocol(None)
    stream.callLater = (clock or Clock()).callLater
    family = IPv6Address if ":" in host else IPv4Address
    transport = StringTransport(peerAddress=family("TCP", host, 40000))
    stream.makeConnection(transport)
    return stream, transport


def test_a_peer_that_may_not_ask_is_cut_off_before_it_has_said_a_word() -> None:
    counts = Counts()
    server = streams(counts)
    for host in (STRANGER, "2001:db8::1"):
        stream, transport = connect(server, host)
        assert transport.disconnected
        assert transport.producer is None
        stream.connectionLost()
    assert counts == Counts(refused=2)
    assert not server._open
    assert not server._of_peer


def test_so_many_connections_of_a_peer_and_of_all_and_a_closed_one_makes_room() -> None:
    counts = Counts()
    server = streams(counts)
    hosts = [f"127.0.0.{number}" for number in range(1, 5)]
    mine = [connect(server, hosts[0]) for _ in range(MOST_OF_A_PEER)]
    assert connect(server, hosts[0])[1].disconnected
    for host in hosts[1:]:
        mine += [connect(server, host) for _ in range(MOST_OF_A_PEER)]
    assert len(server._open) == MOST_CONNECTIONS
    assert connect(server, "127.0.0.5")[1].disconnected
    assert counts.refused == 2
    assert not any(transport.disconnected for _, transport in mine)
    mine.pop()[0].connectionLost()
    assert not connect(server, "127.0.0.5")[1].disconnected
    for stream in tuple(server._open):
        stream.connectionLost()
        stream.connectionLost()
    assert not server._of_peer


def test_a_transport_that_can_write_no_more_is_closed() -> None:
    stream, transport = connect(streams())
    assert IHalfCloseableProtocol.providedBy(stream)
    stream.writeConnectionLost()
    assert transport.disconnecting


def test_the_answers_before_garbage_are_sent_and_nothing_behind_it_is_looked_at() -> None:
    """Whether it comes in one segment with it or in another."""
    counts = Counts()
    server = streams(counts)
    questions = [packet("foo.dtk.io", message_id=number) for number in range(4)]
    for garbage in (b"", b"short", packet("foo.dtk.io", flags=dns.flags.QR)):
        for pieces in (
            [framed(*questions[:2], garbage, *questions[2:])],
            [framed(*questions[:2]), framed(garbage)],
        ):
            stream, transport = connect(server)
            for piece in pieces:
                stream.dataReceived(piece)
            assert ids(transport.value()) == [0, 1]
            assert transport.disconnecting
            assert transport.producer is None
            stream.dataReceived(framed(*questions))
            assert ids(transport.value()) == [0, 1]
    assert counts.silent == 6


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_messages_are_taken_out_of_segments_of_any_size(size: int) -> None:
    stream, transport = connect(streams())
    data = framed(*(packet("foo.dtk.io", message_id=number) for number in range(20)))
    for at in range(0, len(data), size):
        stream.dataReceived(data[at : at + size])
    assert ids(transport.value()) == list(range(20))
    assert not transport.disconnecting


def test_while_answers_are_not_taken_no_further_question_is_answered() -> None:
    stream, transport = connect(streams())
    assert transport.producer is stream
    assert transport.streaming
    stream.pauseProducing()
    assert transport.producerState == "paused"
    stream.dataReceived(framed(packet("foo.dtk.io"), packet("foo.dtk.io")))
    assert transport.value() == b""
    stream.resumeProducing()
    assert transport.producerState == "producing"
    assert len(unframed(transport.value())) == 2


def test_a_connection_without_a_question_is_cut_after_some_seconds() -> None:
    clock = Clock()
    stream, transport = connect(streams(), clock=clock)
    for _ in range(3):
        clock.advance(IDLE_SECONDS - 0.1)
        assert not transport.disconnected
        stream.dataReceived(framed(packet("foo.dtk.io")))
    clock.advance(IDLE_SECONDS)
    assert transport.disconnected
    stream.connectionLost()
    assert not clock.getDelayedCalls()


def test_a_connection_that_only_dribbles_is_idle() -> None:
    clock = Clock()
    stream, transport = connect(streams(), clock=clock)
    for byte in framed(packet("foo.dtk.io"))[: int(IDLE_SECONDS)]:
        assert not transport.disconnected
        stream.dataReceived(bytes([byte]))
        clock.advance(1)
    assert transport.disconnected


# Over real sockets


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which connections are idle."""
    clock = Clock()
    monkeypatch.setattr(_Stream, "callLater", clock.callLater, raising=False)
    return clock


def server_of(service: Running) -> DNSServer:
    server = service.service._dns
    assert server is not None
    return server


def port_of(service: Running) -> int:
    return server_of(service).addresses[0].port


def open_streams(service: Running) -> list[_Stream]:
    return list(server_of(service)._streams._open)


class Asker(DatagramProtocol):
    """Asks over UDP, and keeps what comes back."""

    def __init__(self) -> None:
        self.received: list[bytes] = []

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:  # noqa: N802
        self.received.append(datagram)


async def by_udp(service: Running, *messages: bytes, replies: int = 1) -> list[bytes]:
    """The first replies to these messages."""
    asker = Asker()
    port = reactor.listenUDP(0, asker, interface="127.0.0.1")
    try:
        for message in messages:
            asker.transport.write(message, ("127.0.0.1", port_of(service)))
        await until(lambda: len(asker.received) >= replies)
        return asker.received
    finally:
        await port.stopListening()


class Listening(Client):
    """A connection whose end is noticed even while nothing is read."""

    def __init__(self) -> None:
        super().__init__()
        self.made: Deferred[None] = Deferred()

    def replies(self) -> int:
        """How many whole replies there are."""
        found, at = 0, 0
        while at + 2 <= len(self.received):
            at += 2 + int.from_bytes(self.received[at : at + 2], "big")
            found += at <= len(self.received)
        return found


async def by_tcp(service: Running, source: str = "127.0.0.1") -> Listening:
    server = TCP4ClientEndpoint(reactor, "127.0.0.1", port_of(service), bindAddress=(source, 0))
    client: Listening = await connectProtocol(server, Listening())
    return client


async def has_text(service: Running, pieces: int) -> None:
    """`foo` has an address, and `text` a text of so many pieces."""
    changed = await service.change(
        create=[
            endpoint("foo.dtk.io", "10.0.0.1"),
            endpoint("text.dtk.io", (LARGE * pieces).strip() or '""', kind="TXT"),
        ]
    )
    assert changed.status == 204


@ensureDeferred
async def test_what_external_dns_sends_is_answered_over_udp_and_tcp(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        asked = packet("Foo.DTK.io")
        (before,) = await by_udp(service, asked)
        assert dns.message.from_wire(before).rcode() == dns.rcode.NXDOMAIN
        await has_text(service, 0)
        (answer,) = await by_udp(service, asked)
        assert dns.message.from_wire(answer).answer[0].to_text() == "Foo.DTK.io. 5 IN A 10.0.0.1"
        client = await by_tcp(service)
        client.send(framed(asked))
        await until(lambda: client.replies() == 1)
        assert unframed(bytes(client.received)) == [answer]
        await client.leave()
        await until(lambda: not open_streams(service))


@ensureDeferred
async def test_what_is_too_long_for_udp_comes_over_tcp(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        await has_text(service, 200)
        asked = packet("text.dtk.io", "TXT", edns=4096)
        (short,) = await by_udp(service, asked)
        assert dns.message.from_wire(short).flags & dns.flags.TC
        client = await by_tcp(service)
        client.send(framed(asked))
        await until(lambda: client.replies() == 1)
        (whole,) = unframed(bytes(client.received))
        assert len(whole) > 50_000
        assert dns.message.from_wire(whole).answer[0][0].to_text() == (LARGE * 200).strip()
        await client.leave()


@ensureDeferred
async def test_garbage_over_udp_gets_nothing_and_hurts_nobody(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        await has_text(service, 0)
        reply_itself = packet("foo.dtk.io", flags=dns.flags.QR)
        found = await by_udp(service, b"", b"x", bytes(11), reply_itself, packet("foo.dtk.io"))
        assert len(found) == 1
        assert dns.message.from_wire(found[0]).answer
        assert server_of(service).counts == Counts(silent=4)
        assert server_of(service).status.dropped == 4


@ensureDeferred
async def test_many_questions_in_one_segment_and_one_in_many(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        await has_text(service, 0)
        client = await by_tcp(service)
        client.transport.setTcpNoDelay(True)
        questions = framed(*(packet("foo.dtk.io", message_id=number) for number in range(100)))
        client.send(questions)
        await until(lambda: client.replies() == 100)
        for byte in framed(packet("foo.dtk.io", message_id=100)):
            (stream,) = open_streams(service)
            before = len(stream._unprocessed)
            client.send(bytes([byte]))
            await until(lambda b=before, s=stream: len(s._unprocessed) != b or client.replies() == 101)
        await until(lambda: client.replies() == 101)
        assert ids(client.received) == list(range(101))
        await client.leave()


@ensureDeferred
async def test_a_client_that_only_asks_and_reads_nothing_is_not_read_from_either(
    tmp_path: Path, idle: Clock
) -> None:
    """What waits for it is bounded, and after some seconds it is cut."""
    async with running(tmp_path) as service:
        await has_text(service, 200)
        client = await by_tcp(service)
        client.transport.pauseProducing()
        asked = framed(packet("text.dtk.io", "TXT"))
        for _ in range(100):
            client.send(asked * 10)
        await until(lambda: bool(open_streams(service)) and open_streams(service)[0].paused)
        (stream,) = open_streams(service)
        for _ in range(50):
            client.send(asked * 1000)
            await until(passes(20))
        assert server_of(service).status.answers < 500  # the kernel has room for some megabytes
        assert len(stream._unprocessed) < 2**17
        assert stream.transport._tempDataLen + len(stream.transport.dataBuffer) < 2**18
        idle.advance(IDLE_SECONDS)
        await until(lambda: not open_streams(service))
        client.transport.resumeProducing()
        await client.lost
        assert not idle.getDelayedCalls()


def passes(turns: int) -> Callable[[], bool]:
    """True after so many turns of the reactor."""
    left = [turns]

    def done() -> bool:
        left[0] -= 1
        return left[0] < 0

    return done


@ensureDeferred
@pytest.mark.parametrize("closes", [False, True])
async def test_a_client_that_reads_late_gets_every_answer_in_order(
    tmp_path: Path, idle: Clock, closes: bool
) -> None:
    """Also when it has closed its side of the connection meanwhile."""
    async with running(tmp_path) as service:
        await has_text(service, 200)
        client = await by_tcp(service)
        client.transport.pauseProducing()
        for number in range(300):
            client.send(framed(packet("text.dtk.io", "TXT", message_id=number)))
        await until(lambda: bool(open_streams(service)) and open_streams(service)[0].paused)
        if closes:
            client.transport.loseWriteConnection()
        client.transport.resumeProducing()
        await until(lambda: client.replies() == 300)
        assert ids(client.received) == list(range(300))
        if closes:
            await client.lost
        else:
            await client.leave()
        await until(lambda: not open_streams(service))
        assert not idle.getDelayedCalls()


@ensureDeferred
async def test_a_half_closed_client_gets_its_answers_and_then_the_end(tmp_path: Path, idle: Clock) -> None:
    async with running(tmp_path) as service:
        await has_text(service, 100)
        client = await by_tcp(service)
        client.send(framed(*(packet("text.dtk.io", "TXT", message_id=number) for number in range(10))) + b"\0")
        client.transport.loseWriteConnection()
        await client.lost
        assert ids(client.received) == list(range(10))
        await until(lambda: not open_streams(service))
        assert not idle.getDelayedCalls()


@ensureDeferred
async def test_a_half_closed_client_that_reads_nothing_is_cut(tmp_path: Path, idle: Clock) -> None:
    async with running(tmp_path) as service:
        await has_text(service, 200)
        client = await by_tcp(service)
        client.transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.transport.pauseProducing()
        client.send(framed(packet("text.dtk.io", "TXT")) * 200)
        client.transport.loseWriteConnection()
        await until(lambda: bool(open_streams(service)) and open_streams(service)[0].paused)
        idle.advance(IDLE_SECONDS)
        await until(lambda: not open_streams(service))
        client.transport.abortConnection()
        await client.lost


@ensureDeferred
async def test_a_reply_or_garbage_on_a_connection_closes_it_after_the_answers_before(
    tmp_path: Path, idle: Clock
) -> None:
    async with running(tmp_path) as service:
        await has_text(service, 200)
        for garbage in (b"", b"x", packet("foo.dtk.io", flags=dns.flags.QR)):
            client = await by_tcp(service)
            client.transport.pauseProducing()
            asked = [packet("text.dtk.io", "TXT", message_id=number) for number in range(300)]
            client.send(framed(*asked, garbage, *asked))
            await until(lambda: bool(open_streams(service)) and open_streams(service)[0].paused)
            client.transport.resumeProducing()
            await client.lost
            assert ids(client.received) == list(range(300))
            await until(lambda: not open_streams(service))
        assert server_of(service).counts.silent == 3
        assert not idle.getDelayedCalls()


@ensureDeferred
async def test_an_idle_connection_is_cut_and_one_that_asks_is_not(tmp_path: Path, idle: Clock) -> None:
    async with running(tmp_path) as service:
        await has_text(service, 0)
        silent, slow, asking = [await by_tcp(service) for _ in range(3)]
        await until(lambda: len(open_streams(service)) == 3)
        slow.send(framed(packet("foo.dtk.io"))[:-1])
        idle.advance(IDLE_SECONDS - 1)
        asking.send(framed(packet("foo.dtk.io")))
        await until(lambda: asking.replies() == 1)
        idle.advance(1)
        await silent.lost
        await slow.lost
        assert len(open_streams(service)) == 1
        assert silent.received == slow.received == b""
        await asking.leave()
        await until(lambda: not open_streams(service))


@ensureDeferred
async def test_a_peer_has_so_many_connections_and_others_theirs(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        await has_text(service, 0)
        mine = [await by_tcp(service) for _ in range(MOST_OF_A_PEER)]
        await until(lambda: len(open_streams(service)) == MOST_OF_A_PEER)
        one_more = await by_tcp(service)
        await one_more.lost
        others = [await by_tcp(service, f"127.0.0.{2 + at // MOST_OF_A_PEER}") for at in range(48)]
        await until(lambda: len(open_streams(service)) == MOST_CONNECTIONS)
        above = await by_tcp(service, "127.0.0.9")
        await above.lost
        assert server_of(service).status.refused == 2
        for client in (mine[0], others[-1]):
            client.send(framed(packet("foo.dtk.io")))
            await until(lambda c=client: c.replies() == 1)
        await mine.pop().leave()
        await until(lambda: len(open_streams(service)) == MOST_CONNECTIONS - 1)
        last = await by_tcp(service, "127.0.0.9")
        last.send(framed(packet("foo.dtk.io")))
        await until(lambda: last.replies() == 1)
        for client in (*mine, *others, last):
            await client.leave()
        await until(lambda: not open_streams(service))
        assert not server_of(service)._streams._of_peer


@ensureDeferred
async def test_a_refused_peer_gets_no_answer_over_real_sockets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as service:
        monkeypatch.setattr(Peers, "may_ask", lambda self, host: host != "127.0.0.2")
        client = await by_tcp(service, "127.0.0.2")
        client.send(framed(packet("foo.dtk.io")))
        await client.lost
        assert client.received == b""
        assert server_of(service).counts.refused == 1


@ensureDeferred
async def test_a_stop_cuts_connections_and_leaves_no_timer(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        clients = [await by_tcp(service) for _ in range(3)]
        await until(lambda: len(open_streams(service)) == 3)
        server = server_of(service)
        await service.service.stopService()
        for client in clients:
            await client.lost
        assert server.addresses == ()
        assert not server._streams._open


@ensureDeferred
async def test_an_empty_projection_and_a_full_one_are_both_shown(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        server = server_of(service)
        await server.show(Projection(), [])
        (refused,) = await by_udp(service, packet("foo.dtk.io"))
        assert dns.message.from_wire(refused).rcode() == dns.rcode.REFUSED
        await server.show(SOME, ["foo.dtk.io"])
        (answer,) = await by_udp(service, packet("foo.dtk.io"))
        assert dns.message.from_wire(answer).answer
