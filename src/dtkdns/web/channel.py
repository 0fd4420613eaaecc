"""An HTTP connection: how much is taken in, how long that may take, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Protocol, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol
from twisted.internet.protocol import connectionDone
from twisted.internet.tcp import Connection
from twisted.python.failure import Failure
from twisted.web import http
from zope.interface import implementer

from dtkdns.access import Caller
from dtkdns.web.errors import answer_to
from dtkdns.web.gate import Gate, MalformedError
from dtkdns.web.limits import (
    LARGE,
    HeadersTooLargeError,
    LargeBodies,
    LongUriError,
    SlowError,
    SlowRecordsError,
    TooLargeError,
)
from dtkdns.web.paths import carries_records, largest_body, within_a_pass
from dtkdns.web.request import RequestServer, WebhookRequest

ARRIVAL_SECONDS = 30.0
"""How long a request may take from its first byte to its last."""
TAKING_SECONDS = 30.0
"""How long a client may take nothing of an answer: what it waits for is in memory."""
STOPPING_SECONDS = 2.0
"""How much of that is left once dtkdns is being stopped."""
PASS_SECONDS = 2.0
"""How long a connection is kept at a stop for its first call, or for the next one of external-dns' pass: a POST on
a connection that the server closes just then ends external-dns.
"""
LINGER_SECONDS = 5
"""How long the rest of a refused request is read and thrown away, so that the client gets to see the answer."""


class ChannelServer(RequestServer, Protocol):
    """What a connection needs of the server."""

    gate: Gate
    large_bodies: LargeBodies

    def opened(self, channel: WebhookChannel) -> None:
        """A connection was made."""
        ...

    def closed(self, channel: WebhookChannel) -> None:
        """A connection is gone."""
        ...

    def answered(self, caller: Caller, method: bytes, uri: bytes, code: int, seconds: float) -> None:
        """Take note of an answer."""
        ...


@implementer(IHalfCloseableProtocol)
class WebhookChannel(http.HTTPChannel):
    """A connection whose requests pass the gate before their bodies are read, and that refuses too much."""

    site: ChannelServer
    caller: Caller
    _command: bytes
    _path: bytes
    _version: bytes
    _refused = False
    _admitting: Deferred[None] | None = None
    _deadline: IDelayedCall | None = None
    _closing: IDelayedCall | None = None
    _stalled: IDelayedCall | None = None
    _passing: IDelayedCall | None = None
    _held = False
    """Whether nothing is read, until there is an answer from the gate, or room."""
    _whole = False
    """Whether the request was whole when reading was held."""
    _stopping = False
    """Whether no request is taken after the one that is here, because dtkdns is being stopped."""
    _call_until = 0.0
    """Until when a call is likely to be on its way (the reactor's seconds): the first, or the next of a pass."""

    def connectionMade(self) -> None:  # noqa: N802
        super().connectionMade()
        self._call_until = self.site.clock.seconds() + PASS_SECONDS
        self.site.opened(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        super().connectionLost(reason)
        self._refused = True
        self._decide_no_more()
        for timer in (self._deadline, self._closing, self._stalled, self._passing):
            if timer is not None and timer.active():
                timer.cancel()
        self.site.closed(self)

    def close_when_idle(self) -> None:
        """Close now, or once the request that is here is answered; one that is still coming has little time."""
        self._stopping = True
        for request in self.requests:
            self._make_last(request)
        if self._deadline is not None:
            self._deadline.reset(STOPPING_SECONDS)
        elif not self.requests:
            left = self._call_until - self.site.clock.seconds()
            if left > 0:
                self._passing = self.site.clock.callLater(left, self._close_if_idle)
            else:
                self.loseConnection()

    def _close_if_idle(self) -> None:
        if not self.requests and self._deadline is None:
            self.loseConnection()

    def readConnectionLost(self) -> None:  # noqa: N802
        """The client sends no more: it gets the answer that is due, and then the connection is closed."""
        if self._refused or not self.requests or (self._arriving and not self._whole):
            self.loseConnection()
        else:
            self._make_last(self.requests[0])

    def writeConnectionLost(self) -> None:  # noqa: N802
        """We have said all that there is to say: what still comes is thrown away."""

    # A request comes in

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        if self._refused:
            return
        super().dataReceived(data)
        if self._refused:
            return
        if self.paused:
            cast(Connection, self.transport).pauseProducing()
        if self._arriving and self._deadline is None and not self._waitingForTransport:
            seconds = STOPPING_SECONDS if self._stopping else ARRIVAL_SECONDS
            self._deadline = self.site.clock.callLater(seconds, self._too_slow)

    @property
    def _arriving(self) -> bool:
        """Whether a part of a request is here."""
        return not self._handlingRequest and bool(self._buffer or self.requests)

    def lineReceived(self, line: bytes) -> None:  # noqa: N802
        if self._refused:
            return
        if line[:1] in {b" ", b"\t"}:  # obsolete (RFC 9112, section 5.2), and read in two ways
            self._respondToBadRequestAndDisconnect()
        elif self._receivedHeaderSize + len(line) > self.totalHeadersSize:
            self.lineLengthExceeded(line)
        else:
            super().lineReceived(line)

    def headerReceived(self, line: bytes) -> bool:  # noqa: N802
        if self._receivedHeaderCount >= self.maxHeaders:
            self._refuse(Failure(HeadersTooLargeError(f"A request has {self.maxHeaders} headers at most.")))
            return False
        try:
            return bool(super().headerReceived(line))
        except ValueError:  # a length of thousands of digits
            self._respondToBadRequestAndDisconnect()
            return False

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802
        kind = HeadersTooLargeError if self._uri else LongUriError
        self._refuse(Failure(kind(f"Path and headers have {self.totalHeadersSize} bytes at most.")))

    def _respondToBadRequestAndDisconnect(self) -> None:  # noqa: N802
        self._refuse(Failure(MalformedError("This is not a request of HTTP/1.1.")))

    def allHeadersReceived(self) -> None:  # noqa: N802
        if self._refused:
            return
        request: WebhookRequest = self.requests[-1]
        request.limit = largest_body(self._path)
        self._wait_for(Deferred.fromCoroutine(self._admit(request)), super().allHeadersReceived)

    async def _admit(self, request: WebhookRequest) -> None:
        await self.site.gate.admit(self._path, self._command, self._version, request.requestHeaders, self.caller)
        if self.length is not None and self.length > request.limit:
            raise self._too_large()
        if self.length is not None and self.length > LARGE:
            await self._take_room(request)

    async def _take_room(self, request: WebhookRequest) -> None:
        await self.site.large_bodies.take(self.caller.name)
        request.give_back = partial(self.site.large_bodies.release, self.caller.name)

    def body_grew(self, request: WebhookRequest) -> None:
        """A body of unknown length becomes a large one: go on when there is room."""
        if request.received > LARGE and request.give_back is None and not self._held:
            self._wait_for(Deferred.fromCoroutine(self._take_room(request)), lambda: None)

    def rawDataReceived(self, data: bytes) -> None:  # noqa: N802
        if not self._refused:
            super().rawDataReceived(data)

    def allContentReceived(self) -> None:  # noqa: N802
        if self._held:
            self._whole = True
        elif not self._refused:
            self._end_deadline()
            super().allContentReceived()

    def checkPersistence(self, request: WebhookRequest, version: bytes) -> bool:  # noqa: N802
        fields = request.requestHeaders.getRawHeaders(b"Connection", [])
        options = {option.strip().lower() for field in fields for option in field.split(b",")}
        persistent = version == b"HTTP/1.1" and b"close" not in options and not self._stopping
        if not persistent:
            self._make_last(request)
        return persistent

    def requestDone(self, request: WebhookRequest) -> None:  # noqa: N802
        going_on = within_a_pass(request.method, request.uri)
        self._call_until = self.site.clock.seconds() + PASS_SECONDS if going_on else 0.0
        super().requestDone(request)

    def _make_last(self, request: WebhookRequest) -> None:
        request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        self.persistent = False

    # Reading is held while something is not decided

    def _wait_for(self, decision: Deferred[None], go_on: Callable[[], None]) -> None:
        self._admitting = decision

        def decided(_none: None) -> None:
            self._admitting = None
            go_on()
            if self._held:
                self._held = False
                self._read_on()

        def undecided(failure: Failure) -> None:
            self._admitting = None
            if failure.check(CancelledError) is None:
                self._refuse(failure)

        decision.addCallbacks(decided, undecided).addErrback(self._fault)
        if self._admitting is not None:
            self._held = self.paused = True

    def pauseProducing(self) -> None:  # noqa: N802
        """The client does not take its answers: no further request is looked at until it does."""
        super().pauseProducing()
        self.paused = True
        if self._stalled is None:
            self._stalled = self.site.clock.callLater(TAKING_SECONDS, self._abort)

    def resumeProducing(self) -> None:  # noqa: N802
        super().resumeProducing()
        if self._stalled is not None and self._stalled.active():
            self._stalled.cancel()
        self._stalled = None
        self._read_on()

    def _read_on(self) -> None:
        if self._held or self._waitingForTransport or self._refused:
            return
        self.paused = False
        if not self._handlingRequest:
            cast(Connection, self.transport).resumeProducing()
        if self._whole:
            self._whole = False
            self.allContentReceived()
        self.dataReceived(b"")

    def _decide_no_more(self) -> None:
        if self._admitting is not None:
            self._admitting.cancel()

    def _fault(self, failure: Failure) -> None:
        self._log.failure("A connection was cut because of a fault of dtkdns itself.", failure)
        cast(Connection, self.transport).abortConnection()

    # What is not taken

    def refuse_size(self) -> None:
        """The body has turned out to be too large."""
        self._refuse(Failure(self._too_large()))

    def _too_large(self) -> TooLargeError:
        request: WebhookRequest = self.requests[-1]
        return TooLargeError(f"A body for this path has {request.limit} bytes at most.")

    def _too_slow(self) -> None:
        self._deadline = None
        why = f"A request has to arrive within {ARRIVAL_SECONDS:.0f} s."
        error: Exception = SlowError(why)
        if self._stopping:
            error = SlowRecordsError("dtkdns is being stopped: try again.")
        elif carries_records(self._uri):
            error = SlowRecordsError(f"{why} Try again.")
        self._refuse(Failure(error))

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, failure: Failure) -> None:
        """Answer and close: no `100 Continue`, nothing is read on."""
        if self._refused:
            return
        self._refused = True
        self._end_deadline()
        self._decide_no_more()
        answer = answer_to(failure)
        method: bytes = getattr(self, "_command", b"")
        what = f"{method.decode('latin-1')} {self._uri.decode('latin-1')}" if self._uri else "no whole request"
        self.site.refused(self.caller, answer, what)
        self.site.answered(self.caller, method, self._uri, answer.code, 0.0)
        body = answer.sentence.encode("utf-8", "replace") + b"\n"
        headers = [
            *answer.headers,
            (b"Date", http.datetimeToString()),
            (b"Content-Type", b"text/plain; charset=utf-8"),
            (b"X-Content-Type-Options", b"nosniff"),
            (b"Connection", b"close"),
        ]
        head = b"HTTP/1.1 %d %b\r\n" % (answer.code, HTTPStatus(answer.code).phrase.encode("ascii"))
        head += b"".join(b"%b: %b\r\n" % header for header in headers)
        transport = cast(Connection, self.transport)
        transport.resumeProducing()
        transport.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + (b"" if method == b"HEAD" else body))
        if self.isSecure():  # TLS has a farewell of its own, and none of one direction
            self.loseConnection()
        else:
            transport.loseWriteConnection()
        self.setTimeout(LINGER_SECONDS)

    @property
    def _uri(self) -> bytes:
        """What the request asks for; empty as long as that is not known."""
        return getattr(self, "_path", b"")

    def timeoutConnection(self) -> None:  # noqa: N802
        """A connection that is idle, or has lingered, is closed without a word in the log."""
        self._closing = self.site.clock.callLater(self.abortTimeout, self._abort)
        self.loseConnection()

    def _abort(self) -> None:
        cast(Connection, self.transport).abortConnection()
