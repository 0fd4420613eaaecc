"""HTTP connections: how large a body may be, paths in one spelling, and which requests are being answered."""

from __future__ import annotations

from io import BytesIO
from typing import cast
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from dtkdns.access import peer_address
from dtkdns.web import answers

IDLE_SECONDS = 120
"""How long a connection is kept for the next request: longer than Go's client keeps it (90 s), because a POST on a
connection that the server just closed ends external-dns.
"""
LINGER_SECONDS = 5
"""How long the rest of a refused body is read and thrown away, so that the client gets to see the answer."""
LARGE_BODY = 64 * 1024 * 1024
"""Bytes for the two routes that carry records: 60,000 updates are 40 MiB."""
SMALL_BODY = 4096
"""Bytes for every other route."""


def plain_segments(path: bytes) -> list[bytes] | None:
    """The segments of a path, still quoted, without empty ones; None for a path that no route can mean.

    Those are paths that are not UTF-8, or hide a slash or a control character in a segment.
    """
    segments = [segment for segment in path.split(b"/") if segment]
    for segment in segments:
        unquoted = unquote_to_bytes(segment)
        if b"/" in unquoted or unquoted in {b".", b".."} or any(byte < 32 for byte in unquoted):
            return None
        try:
            unquoted.decode("utf-8")
        except UnicodeDecodeError:
            return None
    return segments


def largest_body(uri: bytes) -> int:
    """How many bytes the body of a request to this path may have."""
    segments = plain_segments(uri.partition(b"?")[0])
    return LARGE_BODY if segments and segments[-1] in {b"records", b"adjustendpoints"} else SMALL_BODY


class WebhookRequest(Request):
    """A request whose body stays in memory and within its limit."""

    channel: WebhookChannel
    room = SMALL_BODY
    complete = False
    arrived = 0.0
    """When the last byte of the request was there (the reactor's seconds)."""

    @property
    def body(self) -> bytes:
        """The whole body."""
        return self.content.getvalue()

    def gotLength(self, length: int | None) -> None:  # noqa: N802
        self.content: BytesIO = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        self.room -= len(data)
        if self.room >= 0:
            super().handleContentChunk(data)
        else:
            self.channel.refuse_body()

    def getRequestHostname(self) -> bytes:  # noqa: N802
        """The same for every request: no route depends on the host."""
        return b"localhost"

    def process(self) -> None:
        self.complete = True
        self.arrived = self.channel.site.clock.seconds()
        segments = plain_segments(self.path)
        if segments is None or not self.path.startswith(b"/") or not self.method.isascii():
            self.write(answers.text(self, 404, answers.NOTHING_HERE))
            self.finish()
            return
        self.path = b"/" + b"/".join(segments)
        super().process()


class WebhookChannel(http.HTTPChannel):
    """A connection that refuses a body as soon as it is known to be too large."""

    site: WebhookSite
    _refused = False

    def connectionMade(self) -> None:  # noqa: N802
        super().connectionMade()
        self.site.opened(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        super().connectionLost(reason)
        self.site.closed(self)

    def close_when_idle(self) -> None:
        """Close now, or after the answer to the request that is under way; one that is only half here is cut."""
        if any(request.complete for request in self.requests):
            self.persistent = False
        else:
            self.loseConnection()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        if not self._refused:
            super().dataReceived(data)

    def allHeadersReceived(self) -> None:  # noqa: N802
        request: WebhookRequest = self.requests[-1]
        request.room = largest_body(self._path)
        if self.length is not None and self.length > request.room:
            self.refuse_body()
        else:
            super().allHeadersReceived()

    def rawDataReceived(self, data: bytes) -> None:  # noqa: N802
        if not self._refused:
            super().rawDataReceived(data)

    def allContentReceived(self) -> None:  # noqa: N802
        if not self._refused:
            super().allContentReceived()

    def refuse_body(self) -> None:
        """Answer 413 and close, without a `100 Continue` and without reading on."""
        if self._refused:
            return
        self._refused = True
        body = b"The body is too large for this path.\n"
        transport = cast(ITCPTransport, self.transport)
        transport.write(
            b"HTTP/1.1 413 Request Entity Too Large\r\nContent-Type: text/plain; charset=utf-8\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body)
        )
        transport.loseWriteConnection()
        self.setTimeout(LINGER_SECONDS)


class WebhookSite(Site):
    """The server's side of all connections; knows which requests are being answered."""

    _log = Logger()

    def __init__(self, resource: IResource, clock: IReactorTime, *, debug: bool = False) -> None:
        super().__init__(resource, WebhookRequest, parsePOSTFormSubmission=False, timeout=IDLE_SECONDS)
        self.protocol = WebhookChannel  # type: ignore[assignment]
        self.noisy = False
        self.clock = clock
        self._debug = debug
        self._channels: set[WebhookChannel] = set()
        self._drained: Deferred[None] | None = None

    def log(self, request: WebhookRequest) -> None:  # type: ignore[override]
        """One line a request, for --debug only."""
        if self._debug:
            self._log.debug(
                "{peer} {method} {uri} {code} in {milliseconds:.1f} ms",
                peer=peer_address(request.getClientAddress()) or "local",
                method=request.method.decode("latin-1"),
                uri=ascii(request.uri.decode("latin-1"))[1:-1],
                code=request.code,
                milliseconds=(self.clock.seconds() - request.arrived) * 1000,
            )

    def opened(self, channel: WebhookChannel) -> None:
        """A connection was made."""
        self._channels.add(channel)

    def closed(self, channel: WebhookChannel) -> None:
        """A connection is gone."""
        self._channels.discard(channel)
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
