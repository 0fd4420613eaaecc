"""Which names resolve to which addresses, where each comes from, and why an endpoint is not shown.

One computation serves every face. `Projection.after` computes again only the names that a change touched and
those that reach them through a CNAME.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from attrs import field, frozen
from twisted.names.dns import IEncodableRecord

from dtkdns import names
from dtkdns.cluster import Cluster
from dtkdns.endpoint import ADDRESS_TYPES, Endpoint, Key
from dtkdns.rdata import Network, Payload, RdataError, canonical_target, in_networks, parse_address, parse_record
from dtkdns.slices import STRIDE, Steps, at_once

Clusters: TypeAlias = Mapping[str, Cluster]

MAX_FOLLOWED = 16
"""Names that the CNAMEs of one name are followed to before giving up, about what resolvers do."""


HOSTS_FACE = "hosts"
DNS_FACE = "dns"
EVERY_FACE = frozenset({HOSTS_FACE, DNS_FACE})
_HOSTS_ONLY = frozenset({HOSTS_FACE})


class Reason(enum.Enum):
    """Why an endpoint is not shown: a word for counting, a sentence, and the faces that do not show it."""

    OWNERSHIP = "ownership", "it is external-dns' own note of whom the record belongs to"
    UNMANAGED = "unmanaged", "it lies in none of the managed domains"
    TYPE = "type", "a hosts file holds addresses only, and this is a record of type {detail}", _HOSTS_ONLY
    WILDCARD = "wildcard", "a hosts file has no wildcards", _HOSTS_ONLY
    ALIAS = "alias", "a hosts file holds addresses only, and it points to the name {detail}", _HOSTS_ONLY
    NAME = "name", "it is not made of letters, digits and hyphens{detail}"
    TARGET = "target", "no target is usable: {detail}"
    DATA = "data", "{detail}"
    DANGLING = "dangling", "it points to {detail}, which has no address here; POST /clusterip sets the cluster's"
    OTHER_CLUSTER = "other_cluster", "cluster {detail} had the name first and keeps it"

    def __init__(self, word: str, sentence: str, faces: frozenset[str] = EVERY_FACE) -> None:
        self.word = word
        self.sentence = sentence
        self.faces = faces


@frozen
class Hidden:
    """An endpoint that one of the faces, or both, do not show."""

    cluster: str
    key: Key
    reason: Reason
    detail: str = ""

    @property
    def sentence(self) -> str:
        """Why, to stand behind the name."""
        return self.reason.sentence.format(detail=self.detail)


@frozen(weakref_slot=False)
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
class RecordSet:
    """The records of one type at a name, other than addresses (RFC 2181, section 5)."""

    number: int
    """Of the type."""
    ttl: int
    """Seconds; 0 when none was configured."""
    data: tuple[IEncodableRecord, ...]


@frozen
class Projection:
    """What every face shows. Values of the mappings are replaced, never changed."""

    routable: tuple[Network, ...] = ()
    """Networks that the desktop reaches: targets in them are shown instead of the cluster's addresses."""
    domains: frozenset[str] = frozenset()
    """The managed domains of all clusters."""
    shown: Mapping[str, Shown] = field(factory=dict)
    """Name to what it resolves to, wildcards among them; hosts files leave those out."""
    records: Mapping[str, tuple[RecordSet, ...]] = field(factory=dict)
    """Name to what it has beside addresses; a CNAME only where there is nothing else at the name."""
    hidden: Mapping[str, tuple[Hidden, ...]] = field(factory=dict)
    """Owner name to its endpoints that one of the faces, or both, do not show; without external-dns' own notes."""
    _pointing: Mapping[str, frozenset[str]] = field(factory=dict, alias="pointing")
    """Name to the owners of CNAMEs that point to it, in any cluster; one that is gone may linger."""

    def after(self, clusters: Clusters, owners: Iterable[str]) -> tuple[Projection, tuple[str, ...]]:
        """The projection once the endpoints of some owner names have changed, and the names that may differ."""
        return at_once(self.following(clusters, owners))

    def following(self, clusters: Clusters, owners: Iterable[str]) -> Steps[tuple[Projection, tuple[str, ...]]]:
        """`after` in steps."""
        changed = dict.fromkeys(owners)
        yield
        holders = _holders(clusters, changed)
        yield
        pointing = yield from self._pointing_after(holders, changed)
        touched = _reaching(changed, pointing)
        if len(touched) > len(changed):
            holders = _holders(clusters, touched)
        yield
        shown = dict(self.shown)
        yield
        records, hidden = dict(self.records), dict(self.hidden)
        differing: list[str] = []
        for number, name in enumerate(touched, 1):
            if not number % STRIDE:
                yield
            now_shown, now_records, now_hidden = _compute(name, holders, clusters, self.routable)
            if now_shown is not None:
                shown[name] = now_shown
            elif name in shown:
                del shown[name]
            elif not (now_records or now_hidden or name in records or name in hidden):
                continue  # external-dns' own note, most of the time
            differing.append(name)
            if now_records:
                records[name] = now_records
            elif name in records:
                del records[name]
            if now_hidden:
                hidden[name] = now_hidden
            elif name in hidden:
                del hidden[name]
        domains = frozenset(domain for cluster in clusters.values() for domain in cluster.domains)
        return Projection(self.routable, domains, shown, records, hidden, pointing), tuple(differing)

    def _pointing_after(
        self, holders: Iterable[Cluster], owners: Iterable[str]
    ) -> Steps[Mapping[str, frozenset[str]]]:
        following = [cluster for cluster in holders if self.routable or not cluster.addresses]
        added: dict[str, set[str]] = {}
        for cluster in following:
            for number, owner in enumerate(owners, 1):
                if not number % STRIDE:
                    yield
                for endpoint in cluster.endpoints.get(owner, ()):
                    if endpoint.key[1] == "CNAME":
                        for target in endpoint.targets:
                            name = names.to_ascii(target)
                            if name != owner:
                                added.setdefault(name, set()).add(owner)
        if not added:
            return self._pointing
        return {**self._pointing, **{n: self._pointing.get(n, frozenset()) | new for n, new in added.items()}}


