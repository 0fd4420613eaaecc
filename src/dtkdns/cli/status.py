"""What `dtkdns status` says: what is wrong first, in words; then clusters, faces and names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from dtkdns.projection import Reason
from dtkdns.status import DNSStatus, ExternalDNSStatus, HiddenStatus, HostsStatus, ServiceStatus

MANY = 5
"""Sentences of one kind that are said each; above it there is one with their number."""


def screen(status: ServiceStatus, url: str, now: datetime) -> RenderableType:
    """All of it, for a terminal."""
    parts: list[RenderableType] = [
        Text(f"dtkdns {status.version} at {url}, running for {ago(now - status.started)}"),
        Text(),
    ]
    wrong = list(faults(status))
    parts += [Text.assemble(("! ", "bold red"), sentence) for sentence in wrong]
    if not wrong:
        parts.append(Text("All is as it should be.", "green"))
    parts += [Text.assemble(("- ", "bold yellow"), sentence) for sentence in notes(status)]
    parts += [Text(), _clusters(status, now), Text(), _faces(status)]
    if status.names:
        parts += [Text(), _names(status, now)]
    return Group(*parts)


def faults(status: ServiceStatus) -> Iterator[str]:
    """What is wrong, a sentence each."""
    for part in status.ready.parts:
        if not part.ok:
            yield f"{part.part}: {part.detail}"
    for cluster in status.clusters:
        if not cluster.domains:
            yield (
                f"Cluster {cluster.name} has no managed domain, so none of its names is shown: --domains, or"
                " POST /domains."
            )
        elif not cluster.addresses:
            yield f"The address of cluster {cluster.name} is not known: --cluster-ip, or POST /clusterip."
    yield from _several([f"{one.name}: {one.sentence}." for one in status.conflicts], "names are in conflict")


def notes(status: ServiceStatus) -> Iterator[str]:
    """What is good to know: the records that are shown nowhere, a sentence each."""
    hidden = [
        f"{one.name} ({one.type}) is not shown: {one.sentence}."
        for one in status.hidden
        if one.reason != Reason.OWNERSHIP.word and is_shown_nowhere(status, one)
    ]
    yield from _several(hidden, "records are not shown")


def is_shown_nowhere(status: ServiceStatus, hidden: HiddenStatus) -> bool:
    """Whether none of the faces that there are shows it."""
    return len(hidden.faces) == (status.hosts is not None) + (status.dns is not None)


def _several(sentences: list[str], what: str) -> Iterator[str]:
    if len(sentences) > MANY:
        yield f"{len(sentences)} {what}: --json lists them."
    else:
        yield from sentences


def _clusters(status: ServiceStatus, now: datetime) -> Table:
    table = _table("Cluster", "Domains", "Address", "Names", "Records", "external-dns")
    passes: dict[str, list[ExternalDNSStatus]] = {}
    for one in status.external_dns:
        passes.setdefault(one.cluster, []).append(one)
    for cluster in status.clusters:
        last = max((one.last_pass for one in passes.get(cluster.name, ())), default=None)
        seen = f"{ago(now - last)} ago" if last is not None else "not seen yet"
        _add(
            table,
            cluster.name,
            " ".join(cluster.domains) or "none",
            " ".join(cluster.addresses) or "not known",
            str(cluster.names),
            str(cluster.records),
            seen,
        )
    return table


def _faces(status: ServiceStatus) -> Table:
    table = Table.grid(padding=(0, 2))
    _add(table, "Hosts file", _hosts(status.hosts))
    _add(table, "DNS", _dns(status.dns))
    return table


def _hosts(hosts: HostsStatus | None) -> str:
    if hosts is None:
        return "none is kept"
    if hosts.failing or hosts.held:
        return f"{hosts.path}, not as it should be"
    return f"{hosts.path}{', written in place' if hosts.way.startswith('in place') else ''}"


def _dns(dns: DNSStatus | None) -> str:
    return "off" if dns is None else f"{', '.join(dns.addresses) or 'not listening'}; {dns.answers} answers"


def _names(status: ServiceStatus, now: datetime) -> Table:
    several = len(Counter(one.cluster for one in status.names)) > 1
    table = _table("Name", "Address", "From", "Since")
    for one in status.names:
        source = f"{one.cluster} {one.resource}" if several else one.resource
        _add(table, one.name, " ".join(one.addresses), source, ago(now - one.since))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _add(table: Table, *cells: str) -> None:
    """A row of texts as they are: rich reads other ones as markup."""
    table.add_row(*map(Text, cells))


def ago(time: timedelta) -> str:
    """A time in its largest unit."""
    seconds = max(int(time.total_seconds()), 0)
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def show(console: Console, status: ServiceStatus, url: str, now: datetime) -> None:
    """Print the screen."""
    console.print(screen(status, url, now))
