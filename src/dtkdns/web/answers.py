"""Replies, and the time within which one is due."""

from __future__ import annotations

from collections.abc import Coroutine
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING, TypeAlias

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.protocols.basic import FileSender
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest

ANSWER_SECONDS = 9.0
"""After its last byte a call is answered within this time: external-dns (from v0.21) gives up after 15 s, counted
from its first byte, and exits.
"""
PIECE = 256 * 1024
"""Bytes of an answer that are given to a connection at once: no more is copied for a client that does not read."""
NOTHING_HERE = "There is nothing at this path."

if TYPE_CHECKING:
    from dtkdns.web.request import WebhookRequest

Answered: TypeAlias = bytes | Deferred[bytes]
"""What a handler returns: what is to be sent, or what fires with it."""

_log = Logger()


class LateError(Exception):
    """The work is not done in time, and goes on; the message is a sentence."""


def reply(request: IRequest, code: int, content_type: bytes, body: bytes) -> Answered:
    """Set the reply's head for this body, and give the body back; a large one is sent piece by piece."""
    request.setResponseCode(code, HTTPStatus(code).phrase.encode("ascii"))
    request.setHeader(b"X-Content-Type-Options", b"nosniff")
    request.setHeader(b"Content-Type", content_type)
    request.setHeader(b"Content-Length", b"%d" % len(body))
    if len(body) <= PIECE:
        return body
    sender = FileSender()
    sender.CHUNK_SIZE = PIECE
    sent: Deferred[bytes] = sender.beginFileTransfer(BytesIO(body), request)
    # When the client goes away there is nothing to finish: what never fires is cancelled with the request.
    return sent.addCallbacks(lambda _last: b"", lambda _gone: Deferred())


def text(request: IRequest, code: int, sentence: str) -> Answered:
    """A reply of one sentence for a person."""
    return reply(request, code, b"text/plain; charset=utf-8", sentence.encode("utf-8", "replace") + b"\n")


def json(request: IRequest, code: int, value: object) -> Answered:
    """A reply for a program."""
    return reply(request, code, b"application/json", msgspec.json.encode(value) + b"\n")


def no_content(request: IRequest) -> bytes:
    """The reply that has no body."""
    request.setResponseCode(204)
    return b""


def in_time(
    work: Coroutine[Deferred[object], object, None], request: WebhookRequest, clock: IReactorTime
) -> Deferred[None]:
    """What the work comes to, or `LateError` when it is not done in time after the request has arrived.

    The work goes on in either case, also when the client goes away, which cancels only what is returned here.
    """
    answer: Deferred[None] = Deferred(lambda _answer: None)

    def late() -> None:
        if not answer.called:
            answer.errback(
                LateError(
                    "Storing or showing this takes too long; dtkdns goes on with it. Is the disk overloaded?"
                )
            )

    timer = clock.callLater(max(request.arrived + ANSWER_SECONDS - clock.seconds(), 0.0), late)

    def done(result: Failure | None) -> None:
        if timer.active():
            timer.cancel()
        if not answer.called:
            answer.callback(result)
        elif isinstance(result, Failure):
            _log.warn(
                "A call that was answered before it was done has failed: {why}", why=result.getErrorMessage()
            )

    request.large_until(Deferred.fromCoroutine(work).addBoth(done))
    return answer
