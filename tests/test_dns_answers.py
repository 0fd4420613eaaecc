"""What is so: RFC 1034 (4.3.2), wildcards after RFC 4592, cuts, aliases, and a "no" after RFC 2308."""

from __future__ import annotations

from collections.abc import Sequence

import dns.flags
import dns.name
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dns_model import (
    TTL,
    Model,
    Name,
    Record,
    Said,
    in_order,
    name_of,
    names_in,
    projection_of,
    said_by,
)
from dns_questions import ask, packet, replies_for, reply, zone
from dtkdns.dns.answers import FAILED, REFUSED, answer
from dtkdns.dns.query import parse_query
from dtkdns.dns.zone import Zone
from dtkdns.projection import MAX_FOLLOWED, Projection
from test_projection import cluster, endpoint, project


def said(
    projection: Projection, name: str, record_type: str = "A", record_class: str = "IN", *, held: bool = False
) -> Said:
    """What a reply says, beside the SOA record that stands for "no" whatever is in it."""
    return said_by(ask(replies_for(projection, held=held), name, record_type, record_class))


def data(found: Said) -> list[str]:
    """The answers, each as type and data."""
    return [f"{record_type} {text}" for _, record_type, _, text in found.answers]


def is_no(found: Said, rcode: str, domain: str) -> bool:
    """Whether it is a "no" of this zone, with its SOA record alone."""
    kinds = [(owner, record_type, ttl) for owner, record_type, ttl, _ in found.authority]
    return (
        found.rcode == rcode
        and found.authoritative
        and kinds == [(name_of(domain), "SOA", TTL)]
        and not found.additional
    )


def nodata(found: Said, domain: str = "dtk.io") -> bool:
    return is_no(found, "NOERROR", domain) and not found.answers


def nxdomain(found: Said, domain: str = "dtk.io") -> bool:
    return is_no(found, "NXDOMAIN", domain) and not found.answers


# What names have


EVERYTHING = project(
    cluster(
        endpoint("foo.dtk.io", "A", "10.0.0.1", "10.0.0.2", ttl=60),
        endpoint("foo.dtk.io", "AAAA", "fd00::1"),
        endpoint("foo.dtk.io", "TXT", '"of foo"'),
        endpoint("six.dtk.io", "AAAA", "fd00::6"),
        endpoint("dtk.io", "A", "10.0.0.9"),
        endpoint("dtk.io", "MX", "10 mail.dtk.io"),
        endpoint("_ldap._tcp.dtk.io", "SRV", "0 5 389 foo.dtk.io"),
        endpoint("text.dtk.io", "TXT", "hello", ttl=2**31 + 5),
        endpoint("ca.dtk.io", "CAA", '0 issue "ca.example.net"'),
        endpoint("phone.dtk.io", "NAPTR", '100 10 "U" "E2U+sip" "!^.*$!sip:info@dtk.io!" .'),
        endpoint("away.dtk.io", "CNAME", "www.example.com", ttl=30),
        endpoint("1.0.0.10.in-addr.dtk.io", "PTR", "foo.dtk.io"),
        domains=("dtk.io", "dev.dtk.io", "example"),
    )
)


