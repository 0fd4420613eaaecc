"""Replies, and the time within which one is due."""

from __future__ import annotations

from collections.abc import Coroutine
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest

ANSWER_SECONDS = 9.0
"""After its last byte a call is answered within this time: external-dns (from v0.21) gives up after 15 s, counted
from its first byte, and exits.
"""
NOTHING_HERE = "There is nothing at this path."

if TYPE_CHECKING:
    from dtkdns.web.request import WebhookRequest

_log = Logger()


class LateError(Exception):
    """The work is not done in time, and goes on; the message is a sentence."""


def reply(request: IRequest, code: int, content_type: bytes, body: bytes) -> bytes:
    """Set the reply's head for this body, and give the body back."""
    request.setResponseCode(code, HTTPStatus(code).phrase.encode("ascii"))
    request.setHeader(b"X-Content-Type-Options", b"nosniff")
    request.setHeader(b"Content-Type", content_type)
    request.setHeader(b"Content-Length", b"%d" % len(body))
    return body


def text(request: IRequest, code: int, sentence: str) -> bytes:
    """A reply of one sentence for a person."""
    return reply(request, code, b"text/plain; charset=utf-8", sentence.encode("utf-8", "replace") + b"\n")


def json(request: IRequest, code: int, value: object) -> bytes:
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
