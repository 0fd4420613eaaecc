"""All HTTP connections: which may be made, which requests are answered, and that all of them end."""

from __future__ import annotations

from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Connection
from twisted.logger import Logger
from twisted.web.resource import IResource
from twisted.web.server import Site

from dtkdns.access import Caller
from dtkdns.web.answers import Answer
from dtkdns.web.channel import WebhookChannel
from dtkdns.web.gate import Gate
from dtkdns.web.limits import Connections, LargeBodies
from dtkdns.web.metrics import Metrics
from dtkdns.web.paths import route_of
from dtkdns.web.refusals import Refusals
from dtkdns.web.request import WebhookRequest

IDLE_SECONDS = 120
"""How long a connection is kept for the next request: longer than Go's client keeps it (90 s), because a POST on a
connection that the server just closed ends external-dns.
"""


class _Closed(Protocol):
    """A connection that there is no room for."""

    def connectionMade(self) -> None:  # noqa: N802
        cast(Connection, self.transport).abortConnection()


class WebhookSite(Site):
    """The server's side of all connections; knows which requests are being answered."""

    _log = Logger()

    def __init__(
        self, resource: IResource, gate: Gate, metrics: Metrics, clock: IReactorTime, *, debug: bool = False
    ) -> None:
        super().__init__(resource, WebhookRequest, parsePOSTFormSubmission=False, timeout=IDLE_SECONDS)
        self.protocol = WebhookChannel  # type: ignore[assignment]
        self.noisy = False
        self.gate = gate
        self.metrics = metrics
        self.clock = clock
        self.large_bodies = LargeBodies(clock)
        self.connections = Connections()
        self._refusals = Refusals(clock)
        self._debug = debug
        self._channels: set[WebhookChannel] = set()
        self._drained: Deferred[None] | None = None

    def buildProtocol(self, addr: IAddress) -> Protocol:  # type: ignore[override]  # noqa: N802
        """The protocol for a new connection; it is closed at once where there is no room for it."""
        caller = self.gate.access.caller(addr)
        if not self.connections.take(caller.name, stranger=not caller.may_call):
            answer = Answer(0, "too many connections are open, of this peer or in all.", "connections")
            self.refused(caller, answer, "a connection")
            return _Closed()
        channel: WebhookChannel = super().buildProtocol(addr)
        channel.caller = caller
        return channel

    def log(self, request: WebhookRequest) -> None:  # type: ignore[override]
        """Take note of a request that is answered."""
        seconds = self.clock.seconds() - request.arrived
        self.answered(request.caller, request.method, request.uri, request.code, seconds)

    def answered(self, caller: Caller, method: bytes, uri: bytes, code: int, seconds: float) -> None:
        """Count an answer; with --debug it is logged."""
        self.metrics.answered(route_of(uri), method, code, seconds)
        if self._debug:
            self._log.debug(
                "{peer} {method} {uri} {code} in {milliseconds:.1f} ms",
                peer=caller.name,
                method=method.decode("latin-1"),
                uri=ascii(uri.decode("latin-1"))[1:-1],
                code=code,
                milliseconds=seconds * 1000,
            )

    def refused(self, caller: Caller, answer: Answer, what: str) -> None:
        """Count an answer that is a refusal, and say it."""
        if answer.refusal:
            self.metrics.refusals.labels(answer.refusal).inc()
            self._refusals.note(caller.name, answer.refusal, what, answer.sentence)

    def opened(self, channel: WebhookChannel) -> None:
        """A connection was made."""
        self._channels.add(channel)

    def closed(self, channel: WebhookChannel) -> None:
        """A connection is gone."""
        self._channels.discard(channel)
        self.connections.release(channel.caller.name, stranger=not channel.caller.may_call)
        if self._drained is not None and not self._channels and not self._drained.called:
            self._drained.callback(None)

    def drain(self) -> Deferred[None]:
        """Close the connections that are idle, and the others once their request is answered; fires then."""
        self._drained = Deferred(lambda _drained: None)
        for channel in list(self._channels):
            channel.close_when_idle()
        if not self._channels and not self._drained.called:
            self._drained.callback(None)
        return self._drained
