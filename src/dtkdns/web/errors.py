"""What handlers and the gate raise, as answers: the one place where an error becomes a status code.

For external-dns 500 to 510 are soft errors that it tries again; every other unexpected code ends it. So whatever
may mend itself is a 503, what is too much for dtkdns a 507, and a fault of our own a 500.
"""

from __future__ import annotations

from klein import Klein
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from werkzeug.exceptions import HTTPException

from dtkdns.allowance import TooManyError
from dtkdns.hosts.faults import HostsFileError
from dtkdns.provider import FullError, NotFoundError, NotReadyError
from dtkdns.settings import PostedFileError, SetByOptionError, SettingError
from dtkdns.store import StoreError
from dtkdns.web import gate, limits
from dtkdns.web.answers import NOTHING_HERE, Answer, Answered, text
from dtkdns.web.request import WebhookRequest
from dtkdns.web.work import LateError
from dtkdns.wire import WireError

_log = Logger()


_CODES: dict[type[Exception], tuple[int, str]] = {
    WireError: (400, "body"),
    SettingError: (400, "body"),
    gate.MalformedError: (400, "malformed"),
    gate.CredentialsRequiredError: (401, "credentials"),
    gate.PeerError: (403, "peer"),
    gate.OriginError: (403, "origin"),
    gate.ManagementError: (403, "management"),
    gate.PathError: (404, "path"),
    NotFoundError: (404, ""),
    limits.SlowError: (408, "slow"),
    SetByOptionError: (409, ""),
    limits.TooLargeError: (413, "size"),
    limits.LongUriError: (414, "size"),
    gate.MediaTypeError: (415, "media_type"),
    gate.HostError: (421, "host"),
    limits.HeadersTooLargeError: (431, "size"),
    HostsFileError: (503, ""),
    LateError: (503, ""),
    NotReadyError: (503, ""),
    PostedFileError: (503, ""),
    StoreError: (503, ""),
    limits.BusyError: (503, "busy"),
    limits.SlowRecordsError: (503, "slow"),
    FullError: (507, "full"),
    TooManyError: (507, "full"),
}
"""For each error its status code, and a word to count it by where it is a refusal."""


def answer_to(failure: Failure) -> Answer:
    """The answer to what was raised."""
    error = failure.value
    if isinstance(error, HTTPException):
        code = error.code or 500
        sentence = {404: NOTHING_HERE, 405: "This path does not take that method."}.get(code, f"{error.name}.")
        allowed = tuple(
            (b"Allow", value.encode("ascii")) for name, value in error.get_headers() if name.lower() == "allow"
        )
        return Answer(code, sentence, "path", allowed)
    for kind, (code, refusal) in _CODES.items():
        if isinstance(error, kind):
            sentence = str(error)
            if kind is HostsFileError:
                sentence = f"This is stored, but not yet in the hosts file. {sentence}"
            challenge = ((b"WWW-Authenticate", b'Basic realm="dtkdns", charset="UTF-8"'),) if code == 401 else ()
            return Answer(code, sentence, refusal, challenge)
    _log.failure("A fault of dtkdns itself, please report it.", failure)
    return Answer(500, "A fault of dtkdns itself: its log has the details.")


def handle_errors(app: Klein) -> None:
    """Have the app answer every exception in plain text."""

    @app.handle_errors(Exception)
    def failed(request: IRequest, failure: Failure) -> Answered:
        assert isinstance(request, WebhookRequest)  # noqa: S101 (the site makes no others)
        answer = answer_to(failure)
        request.channel.site.refused(request.caller, answer, request.what)
        for name, value in answer.headers:
            request.setHeader(name, value)
        return text(request, answer.code, answer.sentence)
