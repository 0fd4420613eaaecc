"""What is true now of the whole service, put together from its parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from importlib.metadata import version

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from dtkdns.cluster import Cluster
from dtkdns.dns.replies import Tally
from dtkdns.dns.server import DNSServer
from dtkdns.hosts.writer import HostsWriter
from dtkdns.names import is_wildcard, to_ascii
from dtkdns.passes import Passes
from dtkdns.projection import DNS_FACE, HOSTS_FACE, Hidden, Projection, Reason
from dtkdns.provider import Provider
from dtkdns.status import (
    ClusterStatus,
    ConflictStatus,
    DNSStatus,
    ExternalDNSStatus,
    HiddenStatus,
    HostsStatus,
    NameStatus,
    PartStatus,
    Readiness,
    ServiceStatus,
    StoreStatus,
    utc,
)

VERSION = version("dtkdns")


@define
class Overview:
    """Reads the parts when asked; what takes long to count is counted once for each value."""

    _provider: Provider
    _writer: HostsWriter | None
    _dns: DNSServer | None
    passes: Passes
    _clock: IReactorTime
    _host: str = ""
    """What to announce; empty where that was not given."""
    _started: float = field(init=False)
    _types: dict[str, tuple[Cluster, Counter[str], int]] = field(factory=dict, init=False)
    _counted: tuple[Projection | None, Counter[str], Counter[str]] = field(
        factory=lambda: (None, Counter(), Counter()), init=False
    )

    def __attrs_post_init__(self) -> None:
        self._started = self._clock.seconds()

    @property
    def hosts(self) -> HostsStatus | None:
        return None if self._writer is None else self._writer.status

    @property
    def dns(self) -> DNSStatus | None:
        return None if self._dns is None else self._dns.status

    @property
    def dns_tallies(self) -> Iterable[Tally]:
        """The DNS server's replies by type and response code."""
        return () if self._dns is None else self._dns.replies.tallies.values()

    @property
    def store(self) -> StoreStatus:
        return self._provider.store_status

    def readiness(self) -> Readiness:
        """Whether each part does what it should."""
        parts = [
            PartStatus("store", not self.store.failing, self.store.failing or f"{self.store.records} records")
        ]
        if self._writer is not None:
            parts += [_hosts_file(self._writer.status), self._writer.readiness()]
        if self._dns is not None:
            parts.append(self._dns.readiness())
        return Readiness(all(part.ok for part in parts), tuple(parts))

    def summary(self) -> str:
        """All of it in one line: what is wrong, or how many names there are."""
        wrong = [f"{part.part}: {part.detail}" for part in self.readiness().parts if not part.ok]
        if wrong:
            return "; ".join(wrong)
        names = self.names_by_cluster().total()
        return f"All is as it should be: {names} name{'' if names == 1 else 's'}."

    def records_by_type(self) -> Iterator[tuple[str, str, int]]:
        """Cluster, record type, number of records."""
        for name, cluster in self._provider.clusters.items():
            for record_type, count in self._kinds(name, cluster)[0].items():
                yield name, record_type, count

    def _kinds(self, name: str, cluster: Cluster) -> tuple[Counter[str], int]:
        """How many records of each type a cluster has, and how many are external-dns' own notes."""
        known = self._types.get(name)
        if known is None or known[0] is not cluster:
            endpoints = list(cluster.all_endpoints())
            types = Counter(endpoint.record_type for endpoint in endpoints)
            notes = sum(endpoint.is_note for endpoint in endpoints)
            known = self._types[name] = cluster, types, notes
        return known[1:]

    def names_by_cluster(self) -> Counter[str]:
        """Names that resolve; wildcards among them where there is a DNS server."""
        return self._counts()[0]

    def hidden_by_reason(self) -> Counter[str]:
        """Records that are kept but not shown."""
        return self._counts()[1]

    def _counts(self) -> tuple[Counter[str], Counter[str]]:
        projection = self._provider.projection
        if self._counted[0] is not projection:
            shown = Counter(one.cluster for one in projection.shown.values() if self._resolves(one.name))
            hidden = Counter(one.reason.word for one in self._hidden())
            notes = sum(self._kinds(*of)[1] for of in self._provider.clusters.items())
            hidden += Counter({Reason.OWNERSHIP.word: notes})
            self._counted = projection, shown, hidden
        return self._counted[1:]

    def _hidden(self) -> Iterator[Hidden]:
        """What one of the faces that there are does not show, without external-dns' own notes."""
        for several in self._provider.projection.hidden.values():
            for one in several:
                if self._not_at(one):
                    yield one

    def _notes(self) -> Iterator[Hidden]:
        """External-dns' own notes, which no face shows."""
        for cluster in self._provider.clusters.values():
            for endpoint in cluster.all_endpoints():
                if endpoint.is_note:
                    yield Hidden(cluster.name, endpoint.key, Reason.OWNERSHIP)

    def _not_at(self, hidden: Hidden) -> tuple[str, ...]:
        """The faces that there are and do not show it."""
        there = {DNS_FACE: self._dns, HOSTS_FACE: self._writer}
        return tuple(face for face, part in there.items() if part is not None and face in hidden.reason.faces)

    def _since(self, hidden: Hidden) -> datetime | None:
        """Since when the name of a hidden record has had an A, AAAA or CNAME."""
        cluster = self._provider.clusters.get(hidden.cluster)
        since = None if cluster is None else cluster.since.get(to_ascii(hidden.key[0]))
        return None if since is None else utc(since)

    def conflicts_by_kind(self) -> dict[str, int]:
        """The number of `conflicts` of each kind."""
        return {
            "line": len(self._shadowed),
            "cluster": self.hidden_by_reason()[Reason.OTHER_CLUSTER.word],
            "fight": len(self._provider.fights()),
        }

    def conflicts(self) -> Iterator[ConflictStatus]:
        """Names that more than one wants to decide."""
        path = "" if self._writer is None else self._writer.status.path
        for name, theirs in sorted(self._shadowed.items()):
            yield ConflictStatus(name, "line", f"a line of your own in {path} says {theirs}, and it wins")
        for several in self._provider.projection.hidden.values():
            for one in several:
                if one.reason is Reason.OTHER_CLUSTER:
                    yield ConflictStatus(one.key[0], "cluster", f"cluster {one.cluster}: {one.sentence}")
        for cluster, key in self._provider.fights():
            yield ConflictStatus(
                key[0],
                "fight",
                f"two external-dns undo each other's {key[1]} record in cluster {cluster}: give each Kubernetes"
                " cluster a base of its own",
            )

    def _resolves(self, name: str) -> bool:
        return self._dns is not None or not is_wildcard(name)

    @property
    def _shadowed(self) -> Mapping[str, str]:
        return {} if self._writer is None else self._writer.status.shadowed

    def status(self) -> ServiceStatus:
        """Everything."""
        projection = self._provider.projection
        names = self.names_by_cluster()
        return ServiceStatus(
            version=VERSION,
            started=utc(self._started),
            host=self._host,
            ready=self.readiness(),
            store=self.store,
            hosts=self.hosts,
            dns=self.dns,
            clusters=tuple(
                ClusterStatus(
                    name,
                    cluster.domains,
                    cluster.addresses,
                    sum(map(len, cluster.endpoints.values())),
                    names[name],
                )
                for name, cluster in sorted(self._provider.clusters.items())
            ),
            names=tuple(
                NameStatus(one.name, one.addresses, one.cluster, one.resource, one.ttl, utc(one.since))
                for _, one in sorted(projection.shown.items())
                if self._resolves(one.name)
            ),
            hidden=tuple(
                HiddenStatus(
                    *one.key, one.cluster, one.reason.word, one.sentence, self._not_at(one), self._since(one)
                )
                for one in sorted([*self._hidden(), *self._notes()], key=lambda one: one.key[0])
            ),
            conflicts=tuple(self.conflicts()),
            external_dns=tuple(
                ExternalDNSStatus(
                    one.cluster,
                    one.peer,
                    utc(one.last),
                    None if one.changed is None else utc(one.changed),
                    one.interval,
                )
                for one in self.passes
            ),
        )


def _hosts_file(hosts: HostsStatus) -> PartStatus:
    if hosts.failing or hosts.written is None:
        return PartStatus("hosts file", False, hosts.failing or "not written yet")
    way = f"written {hosts.way.replace('rename', 'by rename')}, " if hosts.way else ""
    return PartStatus("hosts file", True, f"{way}as it should be at {hosts.written:%Y-%m-%d %H:%M:%S} UTC")
