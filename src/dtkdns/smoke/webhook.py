"""The calls of external-dns to one base, and what their answers must look like."""

from __future__ import annotations

from typing import Any, Self, TypeVar

import msgspec
import treq
from attrs import define, field, frozen
from hyperlink import EncodedURL
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError
from twisted.internet.defer import TimeoutError as LateError
from twisted.internet.error import ConnectError, ConnectingCancelledError, DNSLookupError
from twisted.internet.error import TimeoutError as ConnectTimeoutError
from twisted.web.client import Agent, HTTPConnectionPool, ResponseFailed
from twisted.web.http_headers import Headers

from dtkdns.smoke.report import FaultError
from dtkdns.wire import MEDIA_TYPE

T = TypeVar("T")
Document = dict[str, Any]

JSON = b"application/json"
CALL_SECONDS = 15.0
"""How long external-dns waits for an answer (from v0.21, `provider/webhook/webhook.go`)."""


class _Uri(EncodedURL):
    """A URL that is sent as it is: hyperlink encodes IPv6 addresses as names (python-hyper/hyperlink#68)."""

    def to_uri(self) -> Self:
        return self


@frozen
class Reply:
    """An answer: its status, its media type, its body."""

    status: int
    media_type: str
    body: bytes

    @property
    def sentence(self) -> str:
        """What the body says to a person, in one line."""
        return " ".join(self.body[:400].decode("utf-8", "replace").split())


@define
class Webhook:
    """One base of a dtkdns, for instance `http://192.168.0.12:5000/clusters/lab`."""

    url: str
    credentials: tuple[str, str] | None
    call_seconds: float
    """How long a call may take."""
    reactor: Any
    _pool: HTTPConnectionPool = field(init=False)
    _client: HTTPClient = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._pool = HTTPConnectionPool(self.reactor, persistent=True)
        self._client = HTTPClient(Agent(self.reactor, connectTimeout=self.call_seconds, pool=self._pool))

    async def close(self) -> None:
        await self._pool.closeCachedConnections()

    async def call(self, method: str, path: str, body: object = None) -> Reply:
        """Make a call; raises `FaultError` when there is no answer."""
        headers = Headers({b"Accept": [MEDIA_TYPE]})
        data = None
        if body is not None:
            headers.addRawHeader(b"Content-Type", MEDIA_TYPE)
            data = msgspec.json.encode(body)
        try:
            response = await self._client.request(
                method,
                _Uri.from_text(self.url + path),
                headers=headers,
                data=data,
                auth=self.credentials,
                allow_redirects=False,
                timeout=self.call_seconds,
            )
            content = await treq.content(response).addTimeout(self.call_seconds, self.reactor)
            media_type = response.headers.getRawHeaders(b"Content-Type", [b""])[0].decode("latin-1")
        except Exception as error:
            raise self._unreachable(error) from error
        return Reply(response.code, media_type, content)

    async def records(self) -> list[Document]:
        """What `GET /records` gives. Raises `FaultError`."""
        reply = await self.call("GET", "/records")
        require(reply, 200)
        return decoded(reply, list[Document])

    async def apply(self, **lists: list[Document]) -> None:
        """One `POST /records`. Raises `FaultError`."""
        reply = await self.call("POST", "/records", lists)
        require(reply, 204)

    def _unreachable(self, error: Exception) -> FaultError:
        error = cause_of(error)
        wrong = str(error) or type(error).__name__
        advice = "Is it dtkdns that listens there, and http or https as it was started?"
        if isinstance(error, CancelledError | ConnectingCancelledError | ConnectTimeoutError | LateError):
            wrong = f"nothing within {self.call_seconds:g} s"
            if not isinstance(error, CancelledError):
                advice = "Does the firewall of that machine let the port through? " + advice
        elif isinstance(error, DNSLookupError):
            advice = "Give the address of the desktop, the host-ip of DTK's config.yaml."
        elif isinstance(error, ConnectError):
            advice = (
                "Is dtkdns running, and is this the port it says in its log (webhook-port in DTK's config.yaml)?"
                " Elsewhere than on its own machine: does the firewall let the port through?"
            )
        return FaultError(f"No answer from {self.url}: {wrong.rstrip('.')}.", advice)


def cause_of(error: Exception) -> Exception:
    """What made a request fail; the error itself where it holds no other."""
    if isinstance(error, ResponseFailed):
        inner = error.reasons[0].value
        return cause_of(inner) if isinstance(inner, Exception) else error
    return error


def require(reply: Reply, status: int, media_type: bytes = MEDIA_TYPE) -> None:
    """Raise `FaultError` unless the answer has this status, and this media type where it has a body.

    external-dns exits on every other status but 500 to 510, and at its start on another media type.
    """
    if reply.status != status:
        advice = {
            401: "Give --credentials FILE with a line user:secret.",
            403: "dtkdns refuses calls from here: run this on its own machine, or allow this network.",
            404: "Is it dtkdns that listens there, and is the cluster's name right?",
            503: "dtkdns will try again by itself; its log has the cause.",
        }.get(reply.status, "Is it dtkdns that listens there?")
        raise FaultError(f"Status {reply.status} instead of {status}: {reply.sentence}", advice)
    if status == 200 and reply.media_type != media_type.decode("ascii"):
        raise FaultError(
            f"The media type is {reply.media_type or 'missing'!r} instead of {media_type.decode('ascii')!r}.",
            "Is it dtkdns that listens there, without a proxy between?",
        )


def decoded(reply: Reply, kind: type[T]) -> T:
    """The answer's JSON; raises `FaultError`."""
    try:
        return msgspec.json.decode(reply.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FaultError(f"The body does not decode: {error}.", "Is it dtkdns that listens there?") from error
