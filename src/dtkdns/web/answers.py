"""Replies."""

from __future__ import annotations

from http import HTTPStatus
from io import BytesIO
from typing import TypeAlias

import msgspec
from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.protocols.basic import FileSender
from twisted.web.iweb import IRequest

PIECE = 256 * 1024
"""Bytes of an answer that are given to a connection at once: no more is copied for a client that does not read."""
NOTHING_HERE = "There is nothing at this path."

Answered: TypeAlias = bytes | Deferred[bytes]
"""What a handler returns: what is to be sent, or what fires with it."""


@frozen
class Answer:
    """What is answered to a request that is not done as asked."""

    code: int
    sentence: str
    refusal: str = ""
    """Why it is refused, in a word; empty where it is not, but has failed."""
    headers: tuple[tuple[bytes, bytes], ...] = ()


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
