"""A DNS server of the office whose root zone is signed, as the real one is."""

from __future__ import annotations

import dns.dnssec
import dns.dnssecalgs
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.zone
from attrs import define, field
from cryptography.hazmat.primitives.asymmetric import ec

from .nameserver import Nameserver

_ROOT = """
@ 3600 IN SOA ns. hostmaster. 1 5 5 5 5
@ 3600 IN NS ns.
ns. 3600 IN A 192.0.2.53
org. 3600 IN NS ns.org.
ns.org. 3600 IN A 192.0.2.53
"""


@define
class Signed(Nameserver):
    """Below `org` nothing is signed; every other top-level domain is proven not to exist."""

    key: str = field(init=False)
    """The key to trust, as a resource record."""
    _zone: dns.zone.Zone = field(init=False)

    def __attrs_post_init__(self) -> None:
        private = ec.generate_private_key(ec.SECP256R1())
        public = dns.dnssec.make_dnskey(private.public_key(), dns.dnssecalgs.Algorithm.ECDSAP256SHA256, flags=257)
        self.key = f". 3600 IN DNSKEY {public.to_text()}"
        self._zone = dns.zone.from_text(_ROOT, origin=".", relativize=False)
        with self._zone.writer() as transaction:
            dns.dnssec.sign_zone(
                self._zone, transaction, keys=[(private, public)], add_dnskey=True, lifetime=86400
            )

    def reply(self, wire: bytes) -> bytes:
        query = dns.message.from_wire(wire)
        name, kind = query.question[0].name, query.question[0].rdtype
        below_org = name.is_subdomain(dns.name.from_text("org."))
        if below_org and not (len(name) == 2 and kind == dns.rdatatype.DS):
            return super().reply(wire)
        self.asked.append((name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(kind)))
        answer = dns.message.make_response(query, recursion_available=True)
        answer.use_edns(0, dns.flags.DO, 4096)
        if self._zone.get_rrset(name, kind) is not None:
            self._add(answer.answer, name, kind)
            return answer.to_wire(max_size=65535)
        self._add(answer.authority, dns.name.root, dns.rdatatype.SOA)
        owners = sorted(n for n in self._zone if self._zone.get_rrset(n, dns.rdatatype.NSEC) is not None)
        if name in owners:
            self._add(answer.authority, name, dns.rdatatype.NSEC)
            return answer.to_wire(max_size=65535)
        answer.set_rcode(dns.rcode.NXDOMAIN)
        for owner in {max(n for n in owners if n < name), dns.name.root}:  # not the name, nor a wildcard
            self._add(answer.authority, owner, dns.rdatatype.NSEC)
        return answer.to_wire(max_size=65535)

    def _add(self, section: list[dns.rrset.RRset], name: dns.name.Name, kind: dns.rdatatype.RdataType) -> None:
        for found in (
            self._zone.get_rrset(name, kind),
            self._zone.get_rrset(name, dns.rdatatype.RRSIG, kind),
        ):
            assert found is not None
            section.append(found)