@pytest.mark.parametrize(
    ("name", "record_type", "expected"),
    [
        ("foo.dtk.io", "A", ["A 10.0.0.1", "A 10.0.0.2"]),
        ("foo.dtk.io", "AAAA", ["AAAA fd00::1"]),
        ("foo.dtk.io", "TXT", ['TXT "of foo"']),
        ("six.dtk.io", "AAAA", ["AAAA fd00::6"]),
        ("dtk.io", "A", ["A 10.0.0.9"]),
        ("dtk.io", "MX", ["MX 10 mail.dtk.io."]),
        ("dtk.io", "NS", ["NS localhost."]),
        ("dev.dtk.io", "NS", ["NS localhost."]),
        ("dtk.io", "SOA", ["SOA localhost. nobody.invalid. 1000 3600 1200 604800 5"]),
        ("dev.dtk.io", "SOA", ["SOA localhost. nobody.invalid. 1000 3600 1200 604800 5"]),
        ("_ldap._tcp.dtk.io", "SRV", ["SRV 0 5 389 foo.dtk.io."]),
        ("text.dtk.io", "TXT", ['TXT "hello"']),
        ("ca.dtk.io", "CAA", ['CAA 0 issue "ca.example.net"']),
        ("phone.dtk.io", "NAPTR", ['NAPTR 100 10 "U" "E2U+sip" "!^.*$!sip:info@dtk.io!" .']),
        ("away.dtk.io", "A", ["CNAME www.example.com."]),
        ("away.dtk.io", "CNAME", ["CNAME www.example.com."]),
        ("1.0.0.10.in-addr.dtk.io", "PTR", ["PTR foo.dtk.io."]),
    ],
)
def test_every_record_of_a_name_is_answered_with_authority(
    name: str, record_type: str, expected: list[str]
) -> None:
    found = said(EVERYTHING, name, record_type)
    assert (found.rcode, found.authoritative) == ("NOERROR", True)
    assert sorted(data(found)) == expected
    assert found.authority == found.additional == ()


@pytest.mark.parametrize(
    ("name", "record_type", "ttl"),
    [
        ("foo.dtk.io", "A", 60),
        ("foo.dtk.io", "AAAA", 60),
        ("foo.dtk.io", "TXT", 5),
        ("six.dtk.io", "AAAA", 5),
        ("text.dtk.io", "TXT", 2**31 - 1),
        ("away.dtk.io", "A", 30),
        ("dtk.io", "SOA", 5),
        ("dtk.io", "NS", 5),
    ],
)
def test_an_answer_is_kept_as_long_as_external_dns_says_or_for_a_moment(
    name: str, record_type: str, ttl: int
) -> None:
    assert {record[2] for record in said(EVERYTHING, name, record_type).answers} == {ttl}


@pytest.mark.parametrize(
    ("name", "record_type", "domain"),
    [
        ("six.dtk.io", "A", "dtk.io"),
        ("text.dtk.io", "A", "dtk.io"),
        ("dtk.io", "AAAA", "dtk.io"),
        ("dev.dtk.io", "A", "dev.dtk.io"),
        ("example", "A", "example"),
        ("_tcp.dtk.io", "SRV", "dtk.io"),
        ("in-addr.dtk.io", "PTR", "dtk.io"),
        ("foo.dtk.io", "HTTPS", "dtk.io"),
        ("foo.dtk.io", "DS", "dtk.io"),
        ("dtk.io", "DS", "dtk.io"),
        ("foo.dtk.io", "DNSKEY", "dtk.io"),
        ("foo.dtk.io", "SOA", "dtk.io"),
        ("foo.dtk.io", "NS", "dtk.io"),
        ("foo.dtk.io", "TYPE65280", "dtk.io"),
        ("_tcp.dtk.io", "ANY", "dtk.io"),
    ],
)
def test_a_name_without_such_a_record_has_no_data(name: str, record_type: str, domain: str) -> None:
    assert nodata(said(EVERYTHING, name, record_type), domain)


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("bar.dtk.io", "dtk.io"),
        ("x.foo.dtk.io", "dtk.io"),
        ("foo.dev.dtk.io", "dev.dtk.io"),
        ("*.dtk.io", "dtk.io"),
        ("foo.example", "example"),
    ],
)
def test_a_name_that_is_not_there_is_not_there_for_any_type(name: str, domain: str) -> None:
    for record_type in ("A", "AAAA", "TXT", "ANY", "SOA", "DS"):
        assert nxdomain(said(EVERYTHING, name, record_type), domain)


@pytest.mark.parametrize(
    "name", [".", "io", "evildtk.io", "dtk.io.example.com", "www.example.com", "localhost", "xexample"]
)
@pytest.mark.parametrize("record_type", ["A", "SOA", "ANY", "DS"])
def test_a_name_outside_the_managed_domains_is_refused(name: str, record_type: str) -> None:
    assert said(EVERYTHING, name, record_type) == Said("REFUSED", authoritative=False)


