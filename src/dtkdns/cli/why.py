"""The whole way of one name: who sent what, where it is shown, who answers what; and one conclusion."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.defer import TimeoutError as NoAnswerError
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.names import client, dns
from twisted.names.error import DNSNameError, DomainError
from twisted.names.error import DNSQueryTimeoutError as LateError

from dtkdns import names
from dtkdns.cli.client import fetch_status, plain
from dtkdns.cli.status import ago, is_shown_nowhere
from dtkdns.endpoint import ADDRESS_TYPES
from dtkdns.hosts.text import names_of
from dtkdns.projection import Reason
from dtkdns.smoke.lookup import advice_for_the_resolver, resolved
from dtkdns.smoke.webhook import Document, Webhook, decoded, require
from dtkdns.status import HiddenStatus, NameStatus, ServiceStatus

HOSTS_FILE = Path("/etc/hosts")
RESOLV_CONF = Path("/etc/resolv.conf")
STUB = "127.0.0.53"
"""Where systemd-resolved answers (systemd-resolved.service(8))."""
RESOLVED = Path("/run/systemd/resolve")
"""There while systemd-resolved runs."""
LOOK_SECONDS = 2.0
PORTS = (80, 443)

SYSTEM = "this system's resolver"
OWN_DNS = "dtkdns' DNS server"


@frozen
class Record:
    """One record that external-dns sent."""

    cluster: str
    record_type: str
    targets: tuple[str, ...]
    resource: str


@frozen
class Answer:
    """What somebody says of the name."""

    who: str
    addresses: tuple[str, ...]
    fault: str = ""
    """Why there are none."""


@frozen
class Facts:
    """All that can be found out about one name."""

    name: str
    status: ServiceStatus
    records: tuple[Record, ...] = ()
    lines: tuple[tuple[int, str], ...] = ()
    """Of the hosts file, each with its number."""
    answers: tuple[Answer, ...] = ()
    listening: frozenset[tuple[str, int]] = frozenset()
    """Address and port where something takes connections."""
    resolver_advice: str = ""
    now: datetime = field(factory=lambda: datetime.now(UTC))

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
    def hidden(self) -> tuple[HiddenStatus, ...]:
        """Its records that a face does not show."""
        return tuple(
            one
            for one in self.status.hidden
            if names.to_ascii(one.name) == self.name and one.reason != Reason.OWNERSHIP.word
        )

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
    path = Path(status.hosts.path) if status.hosts is not None else HOSTS_FILE
    servers = _nameservers(RESOLV_CONF, RESOLVED)
    if status.dns is not None and status.dns.addresses:
        servers = {OWN_DNS: status.dns.addresses[0]} | servers
    answers = [Answer(SYSTEM, tuple(await resolved(owner)))]
    answers += await gatherResults(
        [Deferred.fromCoroutine(_ask(w, at, owner, reactor)) for w, at in servers.items()]
    )
    facts = Facts(
        owner,
        status,
        tuple(records),
        _lines(path, owner),
        tuple(answers),
        resolver_advice=advice_for_the_resolver(),
    )
    where = [(address, port) for address in (facts.shown.addresses if facts.shown else ()) for port in PORTS]
    tried = await gatherResults([Deferred.fromCoroutine(_listens(*one, reactor)) for one in where])
    return evolve(facts, listening=frozenset(one for one, there in zip(where, tried, strict=True) if there))


def _records(cluster: str, owner: str, documents: Iterable[Document]) -> list[Record]:
    found = []
    for one in documents:
        if names.to_ascii(one.get("dnsName") or "") == owner:
            labels = one.get("labels") or {}
            targets = tuple(plain(str(target)) for target in one.get("targets") or ())
            found.append(
                Record(cluster, plain(one.get("recordType") or ""), targets, plain(labels.get("resource", "")))
            )
    return found


def _lines(path: Path, name: str) -> tuple[tuple[int, str], ...]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return ()
    return tuple(
        (number, plain(line.decode("utf-8", "replace")))
        for number, line in enumerate(lines, 1)
        if name in names_of(line)
    )


def _nameservers(resolv_conf: Path, resolved_runs: Path) -> dict[str, str]:
    """systemd-resolved's stub where it runs, and the first nameserver of resolv.conf(5)."""
    found = {"systemd-resolved": f"{STUB}:53"} if resolved_runs.exists() else {}
    try:
        first = re.search(r"^nameserver\s+(\S+)", resolv_conf.read_text("utf-8", "replace"), re.MULTILINE)
    except OSError:
        first = None
    if first is not None and first[1] != STUB:
        host = f"[{first[1]}]" if ":" in first[1] else first[1]
        found[f"the nameserver {first[1]}"] = f"{host}:53"
    return found


async def _ask(who: str, address: str, name: str, reactor: Any) -> Answer:
    host, _, port = address.rpartition(":")
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
            return Answer(who, (), "no answer")
        else:
            families = {dns.A: socket.AF_INET, dns.AAAA: socket.AF_INET6}
            addresses += [
                socket.inet_ntop(families[one.type], one.payload.address) for one in found if one.type in families
            ]
    return Answer(who, tuple(addresses), fault if not addresses else "")


async def _listens(address: str, port: int, reactor: Any) -> bool:
    endpoint = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
    try:
        protocol = await connectProtocol(endpoint(reactor, address, port, timeout=LOOK_SECONDS), Protocol())
    except Exception:
        return False
    protocol.transport.abortConnection()
    return True


# What it comes to


