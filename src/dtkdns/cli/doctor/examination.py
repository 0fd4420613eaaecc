"""Asks the machine and the service, and has what they say judged."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen
from twisted.internet.task import deferLater

from dtkdns.cli.client import fetch_status
from dtkdns.cli.doctor import browsers, hosts, resolution, service, writers
from dtkdns.cli.doctor.finding import Finding, Level
from dtkdns.cli.doctor.firewall import firewall
from dtkdns.cli.doctor.networks import networks_of_vms, not_heard
from dtkdns.cli.machine import Machine
from dtkdns.cli.resolver.recipes import RESOLV_CONF, find_here
from dtkdns.cli.silence import silences
from dtkdns.dtkconfig import DTKConfig
from dtkdns.local import DEFAULT_URL
from dtkdns.projection import Reason
from dtkdns.smoke.lookup import resolved
from dtkdns.smoke.report import FaultError
from dtkdns.smoke.webhook import Webhook
from dtkdns.status import ServiceStatus

HOSTS = "/etc/hosts"
NSSWITCH = "/etc/nsswitch.conf"
SYSTEMD = ("/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd")
"""Where resolved.conf(5) may be, in the order in which they count."""
CLOUD = "/etc/cloud"
AGAIN_SECONDS = 1.0
"""After which the hosts file is looked at once more: a change may have been under way."""


async def examine(
    machine: Machine, webhook: Webhook, local_url: str, reactor: Any, config: DTKConfig | None = None
) -> AsyncIterator[Finding]:
    """What each check comes to; `local_url` is where the service of this machine is called.

    `config` is DTK's file, where one was given; else `host-ip` is what the service was started with.
    """
    status = None
    try:
        status = await fetch_status(webhook)
    except FaultError as error:
        yield service.unreachable(
            error, machine.unit("dtkdns.service"), await _elsewhere(webhook, (local_url, DEFAULT_URL))
        )
    asked = _asked(machine, status)
    if status is not None:
        yield service.reachable(status, webhook.url)
        now = datetime.now(UTC)
        for found in (service.parts(status), service.clusters(status), service.callers(status, now)):
            for one in found:
                yield one
        host = status.host if config is None else config.host
        if host:
            yield service.host_ip(host, await resolved(host.strip("[]")), machine.attached())
        if config is not None:
            for one in service.config(config, status, _port(webhook.url)):
                yield one
        for one in await _hosts_file(machine, webhook, status, asked, reactor):
            yield one
    for one in _machine(machine, status, asked):
        yield one
    for one in _firewall(machine, status, _port(webhook.url)):
        yield one


async def _elsewhere(webhook: Webhook, urls: Iterable[str]) -> str:
    """The first of these URLs, beside the one that was asked, at which a service answers; else empty."""
    for url in dict.fromkeys(urls):
        if url == webhook.url:
            continue
        other = Webhook(url, webhook.credentials, webhook.call_seconds, webhook.reactor)
        try:
            await fetch_status(other)
        except FaultError:
            continue
        finally:
            await other.close()
        return url
    return ""


@frozen
class _Resolver:
    """What the resolver is to ask dtkdns for, and the texts of the files that may tell it, by their paths."""

    asked: resolution.Asked
    texts: Mapping[str, str]

    @property
    def asks(self) -> bool:
        return self.asked.followed(self.texts)


def _asked(machine: Machine, status: ServiceStatus | None) -> _Resolver | None:
    """None where it is not known that there is anything to ask."""
    domains = _domains(status)
    if status is None or not domains:
        return None
    wildcards = tuple(one.name for one in status.hidden if one.reason == Reason.WILDCARD.word)
    asked = resolution.Asked(status.dns, domains, find_here(machine), status.hosts is not None, wildcards)
    texts = {path: machine.text(path) for path in resolution.recipe_paths(domains) if machine.has(path)}
    return _Resolver(asked, texts)


async def _hosts_file(
    machine: Machine, webhook: Webhook, status: ServiceStatus, resolver: _Resolver | None, reactor: Any
) -> list[Finding]:
    kept = status.hosts
    if kept is None:
        return [hosts.left_behind(HOSTS, machine.data(HOSTS))]
    if kept.failing or kept.held or kept.written is None:
        return []  # the parts say so
    if (
        not machine.same(kept.path, HOSTS)
        and machine.has(kept.path)
        and not (resolver is not None and resolver.asks)
    ):
        return [hosts.elsewhere(kept, HOSTS)]
    found = hosts.freshness(status, kept, machine.data(kept.path))
    if found.level is Level.FAULT:
        await deferLater(reactor, AGAIN_SECONDS)
        found = hosts.freshness(await fetch_status(webhook), kept, machine.data(kept.path))
    return [found, hosts.way(kept)]


def _machine(machine: Machine, status: ServiceStatus | None, resolver: _Resolver | None) -> Iterator[Finding]:
    """The checks of this machine, with what is known of the service if it answers."""
    kept = status is None or status.hosts is not None
    if kept:
        yield from _lookups(machine, by_dns=resolver is not None and resolver.asks)
    if resolver is not None:
        yield resolution.recipe(resolver.asked, resolver.texts)
    if kept:
        path = status.hosts.path if status is not None and status.hosts is not None else HOSTS
        yield from list(_writers(machine, path)) or [writers.nobody()]
    yield from list(_browsers(machine, _domains(status))) or [browsers.nothing()]


def _domains(status: ServiceStatus | None) -> tuple[str, ...]:
    clusters = () if status is None else status.clusters
    return tuple(dict.fromkeys(domain for cluster in clusters for domain in cluster.domains))


def _lookups(machine: Machine, *, by_dns: bool) -> Iterator[Finding]:
    nsswitch = machine.text(NSSWITCH)
    main = [f"{directory}/resolved.conf" for directory in SYSTEMD]
    drop_ins = [machine.texts(f"{directory}/resolved.conf.d", "*.conf") for directory in SYSTEMD]
    told_in = resolution.reads_hosts(
        {path: machine.text(path) for path in main if machine.has(path)}, resolution.in_order(drop_ins)
    )
    used = resolution.uses_resolved(nsswitch, machine.text(RESOLV_CONF))
    yield resolution.order(nsswitch, used=used, by_dns=by_dns)
    if used:
        yield resolution.resolved(told_in, nsswitch, by_dns=by_dns)


def _writers(machine: Machine, path: str) -> Iterator[Finding]:
    if not machine.has(f"{CLOUD}/cloud-init.disabled"):
        main = f"{CLOUD}/cloud.cfg"
        yield from writers.cloud_init({main: machine.text(main)} | machine.texts(f"{main}.d", "*.cfg"))
    hosts_file = machine.at(path)
    target = os.readlink(hosts_file) if os.path.islink(hosts_file) else ""
    yield from writers.nixos(is_nixos=machine.has("/etc/NIXOS"), target=target)
    yield from writers.docker_desktop(machine.data(path))


def _browsers(machine: Machine, domains: tuple[str, ...]) -> Iterator[Finding]:
    for directory in browsers.CHROMIUM:
        yield from browsers.chromium(machine.texts(directory, "*.json"))
    for directory, pattern in browsers.FIREFOX:
        yield from browsers.firefox(machine.texts(directory, pattern), domains)


def _firewall(machine: Machine, status: ServiceStatus | None, port: int) -> Iterator[Finding]:
    attached = machine.attached()
    bridges = {name for name, _ in attached if machine.has(f"/sys/class/net/{name}/bridge")}
    addresses: list[str] = []
    peers: list[str] = []
    if status is not None:
        addresses = [address for cluster in status.clusters for address in cluster.addresses]
        silent = {one.cluster for one in silences(status, datetime.now(UTC))}
        peers = [one.peer for one in status.external_dns if one.cluster not in silent]
    networks, certain = networks_of_vms(attached, bridges, addresses)
    configuration = machine.text("/etc/ufw/ufw.conf")
    yield from firewall(machine.run, configuration, not_heard(networks, peers), port, certain=certain)


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)