def test_a_dot_in_a_label_and_a_null_in_it_are_no_dot_between_labels() -> None:
    for label in (b"foo.dtk", b"foo\0dtk"):
        assert said(EVERYTHING, dns.name.Name([label, b"io", b""]).to_text()).rcode == "REFUSED"
    for label in (b"_ldap._tcp", b"_ldap\0_tcp"):
        name = dns.name.Name([label, b"dtk", b"io", b""]).to_text()
        assert nxdomain(said(EVERYTHING, name, "SRV"))


# What is refused


@pytest.mark.parametrize("record_type", ["AXFR", "IXFR", "TKEY", "TSIG"])
@pytest.mark.parametrize("name", ["dtk.io", "foo.dtk.io"])
def test_a_zone_is_not_handed_out_and_keys_are_not_agreed_on(name: str, record_type: str) -> None:
    query = parse_query(packet(name, record_type))
    assert answer(replies_for(EVERYTHING).zone, query) == REFUSED


@pytest.mark.parametrize("record_class", ["CH", "HS", "NONE", "CLASS0", "CLASS65535"])
def test_another_class_is_refused(record_class: str) -> None:
    assert said(EVERYTHING, "foo.dtk.io", "A", record_class) == Said("REFUSED", authoritative=False)
    assert said(EVERYTHING, "version.bind", "TXT", record_class) == Said("REFUSED", authoritative=False)


@pytest.mark.parametrize(("name", "record_type"), [("foo.dtk.io", "A"), ("foo.dtk.io", "MX"), ("no.dtk.io", "A")])
def test_nothing_is_said_with_authority_for_every_class_at_once(name: str, record_type: str) -> None:
    """RFC 1035, section 6.2."""
    of_internet, of_all = (said(EVERYTHING, name, record_type, one) for one in ("IN", "ANY"))
    assert of_internet.authoritative
    assert not of_all.authoritative
    assert (of_all.rcode, of_all.answers, of_all.authority) == (
        of_internet.rcode,
        of_internet.answers,
        of_internet.authority,
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("foo.dtk.io", ["A 10.0.0.1", "A 10.0.0.2"]),
        ("six.dtk.io", ["AAAA fd00::6"]),
        ("dtk.io", ["A 10.0.0.9"]),
        ("example", ["NS localhost."]),
        ("away.dtk.io", ["CNAME www.example.com."]),
        ("ca.dtk.io", ['CAA 0 issue "ca.example.net"']),
    ],
)
def test_to_any_there_is_one_set_of_records_and_addresses_come_first(name: str, expected: list[str]) -> None:
    assert sorted(data(said(EVERYTHING, name, "ANY"))) == expected


# Wildcards: the zone of RFC 4592, section 2.2.1

HOSTS = [("host1.example", "A", "192.0.2.1"), ("host2.example", "A", "192.0.2.2")]
RFC_4592 = zone(
    ("example", "NS", "ns.example.com."),
    ("example", "NS", "ns.example.net."),
    ("*.example", "TXT", "this is a wildcard"),
    ("*.example", "MX", "10 host1.example."),
    ("sub.*.example", "TXT", "this is not a wildcard"),
    ("host1.example", "A", "192.0.2.1"),
    ("_ssh._tcp.host1.example", "SRV", "0 0 22 host1.example."),
    ("_ssh._tcp.host2.example", "SRV", "0 0 22 host2.example."),
    ("subdel.example", "NS", "ns.example.com."),
    ("subdel.example", "NS", "ns.example.net."),
    domains=["example"],
)