def _reaching(owners: Mapping[str, None], pointing: Mapping[str, frozenset[str]]) -> Mapping[str, None]:
    """The names themselves and all that point to them, directly or not; each once."""
    if not pointing:
        return owners
    found = dict(owners)
    ahead = list(found)
    while ahead:
        new = pointing.get(ahead.pop(), frozenset()) - found.keys()
        found |= dict.fromkeys(new)
        ahead += new
    return found


def _holders(clusters: Clusters, touched: Mapping[str, None]) -> list[Cluster]:
    """The clusters that have endpoints of any of these names."""
    return [one for one in clusters.values() if not touched.keys().isdisjoint(one.endpoints.keys())]


_Computed: TypeAlias = tuple[Shown | None, tuple[RecordSet, ...], tuple[Hidden, ...]]
"""What a name resolves to, what else it has, and which of its endpoints are not shown."""


def _compute(
    name: str, holders: Sequence[Cluster], clusters: Clusters, routable: tuple[Network, ...]
) -> _Computed:
    """What one name has; `holders` are the clusters that may have endpoints of it.

    Of several clusters the one that had an address for it first keeps the name.
    """
    holding = [cluster for cluster in holders if name in cluster.endpoints]
    if len(holding) == 1 and not names.is_wildcard(name):
        return _in_cluster(name, holding[0], clusters, routable)
    found = [(cluster, _in_cluster(name, cluster, clusters, routable)) for cluster in holding]
    hidden = [one for _, (_, _, why) in found for one in why]
    ranked = sorted(
        (math.inf if shown is None else shown.since, cluster.name)
        for cluster, (shown, records, _) in found
        if shown or records
    )
    if not ranked:
        return None, (), tuple(hidden)
    first, *others = [clusters[cluster] for _, cluster in ranked]
    more = []
    for other in others:
        more += _all_hidden(name, other, Reason.OTHER_CLUSTER, first.name)
    if names.is_wildcard(name):
        more += _all_hidden(name, first, Reason.WILDCARD)
    shown, records = next((shown, records) for cluster, (shown, records, _) in found if cluster is first)
    return shown, records, tuple(_joined(hidden, more))


