"""The whole way of one name, found out: who sent what, where it is shown, and who answers what."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.defer import TimeoutError as NoAnswerError
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.names import client, dns
from twisted.names.error import DNSNameError, DomainError
from twisted.names.error import DNSQueryTimeoutError as LateError

from dtkdns import names
from dtkdns.cli.client import fetch_status, plain
from dtkdns.hosts import text as hosts_text
from dtkdns.projection import Reason
from dtkdns.smoke.lookup import advice_for_the_resolver, first_nameserver, resolved
from dtkdns.smoke.webhook import Document, Webhook, decoded, require
from dtkdns.status import ConflictStatus, ExternalDNSStatus, HiddenStatus, NameStatus, ServiceStatus

HOSTS_FILE = Path("/etc/hosts")
RESOLV_CONF = Path("/etc/resolv.conf")
STUB_HOST = "127.0.0.53"
"""Where systemd-resolved answers (systemd-resolved.service(8))."""
RESOLVED = Path("/run/systemd/resolve")
"""There while systemd-resolved runs; the `resolv.conf` in it has the nameservers that it asks."""
LOOK_SECONDS = 2.0
PORTS = (80, 443)

SYSTEM = "system"
"""getaddrinfo(3), which reads the hosts file too."""
OWN_DNS = "dtkdns"
STUB = "systemd-resolved"
NAMESERVER = "nameserver"
"""The first in resolv.conf(5); where that is systemd-resolved, the first that it asks."""


@frozen
class Record:
    """One record that external-dns sent."""

    cluster: str
    record_type: str
    targets: tuple[str, ...]
    resource: str
    """The Kubernetes object it comes from; empty when external-dns did not say."""


@frozen
class Line:
    """A line of the hosts file that has the name."""

    number: int
    text: str
    own: bool
    """Whether it is a line of the user's own, outside dtkdns' block."""

    def addresses(self, name: str) -> frozenset[str]:
        """Those that it gives the name."""
        return hosts_text.names_of(self.text.encode()).get(name, frozenset())


@frozen
class Answer:
    """What somebody says of the name."""

    who: str
    """`SYSTEM`, `OWN_DNS`, `STUB` or `NAMESERVER`."""
    addresses: tuple[str, ...]
    fault: str = ""
    """Why there are none."""
    at: str = ""
    """Where it was asked, as `address:port`; empty for the system's resolver."""


@frozen
class Facts:
    """All that can be found out about one name."""

    name: str
    status: ServiceStatus
    records: tuple[Record, ...] = ()
    lines: tuple[Line, ...] = ()
    answers: tuple[Answer, ...] = ()
    listening: frozenset[tuple[str, int]] = frozenset()
    """Address and port where something takes connections."""
    resolver_advice: str = ""
    now: datetime = field(factory=lambda: datetime.now(UTC))

    @property
    def managed(self) -> tuple[tuple[str, str], ...]:
        """Each cluster that manages the name, and the domain in which it lies."""
        return tuple(
            (cluster.name, domain)
            for cluster in self.status.clusters
            for domain in cluster.domains
            if names.inside(self.name, [domain])
        )

    @property
    def domains(self) -> list[str]:
        """All that are managed."""
        return sorted({domain for cluster in self.status.clusters for domain in cluster.domains})

    @property
    def shown(self) -> NameStatus | None:
        """What the name resolves to: by itself, or by the wildcard nearest to it."""
        by_name = {one.name: one for one in self.status.names}
        if self.name in by_name:
            return by_name[self.name]
        parent = self.name.partition(".")[2]
        while parent:
            if f"*.{parent}" in by_name:
                return by_name[f"*.{parent}"]
            parent = parent.partition(".")[2]
        return None

    @property
    def wildcard(self) -> HiddenStatus | None:
        """The wildcard nearest to it that is kept and not shown in the hosts file."""
        covering = [one for one in self.status.hidden if one.reason == Reason.WILDCARD.word]
        fitting = [one for one in covering if self.name.endswith(one.name.removeprefix("*"))]
        return max(fitting, key=lambda one: len(one.name), default=None)

    @property
    def conflicts(self) -> tuple[ConflictStatus, ...]:
        """What more than one wants to decide of it."""
        return tuple(one for one in self.status.conflicts if names.to_ascii(one.name) == self.name)

    @property
    def hidden(self) -> tuple[HiddenStatus, ...]:
        """Its records that a face does not show."""
        return tuple(
            one
            for one in self.status.hidden
            if names.to_ascii(one.name) == self.name and one.reason != Reason.OWNERSHIP.word
        )

    @property
    def senders(self) -> tuple[ExternalDNSStatus, ...]:
        """The last external-dns seen of each cluster that manages the name or has sent a record of it."""
        clusters = {cluster for cluster, _ in self.managed} | {one.cluster for one in self.records}
        last: dict[str, ExternalDNSStatus] = {}
        for one in sorted(self.status.external_dns, key=lambda one: one.last_pass):
            last[one.cluster] = one
        return tuple(last[cluster] for cluster in sorted(clusters & last.keys()))

    def answer_of(self, who: str) -> tuple[str, ...]:
        """The addresses that somebody gives."""
        return next((one.addresses for one in self.answers if one.who == who), ())