@pytest.mark.parametrize(
    ("name", "record_type", "expected"),
    [
        ("host3.example", "MX", ["MX 10 host1.example."]),
        ("foo.bar.example", "TXT", ['TXT "this is a wildcard"']),
        ("*.example", "TXT", ['TXT "this is a wildcard"']),
        ("sub.*.example", "TXT", ['TXT "this is not a wildcard"']),
    ],
)
def test_rfc_4592_a_response_is_synthesized_from_a_wildcard(
    name: str, record_type: str, expected: list[str]
) -> None:
    found = said(RFC_4592, name, record_type)
    assert data(found) == expected
    assert {owner for owner, *_ in found.answers} == {name_of(name)}


def test_rfc_4592_a_wildcard_without_the_type_says_no_data() -> None:
    """`host3.example. A`: the name is synthesized, the type is not there."""
    assert nodata(said(RFC_4592, "host3.example", "A"), "example")


@pytest.mark.parametrize(
    ("name", "record_type"),
    [
        ("host1.example", "MX"),  # because host1.example. exists
        ("sub.*.example", "MX"),  # because sub.*.example. exists
        ("_tcp.host1.example", "SRV"),  # because _tcp.host1.example. exists, without data
        ("host2.example", "MX"),  # the same, of a name that has names below it only
        ("*.example", "A"),
    ],
)
def test_rfc_4592_what_exists_is_not_synthesized(name: str, record_type: str) -> None:
    assert nodata(said(RFC_4592, name, record_type), "example")


@pytest.mark.parametrize("name", ["_telnet._tcp.host1.example", "ghost.*.example", "a.sub.*.example"])
def test_rfc_4592_the_closest_encloser_has_no_wildcard(name: str) -> None:
    assert nxdomain(said(RFC_4592, name, "SRV"), "example")
    assert nxdomain(said(RFC_4592, name, "MX"), "example")


def test_rfc_4592_no_wildcard_reaches_below_a_cut() -> None:
    found = said(RFC_4592, "host.subdel.example", "A")
    assert not found.authoritative
    assert sorted(found.authority) == [
        (("example", "subdel"), "NS", 5, "ns.example.com."),
        (("example", "subdel"), "NS", 5, "ns.example.net."),
    ]


def test_a_wildcard_that_has_nothing_but_names_below_it_says_no_data() -> None:
    below = zone(("sub.*.dtk.io", "A", "10.0.0.1"))
    assert nodata(said(below, "*.dtk.io"))
    assert nodata(said(below, "foo.dtk.io"))
    assert nodata(said(below, "a.b.dtk.io"))


def test_a_wildcard_answers_for_names_of_any_depth_and_of_any_bytes_but_not_for_its_own_parent() -> None:
    wild = project(cluster(endpoint("*.dtk.io", "A", "10.0.0.1"), endpoint("a.b.dtk.io", "A", "10.0.0.2")))
    for name in ("foo.dtk.io", "x.y.z.dtk.io", r"f\.o\000\255.dtk.io", "*.dtk.io", "*.*.dtk.io"[2:]):
        assert data(said(wild, name)) == ["A 10.0.0.1"]
    assert nodata(said(wild, "dtk.io"))
    assert nodata(said(wild, "b.dtk.io"))
    assert nxdomain(said(wild, "c.b.dtk.io"))
    assert nxdomain(said(wild, "x.a.b.dtk.io"))
    assert nxdomain(said(wild, "x.*.dtk.io"))


def test_a_wildcard_of_the_outer_domain_ends_at_the_inner_one() -> None:
    wild = zone(("*.dtk.io", "A", "10.0.0.1"), domains=["dtk.io", "dev.dtk.io", "a.b.dtk.io"])
    assert nodata(said(wild, "dev.dtk.io"), "dev.dtk.io")
    assert nxdomain(said(wild, "foo.dev.dtk.io"), "dev.dtk.io")
    assert nxdomain(said(wild, "foo.a.b.dtk.io"), "a.b.dtk.io")
    assert nodata(said(wild, "b.dtk.io"))
    assert nxdomain(said(wild, "c.b.dtk.io"))


# Domains in domains


