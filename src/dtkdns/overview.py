"""What is true now of the whole service, put together from its parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from dtkdns.cluster import Cluster
from dtkdns.hosts.writer import HostsWriter
from dtkdns.names import is_wildcard
from dtkdns.passes import Passes
from dtkdns.projection import Projection, Reason
from dtkdns.provider import Provider
from dtkdns.status import (
    ClusterStatus,
    ConflictStatus,
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
    _writer: HostsWriter
    passes: Passes
    _clock: IReactorTime
    _started: float = field(init=False)
    _types: dict[str, tuple[Cluster, Counter[str]]] = field(factory=dict, init=False)
    _counted: tuple[Projection | None, Counter[str], Counter[str]] = field(
        factory=lambda: (None, Counter(), Counter()), init=False
    )

    def __attrs_post_init__(self) -> None:
        self._started = self._clock.seconds()

    @property
    def hosts(self) -> HostsStatus:
        return self._writer.status

    @property
    def store(self) -> StoreStatus:
        return self._provider.store_status

    def readiness(self) -> Readiness:
        """Whether each part does what it should."""
        store, hosts = self.store, self.hosts
        if hosts.failing:
            detail = hosts.failing
        elif hosts.written is None:
            detail = "not written yet"
        else:
            way = hosts.way.replace("rename", "by rename")
            detail = f"written {way}, " if way else ""
            detail += f"as it should be at {hosts.written:%Y-%m-%d %H:%M:%S} UTC"
        parts = (
            PartStatus("store", not store.failing, store.failing or f"{store.records} records"),
            PartStatus("hosts file", not hosts.failing and hosts.written is not None, detail),
            self._writer.readiness(),
        )
        return Readiness(all(part.ok for part in parts), parts)

    def records_by_type(self) -> Iterator[tuple[str, str, int]]:
        """Cluster, record type, number of records."""
        for name, cluster in self._provider.clusters.items():
            known = self._types.get(name)
            if known is None or known[0] is not cluster:
                found = Counter(endpoint.record_type for endpoint in cluster.all_endpoints())
                known = self._types[name] = cluster, found
            for record_type, count in known[1].items():
                yield name, record_type, count

    def names_by_cluster(self) -> Counter[str]:
        """Names that resolve."""
        return self._counts()[0]

    def hidden_by_reason(self) -> Counter[str]:
        """Records that are kept but not shown."""
        return self._counts()[1]

    def _counts(self) -> tuple[Counter[str], Counter[str]]:
        projection = self._provider.projection
        if self._counted[0] is not projection:
            shown = Counter(one.cluster for one in projection.shown.values() if not is_wildcard(one.name))
            hidden = Counter(one.reason.word for several in projection.hidden.values() for one in several)
            self._counted = projection, shown, hidden
        return self._counted[1:]

    def conflicts_by_kind(self) -> dict[str, int]:
        """The number of `conflicts` of each kind."""
        return {
            "line": len(self.hosts.shadowed),
            "cluster": self.hidden_by_reason()[Reason.OTHER_CLUSTER.word],
            "fight": len(self._provider.fights()),
        }

    def conflicts(self) -> Iterator[ConflictStatus]:
        """Names that more than one wants to decide."""
        for name, theirs in sorted(self.hosts.shadowed.items()):
            yield ConflictStatus(
                name, "line", f"a line of your own in {self.hosts.path} says {theirs}, and it wins"
            )
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

    def status(self) -> ServiceStatus:
        """Everything."""
        projection = self._provider.projection
        names = self.names_by_cluster()
        return ServiceStatus(
            version=VERSION,
            started=utc(self._started),
            ready=self.readiness(),
            store=self.store,
            hosts=self.hosts,
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
                if not is_wildcard(one.name)
            ),
            hidden=tuple(
                HiddenStatus(*one.key, one.cluster, one.reason.word, one.sentence)
                for _, several in sorted(projection.hidden.items())
                for one in several
            ),
            conflicts=tuple(self.conflicts()),
            external_dns=tuple(
                ExternalDNSStatus(cluster, peer, utc(last), None if changed is None else utc(changed))
                for cluster, peer, last, changed in self.passes
            ),
        )
