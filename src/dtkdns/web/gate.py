"""Who may call, and with what: raised before a handler sees the request."""

from __future__ import annotations

from twisted.web.iweb import IRequest

from dtkdns.access import is_this_machine
from dtkdns.wire import MEDIA_TYPE


class ForbiddenError(Exception):
    """The caller may not do this; the message is a sentence."""


class MediaTypeError(Exception):
    """The body is not of the protocol's media type; the message is a sentence."""


def refuse_foreign_origin(request: IRequest) -> None:
    """No page of another site may make a browser call us.

    Raises `ForbiddenError` when there is an `Origin` that is not this service by its address: a name could
    have been made to lead here by the page's own site (DNS rebinding).
    """
    for origin in request.requestHeaders.getRawHeaders(b"Origin", []):
        host = request.getHeader(b"Host") or b""
        name = host.rpartition(b":")[0] or host
        local = name == b"localhost" or name.startswith(b"[") or name.replace(b".", b"").isdigit()
        if not local or origin not in {b"http://" + host, b"https://" + host}:
            raise ForbiddenError("A page of another origin may not call dtkdns.")


def require_this_machine(request: IRequest) -> None:
    """What decides which names lead where is for this machine alone. Raises `ForbiddenError`."""
    address = request.getClientAddress()
    if not is_this_machine(address):
        raise ForbiddenError(
            f"{getattr(address, 'host', 'This caller')} is another machine: domains, addresses and deletions are"
            " taken from the machine that dtkdns runs on. Call it from there."
        )


def require_media_type(request: IRequest) -> None:
    """The record routes take the protocol's own media type only. Raises `MediaTypeError`."""
    given = request.requestHeaders.getRawHeaders(b"Content-Type", [])
    plain = [value.replace(b" ", b"").lower() for value in given]
    if plain != [MEDIA_TYPE]:
        raise MediaTypeError(f"The Content-Type of this call is {MEDIA_TYPE.decode('ascii')}.")