def test_a_name_between_two_managed_domains_exists_because_of_the_inner_one() -> None:
    """Else a resolver that has heard of no `b.dtk.io` would believe in nothing under it (RFC 8020)."""
    nested = zone(domains=["dtk.io", "a.b.dtk.io"])
    assert nodata(said(nested, "b.dtk.io"))
    assert nxdomain(said(nested, "x.b.dtk.io"))
    assert data(said(nested, "a.b.dtk.io", "NS")) == ["NS localhost."]


def test_the_ds_records_of_an_inner_domain_are_the_outer_ones_to_have() -> None:
    """RFC 4035, section 3.1.4.1."""
    nested = zone(
        ("cut.dtk.io", "NS", "ns.example.com."),
        domains=["dtk.io", "a.b.dtk.io", "deep.a.b.dtk.io", "in.cut.dtk.io"],
    )
    assert nodata(said(nested, "a.b.dtk.io", "DS"), "dtk.io")
    assert nodata(said(nested, "deep.a.b.dtk.io", "DS"), "a.b.dtk.io")
    assert nodata(said(nested, "dtk.io", "DS"), "dtk.io")
    assert nodata(said(nested, "in.cut.dtk.io", "DS"), "in.cut.dtk.io")
    assert nodata(said(nested, "a.b.dtk.io", "DNSKEY"), "a.b.dtk.io")


# Cuts


CUT = zone(
    ("sub.dtk.io", "NS", "ns1.sub.dtk.io"),
    ("sub.dtk.io", "NS", "ns2.dtk.io"),
    ("sub.dtk.io", "NS", "ns.example.com"),
    ("sub.dtk.io", "A", "10.0.0.5"),
    ("ns1.sub.dtk.io", "A", "10.0.0.6"),
    ("ns1.sub.dtk.io", "AAAA", "fd00::6"),
    ("ns2.dtk.io", "A", "10.0.0.7"),
    ("deeper.sub.dtk.io", "NS", "ns.example.org"),
    ("*.dtk.io", "A", "10.0.0.1"),
    ("to-sub.dtk.io", "CNAME", "www.sub.dtk.io"),
    ("*.wild.dtk.io", "NS", "ns.example.com"),
)
REFERRAL = {
    "rcode": "NOERROR",
    "authoritative": False,
    "answers": [],
    "authority": [
        (("io", "dtk", "sub"), "NS", 5, "ns.example.com."),
        (("io", "dtk", "sub"), "NS", 5, "ns1.sub.dtk.io."),
        (("io", "dtk", "sub"), "NS", 5, "ns2.dtk.io."),
    ],
    "additional": [
        (("io", "dtk", "ns2"), "A", 5, "10.0.0.7"),
        (("io", "dtk", "sub", "ns1"), "A", 5, "10.0.0.6"),
        (("io", "dtk", "sub", "ns1"), "AAAA", 5, "fd00::6"),
    ],
}


@pytest.mark.parametrize("name", ["sub.dtk.io", "x.sub.dtk.io", "ns1.sub.dtk.io", "a.deeper.sub.dtk.io"])
@pytest.mark.parametrize("record_type", ["A", "NS", "SOA", "ANY", "MX"])
def test_from_a_cut_on_another_server_is_named_with_its_addresses_and_without_authority(
    name: str, record_type: str
) -> None:
    assert in_order(said(CUT, name, record_type)) == REFERRAL


def test_the_ds_records_at_a_cut_are_ours_to_have_but_not_those_below_it() -> None:
    assert nodata(said(CUT, "sub.dtk.io", "DS"))
    assert in_order(said(CUT, "x.sub.dtk.io", "DS")) == REFERRAL
    assert in_order(said(CUT, "deeper.sub.dtk.io", "DS")) == REFERRAL


def test_an_alias_is_followed_to_a_cut_and_no_further() -> None:
    found = said(CUT, "to-sub.dtk.io")
    assert found == Said(answers=((name_of("to-sub.dtk.io"), "CNAME", 5, "www.sub.dtk.io."),))


