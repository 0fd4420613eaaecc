"""Whether this machine's resolver asks dtkdns: a managed domain has the same SOA record in both places."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.defer import TimeoutError as NoAnswerError
from twisted.internet.task import deferLater
from twisted.names import client, dns
from twisted.names.error import DNSQueryTimeoutError as LateError
from twisted.names.error import DomainError

from dtkdns import names
from dtkdns.smoke.lookup import first_nameserver, resolved
from dtkdns.status import ServiceStatus

RESOLV_CONF = Path("/etc/resolv.conf")
DNS_PORT = 53
ANSWER_SECONDS = 2.0
SETTLED_SECONDS = 15.0
"""How long a resolver may take until it answers after it was started again, and asks where it was told to."""
LOOK_SECONDS = 0.2
ANY = "dtkdns-check"
"""The label that is asked for under a wildcard."""


@frozen
class Asked:
    """What came of it."""

    answered: bool
    """Whether the resolver has said anything at all."""
    elsewhere: tuple[str, ...]
    """Domains for which it does not ask dtkdns."""


async def settled(domains: Sequence[str], own: tuple[str, int], reactor: Any) -> Asked:
    """Ask the system's nameserver about the domains until it answers as the DNS server at `own` does, or for
    `SETTLED_SECONDS`.
    """
    end = reactor.seconds() + SETTLED_SECONDS
    while True:
        found = await _look(domains, own, reactor)
        if not found.elsewhere or reactor.seconds() >= end:
            return found
        await deferLater(reactor, LOOK_SECONDS)


async def _look(domains: Sequence[str], own: tuple[str, int], reactor: Any) -> Asked:
    server = first_nameserver(RESOLV_CONF)
    if server is None:
        return Asked(False, tuple(domains))
    asked = [Deferred.fromCoroutine(_soa(at, one, reactor)) for at in (own, (server, DNS_PORT)) for one in domains]
    answers = await gatherResults(asked)
    here, there = answers[: len(domains)], answers[len(domains) :]
    same = {one for one, mine, its in zip(domains, here, there, strict=True) if mine == its and mine}
    return Asked(any(its is not None for its in there), tuple(one for one in domains if one not in same))


async def _soa(server: tuple[str, int], domain: str, reactor: Any) -> tuple[bytes, ...] | None:
    """Of the SOA record, the server and the person; empty where there is none, None without an answer."""
    resolver = client.Resolver(servers=[server], timeout=(ANSWER_SECONDS,), reactor=reactor)
    try:
        found, _, _ = await resolver.lookupAuthority(domain, timeout=(ANSWER_SECONDS,))
    except DomainError:
        return ()
    except (LateError, NoAnswerError, OSError):
        return None
    soa = next((one.payload for one in found if one.type == dns.SOA), None)
    return (soa.mname.name, soa.rname.name) if soa is not None else ()


@frozen
class Example:
    """A name that is shown, and where it leads."""

    name: str
    addresses: tuple[str, ...]


def example(status: ServiceStatus) -> Example | None:
    """A name to look up: under a wildcard, which no hosts file has, if there is one."""
    lines = status.hosts.shadowed if status.hosts is not None else {}
    shown = [one for one in status.names if one.name not in lines]
    for one in shown:
        if names.is_wildcard(one.name):
            return Example(f"{ANY}{one.name[1:]}", one.addresses)
    return Example(shown[0].name, shown[0].addresses) if shown else None


async def leads_elsewhere(one: Example) -> str:
    """Where the system's resolver sends the name instead; empty when all is well."""
    found = await resolved(one.name)
    if set(found) & set(one.addresses):
        return ""
    return ", ".join(found) or "nothing"