async def find_out(webhook: Webhook, name: str, reactor: Any) -> Facts:
    """Ask everybody. Raises `FaultError` when the service does not answer."""
    owner = names.to_ascii(name)
    status = await fetch_status(webhook)
    records: list[Record] = []
    for cluster in status.clusters:
        reply = await webhook.call("GET", f"/clusters/{cluster.name}/records")
        require(reply, 200)
        records += _records(cluster.name, owner, decoded(reply, list[Document]))
    facts = Facts(plain(owner), status, tuple(records), resolver_advice=advice_for_the_resolver())
    if not names.is_owner(owner):
        return facts
    path = Path(status.hosts.path) if status.hosts is not None else HOSTS_FILE
    asked = _nameservers(RESOLV_CONF, RESOLVED)
    if status.dns is not None and status.dns.addresses:
        asked = {OWN_DNS: status.dns.addresses[0]} | asked
    answers = [Answer(SYSTEM, tuple(await resolved(owner)))]
    answers += await gatherResults([Deferred.fromCoroutine(_ask(*one, owner, reactor)) for one in asked.items()])
    facts = evolve(facts, lines=_lines(path, owner), answers=tuple(answers))
    where = [(address, port) for address in (facts.shown.addresses if facts.shown else ()) for port in PORTS]
    tried = await gatherResults([Deferred.fromCoroutine(_listens(*one, reactor)) for one in where])
    return evolve(facts, listening=frozenset(one for one, there in zip(where, tried, strict=True) if there))


def _records(cluster: str, owner: str, documents: Iterable[Document]) -> Iterator[Record]:
    for one in documents:
        if names.to_ascii(one.get("dnsName") or "") == owner:
            targets = tuple(plain(str(target)) for target in one.get("targets") or ())
            resource = plain((one.get("labels") or {}).get("resource", ""))
            yield Record(cluster, plain(one.get("recordType") or ""), targets, resource)


def _lines(path: Path, name: str) -> tuple[Line, ...]:
    try:
        text = path.read_bytes()
    except OSError:
        return ()
    block = hosts_text.read(text)
    ours = set() if block is None else {line.rstrip(b"\n") for line in block.lines}
    return tuple(
        Line(number, plain(line.decode("utf-8", "replace").rstrip("\r")), line not in ours)
        for number, line in enumerate(text.split(b"\n"), 1)
        if name in hosts_text.names_of(line)
    )


def _nameservers(resolv_conf: Path, resolved_runs: Path) -> dict[str, str]:
    """systemd-resolved's stub where it runs; and the first nameserver, in its place the first that it asks."""
    found = {STUB: f"{STUB_HOST}:53"} if resolved_runs.exists() else {}
    first = first_nameserver(resolv_conf)
    if first == STUB_HOST:
        first = first_nameserver(resolved_runs / "resolv.conf")
    if first is not None and first != STUB_HOST:
        found[NAMESERVER] = f"[{first}]:53" if ":" in first else f"{first}:53"
    return found


async def _ask(who: str, at: str, name: str, reactor: Any) -> Answer:
    host, _, port = at.rpartition(":")
    resolver = client.Resolver(servers=[(host.strip("[]"), int(port))], timeout=(LOOK_SECONDS,), reactor=reactor)
    addresses: list[str] = []
    fault = ""
    looks: list[Any] = [resolver.lookupAddress, resolver.lookupIPV6Address]
    for look in looks:
        try:
            found, _, _ = await look(name, timeout=(LOOK_SECONDS,))
        except DNSNameError:
            fault = "there is no such name (NXDOMAIN)"
        except DomainError as error:
            fault = f"it fails ({type(error).__name__.removeprefix('DNS').removesuffix('Error')})"
        except (LateError, NoAnswerError, OSError):
            return Answer(who, (), "no answer", at)
        else:
            families = {dns.A: socket.AF_INET, dns.AAAA: socket.AF_INET6}
            addresses += [
                socket.inet_ntop(families[one.type], one.payload.address) for one in found if one.type in families
            ]
    return Answer(who, tuple(addresses), fault if not addresses else "", at)


async def _listens(address: str, port: int, reactor: Any) -> bool:
    endpoint = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
    try:
        protocol = await connectProtocol(endpoint(reactor, address, port, timeout=LOOK_SECONDS), Protocol())
    except Exception:
        return False
    protocol.transport.abortConnection()
    return True