def test_ns_records_at_an_apex_are_the_domains_own_and_no_cut() -> None:
    own = zone(("dtk.io", "NS", "ns.dtk.io"), ("ns.dtk.io", "A", "10.0.0.1"))
    found = said(own, "dtk.io", "NS")
    assert (found.authoritative, data(found)) == (True, ["NS ns.dtk.io."])
    assert data(said(own, "ns.dtk.io")) == ["A 10.0.0.1"]


def test_a_domain_that_another_cluster_manages_has_no_alias_beside_its_own_records() -> None:
    alias = cluster(endpoint("lab.dtk.io", "CNAME", "www.example.com"))
    asked = project(alias, cluster(name="lab", domains=("lab.dtk.io",)))
    assert nodata(said(asked, "lab.dtk.io", "A"), "lab.dtk.io")
    assert nodata(said(asked, "lab.dtk.io", "CNAME"), "lab.dtk.io")
    assert data(said(asked, "lab.dtk.io", "NS")) == ["NS localhost."]


def test_ns_records_at_a_wildcard_are_no_cut() -> None:
    """RFC 4592, section 4.2, leaves open what they are."""
    assert data(said(CUT, "x.wild.dtk.io", "NS")) == ["NS ns.example.com."]
    assert nodata(said(CUT, "x.wild.dtk.io"))


def test_a_managed_domain_below_a_cut_is_ours_all_the_same() -> None:
    inner = zone(
        ("sub.dtk.io", "NS", "ns.example.com"),
        ("foo.dev.sub.dtk.io", "A", "10.0.0.1"),
        domains=["dtk.io", "dev.sub.dtk.io"],
    )
    assert data(said(inner, "foo.dev.sub.dtk.io")) == ["A 10.0.0.1"]
    assert not said(inner, "foo.sub.dtk.io").authoritative


# Aliases


def test_an_alias_is_followed_as_far_as_it_leads_to_names_of_ours() -> None:
    chain = zone(
        ("a.dtk.io", "CNAME", "b.dtk.io"),
        ("b.dtk.io", "CNAME", "c.example"),
        ("c.example", "A", "10.0.0.3"),
        ("d.dtk.io", "CNAME", "gone.dtk.io"),
        ("e.dtk.io", "CNAME", "c.example"),
        ("f.dtk.io", "CNAME", "."),
        ("*.wild.dtk.io", "CNAME", "b.dtk.io"),
        domains=["dtk.io", "example"],
    )
    assert data(said(chain, "a.dtk.io")) == ["CNAME b.dtk.io.", "CNAME c.example.", "A 10.0.0.3"]
    assert data(said(chain, "a.dtk.io", "CNAME")) == ["CNAME b.dtk.io."]
    assert data(said(chain, "a.dtk.io", "ANY")) == ["CNAME b.dtk.io."]
    assert data(said(chain, "X.wild.dtk.io")) == ["CNAME b.dtk.io.", "CNAME c.example.", "A 10.0.0.3"]
    assert data(said(chain, "f.dtk.io")) == ["CNAME ."]
    gone = said(chain, "d.dtk.io")
    assert is_no(gone, "NXDOMAIN", "dtk.io")  # RFC 6604, section 3
    assert data(gone) == ["CNAME gone.dtk.io."]
    none = said(chain, "e.dtk.io", "AAAA")
    assert is_no(none, "NOERROR", "example")
    assert data(none) == ["CNAME c.example."]


def test_aliases_that_lead_in_a_circle_are_given_once_each() -> None:
    circle = zone(
        ("a.dtk.io", "CNAME", "b.dtk.io"),
        ("b.dtk.io", "CNAME", "a.dtk.io"),
        ("self.dtk.io", "CNAME", "self.dtk.io"),
        ("*.wild.dtk.io", "CNAME", "x.wild.dtk.io"),
    )
    assert data(said(circle, "a.dtk.io")) == ["CNAME b.dtk.io.", "CNAME a.dtk.io."]
    assert data(said(circle, "self.dtk.io")) == ["CNAME self.dtk.io."]
    assert data(said(circle, "y.wild.dtk.io")) == ["CNAME x.wild.dtk.io.", "CNAME x.wild.dtk.io."]
    assert not said(circle, "a.dtk.io").authority


