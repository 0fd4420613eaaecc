"""One request: its body in memory and within its limit, its path in one spelling."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.server import Request

from dtkdns.access import Caller
from dtkdns.web.answers import Answer
from dtkdns.web.paths import SMALL_BODY, plain_segments

T = TypeVar("T")


class RequestServer(Protocol):
    """What a request needs of the server."""

    clock: IReactorTime

    def refused(self, caller: Caller, answer: Answer, what: str) -> None:
        """Take note of a refusal."""
        ...


class RequestChannel(Protocol):
    """What a request needs of its connection."""

    caller: Caller

    @property
    def site(self) -> RequestServer: ...

    def refuse_size(self) -> None:
        """The body has turned out to be too large."""
        ...

    def body_grew(self, request: WebhookRequest) -> None:
        """A part of the body has come."""
        ...


class WebhookRequest(Request):
    """A request whose body stays in memory and within its limit."""

    channel: RequestChannel  # type: ignore[assignment]
    limit = SMALL_BODY
    """Bytes that its body may have."""
    received = 0
    """Bytes of its body that are there."""
    arrived = 0.0
    """When the last byte of the request was there (the reactor's seconds)."""
    give_back: Callable[[], None] | None = None
    """To be called when the room that a large body takes is free again: it is answered, and its work is done."""

    @property
    def body(self) -> bytes:
        """The whole body."""
        return self.content.getvalue()

    @property
    def caller(self) -> Caller:
        """Who makes the request."""
        return self.channel.caller

    def gotLength(self, length: int | None) -> None:  # noqa: N802
        self.content: BytesIO = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        self.received += len(data)
        if self.received > self.limit:
            self.channel.refuse_size()
        else:
            super().handleContentChunk(data)
            self.channel.body_grew(self)

    def getRequestHostname(self) -> bytes:  # noqa: N802
        """The same for every request: no route depends on the host."""
        return b"localhost"

    def process(self) -> None:
        self.arrived = self.channel.site.clock.seconds()
        self.path = b"/" + b"/".join(plain_segments(self.path) or [])
        super().process()

    @property
    def what(self) -> str:
        """Method and path, as the log shows them."""
        return f"{self.method.decode('latin-1')} {self.path.decode('latin-1')}"

    def finish(self) -> None:
        super().finish()
        self._end()

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802
        super().connectionLost(reason)
        self._end()

    def large_until(self, done: Deferred[T]) -> None:
        """If it is a large one, count it as such until this is done, whether or not the client waits."""
        give_back, self.give_back = self.give_back, None

        def free(result: T) -> T:
            if give_back is not None:
                give_back()
            return result

        done.addBoth(free)

    def _end(self) -> None:
        # Klein leaves it in a cycle: what was not sent must not wait there for a search.
        self.transport = None
        give_back, self.give_back = self.give_back, None
        if give_back is not None:
            give_back()
