"""What `dtkdns status` says: what is wrong first, in words; then clusters, faces and names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dtkdns.cli.silence import PODS, silences
from dtkdns.projection import Reason
from dtkdns.status import DNSStatus, ExternalDNSStatus, HiddenStatus, HostsStatus, ServiceStatus

MANY = 5
"""Sentences of one kind that are said each, and domains of one cluster; above it there is their number."""
MOST_NAMES = 40
"""Names that are listed; of more than these, the newest."""
SHORT = 15
"""Letters of a text that is not broken where its column is one of `WHOLE`: those of an IPv4 address."""
WHOLE = {"Address", "Names", "Records", "Since"}


def screen(status: ServiceStatus, url: str, now: datetime, most: int | None = MOST_NAMES) -> RenderableType:
    """All of it, for a terminal; with at most so many names, or all where `most` is None."""
    parts: list[RenderableType] = [
        Text(f"dtkdns {status.version} at {url}, running for {ago(now - status.started)}"),
        Text(),
    ]
    wrong = list(faults(status, now))
    parts += [Text.assemble(("! ", "bold red"), sentence) for sentence in wrong]
    if not wrong:
        parts.append(Text("All is as it should be.", "green"))
    parts += [Text.assemble(("- ", "bold yellow"), sentence) for sentence in notes(status)]
    parts += [Text(), _clusters(status, now), Text(), _faces(status)]
    if status.names:
        parts += [Text(), _names(status, now, most)]
    older = 0 if most is None else max(len(status.names) - most, 0)
    if older:
        parts += [Text(), Text(f"The newest {most} of {len(status.names)} names: --all lists the others too.")]
    return Group(*parts)


def faults(status: ServiceStatus, now: datetime) -> Iterator[str]:
    """What is wrong, a sentence each."""
    for part in status.ready.parts:
        if not part.ok:
            yield f"{part.part}: {part.detail}"
    yield from unshowable(status)
    for silence in silences(status, now):
        yield (
            f"external-dns of cluster {silence.cluster} has been silent for {ago(now - silence.last)} (it came"
            f" every {ago(silence.interval)}): is it running ({PODS})?"
        )
    yield from conflicts(status)


def unshowable(status: ServiceStatus) -> Iterator[str]:
    """The clusters of which nothing can be shown, a sentence each."""
    for cluster in status.clusters:
        if not cluster.domains:
            yield (
                f"Cluster {cluster.name} has no managed domain, so none of its names is shown: --domains, or"
                " POST /domains."
            )
        elif not cluster.addresses:
            yield f"The address of cluster {cluster.name} is not known: --cluster-ip, or POST /clusterip."


def conflicts(status: ServiceStatus) -> Iterator[str]:
    """The names that more than one wants to decide, a sentence each, or their number."""
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
    rows = []
    passes: dict[str, list[ExternalDNSStatus]] = {}
    for one in status.external_dns:
        passes.setdefault(one.cluster, []).append(one)
    for cluster in status.clusters:
        last = max((one.last_pass for one in passes.get(cluster.name, ())), default=None)
        seen = f"{ago(now - last)} ago" if last is not None else "not seen yet"
        domains, addresses = "\n".join(_few(cluster.domains)), "\n".join(cluster.addresses)
        numbers = str(cluster.names), str(cluster.records)
        rows.append((cluster.name, domains or "none", addresses or "not known", *numbers, seen))
    return _table(("Cluster", "Domains", "Address", "Names", "Records", "external-dns"), rows)


def _few(domains: Sequence[str]) -> Iterator[str]:
    yield from domains[:MANY]
    if len(domains) > MANY:
        yield f"and {len(domains) - MANY} more"


def _faces(status: ServiceStatus) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
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


def _names(status: ServiceStatus, now: datetime, most: int | None) -> Table:
    several = len(Counter(one.cluster for one in status.names)) > 1
    names = status.names
    if most is not None and len(names) > most:
        names = tuple(sorted(names, key=lambda one: one.since, reverse=True)[:most])
    rows = [
        (
            one.name,
            "\n".join(one.addresses),
            f"{one.cluster} {one.resource}" if several else one.resource,
            ago(now - one.since),
        )
        for one in names
    ]
    return _table(("Name", "Address", "From", "Since"), rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for at, head in enumerate(heads):
        whole = head in WHOLE and all(len(line) <= SHORT for row in rows for line in row[at].split("\n"))
        table.add_column(head, overflow="fold", no_wrap=whole)
    for row in rows:
        _add(table, *row)
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
