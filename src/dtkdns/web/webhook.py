"""The four calls of external-dns' webhook protocol (its `provider/webhook/api/httpapi.go`)."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from itertools import compress

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from dtkdns.garbage import uncollected
from dtkdns.passes import Passes
from dtkdns.provider import Provider
from dtkdns.slices import Steps, in_slices
from dtkdns.web import answers
from dtkdns.web.gate import require_media_type
from dtkdns.web.limits import LARGE
from dtkdns.web.request import WebhookRequest
from dtkdns.web.routes import on_every_cluster
from dtkdns.web.work import in_time
from dtkdns.wire import MEDIA_TYPE, decoding_changes, decoding_desired, encode_filter, encoding_endpoints

_log = Logger()


def add_webhook(app: Klein, provider: Provider, passes: Passes, clock: IReactorTime) -> None:
    """Add the routes that external-dns calls."""

    @on_every_cluster(app, "/", "GET")
    def negotiate(request: WebhookRequest, cluster: str) -> answers.Answered:
        domains = provider.domain_filter(cluster)
        _log.info(
            "{peer} asks which domains are managed in cluster {cluster}: {domains}.",
            peer=request.caller.name,
            cluster=cluster,
            domains=", ".join(domains) or "none yet",
        )
        return answers.reply(request, 200, MEDIA_TYPE, encode_filter(domains))

    @on_every_cluster(app, "/records", "GET")
    def records(request: WebhookRequest, cluster: str) -> Deferred[bytes]:
        found = Deferred.fromCoroutine(provider.records(cluster))
        return found.addCallback(lambda body: answers.reply(request, 200, MEDIA_TYPE, body))

    @on_every_cluster(app, "/adjustendpoints", "POST")
    def adjust(request: WebhookRequest, cluster: str) -> Deferred[bytes]:
        require_media_type(request)

        def answer(body: bytes) -> answers.Answered:
            if provider.knows(cluster):
                passes.note_pass(cluster, request.caller.name, clock.seconds())
            return answers.reply(request, 200, MEDIA_TYPE, body)

        return Deferred.fromCoroutine(decode_and_adjust(cluster, request.body)).addCallback(answer)

    async def decode_and_adjust(cluster: str, body: bytes) -> bytes:
        with _many_objects(body):
            # What is decoded is gone when it would be searched again.
            return await in_slices(adjusting(cluster, body), clock)

    def adjusting(cluster: str, body: bytes) -> Steps[bytes]:
        """The desired endpoints that are managed, in the very bytes where these are all; in steps."""
        desired = yield from decoding_desired(body)
        managed = yield from provider.adjusting(cluster, desired.keys)
        if managed and all(managed):
            return body
        return (yield from encoding_endpoints(compress(desired.documents, managed)))

    @on_every_cluster(app, "/records", "POST")
    def apply(request: WebhookRequest, cluster: str) -> Deferred[bytes]:
        require_media_type(request)
        done = in_time(decode_and_apply(cluster, request.caller.name, request.body), request, clock)
        return done.addCallback(lambda _none: answers.no_content(request))

    async def decode_and_apply(cluster: str, peer: str, body: bytes) -> None:
        with _many_objects(body, staying=True):
            changes = await in_slices(decoding_changes(body), clock)
            passes.note_change(cluster, peer, clock.seconds())
            await provider.apply(cluster, changes)


def _many_objects(body: bytes, *, staying: bool = False) -> AbstractContextManager[None]:
    return uncollected(staying=staying) if len(body) > LARGE else nullcontext()
