"""Questions as they come in: datagrams and connections, each peer asked after first."""

from __future__ import annotations

from collections import Counter
from typing import Any

from attrs import define
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IReactorTime,
)
from twisted.internet.protocol import DatagramProtocol, Factory, connectionDone
from twisted.internet.tcp import Server
from twisted.internet.udp import Port
from twisted.logger import Logger
from twisted.protocols.basic import Int16StringReceiver
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure
from zope.interface import implementer

from dtkdns.access import Access
from dtkdns.dns.replies import Replies

MOST_CONNECTIONS = 64
MOST_OF_A_PEER = 16
IDLE_SECONDS = 10.0
"""Between two questions on one connection (RFC 7766, section 6.2.3, asks for a few seconds)."""
REMEMBERED_SECONDS = 5.0
"""How long it is remembered which peers may ask, because their addresses, and ours, come and go."""
MOST_REMEMBERED = 1024
MOST_AT_A_TIME = 100
"""Datagrams that are read before everything else has its turn: some milliseconds."""


@define
class Counts:
    """What got no answer, in numbers."""

    refused: int = 0
    """Questions and connections of peers that may not ask, or have too many connections."""
    silent: int = 0
    """Messages that get no reply: replies themselves, and what is no message."""
    unsent: int = 0
    """Replies that the kernel did not take."""


class Peers:
    """Which peers may ask, remembered for a moment."""

    def __init__(self, access: Access, clock: IReactorTime) -> None:
        self._access = access
        self._clock = clock
        self._known: dict[str, tuple[bool, float]] = {}

    def may_ask(self, host: str) -> bool:
        """Whether the peer with this address may."""
        now = self._clock.seconds()
        allowed, until = self._known.get(host, (False, 0.0))
        if now < until <= now + REMEMBERED_SECONDS:  # or the clock was put back
            return allowed
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        family = IPv6Address if ":" in host else IPv4Address
        allowed = self._access.caller(family("UDP", host, 0)).may_call
        self._known[host] = allowed, now + REMEMBERED_SECONDS
        return allowed


class DatagramPort(Port):
    """A port that is left after so many datagrams, however short.

    Twisted's own goes on until so many bytes have come, so that empty datagrams can keep it from everything else.
    It also takes the scope off the address of a peer, without which a link-local one gets no reply.
    """

    _log = Logger()

    def doRead(self) -> None:  # noqa: N802
        for _ in range(MOST_AT_A_TIME):
            try:
                datagram, peer = self.socket.recvfrom(self.maxPacketSize)
            except OSError:  # there are no more
                return
            try:
                self.protocol.datagramReceived(datagram, peer)
            except Exception:
                self._log.failure("A datagram could not be answered.")

    @classmethod
    def opened(cls, number: int, protocol: Datagrams, host: str, reactor: Any) -> DatagramPort:
        """One that reads. Raises `CannotListenError`."""
        port = cls(number, protocol, host, reactor=reactor)
        port.startListening()
        return port


class Datagrams(DatagramProtocol):
    """Questions over UDP."""

    noisy = False
    transport: Port

    def __init__(self, replies: Replies, peers: Peers, counts: Counts) -> None:
        self._reply = replies.by_datagram
        self._may_ask = peers.may_ask
        self._counts = counts

    def startProtocol(self) -> None:  # noqa: N802
        self._send = self.transport.getHandle().sendto  # `transport.write` looks at each address twice

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int] | tuple[str, int, int, int]) -> None:  # noqa: N802
        if not self._may_ask(addr[0]):
            self._counts.refused += 1
            return
        reply = self._reply(datagram)
        if reply is None:
            self._counts.silent += 1
            return
        try:
            self._send(reply, addr)
        except OSError:
            self._counts.unsent += 1


@implementer(IHalfCloseableProtocol)
class _Stream(Int16StringReceiver, TimeoutMixin):
    """One connection; questions are not read while the answers to those before are not taken."""

    transport: Server

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self.host = ""

    def connectionMade(self) -> None:  # noqa: N802
        self.host = self.transport.getPeer().host
        if not self._streams.admit(self):
            self.transport.abortConnection()
            return
        self.transport.registerProducer(self, True)
        self.setTimeout(IDLE_SECONDS)

    def stringReceived(self, string: bytes) -> None:  # noqa: N802
        reply = self._streams.reply(string)
        if reply is None:
            self._finish()
        else:
            self.resetTimeout()
            self.sendString(reply)

    def timeoutConnection(self) -> None:  # noqa: N802
        self.transport.abortConnection()

    def readConnectionLost(self) -> None:  # noqa: N802
        self._finish()

    def _finish(self) -> None:
        """Close once the answers are taken; what came behind is not read."""
        self.paused = True
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:  # noqa: N802
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        self.setTimeout(None)
        self._streams.leave(self)


class Streams(Factory):
    """Questions over TCP (RFC 7766)."""

    noisy = False

    def __init__(self, replies: Replies, peers: Peers, counts: Counts) -> None:
        self._replies = replies
        self._peers = peers
        self._counts = counts
        self._open: set[_Stream] = set()
        self._of_peer: Counter[str] = Counter()

    def buildProtocol(self, addr: IAddress | None) -> _Stream:  # noqa: N802
        return _Stream(self)

    def admit(self, stream: _Stream) -> bool:
        """Whether there is room for one more connection of this peer, and it may ask; it then counts."""
        if (
            len(self._open) >= MOST_CONNECTIONS
            or self._of_peer[stream.host] >= MOST_OF_A_PEER
            or not self._peers.may_ask(stream.host)
        ):
            self._counts.refused += 1
            return False
        self._open.add(stream)
        self._of_peer[stream.host] += 1
        return True

    def leave(self, stream: _Stream) -> None:
        """A connection is gone, whether it was let in or not."""
        if stream in self._open:
            self._open.remove(stream)
            self._of_peer[stream.host] -= 1
            self._of_peer += Counter()  # without those that have none

    def reply(self, message: bytes) -> bytes | None:
        """The reply to a message; None where the connection is to be closed instead."""
        reply = self._replies.by_stream(message)
        self._counts.silent += reply is None
        return reply

    def close(self) -> None:
        """Cut all connections."""
        for stream in tuple(self._open):
            stream.transport.abortConnection()