def conclusion(facts: Facts) -> tuple[bool, str]:
    """Whether all is well with the name; and what is so, with what to do."""
    for judge in (_not_known, _not_shown, _not_in_the_file, _not_resolved):
        sentence = judge(facts)
        if sentence:
            return False, sentence
    assert facts.shown is not None  # noqa: S101 (else it would not be known)
    addresses = ", ".join(facts.shown.addresses)
    if not facts.listening:
        return False, (
            f"It resolves to {addresses}, but nothing takes connections there on port 80 or 443: is the cluster"
            " running, and the ingress controller in it?"
        )
    ports = " and ".join(map(str, sorted({port for _, port in facts.listening})))
    return True, f"All is well: it resolves to {addresses}, where something listens on port {ports}."


def _not_known(facts: Facts) -> str:
    if facts.records or facts.shown is not None:
        return ""
    domains = sorted({domain for cluster in facts.status.clusters for domain in cluster.domains})
    if not names.is_hostname(facts.name):
        return f"{facts.name} is no host name: letters, digits and hyphens, with dots between."
    if not domains:
        return "No domain is managed: start dtkdns with --domains, or POST /domains."
    if not names.inside(facts.name, domains):
        return (
            f"It lies in none of the managed domains ({', '.join(domains)}): use a name in one of them, or manage"
            " its own (--domains, POST /domains) and restart external-dns."
        )
    passes = [one.last_pass for one in facts.status.external_dns]
    if not passes:
        return (
            "No cluster has sent a record of it, and no external-dns was seen since dtkdns started: is it running"
            " (kubectl -n external-dns get pods), and may it call through the firewall?"
        )
    return (
        "No cluster has sent a record of it: is there an Ingress with this host (kubectl get ingress -A)?"
        f" external-dns was last seen {ago(facts.now - max(passes))} ago."
    )


def _not_shown(facts: Facts) -> str:
    if facts.shown is not None:
        return ""
    reasons = [
        f"its {one.type} record is not shown: {one.sentence}"
        for one in facts.hidden
        if one.type in ADDRESS_TYPES or is_shown_nowhere(facts.status, one)
    ]
    if reasons:
        return f"It has no address, because {'; '.join(reasons)}."
    types = ", ".join(sorted({one.record_type for one in facts.records}))
    return f"It has no address: no A, AAAA or CNAME record was sent, but {types}, which DNS answers."


def _not_in_the_file(facts: Facts) -> str:
    hosts = facts.status.hosts
    if hosts is None or facts.shown is None or facts.shown.name != facts.name:
        return ""
    if facts.name in hosts.shadowed:
        numbers = ", ".join(str(number) for number, _ in facts.lines)
        return (
            f"A line of your own in {hosts.path} says {hosts.shadowed[facts.name]}, and it wins (line {numbers}):"
            f" remove it to see the cluster's {', '.join(facts.shown.addresses)}."
        )
    if hosts.failing or hosts.held:
        return f"{hosts.path} is not as it should be: {hosts.failing or 'it waits for external-dns'}"
    return ""


def _not_resolved(facts: Facts) -> str:
    assert facts.shown is not None  # noqa: S101 (see `conclusion`)
    expected = set(facts.shown.addresses)
    found = set(facts.answer_of(SYSTEM))
    if found & expected:
        return ""
    by_dns = bool(set(facts.answer_of(OWN_DNS)) & expected)
    wrong = f"This system's resolver says {', '.join(sorted(found)) or 'nothing'}"
    hosts = facts.status.hosts
    if hosts is not None and hosts.path != str(HOSTS_FILE):
        return f"{wrong}: dtkdns keeps {hosts.path}, and the resolver reads {HOSTS_FILE}. Give no --hosts-file."
    if facts.lines:
        return f"{wrong}, although the hosts file has the name. {facts.resolver_advice}"
    if by_dns:
        return (
            f"{wrong}, because it does not ask dtkdns, which knows the name: set up your resolver for the managed"
            " domains (README, DNS)."
        )
    return f"{wrong}, and dtkdns' DNS server is off or does not answer: start dtkdns with --dns."


# How it looks


def screen(facts: Facts) -> RenderableType:
    """All of it, for a terminal; the conclusion last, where it is read."""
    well, sentence = conclusion(facts)
    parts: list[RenderableType] = [Text(facts.name, "bold"), Text(), _table(facts)]
    parts += [Text(), Text(sentence, "green" if well else "bold red")]
    return Group(*parts)


def _table(facts: Facts) -> Table:
    table = Table.grid(padding=(0, 2))
    rows: list[tuple[str, str]] = [
        (
            f"sent ({one.cluster})",
            f"{one.record_type} {' '.join(one.targets)}{f', from {one.resource}' if one.resource else ''}",
        )
        for one in facts.records
    ] or [("sent", "nothing")]
    if facts.shown is not None:
        by = "" if facts.shown.name == facts.name else f", by {facts.shown.name}"
        age = ago(facts.now - facts.shown.since)
        rows.append(("shown", f"{' '.join(facts.shown.addresses)}{by}, for {age}"))
    rows += [("not shown", f"{one.type}: {one.sentence}") for one in facts.hidden]
    rows += [(f"line {number}", text) for number, text in facts.lines] or [("hosts file", "no line has it")]
    rows += [(one.who, " ".join(one.addresses) or one.fault or "nothing") for one in facts.answers]
    if facts.shown is not None:
        for address in facts.shown.addresses:
            open_ports = [str(port) for port in PORTS if (address, port) in facts.listening]
            rows.append(
                (address, f"listens on {', '.join(open_ports)}" if open_ports else "nothing on 80 and 443")
            )
    for row in rows:
        table.add_row(*map(Text, row))
    return table
