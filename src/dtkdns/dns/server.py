"""The face that answers questions: over UDP and TCP, to whom the rules allow."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock, gatherResults, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger

from dtkdns.access import Access, interfaces
from dtkdns.dns.replies import Replies
from dtkdns.dns.transports import Counts, DatagramPort, Datagrams, Peers, Streams
from dtkdns.projection import DNS_FACE, Projection
from dtkdns.settings import Listener
from dtkdns.slices import at_once, in_slices
from dtkdns.status import DNSStatus, PartStatus

RECEIVE_BUFFER = 4 * 1024 * 1024
"""Bytes of questions that may wait while a large change is worked on, as far as the kernel grants them."""


class ListenError(Exception):
    """An address cannot be listened at; the message is a sentence."""


class DNSServer:
    """Answers for the managed domains."""

    _log = Logger()
    name = DNS_FACE

    def __init__(self, listeners: tuple[Listener, ...], access: Access, reactor: Any) -> None:
        self._listeners = listeners
        self._reactor = reactor
        self._ports: list[IListeningPort] = []
        self._held = False
        self._turn = DeferredLock()
        self.replies = Replies(reactor)
        self.counts = Counts()
        self._peers = Peers(access, reactor)
        self._streams = Streams(self.replies, self._peers, self.counts)
        self.addresses: tuple[Listener, ...] = ()
        """Where questions are taken now."""

    # As a face of the provider

    def show(self, projection: Projection, changed: Iterable[str]) -> Deferred[None]:
        """Answer from this projection; where much has changed, that takes a moment."""
        return Deferred.fromCoroutine(self._show(projection, tuple(changed), self._held))

    async def _show(self, projection: Projection, changed: tuple[str, ...], held: bool) -> None:
        async with self._turn:
            steps = self.replies.updating(projection, changed, held=held)
            if self.replies.zone.loaded:
                await in_slices(steps, self._reactor)
            else:
                at_once(steps)  # at the start nobody asks yet

    def hold(self) -> None:
        """Say "no" to nothing: what there should be is not known for certain."""
        self._held = True

    def release(self) -> None:
        """Say "no" again, from the next `show` on."""
        self._held = False

    # As a server

    def listen(self) -> None:
        """Open the ports, for each address one for TCP and the same for UDP; 0 is any that is free.

        Raises `ListenError` where one cannot be opened; then none is.
        """
        try:
            for listener in self._listeners:
                self._listen(listener)
        except ListenError:
            self._close()
            raise
        self._log.info(
            "DNS for the managed domains at {addresses} (UDP and TCP).",
            addresses=", ".join(map(str, self.addresses)),
        )

    def _listen(self, listener: Listener, tries: int = 16) -> None:
        datagrams = Datagrams(self.replies, self._peers, self.counts)
        try:
            tcp = self._reactor.listenTCP(listener.port, self._streams, interface=listener.host)
        except CannotListenError as error:
            raise ListenError(_why_not(listener, error.socketError)) from error
        number = tcp.getHost().port
        try:
            udp = DatagramPort.opened(number, datagrams, listener.host, self._reactor)
        except CannotListenError as error:
            tcp.stopListening()
            if listener.port == 0 and tries:
                self._listen(listener, tries - 1)
                return
            raise ListenError(_why_not(listener, error.socketError)) from error
        with contextlib.suppress(OSError):
            udp.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._ports += (tcp, udp)
        self.addresses += (Listener(listener.host, number),)

    async def stop(self) -> None:
        """Close the ports and the connections."""
        closed = self._close()
        self._streams.close()
        await gatherResults(closed)

    def _close(self) -> list[Deferred[Any]]:
        """Close the ports; they are when all of these have fired."""
        closed = [maybeDeferred(port.stopListening) for port in self._ports]
        self._ports.clear()
        self.addresses = ()
        return closed

    # What is true now

    @property
    def status(self) -> DNSStatus:
        """How the server does."""
        tallies = self.replies.tallies.values()
        return DNSStatus(
            addresses=tuple(map(str, self.addresses)),
            serial=self.replies.zone.serial,
            held=self._held,
            answers=sum(tally.fresh + tally.kept for tally in tallies),
            kept_answers=sum(tally.kept for tally in tallies),
            refused=self.counts.refused,
            dropped=self.counts.silent + self.counts.unsent,
        )

    def readiness(self) -> PartStatus:
        """Whether names are answered for with all that is known of them."""
        if not self.addresses:
            return PartStatus("dns", False, "not listening")
        if not self.replies.zone.loaded or self._held:
            return PartStatus("dns", False, "waits for records: what is not known is answered with SERVFAIL")
        return PartStatus("dns", True, f"at {', '.join(map(str, self.addresses))}")


def each_address(listener: Listener) -> list[Listener]:
    """The addresses that this machine has now, in the place of 0.0.0.0 or [::].

    One socket for all of them would reply from an address that was not asked. Link-local addresses of IPv6 are
    left out: the same may stand for several interfaces. Raises `ListenError`.
    """
    if not ip_address(listener.host).is_unspecified:
        return [listener]
    version = ip_address(listener.host).version
    found = {one.ip for one in interfaces() if one.version == version}
    addresses = sorted(address for address in found if version == 4 or not address.is_link_local)
    if not addresses:
        raise ListenError(f"{listener} for DNS is no address here: this machine has none of that kind.")
    return [Listener(str(address), listener.port) for address in addresses]


def check_listener(listener: Listener) -> None:
    """Raise `ListenError` where an address cannot be listened at now."""
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    try:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(family, kind) as probe:
                if kind == socket.SOCK_STREAM:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((listener.host, listener.port))
                if kind == socket.SOCK_STREAM:
                    probe.listen()
    except OSError as error:
        raise ListenError(_why_not(listener, error)) from error


def _why_not(listener: Listener, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        remedy = (
            f"is taken: stop what answers there (sudo ss -lntup 'sport = {listener.port}'), or give another --dns"
        )
    elif error.errno == errno.EACCES:
        remedy = "needs the right to open it: use sudo, or a port above 1023"
    elif error.errno == errno.EADDRNOTAVAIL:
        remedy = "is no address of this machine: give one of its own (ip address)"
    else:
        remedy = f"cannot be listened at ({error.strerror or error}): give another --dns"
    return f"{listener} for DNS {remedy}."