def test_aliases_are_followed_so_far_and_the_rest_is_for_who_asks() -> None:
    chain = zone(
        *((f"a{at}.dtk.io", "CNAME", f"a{at + 1}.dtk.io") for at in range(30)), ("a30.dtk.io", "A", "10.0.0.1")
    )
    found = said(chain, "a0.dtk.io")
    assert data(found) == [f"CNAME a{at + 1}.dtk.io." for at in range(MAX_FOLLOWED + 1)]
    assert (found.rcode, found.authority) == ("NOERROR", ())
    assert data(said(chain, "a20.dtk.io"))[-1] == "A 10.0.0.1"


# What is not known


def test_before_anything_is_known_every_question_fails() -> None:
    for name, record_type in (("foo.dtk.io", "A"), ("example.com", "A"), ("dtk.io", "AXFR")):
        assert answer(Zone(), parse_query(packet(name, record_type))) == FAILED


@pytest.mark.parametrize(
    ("name", "record_type"),
    [("foo.dtk.io", "MX"), ("bar.dtk.io", "A"), ("dtk.io", "AAAA"), ("dtk.io", "DS"), ("_tcp.dtk.io", "A")],
)
@pytest.mark.parametrize("record_class", ["IN", "ANY"])
def test_where_records_were_lost_no_is_said_to_nothing(name: str, record_type: str, record_class: str) -> None:
    held = said(EVERYTHING, name, record_type, record_class, held=True)
    assert held == Said("SERVFAIL", authoritative=False)


@pytest.mark.parametrize(
    ("name", "record_type"),
    [("foo.dtk.io", "A"), ("away.dtk.io", "A"), ("dtk.io", "SOA"), ("dtk.io", "NS"), ("example.com", "A")],
)
def test_where_records_were_lost_what_is_there_is_answered(name: str, record_type: str) -> None:
    assert said(EVERYTHING, name, record_type, held=True) == said(EVERYTHING, name, record_type)


def test_where_records_were_lost_cuts_lead_on_and_aliases_to_nothing_fail() -> None:
    assert in_order(said(CUT, "x.sub.dtk.io", held=True)) == REFERRAL
    assert data(said(CUT, "to-sub.dtk.io", held=True)) == ["CNAME www.sub.dtk.io."]
    gone = zone(("a.dtk.io", "CNAME", "gone.dtk.io"))
    assert said(gone, "a.dtk.io", held=True) == Said("SERVFAIL", authoritative=False)
    assert data(said(gone, "a.dtk.io", "CNAME", held=True)) == ["CNAME gone.dtk.io."]


# Beside a slow and obvious server

DOMAINS = ["d", "a.d", "b.a.d", "a.b.d", "e"]
LABELS = st.sampled_from(["a", "b", "*", "c"])


def under(domains: Sequence[str]) -> st.SearchStrategy[str]:
    above = st.lists(LABELS, max_size=3)
    return st.builds(lambda labels, domain: ".".join([*labels, domain]), above, st.sampled_from(domains))


@st.composite
def records_of(draw: st.DrawFn, owner: str, domains: Sequence[str]) -> list[Record]:
    """What one name has: a CNAME, or some of everything else."""
    names = st.one_of(under(domains), st.sampled_from(["f.example", "ns.example"]))
    ttl = draw(st.sampled_from([0, 0, 7, 300]))
    if draw(st.integers(0, 3)) == 0:
        return [Record(owner, "CNAME", draw(names) + ".", ttl)]
    data = {
        "A": st.sampled_from(["10.0.0.1", "10.0.0.2"]),
        "AAAA": st.sampled_from(["fd00::1", "fd00::2"]),
        "TXT": st.sampled_from(['"a"', '"b" "c"']),
        "MX": names.map(lambda name: f"10 {name}."),
        "SRV": names.map(lambda name: f"1 2 3 {name}."),
        "NS": names.map(lambda name: f"{name}."),
    }
    kinds = draw(st.lists(st.sampled_from(["A", "A", "AAAA", "TXT", "MX", "SRV", "NS"]), max_size=3, unique=True))
    return [
        Record(owner, kind, text, ttl)
        for kind in kinds
        for text in draw(st.lists(data[kind], min_size=1, max_size=2, unique=True))
    ]