def _joined(hidden: list[Hidden], more: list[Hidden]) -> list[Hidden]:
    """All, each endpoint once: with the reason for which no face shows it, else with the first one."""
    found = {(one.cluster, one.key): one for one in hidden}
    for one in more:
        there = found.setdefault((one.cluster, one.key), one)
        if there.reason.faces < one.reason.faces:
            found[one.cluster, one.key] = one
    return list(found.values())


def _all_hidden(name: str, cluster: Cluster, reason: Reason, detail: str = "") -> list[Hidden]:
    return [
        Hidden(cluster.name, endpoint.key, reason, detail)
        for endpoint in cluster.endpoints[name]
        if not endpoint.is_note
    ]


def _in_cluster(name: str, cluster: Cluster, clusters: Clusters, routable: tuple[Network, ...]) -> _Computed:
    """What a name has as far as one cluster goes."""
    bearing, others, hidden = _sorted_out(name, cluster)
    shown: Shown | None = None
    records: tuple[RecordSet, ...] = ()
    if others:
        records, why = _record_sets(others, cluster)
        hidden += why
    if bearing:
        addresses, replaced, faults = _addresses(name, bearing, cluster, routable)
        if addresses:
            shown = _shown(name, addresses, replaced, bearing, cluster)
        elif not records and name not in cluster.domains:  # which have other records (RFC 1034, section 3.6.2)
            records, faults = _alias(bearing, clusters, faults)
        for key, fault in faults.items():
            hidden.append(Hidden(cluster.name, key, *fault))
    return shown, records, tuple(hidden)


def _sorted_out(name: str, cluster: Cluster) -> tuple[list[Endpoint], list[Endpoint], list[Hidden]]:
    """The endpoints of a name that lead to addresses, the other ones, and those that can only be hidden."""
    bearing: list[Endpoint] = []
    others: list[Endpoint] = []
    hidden: list[Hidden] = []
    for endpoint in cluster.endpoints[name]:
        if endpoint.key[1] in ADDRESS_TYPES:
            bearing.append(endpoint)
        elif not endpoint.is_note:
            others.append(endpoint)
    if (bearing or others) and not cluster.manages(name):
        hidden += [Hidden(cluster.name, one.key, Reason.UNMANAGED) for one in (*bearing, *others)]
        return [], [], hidden
    if bearing and not names.is_hostname(name.removeprefix("*.")):
        hidden += [Hidden(cluster.name, one.key, Reason.NAME) for one in bearing]
        bearing = []
    if others and not names.is_owner(name):
        hidden += [Hidden(cluster.name, one.key, Reason.NAME, " (or underscores)") for one in others]
        others = []
    return bearing, others, hidden


def _shown(
    name: str, addresses: tuple[str, ...], replaced: tuple[str, ...], bearing: list[Endpoint], cluster: Cluster
) -> Shown:
    resource = ""
    for endpoint in bearing:
        resource = resource or endpoint.resource
    return Shown(name, addresses, cluster.name, resource, _ttl(bearing), cluster.since[name], replaced)


def _ttl(endpoints: Iterable[Endpoint]) -> int:
    """The least that is configured; 0 when none is (RFC 2181, section 5.2: a set has one)."""
    ttl = 0
    for endpoint in endpoints:
        if endpoint.ttl > 0:
            ttl = min(ttl or endpoint.ttl, endpoint.ttl)
    return ttl


def _record_sets(endpoints: list[Endpoint], cluster: Cluster) -> tuple[tuple[RecordSet, ...], list[Hidden]]:
    """The sets that endpoints other than addresses make, and why these are not shown."""
    hidden: list[Hidden] = []
    found: dict[int, tuple[list[Endpoint], dict[Payload, None]]] = {}
    for endpoint in endpoints:
        fault, served = "it has no target", False
        for target in endpoint.targets:
            try:
                number, payload = parse_record(endpoint.record_type, target)
            except RdataError as error:
                fault = str(error).removesuffix(".")
            else:
                served = True
                of_type, data = found.setdefault(number, ([], {}))
                of_type.append(endpoint)
                data[payload] = None  # each once (RFC 2181, section 5)
        if served and fault == "it has no target":
            shown_type = ascii(endpoint.record_type[:80])[1:-1]
            hidden.append(Hidden(cluster.name, endpoint.key, Reason.TYPE, shown_type))
        else:
            rest = "; its other targets are served" if served else ""
            hidden.append(Hidden(cluster.name, endpoint.key, Reason.DATA, fault + rest))
    return tuple(RecordSet(n, _ttl(of_type), tuple(data)) for n, (of_type, data) in found.items()), hidden


