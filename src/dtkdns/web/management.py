"""The calls by which a person or DTK's script says which domains are managed and where the cluster is."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

import msgspec
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from dtkdns.garbage import uncollected
from dtkdns.names import to_ascii
from dtkdns.provider import Provider
from dtkdns.settings import SettingError, parse_cluster_addresses, parse_domains
from dtkdns.web import answers
from dtkdns.web.gate import Gate
from dtkdns.web.request import WebhookRequest
from dtkdns.web.routes import Handler, on_every_cluster
from dtkdns.web.work import in_time


class InForce(msgspec.Struct, omit_defaults=True):
    """What is in force for a cluster after a management call."""

    cluster: str
    domains: tuple[str, ...]
    addresses: tuple[str, ...]
    warning: str = ""


def posted_texts(body: bytes) -> list[str]:
    """What a body says: the bare text that `curl -d` sends, a JSON string, or a JSON array of strings.

    Raises `SettingError`.
    """
    try:
        text = body.decode("utf-8").strip()
        if not text.startswith(("[", '"')) and text not in {"null", "true", "false"}:
            return [text]
        value = msgspec.json.decode(text, type=str | list[str])
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        raise SettingError(f"The body is neither plain text nor JSON of strings: {error}.") from error
    return [value] if isinstance(value, str) else value


def add_management(app: Klein, gate: Gate, provider: Provider, clock: IReactorTime) -> None:
    """Add the routes that change or tell the settings in force."""

    def changing(path: str, method: str, *, at_root: bool = True) -> Callable[[Handler], Handler]:
        """Route what changes the rules; only who may do so gets through to the handler."""

        def add(handler: Handler) -> Handler:
            @wraps(handler)
            def guarded(request: WebhookRequest, cluster: str, **parts: str) -> Any:
                gate.require_management(request.caller, request.requestHeaders)
                return handler(request, cluster, **parts)

            on_every_cluster(app, path, method, at_root=at_root)(guarded)
            return handler

        return add

    def answered(
        request: WebhookRequest, cluster: str, work: Coroutine[Deferred[object], object, None], warning: str = ""
    ) -> Deferred[bytes]:
        def in_force(_none: None) -> answers.Answered:
            settings = provider.settings()
            return answers.json(
                request,
                200,
                InForce(cluster, settings.domains(cluster), settings.addresses(cluster), warning),
            )

        return in_time(for_every_name(work), request, clock).addCallback(in_force)

    async def for_every_name(work: Coroutine[Deferred[object], object, None]) -> None:
        with uncollected(staying=True):  # each may move
            await work

    @on_every_cluster(app, "/domains", "GET")
    def domains(request: WebhookRequest, cluster: str) -> answers.Answered:
        gate.require_host(request.requestHeaders)
        return answers.json(request, 200, provider.settings().domains(cluster))

    @on_every_cluster(app, "/clusterip", "GET")
    def cluster_address(request: WebhookRequest, cluster: str) -> answers.Answered:
        gate.require_host(request.requestHeaders)
        return answers.json(request, 200, next(iter(provider.settings().addresses(cluster)), ""))

    @changing("/domains", "POST")
    def add_domains(request: WebhookRequest, cluster: str) -> Deferred[bytes]:
        added = parse_domains(posted_texts(request.body))
        return answered(request, cluster, provider.add_domains(cluster, added), warn_of_single_labels(added))

    @changing("/clusterip", "POST")
    def set_addresses(request: WebhookRequest, cluster: str) -> Deferred[bytes]:
        addresses = parse_cluster_addresses(",".join(posted_texts(request.body)))
        return answered(request, cluster, provider.set_addresses(cluster, addresses))

    @changing("/domains/<domain>", "DELETE")
    def remove_domain(request: WebhookRequest, cluster: str, domain: str) -> Deferred[bytes]:
        return answered(request, cluster, provider.remove_domain(cluster, to_ascii(domain)))

    @changing("/names/<name>", "DELETE")
    def forget_name(request: WebhookRequest, cluster: str, name: str) -> Deferred[bytes]:
        return answered(request, cluster, provider.forget_name(cluster, name))

    @changing("/", "DELETE", at_root=False)
    def forget_cluster(request: WebhookRequest, cluster: str) -> Deferred[bytes]:
        settings = provider.settings()
        given = settings.given
        kept = [f"{domain} ({given.source})" for domain in given.domains_of(cluster)]
        kept += [f"{address} (--cluster-ip)" for address in given.addresses_of(cluster)]
        warning = f"Options stay in force: {', '.join(kept)}." if kept else ""
        return answered(request, cluster, provider.forget_cluster(cluster), warning)


def warn_of_single_labels(domains: tuple[str, ...]) -> str:
    """A warning where a domain is a single label; empty where none is."""
    single = [domain for domain in domains if "." not in domain]
    if not single:
        return ""
    return f"Every name under {', '.join(single)} is now decided by the cluster: is a whole top-level name meant?"
