"""Which names resolve to which addresses, where each comes from, and why an endpoint is not shown.

One computation serves every face. `Projection.after` computes again only the names that a change touched and
those that reach them through a CNAME.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from attrs import field, frozen

from dtkdns import names
from dtkdns.cluster import Cluster
from dtkdns.endpoint import ADDRESS_TYPES, Endpoint, Key
from dtkdns.rdata import Address, Network, RdataError, in_networks, parse_target

Clusters: TypeAlias = Mapping[str, Cluster]

MAX_FOLLOWED = 16
"""Names that the CNAMEs of one name are followed to before giving up, about what resolvers do."""


class Reason(enum.Enum):
    """Why an endpoint is not shown: a word for counting, and a sentence."""

    OWNERSHIP = "ownership", "it is external-dns' own note of whom the record belongs to"
    UNMANAGED = "unmanaged", "it lies in none of the managed domains"
    TYPE = "type", "a hosts file holds addresses only, and this is a record of type {detail}"
    WILDCARD = "wildcard", "a hosts file has no wildcards"
    NAME = "name", "it is not made of letters, digits and hyphens"
    TARGET = "target", "no target is usable: {detail}"
    DANGLING = "dangling", "it points to {detail}, which has no address here; POST /clusterip sets the cluster's"
    OTHER_CLUSTER = "other_cluster", "cluster {detail} had the name first and keeps it"

    def __init__(self, word: str, sentence: str) -> None:
        self.word = word
        self.sentence = sentence


@frozen
class Hidden:
    """An endpoint that the hosts file does not show."""

    cluster: str
    key: Key
    reason: Reason
    detail: str = ""

    @property
    def sentence(self) -> str:
        """Why, to stand behind the name."""
        return self.reason.sentence.format(detail=self.detail)


@frozen
class Shown:
    """A name that resolves."""

    name: str
    addresses: tuple[str, ...]
    """In canonical form, each once, the first one preferred."""
    cluster: str
    resource: str
    """The Kubernetes object it comes from; empty when external-dns did not say."""
    ttl: int
    """Seconds; 0 when none was configured."""
    since: float
    """POSIX seconds."""
    replaced: tuple[str, ...] = ()
    """The targets that the cluster's own addresses stand in for."""


@frozen
class Projection:
    """What every face shows. Values of the two mappings are replaced, never changed."""

    routable: tuple[Network, ...] = ()
    """Networks that the desktop reaches: targets in them are shown instead of the cluster's addresses."""
    shown: Mapping[str, Shown] = field(factory=dict)
    """Name to what it resolves to, wildcards among them; hosts files leave those out."""
    hidden: Mapping[str, tuple[Hidden, ...]] = field(factory=dict)
    """Owner name to its endpoints that the hosts file does not show."""
    _pointing: Mapping[str, frozenset[str]] = field(factory=dict, alias="pointing")
    """Name to the owners of CNAMEs that point to it, in any cluster; one that is gone may linger."""

    def after(self, clusters: Clusters, owners: Iterable[str]) -> tuple[Projection, tuple[str, ...]]:
        """The projection once the endpoints of some owner names have changed, and all names computed again."""
        owners = tuple(owners)
        pointing = self._pointing_after(clusters, owners)
        touched = _reaching(owners, pointing)
        shown, hidden = dict(self.shown), dict(self.hidden)
        for name in touched:
            now_shown, now_hidden = _compute(name, clusters, self.routable)
            if now_shown is None:
                shown.pop(name, None)
            else:
                shown[name] = now_shown
            if now_hidden:
                hidden[name] = now_hidden
            else:
                hidden.pop(name, None)
        return Projection(self.routable, shown, hidden, pointing), touched

    def _pointing_after(self, clusters: Clusters, owners: Iterable[str]) -> Mapping[str, frozenset[str]]:
        following = [cluster for cluster in clusters.values() if self.routable or not cluster.addresses]
        added: dict[str, set[str]] = {}
        for owner in owners:
            for cluster in following:
                for endpoint in cluster.endpoints.get(owner, ()):
                    if endpoint.record_type == "CNAME":
                        for target in endpoint.targets:
                            name = names.to_ascii(target)
                            if name != owner:
                                added.setdefault(name, set()).add(owner)
        if not added:
            return self._pointing
        return {**self._pointing, **{n: self._pointing.get(n, frozenset()) | new for n, new in added.items()}}