def _alias(
    bearing: list[Endpoint], clusters: Clusters, faults: dict[Key, tuple[Reason, str]]
) -> tuple[tuple[RecordSet, ...], dict[Key, tuple[Reason, str]]]:
    """The CNAME of a name that has no address: the first one that leads out of our records; and the faults then.

    A name has one CNAME at most (RFC 2181, section 10.1).
    """
    for endpoint in bearing:
        if endpoint.record_type == "CNAME":
            for target in endpoint.targets:
                pointed = names.to_ascii(target)
                if any(pointed in cluster.endpoints for cluster in clusters.values()):
                    continue
                try:
                    number, payload = parse_record("CNAME", target)
                except RdataError:
                    continue
                alias = RecordSet(number, _ttl([endpoint]), (payload,))
                return (alias,), {**faults, endpoint.key: (Reason.ALIAS, ascii(pointed[:80])[1:-1])}
    return (), faults


def _addresses(
    name: str, bearing: list[Endpoint], cluster: Cluster, routable: tuple[Network, ...]
) -> tuple[tuple[str, ...], tuple[str, ...], dict[Key, tuple[Reason, str]]]:
    """The addresses to show, the targets they stand in for, and the endpoints that add none, with the reason."""
    faults: dict[Key, tuple[Reason, str]] = {}
    if routable or not cluster.addresses:
        found: dict[str, None] = {}
        for endpoint in bearing:
            if endpoint.key[1] == "CNAME":
                own = _followed(endpoint, name, cluster)
                if not own:
                    faults[endpoint.key] = Reason.DANGLING, _pointed_to(endpoint)
            else:
                own, fault = _own_addresses(endpoint)
                if not own:
                    faults[endpoint.key] = Reason.TARGET, fault
            found |= own
        reached = tuple(text for text in found if in_networks(parse_address(text), routable)) if routable else ()
        if reached:
            return reached, (), faults
        if not cluster.addresses:
            return _shared(found, bearing), (), faults
    return cluster.addresses, _replaced(name, bearing, cluster), {}


def _own_addresses(endpoint: Endpoint) -> tuple[dict[str, None], str]:
    """The addresses in the targets of an A or AAAA endpoint, and why there is none if there is none."""
    found: dict[str, None] = {}
    fault = "there is none"
    for target in endpoint.targets:
        try:
            found[canonical_target(endpoint.key[1], target)] = None
        except RdataError as error:
            fault = str(error).removesuffix(".")
    return found, fault


def _followed(endpoint: Endpoint, name: str, cluster: Cluster) -> dict[str, None]:
    """The addresses that a CNAME leads to in its own cluster."""
    found: dict[str, None] = {}
    seen = {name}
    ahead = [endpoint]
    for following in ahead:
        if following.key[1] != "CNAME":
            found |= _own_addresses(following)[0]
            continue
        for target in following.targets:
            pointed = names.to_ascii(target)
            if pointed not in seen and len(seen) <= MAX_FOLLOWED:
                seen.add(pointed)
                group = cluster.endpoints.get(pointed, ())
                ahead += [other for other in group if other.key[1] in ADDRESS_TYPES]
    return found


def _pointed_to(endpoint: Endpoint) -> str:
    """The first targets, to stand in a sentence."""
    return ", ".join(ascii(target[:80])[1:-1] for target in endpoint.targets[:3]) or "nothing"


def _replaced(name: str, bearing: list[Endpoint], cluster: Cluster) -> tuple[str, ...]:
    """The targets that the cluster's own addresses stand in for, each once."""
    replaced: dict[str, None] = {}
    for endpoint in bearing:
        for target in endpoint.targets:
            if target not in cluster.addresses and (endpoint.key[1] != "CNAME" or names.to_ascii(target) != name):
                replaced[target] = None
    return _shared(replaced, bearing)


def _shared(texts: Iterable[str], bearing: list[Endpoint]) -> tuple[str, ...]:
    """The texts; as the targets of the first endpoint where these are the same: many names have them in common."""
    found, targets = tuple(texts), bearing[0].targets
    return targets if found == targets else found