@st.composite
def zones(draw: st.DrawFn) -> tuple[list[str], list[Record]]:
    domains = draw(st.lists(st.sampled_from(DOMAINS), min_size=1, max_size=3, unique=True))
    owners = draw(st.lists(under(domains), max_size=8, unique=True))
    return domains, [record for owner in owners for record in draw(records_of(owner, domains))]


SPELLINGS = st.sampled_from([b"a", b"b", b"*", b"c", b"A", b"B", b"C", b"D", b"d", b"e", b"a.d", b"\0", b"\xff"])
QUESTION_NAMES = st.builds(
    lambda labels, top: dns.name.Name([*labels, *top, b""]),
    st.lists(SPELLINGS, max_size=4),
    st.sampled_from([[b"d"], [b"D"], [b"a", b"d"], [b"A", b"D"], [b"e"], [b"f"], []]),
)
TYPES = st.sampled_from(
    ["A", "A", "A", "AAAA", "TXT", "MX", "SRV", "NS", "SOA", "CNAME", "DS", "ANY", "HTTPS", "AXFR", "TYPE999"]
)
CLASSES = st.sampled_from(["IN"] * 8 + ["ANY", "CH"])


def model_says(model: Model, name: dns.name.Name, record_type: str, record_class: str) -> Said:
    labels: Name = tuple(label.lower().decode("latin-1") for label in reversed(name.labels[:-1]))
    return model.ask(labels, record_type, record_class)


@settings(max_examples=400)
@given(zones(), st.lists(st.tuples(QUESTION_NAMES, TYPES, CLASSES), min_size=1, max_size=12), st.booleans())
@example((["d", "a.b.d"], []), [(dns.name.from_text("b.d"), "A", "IN")], False)
@example((["d", "a.d"], []), [(dns.name.Name([b"a.d", b""]), "A", "IN")], False)
def test_replies_say_what_the_model_says(
    zone_file: tuple[list[str], list[Record]], questions: list[tuple[dns.name.Name, str, str]], held: bool
) -> None:
    domains, records = zone_file
    projection = projection_of(domains, records)
    replies = replies_for(projection, held=held)
    model = Model(frozenset(domains), tuple(records), serial=1000, held=held)
    for name, record_type, record_class in questions:
        whole = reply(replies, packet(name, record_type, record_class=record_class), stream=True)
        expected = model_says(model, name, record_type, record_class)
        assert in_order(said_by(whole)) == in_order(expected)
        if whole.answer:
            assert whole.answer[0].name.labels == name.labels  # in the letters of the question
        by_datagram = reply(replies, packet(name, record_type, record_class=record_class))
        if not by_datagram.flags & dns.flags.TC:
            assert in_order(said_by(by_datagram)) == in_order(expected)


@settings(max_examples=200)
@given(zones(), zones(), QUESTION_NAMES, TYPES)
def test_a_zone_that_changed_step_by_step_is_the_zone_made_at_once(
    before: tuple[list[str], list[Record]],
    after: tuple[list[str], list[Record]],
    name: dns.name.Name,
    record_type: str,
) -> None:
    old, new = projection_of(*before), projection_of(*after)
    changed = replies_for(old)
    ask(changed, name.to_text(), record_type)
    changed.update(new, names_in(old) | names_in(new), held=False)
    model = Model(frozenset(after[0]), tuple(after[1]), serial=1001)
    found = reply(changed, packet(name, record_type), stream=True)
    assert in_order(said_by(found)) == in_order(model_says(model, name, record_type, "IN"))