def _reaching(owners: Iterable[str], pointing: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """The names themselves and all that point to them, directly or not; each once."""
    found = dict.fromkeys(owners)
    if pointing:
        ahead = list(found)
        while ahead:
            new = pointing.get(ahead.pop(), frozenset()) - found.keys()
            found |= dict.fromkeys(new)
            ahead += new
    return tuple(found)


def _compute(
    name: str, clusters: Clusters, routable: tuple[Network, ...]
) -> tuple[Shown | None, tuple[Hidden, ...]]:
    """What one name resolves to, and which of its endpoints are not shown."""
    first: Shown | None = None
    others: list[Shown] = []
    hidden: list[Hidden] = []
    for cluster in clusters.values():
        if name not in cluster.endpoints:
            continue
        found, why = _in_cluster(name, cluster, routable)
        hidden += why
        if found is not None and first is not None:
            first, other = sorted((first, found), key=lambda shown: (shown.since, shown.cluster))
            others.append(other)
        elif found is not None:
            first = found
    if first is not None and (others or names.is_wildcard(name)):
        count = len(hidden)
        told = {(one.cluster, one.key) for one in hidden}
        for other in others:
            hidden += _bearing(name, clusters[other.cluster], Reason.OTHER_CLUSTER, first.cluster)
        if names.is_wildcard(name):
            hidden += _bearing(name, clusters[first.cluster], Reason.WILDCARD)
        hidden[count:] = [one for one in hidden[count:] if (one.cluster, one.key) not in told]
    return first, tuple(hidden)


def _bearing(name: str, cluster: Cluster, reason: Reason, detail: str = "") -> list[Hidden]:
    """The endpoints that would make a name resolve, as hidden for one reason."""
    keys = [endpoint.key for endpoint in cluster.endpoints[name] if endpoint.record_type in ADDRESS_TYPES]
    return [Hidden(cluster.name, key, reason, detail) for key in keys]


def _in_cluster(name: str, cluster: Cluster, routable: tuple[Network, ...]) -> tuple[Shown | None, list[Hidden]]:
    """What a name resolves to as far as one cluster goes."""
    bearing: list[Endpoint] = []
    hidden: list[Hidden] = []
    for endpoint in cluster.endpoints[name]:
        record_type = endpoint.key[1]
        if record_type == "TXT" and _is_ownership(endpoint):
            hidden.append(Hidden(cluster.name, endpoint.key, Reason.OWNERSHIP))
        elif not cluster.manages(name):
            hidden.append(Hidden(cluster.name, endpoint.key, Reason.UNMANAGED))
        elif record_type not in ADDRESS_TYPES:
            hidden.append(Hidden(cluster.name, endpoint.key, Reason.TYPE, ascii(record_type[:80])[1:-1]))
        elif not names.is_hostname(name.removeprefix("*.")):
            hidden.append(Hidden(cluster.name, endpoint.key, Reason.NAME))
        else:
            bearing.append(endpoint)
    if not bearing:
        return None, hidden
    addresses, replaced, faults = _addresses(name, bearing, cluster, routable)
    hidden += [Hidden(cluster.name, key, *fault) for key, fault in faults.items()]
    if not addresses:
        return None, hidden
    resource, ttl = "", 0
    for endpoint in bearing:
        resource = resource or endpoint.resource
        if endpoint.ttl > 0:
            ttl = min(ttl or endpoint.ttl, endpoint.ttl)
    return Shown(name, addresses, cluster.name, resource, ttl, cluster.since[name], replaced), hidden


def _addresses(
    name: str, bearing: list[Endpoint], cluster: Cluster, routable: tuple[Network, ...]
) -> tuple[tuple[str, ...], tuple[str, ...], dict[Key, tuple[Reason, str]]]:
    """The addresses to show, the targets they stand in for, and the endpoints that add none, with the reason."""
    found: dict[Address, None] = {}
    faults: dict[Key, tuple[Reason, str]] = {}
    if routable or not cluster.addresses:
        for endpoint in bearing:
            own, fault = _resolve(endpoint, name, cluster)
            found |= own
            if not own:
                faults[endpoint.key] = fault
        reached = [str(address) for address in found if in_networks(address, routable)]
        if reached:
            return tuple(reached), (), faults
        if not cluster.addresses:
            return tuple(map(str, found)), (), faults
    replaced: list[str] = []
    for endpoint in bearing:
        for target in endpoint.targets:
            if target not in replaced and target not in cluster.addresses and names.to_ascii(target) != name:
                replaced.append(target)
    return cluster.addresses, tuple(replaced), {}


def _resolve(endpoint: Endpoint, name: str, cluster: Cluster) -> tuple[dict[Address, None], tuple[Reason, str]]:
    """The addresses an endpoint leads to through records of its own cluster, and the reason if there are none."""
    found: dict[Address, None] = {}
    fault = "there is none"
    seen = {name}
    ahead = [endpoint]
    for following in ahead:
        for target in following.targets:
            if following.record_type == "CNAME":
                pointed = names.to_ascii(target)
                if pointed not in seen and len(seen) <= MAX_FOLLOWED:
                    seen.add(pointed)
                    group = cluster.endpoints.get(pointed, ())
                    ahead += [other for other in group if other.record_type in ADDRESS_TYPES]
            else:
                try:
                    found[parse_target(following.record_type, target)] = None
                except RdataError as error:
                    fault = str(error).removesuffix(".")
    if endpoint.record_type == "CNAME":
        shown = ", ".join(ascii(target[:80])[1:-1] for target in endpoint.targets[:3])
        return found, (Reason.DANGLING, shown or "nothing")
    return found, (Reason.TARGET, fault)


def _is_ownership(endpoint: Endpoint) -> bool:
    """Whether a TXT is one of external-dns' registry (its `registry/txt`): it names its heritage."""
    return "ownedRecord" in endpoint.labels or any(
        target.strip('"').startswith("heritage=external-dns") for target in endpoint.targets
    )
