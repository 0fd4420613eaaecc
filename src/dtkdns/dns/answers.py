"""A question and a zone -> an answer (RFC 1034, section 4.3.2; wildcards after RFC 4592)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from attrs import evolve, field, frozen
from twisted.names import dns

from dtkdns.dns.query import Query
from dtkdns.dns.zone import Zone
from dtkdns.projection import MAX_FOLLOWED, RecordSet

TTL = 5
"""Seconds that an answer may be kept where external-dns says nothing, and a "no" always (RFC 2308, section 5)."""
NO_QUESTIONS = frozenset({249, 250, 251, 252})
"""TKEY, TSIG, and the transfers of a zone, IXFR and AXFR."""
ANY_CLASS = 255
DS = 43
"""The one type that a name has on this side of a cut (RFC 4035, section 3.1.4.1)."""
_MAX_TTL = 2**31 - 1
"""RFC 2181, section 8."""
_SOA = {
    "mname": "localhost",  # this machine, whoever on it asks; so do others that make up zones
    "rname": "nobody.invalid",
    "refresh": 3600,  # these three are for secondary servers, of which there are none
    "retry": 1200,
    "expire": 604800,
    "minimum": TTL,
}

Records = tuple[dns.RRHeader, ...]
Sets = Mapping[int, RecordSet]


@frozen
class Answer:
    """What is so, before it is a message."""

    rcode: int = dns.OK
    authoritative: bool = True
    answers: Records = ()
    authority: Records = ()
    additional: Records = ()
    truncated: bool = False
    """Whether there is more than fits: the client asks again over a connection, and needs no part of it before."""
    own: bool = False
    """Whether it is what the name in question itself has, so that it stays true as long as that does."""


REFUSED = Answer(dns.EREFUSED, authoritative=False)
FAILED = Answer(dns.ESERVER, authoritative=False)


def answer(zone: Zone, query: Query) -> Answer:
    """The answer to a question.

    REFUSED for a name outside the managed domains, for a class that is not the internet's and for types that
    nothing can have. SERVFAIL where the answer would be "no", but not everything is known. Without authority for
    every class at once, because only one is known (RFC 1035, section 6.2).
    """
    if not zone.loaded:
        return FAILED
    if query.record_class not in {dns.IN, ANY_CLASS} or query.record_type in NO_QUESTIONS:
        return REFUSED
    found = _answer(zone, query.labels, query.record_type, query.spelled)
    if zone.held and found.authority and found.authoritative:
        return FAILED
    return found if query.record_class == dns.IN else evolve(found, authoritative=False)


def _answer(zone: Zone, labels: Sequence[str], record_type: int, owner: bytes) -> Answer:
    """Follows CNAMEs as far as they lead to names of ours (RFC 1034, section 3.6.2; for the rcode RFC 6604)."""
    records: Records = ()
    seen = {tuple(labels)}
    while True:
        found = _find(zone, labels, record_type)
        if found.cut and not (record_type == DS and found.cut == ".".join(labels)):
            return Answer(answers=records) if records else _referral(zone, found.cut)
        if not found.domain:
            return Answer(answers=records) if records else REFUSED
        wanted = found.sets.get(_one_type(record_type, found.sets))
        if wanted is not None:
            return Answer(answers=records + _records(owner, wanted), own=found.own and not records)
        alias = found.sets.get(dns.CNAME)
        if alias is None:
            return Answer(found.rcode, answers=records, authority=_soa(zone, found.domain))
        records += _records(owner, alias)
        owner = _target(alias.data[0])
        labels = owner.decode("ascii").split(".")
        if tuple(labels) in seen or len(seen) > MAX_FOLLOWED:
            return Answer(answers=records)
        seen.add(tuple(labels))


@frozen
class _Found:
    """What there is for a name."""

    domain: str = ""
    """The managed domain that it lies in; empty where it lies in none."""
    cut: str = ""
    """The name from which on another server has the names, this one among them; empty where there is none."""
    sets: Sets = field(factory=dict)
    rcode: int = dns.OK
    own: bool = False


def _find(zone: Zone, labels: Sequence[str], record_type: int) -> _Found:
    """The closest encloser decides (RFC 4592, section 3.3.1)."""
    enclosers = [".".join(labels[start:]) for start in range(len(labels))]
    at = zone.domain_among(enclosers)
    if at is None:
        return _Found()
    domain = enclosers[at]
    cut = zone.cut_among(enclosers[:at])
    if cut:
        return _Found(domain, cut)
    if at == 0:
        above = _domain_above(zone, enclosers) if record_type == DS else ""
        if above:
            return _Found(above)
        sets = {dns.NS: _NS, dns.SOA: _soa_set(zone), **_sets(zone, domain)}
        sets.pop(dns.CNAME, None)  # which has nothing beside it (RFC 1034, section 3.6.2)
        return _Found(domain, sets=sets)
    if zone.exists(enclosers[0]):
        return _Found(domain, sets=_sets(zone, enclosers[0]), own=True)
    closest = next(name for name in enclosers if zone.exists(name))
    source = f"*.{closest}"
    return _Found(domain, sets=_sets(zone, source), rcode=dns.OK if zone.exists(source) else dns.ENAME)


def _domain_above(zone: Zone, enclosers: Sequence[str]) -> str:
    """The managed domain that a managed domain is cut from; empty where another server has what is between."""
    at = zone.domain_among(enclosers[1:])
    return "" if at is None or zone.cut_among(enclosers[1 : at + 1]) else enclosers[at + 1]


def _one_type(record_type: int, sets: Sets) -> int:
    """The type to answer with: to ANY one is enough (RFC 8482, section 4.1), and addresses come first."""
    return min(sets, default=record_type) if record_type == dns.ALL_RECORDS else record_type


def _sets(zone: Zone, name: str) -> dict[int, RecordSet]:
    """What a name has, by type."""
    sets = {one.number: one for one in zone.records(name)}
    shown = zone.shown(name)
    if shown is not None:
        v4 = tuple(dns.Record_A(address) for address in shown.addresses if ":" not in address)
        v6 = tuple(dns.Record_AAAA(address) for address in shown.addresses if ":" in address)
        if v4:
            sets[dns.A] = RecordSet(dns.A, shown.ttl, v4)
        if v6:
            sets[dns.AAAA] = RecordSet(dns.AAAA, shown.ttl, v6)
    return sets


def _records(owner: bytes, one: RecordSet) -> Records:
    ttl = min(one.ttl or TTL, _MAX_TTL)
    return tuple(dns.RRHeader(owner, one.number, ttl=ttl, payload=data, auth=True) for data in one.data)


def _target(data: dns.IEncodableRecord) -> bytes:
    """The name in a CNAME or NS record."""
    return bytes(cast(dns.SimpleRecord, data).name.name)  # type: ignore[union-attr]


_NS = RecordSet(dns.NS, 0, (dns.Record_NS("localhost"),))


def _soa_set(zone: Zone) -> RecordSet:
    return RecordSet(dns.SOA, 0, (dns.Record_SOA(serial=zone.serial, **_SOA),))


def _soa(zone: Zone, domain: str) -> Records:
    """What goes with a "no" and says how long it may be kept (RFC 2308, section 3)."""
    return _records(domain.encode("ascii"), _soa_set(zone))


def _referral(zone: Zone, cut: str) -> Answer:
    """Who has the names from one on, with addresses as far as these are ours (RFC 1034, section 4.2.1)."""
    servers = next(one for one in zone.records(cut) if one.number == dns.NS)
    glue: list[dns.RRHeader] = []
    for data in servers.data:
        name = _target(data)
        addresses = _sets(zone, name.decode("ascii"))
        glue += [one for kind in (dns.A, dns.AAAA) if kind in addresses for one in _records(name, addresses[kind])]
    return Answer(authoritative=False, authority=_records(cut.encode("ascii"), servers), additional=tuple(glue))
