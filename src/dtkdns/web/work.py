"""The time within which a call is answered, whether or not its work is done."""

from __future__ import annotations

from collections.abc import Coroutine

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from dtkdns.web.request import WebhookRequest

ANSWER_SECONDS = 9.0
"""After its last byte a call is answered within this time: external-dns (from v0.21) gives up after 15 s, counted
from its first byte, and exits.
"""

_log = Logger()


class LateError(Exception):
    """The work is not done in time, and goes on; the message is a sentence."""


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
