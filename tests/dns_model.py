"""A slow and obvious name server over a flat list of records, straight from RFC 1034 (4.3.2) and RFC 4592.

Names are tuples of labels from the root down, so that a name lies under all of its beginnings: `foo.dtk.io` is
`("io", "dtk", "foo")`. Labels are in lower case, each byte a character.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
from attrs import field, frozen

from dtkdns.projection import MAX_FOLLOWED, Projection, RecordSet, Shown
from dtkdns.rdata import parse_record

Name = tuple[str, ...]
Seen = tuple[Name, str, int, str]
"""Owner, type, TTL and data of a record in a reply."""

TTL = 5
SOA = "localhost. nobody.invalid. {serial} 3600 1200 604800 5"


def name_of(text: str) -> Name:
    return tuple(reversed(text.removesuffix(".").split("."))) if text.removesuffix(".") else ()


def text_of(name: Name) -> str:
    return ".".join(reversed(name))


@frozen
class Record:
    """One line of a zone file."""

    owner: str
    type: str
    data: str
    ttl: int = 0

    def seen(self, owner: Name) -> Seen:
        return owner, self.type, self.ttl or TTL, self.data


@frozen
class Said:
    """What a reply says."""

    rcode: str = "NOERROR"
    authoritative: bool = True
    answers: tuple[Seen, ...] = ()
    authority: tuple[Seen, ...] = ()
    additional: tuple[Seen, ...] = ()


@frozen
class Model:
    """The records of all managed domains together."""

    domains: frozenset[str] = frozenset()
    records: tuple[Record, ...] = ()
    serial: int = 1
    held: bool = False
    _nodes: frozenset[Name] = field(init=False)

    @_nodes.default
    def _all_nodes(self) -> frozenset[Name]:
        """Every name that has a record or is an apex, and every name above one."""
        owners = {name_of(text) for text in (*self.domains, *(record.owner for record in self.records))}
        return frozenset(owner[:length] for owner in owners for length in range(1, len(owner) + 1))

    def at(self, name: Name, types: Iterable[str] = ()) -> list[Record]:
        found = [record for record in self.records if name_of(record.owner) == name]
        return [record for record in found if not types or record.type in types]

    def at_apex(self, apex: Name) -> list[Record]:
        own = [record for record in self.at(apex) if record.type != "CNAME"]  # RFC 1034, section 3.6.2
        owner = text_of(apex)
        if not any(record.type == "NS" for record in own):
            own.append(Record(owner, "NS", "localhost."))
        return [*own, Record(owner, "SOA", SOA.format(serial=self.serial))]

    def ask(self, name: Name, record_type: str, record_class: str = "IN") -> Said:
        if not self.serial:
            return Said("SERVFAIL", authoritative=False)
        if record_class not in {"IN", "ANY"} or record_type in {"TKEY", "TSIG", "IXFR", "AXFR"}:
            return Said("REFUSED", authoritative=False)
        said = self._follow(name, record_type)
        if self.held and any(record[1] == "SOA" for record in said.authority):
            return Said("SERVFAIL", authoritative=False)
        if record_class == "ANY":
            return Said(said.rcode, False, said.answers, said.authority, said.additional)
        return said

    def _follow(self, name: Name, record_type: str) -> Said:
        """Step 1: begin again with each name that a CNAME leads to."""
        answers: tuple[Seen, ...] = ()
        followed = []
        while name not in followed and len(followed) <= MAX_FOLLOWED:
            followed.append(name)
            said, alias = self._once(name, record_type)
            if said.rcode == "REFUSED" or (not said.authoritative and answers):
                return Said(answers=answers) if answers else said
            answers += said.answers
            if alias is None:
                return Said(said.rcode, said.authoritative, answers, said.authority, said.additional)
            name = alias
        return Said(answers=answers)

    def _once(self, name: Name, record_type: str) -> tuple[Said, Name | None]:
        """What is said of one name, and the name to go on with."""
        # Step 2: the nearest zone; of a DS the one above (RFC 4035, section 3.1.4.1), where we have that
        domains = set(map(name_of, self.domains))
        apexes = [name[:length] for length in range(len(name), 0, -1) if name[:length] in domains]
        if not apexes:
            return Said("REFUSED", authoritative=False), None
        apex, *above = apexes
        if record_type == "DS" and apex == name and above:
            between = [name[:length] for length in range(len(above[0]) + 1, len(name))]
            if not any(self.at(node, ["NS"]) for node in between):
                return self._no("NOERROR", above[0]), None
        return self._down(name, record_type, apex)

    def _down(self, name: Name, record_type: str, apex: Name) -> tuple[Said, Name | None]:
        """Step 3: from the apex of the zone label by label."""
        node = apex
        for length in range(len(apex) + 1, len(name) + 1):
            following = name[:length]
            if following not in self._nodes:  # 3c
                source = (*node, "*")
                if source not in self._nodes:
                    return self._no("NXDOMAIN", apex), None
                return self._match(name, record_type, self.at(source), apex)
            node = following
            if node[-1] != "*" and self.at(node, ["NS"]):  # 3b
                if node == name and record_type == "DS":
                    return self._no("NOERROR", apex), None
                return self._referral(node), None
        return self._match(name, record_type, self.at_apex(apex) if name == apex else self.at(name), apex)  # 3a

    def _match(self, name: Name, record_type: str, found: list[Record], apex: Name) -> tuple[Said, Name | None]:
        wanted = [record for record in found if record.type == record_type]
        if record_type == "ANY" and found:
            first = min(found, key=lambda record: dns.rdatatype.from_text(record.type)).type
            wanted = [record for record in found if record.type == first]
        if wanted:
            return Said(answers=tuple(record.seen(name) for record in wanted)), None
        for record in found:
            if record.type == "CNAME":
                return Said(answers=(record.seen(name),)), name_of(record.data)
        return self._no("NOERROR", apex), None

    def _no(self, rcode: str, apex: Name) -> Said:
        return Said(rcode, authority=(Record("", "SOA", SOA.format(serial=self.serial)).seen(apex),))

    def _referral(self, cut: Name) -> Said:
        servers = self.at(cut, ["NS"])
        glue = [
            address.seen(name_of(server.data))
            for server in servers
            for address in self.at(name_of(server.data), ["A", "AAAA"])
        ]
        authority = tuple(server.seen(cut) for server in servers)
        return Said("NOERROR", False, authority=authority, additional=tuple(glue))


def projection_of(domains: Iterable[str], records: Iterable[Record]) -> Projection:
    """The projection that shows these records."""
    shown: dict[str, Shown] = {}
    sets: dict[str, dict[int, RecordSet]] = {}
    for one in records:
        if one.type in {"A", "AAAA"}:
            before = shown[one.owner].addresses if one.owner in shown else ()
            shown[one.owner] = Shown(one.owner, (*before, one.data), "default", "", one.ttl, 1.0)
        else:
            number, payload = parse_record(one.type, one.data)
            of_name = sets.setdefault(one.owner, {})
            data = of_name[number].data if number in of_name else ()
            of_name[number] = RecordSet(number, one.ttl, (*data, payload))
    return Projection(
        domains=frozenset(domains),
        shown=shown,
        records={name: tuple(found.values()) for name, found in sets.items()},
    )


def names_in(projection: Projection) -> set[str]:
    """All names that have something."""
    return {*projection.shown, *projection.records}


def said_by(message: dns.message.Message) -> Said:
    """What a reply says, with every name in lower case and in no order but that of the sections."""
    return Said(
        dns.rcode.to_text(message.rcode()),
        bool(message.flags & dns.flags.AA),
        _seen(message.answer),
        _seen(message.authority),
        _seen(message.additional),
    )


def _seen(section: list[dns.rrset.RRset]) -> tuple[Seen, ...]:
    return tuple(
        (
            tuple(label.lower().decode("latin-1") for label in reversed(one.name.labels[:-1])),
            dns.rdatatype.to_text(one.rdtype),
            one.ttl,
            data.to_text(),
        )
        for one in section
        for data in one
    )


def in_order(said: Said) -> Mapping[str, object]:
    """For a comparison in which the order of the records means nothing."""
    return {
        "rcode": said.rcode,
        "authoritative": said.authoritative,
        "answers": sorted(said.answers),
        "authority": sorted(said.authority),
        "additional": sorted(set(said.additional)),
    }
