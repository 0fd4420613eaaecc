"""What handlers raise, as replies: the one place where an error becomes a status code.

For external-dns 500 to 510 are soft errors that it tries again; every other unexpected code ends it. So whatever
may mend itself is a 503, and a fault of our own a 500.
"""

from __future__ import annotations

from klein import Klein
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from werkzeug.exceptions import HTTPException

from dtkdns.hosts.faults import HostsFileError
from dtkdns.provider import NotFoundError, NotReadyError
from dtkdns.settings import PostedFileError, SetByOptionError, SettingError
from dtkdns.store import StoreError
from dtkdns.web.answers import NOTHING_HERE, LateError, text
from dtkdns.web.gate import ForbiddenError, MediaTypeError
from dtkdns.wire import WireError

_log = Logger()


_CODES: dict[type[Exception], int] = {
    WireError: 400,
    SettingError: 400,
    ForbiddenError: 403,
    NotFoundError: 404,
    SetByOptionError: 409,
    MediaTypeError: 415,
    HostsFileError: 503,
    LateError: 503,
    NotReadyError: 503,
    PostedFileError: 503,
    StoreError: 503,
}


def handle_errors(app: Klein) -> None:
    """Have the app answer every exception in plain text."""

    @app.handle_errors(HTTPException)
    def routing(request: IRequest, failure: Failure) -> bytes:
        error = failure.value
        assert isinstance(error, HTTPException)  # noqa: S101 (what it is registered for)
        for name, value in error.get_headers():
            if name.lower() == "allow":
                request.setHeader(b"Allow", value.encode("ascii"))
        sentence = {
            404: NOTHING_HERE,
            405: "This path does not take that method.",
        }.get(error.code or 500, error.name + ".")
        return text(request, error.code or 500, sentence)

    @app.handle_errors(*_CODES)
    def expected(request: IRequest, failure: Failure) -> bytes:
        code = next(code for kind, code in _CODES.items() if failure.check(kind))
        sentence = failure.getErrorMessage()
        if failure.check(HostsFileError):
            sentence = f"This is stored, but not yet in the hosts file. {sentence}"
        return text(request, code, sentence)

    @app.handle_errors(Exception)
    def unexpected(request: IRequest, failure: Failure) -> bytes:
        _log.failure("A fault of dtkdns itself, please report it.", failure)
        return text(request, 500, "A fault of dtkdns itself: its log has the details.")
