"""Which names resolve to what, which endpoints do not and why, and that a change computes only what it touches."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.names import dns

from dtkdns import names
from dtkdns import projection as projection_module
from dtkdns.cluster import Cluster
from dtkdns.endpoint import Changes, Endpoint, make_endpoint
from dtkdns.projection import (
    DNS_FACE,
    HOSTS_FACE,
    MAX_FOLLOWED,
    Projection,
    Reason,
    RecordSet,
    Shown,
)
from dtkdns.rdata import CAA

PLAIN_HOSTNAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


def endpoint(
    name: str,
    record_type: str = "A",
    *targets: str,
    set_identifier: str = "",
    ttl: int = 0,
    labels: Mapping[str, str] | None = None,
) -> Endpoint:
    document = json.dumps([name, record_type, targets, set_identifier, ttl, labels]).encode()
    return make_endpoint(name, record_type, set_identifier, targets, ttl, labels or {}, document)


def cluster(
    *endpoints: Endpoint,
    name: str = "default",
    domains: tuple[str, ...] = ("dtk.io",),
    addresses: tuple[str, ...] = (),
    now: float = 1.0,
) -> Cluster:
    return Cluster(name, domains, addresses).apply(Changes(create=endpoints), now)[0]


def project(*clusters: Cluster, routable: str = "") -> Projection:
    """The projection computed from scratch."""
    networks = tuple(ip_network(part) for part in routable.split(",") if part)
    owners = [owner for one in clusters for owner in one.endpoints]
    return Projection(networks).after({one.name: one for one in clusters}, owners)[0]


def addresses(projection: Projection) -> dict[str, tuple[str, ...]]:
    return {name: shown.addresses for name, shown in projection.shown.items()}


def reasons(projection: Projection) -> dict[tuple[str, str], Reason]:
    """Reason by name and record type."""
    return {hidden.key[:2]: hidden.reason for found in projection.hidden.values() for hidden in found}


def sentences(projection: Projection) -> list[str]:
    return [hidden.sentence for found in projection.hidden.values() for hidden in found]


def served(projection: Projection, name: str) -> dict[int, tuple[dns.IEncodableRecord, ...]]:
    """What a name has beside addresses, by the type's number."""
    return {one.number: one.data for one in projection.records.get(name, ())}


# The cluster's own addresses, and the targets


def test_every_name_with_an_address_record_leads_to_all_addresses_of_its_cluster() -> None:
    both = ("192.168.122.167", "fd00::167")
    shown = project(
        cluster(
            endpoint("a.dtk.io", "A", "10.0.0.1"),
            endpoint("b.dtk.io", "AAAA", "fd00::1"),
            endpoint("c.dtk.io", "CNAME", "elsewhere.example.com"),
            endpoint("d.dtk.io", "CNAME", "d.dtk.io"),
            endpoint("e.dtk.io", "A", "nonsense"),
            endpoint("dtk.io", "A", "10.0.0.1"),
            addresses=both,
        )
    )
    assert addresses(shown) == dict.fromkeys(
        ["a.dtk.io", "b.dtk.io", "c.dtk.io", "d.dtk.io", "e.dtk.io", "dtk.io"], both
    )
    assert shown.hidden == {}


def test_the_targets_that_the_clusters_address_stands_in_for_are_named_once() -> None:
    one = cluster(
        endpoint("a.dtk.io", "A", "10.0.0.1", "10.0.0.2", "192.168.122.167"),
        endpoint("a.dtk.io", "CNAME", "a.dtk.io", "lb.example.com", set_identifier="eu"),
        endpoint("a.dtk.io", "A", "10.0.0.1", set_identifier="eu"),
        addresses=("192.168.122.167",),
    )
    assert project(one).shown["a.dtk.io"].replaced == ("10.0.0.1", "10.0.0.2", "lb.example.com")


def test_with_no_address_known_targets_are_shown_in_canonical_form_and_each_once() -> None:
    shown = project(
        cluster(
            endpoint("a.dtk.io", "A", "10.0.0.2", "10.0.0.1", "10.0.0.2"),
            endpoint("a.dtk.io", "AAAA", "FD00:0:0::0001", "fd00::1"),
            endpoint("a.dtk.io", "A", "10.0.0.1", "10.0.0.3", set_identifier="eu"),
        )
    )
    assert shown.shown["a.dtk.io"].addresses == ("10.0.0.2", "10.0.0.1", "fd00::1", "10.0.0.3")
    assert shown.shown["a.dtk.io"].replaced == ()


@pytest.mark.parametrize(
    ("record_type", "target"),
    [
        ("A", ""),
        ("A", "10.0.0.1\n"),
        ("A", "010.0.0.1"),
        ("A", "10.0.0.1/32"),
        ("A", "10.1"),
        ("A", "fd00::1"),
        ("A", "0.0.0.0"),
        ("A", "224.0.0.1"),
        ("A", "255.255.255.255"),
        ("AAAA", "10.0.0.1"),
        ("AAAA", "::"),
        ("AAAA", "ff02::1"),
        ("AAAA", "fe80::1%eth0"),
        ("AAAA", "::ffff:10.0.0.1"),
        ("AAAA", "[fd00::1]"),
    ],
)
def test_what_is_no_address_of_a_machine_is_not_shown_and_said(record_type: str, target: str) -> None:
    shown = project(cluster(endpoint("a.dtk.io", record_type, target)))
    assert shown.shown == {}
    assert reasons(shown) == {("a.dtk.io", record_type): Reason.TARGET}
    assert re.fullmatch(r"no target is usable: [ -~]+[^.]", sentences(shown)[0])


def test_a_record_without_targets_is_not_shown_and_said() -> None:
    shown = project(cluster(endpoint("a.dtk.io", "A"), endpoint("b.dtk.io", "CNAME")))
    assert shown.shown == {}
    assert reasons(shown) == {("a.dtk.io", "A"): Reason.TARGET, ("b.dtk.io", "CNAME"): Reason.DANGLING}
    assert sentences(shown) == [
        "no target is usable: there is none",
        "it points to nothing, which has no address here; POST /clusterip sets the cluster's",
    ]


def test_good_targets_are_shown_beside_bad_ones_of_the_same_record() -> None:
    shown = project(cluster(endpoint("a.dtk.io", "A", "224.0.0.1", "10.0.0.1", "nonsense")))
    assert addresses(shown) == {"a.dtk.io": ("10.0.0.1",)}
    assert shown.hidden == {}


def test_a_record_that_adds_no_address_to_its_name_has_a_reason() -> None:
    shown = project(cluster(endpoint("a.dtk.io", "A", "nonsense"), endpoint("a.dtk.io", "AAAA", "fd00::1")))
    assert addresses(shown) == {"a.dtk.io": ("fd00::1",)}
    assert reasons(shown) == {("a.dtk.io", "A"): Reason.TARGET}


def test_a_record_that_is_not_shown_for_two_reasons_is_counted_once() -> None:
    records = [endpoint("*.dtk.io", "A", "nonsense"), endpoint("*.dtk.io", "AAAA", "fd00::1")]
    first, second = cluster(*records), cluster(*records, name="lab", now=2.0)
    told = [(hidden.cluster, hidden.key[1]) for hidden in project(first, second).hidden["*.dtk.io"]]
    assert sorted(told) == [("default", "A"), ("default", "AAAA"), ("lab", "A"), ("lab", "AAAA")]


# Networks that the desktop reaches


def test_targets_in_routable_networks_are_shown_and_only_those() -> None:
    own = ("192.168.122.167",)
    one = cluster(
        endpoint("mixed.dtk.io", "A", "10.0.0.1", "192.168.1.241", "192.168.1.240"),
        endpoint("mixed.dtk.io", "AAAA", "fd00:1::1", "fd00:2::1"),
        endpoint("by-name.dtk.io", "CNAME", "mixed.dtk.io"),
        endpoint("none.dtk.io", "A", "10.0.0.1"),
        endpoint("bad.dtk.io", "A", "192.168.1.240x"),
        addresses=own,
    )
    reached = ("192.168.1.241", "192.168.1.240", "fd00:1::1")
    shown = project(one, routable="192.168.1.240/28,fd00:1::/64")
    assert addresses(shown) == {
        "mixed.dtk.io": reached,
        "by-name.dtk.io": reached,
        "none.dtk.io": own,
        "bad.dtk.io": own,
    }
    assert shown.shown["mixed.dtk.io"].replaced == ()
    assert shown.shown["none.dtk.io"].replaced == ("10.0.0.1",)
    assert shown.hidden == {}


def test_with_neither_an_address_nor_a_routable_target_targets_are_shown_as_they_are() -> None:
    one = cluster(
        endpoint("a.dtk.io", "A", "10.0.0.1", "192.168.1.240"), endpoint("b.dtk.io", "A", "10.0.0.1", "10.0.0.2")
    )
    assert addresses(project(one, routable="192.168.1.240/28")) == {
        "a.dtk.io": ("192.168.1.240",),
        "b.dtk.io": ("10.0.0.1", "10.0.0.2"),
    }


# CNAME


def test_a_cname_follows_records_of_its_cluster_however_its_target_is_spelled() -> None:
    shown = project(
        cluster(
            endpoint("one.dtk.io", "CNAME", "TWO.dtk.io."),
            endpoint("two.dtk.io", "CNAME", "b\u00fccher.dtk.io"),
            endpoint("xn--bcher-kva.dtk.io", "A", "10.0.0.1", "10.0.0.2"),
            endpoint("xn--bcher-kva.dtk.io", "AAAA", "fd00::1"),
            endpoint("xn--bcher-kva.dtk.io", "TXT", "10.0.0.9"),
            endpoint("out.dtk.io", "CNAME", "lb.example.com"),
            endpoint("lb.example.com", "A", "10.0.0.3"),
        )
    )
    three = ("10.0.0.1", "10.0.0.2", "fd00::1")
    assert addresses(shown) == {
        "one.dtk.io": three,
        "two.dtk.io": three,
        "xn--bcher-kva.dtk.io": three,
        "out.dtk.io": ("10.0.0.3",),
    }


def test_a_cname_does_not_follow_records_of_another_cluster() -> None:
    shown = project(
        cluster(endpoint("a.dtk.io", "CNAME", "b.dtk.io")),
        cluster(endpoint("b.dtk.io", "A", "10.0.0.1"), name="lab"),
    )
    assert addresses(shown) == {"b.dtk.io": ("10.0.0.1",)}
    assert reasons(shown) == {("a.dtk.io", "CNAME"): Reason.DANGLING}


def test_a_cname_to_itself_resolves_only_where_the_clusters_address_is_known() -> None:
    itself = endpoint("a.dtk.io", "CNAME", "A.dtk.io.")
    assert reasons(project(cluster(itself))) == {("a.dtk.io", "CNAME"): Reason.DANGLING}
    assert addresses(project(cluster(itself, addresses=("10.0.0.9",)))) == {"a.dtk.io": ("10.0.0.9",)}


def test_cnames_in_a_circle_end_and_what_they_pass_is_found() -> None:
    shown = project(
        cluster(
            endpoint("a.dtk.io", "CNAME", "b.dtk.io"),
            endpoint("b.dtk.io", "CNAME", "a.dtk.io", "c.dtk.io"),
            endpoint("c.dtk.io", "CNAME", "b.dtk.io", "d.dtk.io"),
            endpoint("d.dtk.io", "A", "10.0.0.1"),
            endpoint("x.dtk.io", "CNAME", "y.dtk.io"),
            endpoint("y.dtk.io", "CNAME", "x.dtk.io"),
        )
    )
    assert addresses(shown) == {f"{name}.dtk.io": ("10.0.0.1",) for name in "abcd"}
    assert reasons(shown) == {(f"{name}.dtk.io", "CNAME"): Reason.DANGLING for name in "xy"}


def test_a_chain_of_cnames_is_followed_so_far_and_no_further() -> None:
    links = [endpoint(f"n{n}.dtk.io", "CNAME", f"n{n + 1}.dtk.io") for n in range(MAX_FOLLOWED + 1)]
    shown = project(cluster(*links, endpoint(f"n{MAX_FOLLOWED + 1}.dtk.io", "A", "10.0.0.1")))
    assert reasons(shown) == {("n0.dtk.io", "CNAME"): Reason.DANGLING}
    assert len(shown.shown) == MAX_FOLLOWED + 1


def test_a_cname_of_many_targets_names_a_few_of_them_in_its_reason_and_none_in_full_length() -> None:
    shown = project(cluster(endpoint("a.dtk.io", "CNAME", "x" * 300, "y\n", "z..io", "fourth..io")))
    assert sentences(shown) == [
        f"it points to {'x' * 80}, y\\n, z..io, which has no address here; POST /clusterip sets the cluster's"
    ]


# What is shown with an address


def test_a_name_tells_its_resource_its_least_ttl_and_since_when_it_has_been_there() -> None:
    one = cluster(
        endpoint("a.dtk.io", "A", "10.0.0.1", ttl=300),
        endpoint("a.dtk.io", "AAAA", "fd00::1", ttl=60, labels={"resource": "ingress/default/test"}),
        endpoint("a.dtk.io", "A", "10.0.0.1", set_identifier="eu", ttl=-5, labels={"resource": "ingress/b/b"}),
        endpoint("a.dtk.io", "TXT", "hello", ttl=1),
        now=7.5,
    )
    assert project(one).shown == {
        "a.dtk.io": Shown(
            "a.dtk.io", ("10.0.0.1", "fd00::1"), "default", "ingress/default/test", ttl=60, since=7.5
        )
    }


# Two clusters with one name


def test_of_several_clusters_the_one_that_had_a_name_first_keeps_it() -> None:
    lab = cluster(endpoint("a.dtk.io", "A", "10.0.0.2"), name="lab", now=1.0)
    default = cluster(endpoint("a.dtk.io", "A", "10.0.0.1"), endpoint("a.dtk.io", "AAAA", "fd00::1"), now=2.0)
    third = cluster(endpoint("a.dtk.io", "CNAME", "a.dtk.io"), name="b", addresses=("10.0.0.3",), now=3.0)
    orders = ((default, lab, third), (third, default, lab), (lab, third, default))
    for order in orders:
        shown = project(*order)
        assert addresses(shown) == {"a.dtk.io": ("10.0.0.2",)}
        assert shown.shown["a.dtk.io"].cluster == "lab"
        assert {(found.cluster, found.key[1], found.sentence) for found in shown.hidden["a.dtk.io"]} == {
            ("default", "A", "cluster lab had the name first and keeps it"),
            ("default", "AAAA", "cluster lab had the name first and keeps it"),
            ("b", "CNAME", "cluster lab had the name first and keeps it"),
        }


def test_a_name_goes_to_the_next_cluster_when_the_first_drops_it_and_a_later_return_waits() -> None:
    one = endpoint("a.dtk.io", "A", "10.0.0.1")
    clusters = {
        name: cluster(endpoint("a.dtk.io", "A", target), name=name, now=now)
        for name, target, now in (
            ("default", "10.0.0.1", 1.0),
            ("lab", "10.0.0.2", 2.0),
            ("test", "10.0.0.3", 3.0),
        )
    }
    shown, _ = Projection().after(clusters, ["a.dtk.io"])
    assert shown.shown["a.dtk.io"].cluster == "default"

    clusters["default"], delta = clusters["default"].apply(Changes(delete=(one,)), 4.0)
    shown, _ = shown.after(clusters, delta.owners)
    assert shown.shown["a.dtk.io"].cluster == "lab"
    assert [hidden.cluster for hidden in shown.hidden["a.dtk.io"]] == ["test"]

    clusters["default"], delta = clusters["default"].apply(Changes(create=(one,)), 5.0)
    shown, _ = shown.after(clusters, delta.owners)
    assert shown.shown["a.dtk.io"].cluster == "lab"

    del clusters["lab"], clusters["test"]
    shown, _ = shown.after(clusters, ["a.dtk.io"])
    assert shown.shown["a.dtk.io"].cluster == "default"
    assert shown.hidden == {}


def test_clusters_that_had_a_name_at_the_same_time_are_told_apart_by_their_names() -> None:
    b, c = (cluster(endpoint("x.dtk.io", "A", f"10.0.0.{n}"), name=n_) for n, n_ in ((1, "b"), (2, "c")))
    assert project(b, c).shown["x.dtk.io"].cluster == project(c, b).shown["x.dtk.io"].cluster == "b"


def test_a_cluster_that_cannot_show_a_name_does_not_keep_it_from_another() -> None:
    shown = project(
        cluster(endpoint("a.dtk.io", "A", "nonsense"), endpoint("b.dtk.io", "TXT", "x"), now=1.0),
        cluster(endpoint("a.dtk.io", "A", "10.0.0.2"), endpoint("b.dtk.io", "A", "10.0.0.2"), name="lab", now=2.0),
        cluster(endpoint("a.dtk.io", "A", "10.0.0.3"), name="out", domains=("other.io",), now=1.0),
    )
    assert {name: found.cluster for name, found in shown.shown.items()} == {"a.dtk.io": "lab", "b.dtk.io": "lab"}
    assert {(found.cluster, found.reason) for found in shown.hidden["a.dtk.io"]} == {
        ("default", Reason.TARGET),
        ("out", Reason.UNMANAGED),
    }


# What names have beside addresses


@pytest.mark.parametrize(
    ("record_type", "target", "number", "data"),
    [
        ("CAA", '0 issue "letsencrypt.org"', CAA, dns.UnknownRecord(b"\x00\x05issueletsencrypt.org")),
        ("MX", "10 Mail.dtk.io.", dns.MX, dns.Record_MX(10, "mail.dtk.io")),
        (
            "NAPTR",
            '1 2 "u" "E2U+sip" "!x!y!" .',
            dns.NAPTR,
            dns.Record_NAPTR(1, 2, b"u", b"E2U+sip", b"!x!y!", ""),
        ),
        ("NS", "ns.example.com", dns.NS, dns.Record_NS("ns.example.com")),
        ("PTR", "a.dtk.io", dns.PTR, dns.Record_PTR("a.dtk.io")),
        ("SRV", "0 5 443 a.dtk.io", dns.SRV, dns.Record_SRV(0, 5, 443, "a.dtk.io")),
        ("TXT", '"v=spf1" "-all"', dns.TXT, dns.Record_TXT(b"v=spf1", b"-all")),
    ],
)
def test_every_type_that_is_served_is_at_its_name_and_hidden_from_the_hosts_file(
    record_type: str, target: str, number: int, data: dns.IEncodableRecord
) -> None:
    shown = project(cluster(endpoint("A.dtk.io.", record_type, target, ttl=60), addresses=("10.0.0.9",)))
    assert shown.records == {"a.dtk.io": (RecordSet(number, 60, (data,)),)}
    assert shown.shown == {}
    assert [hidden.reason for hidden in shown.hidden["a.dtk.io"]] == [Reason.TYPE]


def test_the_endpoints_of_one_type_at_a_name_are_one_set_with_the_least_ttl_and_each_record_once() -> None:
    shown = project(
        cluster(
            endpoint("a.dtk.io", "MX", "10 one.dtk.io", "20 two.dtk.io", ttl=300),
            endpoint("a.dtk.io", "MX", "20  TWO.dtk.io.", "30 three.dtk.io", set_identifier="eu", ttl=60),
            endpoint("a.dtk.io", "MX", "10 one.dtk.io", set_identifier="us", ttl=0),
            endpoint("a.dtk.io", "TXT", "x"),
            endpoint("a.dtk.io", "A", "10.0.0.1", ttl=5),
        )
    )
    exchanges = [dns.Record_MX(10 * n, f"{word}.dtk.io") for n, word in enumerate(("one", "two", "three"), 1)]
    assert shown.records == {
        "a.dtk.io": (RecordSet(dns.MX, 60, tuple(exchanges)), RecordSet(dns.TXT, 0, (dns.Record_TXT(b"x"),)))
    }
    assert addresses(shown) == {"a.dtk.io": ("10.0.0.1",)}


def test_targets_that_are_no_data_of_their_type_are_said_and_the_others_served() -> None:
    shown = project(
        cluster(
            endpoint("a.dtk.io", "MX", "mail.dtk.io", "10 mail.dtk.io"),
            endpoint("a.dtk.io", "MX", "20 mail.dtk.io", set_identifier="eu"),
            endpoint("b.dtk.io", "MX", "mail.dtk.io"),
        )
    )
    assert served(shown, "a.dtk.io") == {
        dns.MX: (dns.Record_MX(10, "mail.dtk.io"), dns.Record_MX(20, "mail.dtk.io"))
    }
    assert "b.dtk.io" not in shown.records
    why = "'mail.dtk.io' is not the data of a record of type MX: it is not: preference name"
    assert [(hidden.reason, hidden.sentence) for hidden in shown.hidden["a.dtk.io"]] == [
        (Reason.DATA, f"{why}; its other targets are served"),
        (Reason.TYPE, "a hosts file holds addresses only, and this is a record of type MX"),
    ]
    assert [(hidden.reason, hidden.sentence) for hidden in shown.hidden["b.dtk.io"]] == [(Reason.DATA, why)]


def test_a_record_of_another_type_without_targets_is_not_served_and_said() -> None:
    shown = project(cluster(endpoint("a.dtk.io", "MX")))
    assert shown.records == {}
    assert reasons(shown) == {("a.dtk.io", "MX"): Reason.DATA}
    assert sentences(shown) == ["it has no target"]


def test_a_name_with_underscores_has_records_but_no_addresses() -> None:
    shown = project(
        cluster(
            endpoint("_acme-challenge.dtk.io", "TXT", "token"),
            endpoint("_sip._tcp.dtk.io", "SRV", "0 0 5060 a.dtk.io"),
            endpoint("_sip._tcp.dtk.io", "A", "10.0.0.1"),
            endpoint("_sip._tcp.dtk.io", "CNAME", "www.example.com"),
            addresses=("10.0.0.9",),
        )
    )
    assert shown.shown == {}
    assert served(shown, "_acme-challenge.dtk.io") == {dns.TXT: (dns.Record_TXT(b"token"),)}
    assert served(shown, "_sip._tcp.dtk.io").keys() == {dns.SRV}
    assert reasons(shown) == {
        ("_acme-challenge.dtk.io", "TXT"): Reason.TYPE,
        ("_sip._tcp.dtk.io", "SRV"): Reason.TYPE,
        ("_sip._tcp.dtk.io", "A"): Reason.NAME,
        ("_sip._tcp.dtk.io", "CNAME"): Reason.NAME,
    }


def test_a_name_that_can_own_nothing_has_a_reason_that_says_of_what_names_are_made() -> None:
    shown = project(cluster(endpoint("a b.dtk.io", "TXT", "x"), endpoint("a b.dtk.io", "A", "10.0.0.1")))
    assert (shown.shown, shown.records) == ({}, {})
    assert sentences(shown) == [
        "it is not made of letters, digits and hyphens",
        "it is not made of letters, digits and hyphens (or underscores)",
    ]


def test_what_external_dns_notes_of_ownership_and_what_is_not_managed_is_never_served() -> None:
    shown = project(
        cluster(
            endpoint("a-a.dtk.io", "TXT", '"heritage=external-dns,external-dns/owner=default"'),
            endpoint("a-b.dtk.io", "TXT", "encrypted", labels={"ownedRecord": "b.dtk.io"}),
            endpoint("a.example.com", "TXT", "x"),
            endpoint("evildtk.io", "MX", "10 a.dtk.io"),
        )
    )
    assert shown.records == {}
    assert sorted(reason.word for reason in reasons(shown).values()) == ["unmanaged"] * 2


def test_a_wildcard_has_records_beside_addresses() -> None:
    shown = project(cluster(endpoint("*.dtk.io", "A", "10.0.0.1"), endpoint("*.dtk.io", "TXT", "x", ttl=9)))
    assert addresses(shown) == {"*.dtk.io": ("10.0.0.1",)}
    assert shown.records == {"*.dtk.io": (RecordSet(dns.TXT, 9, (dns.Record_TXT(b"x"),)),)}
    assert {hidden.reason.faces for hidden in shown.hidden["*.dtk.io"]} == {frozenset({HOSTS_FACE})}


def test_the_domains_are_those_of_all_clusters_whatever_changes() -> None:
    clusters = {"default": cluster(domains=("dtk.io", "test")), "lab": cluster(name="lab", domains=("lab.io",))}
    first, _ = Projection().after(clusters, [])
    assert first.domains == {"dtk.io", "test", "lab.io"}
    clusters["default"] = evolve(clusters["default"], domains=("lab.io",))
    assert first.after(clusters, [])[0].domains == {"lab.io"}


# A CNAME that leads out of all records


def alias_of(projection: Projection, name: str) -> str:
    """Where a name's CNAME leads; empty where it has none."""
    found = served(projection, name).get(dns.CNAME, ())
    return "".join(record.name.name.decode() for record in found if isinstance(record, dns.Record_CNAME))


def test_a_cname_that_leads_out_of_all_records_is_an_alias_that_a_hosts_file_cannot_show() -> None:
    shown = project(cluster(endpoint("a.dtk.io", "CNAME", "WWW.example.com.", ttl=30)))
    assert shown.shown == {}
    assert shown.records == {"a.dtk.io": (RecordSet(dns.CNAME, 30, (dns.Record_CNAME("www.example.com"),)),)}
    assert reasons(shown) == {("a.dtk.io", "CNAME"): Reason.ALIAS}
    assert sentences(shown) == ["a hosts file holds addresses only, and it points to the name www.example.com"]


def test_a_name_has_one_alias_the_first_that_can_be_one() -> None:
    shown = project(
        cluster(
            endpoint("a.dtk.io", "A", "nonsense"),
            endpoint("a.dtk.io", "CNAME", "b.dtk.io", "no..name", set_identifier="eu"),
            endpoint("a.dtk.io", "CNAME", "no..name", "one.example.com", "two.example.com", set_identifier="us"),
            endpoint("a.dtk.io", "CNAME", "three.example.com", set_identifier="as"),
            endpoint("b.dtk.io", "TXT", "x"),
        )
    )
    assert alias_of(shown, "a.dtk.io") == "one.example.com"
    assert [(hidden.key[1:], hidden.reason) for hidden in shown.hidden["a.dtk.io"]] == [
        (("A", ""), Reason.TARGET),
        (("CNAME", "eu"), Reason.DANGLING),
        (("CNAME", "us"), Reason.ALIAS),
        (("CNAME", "as"), Reason.DANGLING),
    ]


@pytest.mark.parametrize(
    "beside",
    [
        endpoint("a.dtk.io", "A", "10.0.0.1"),
        endpoint("a.dtk.io", "TXT", "x"),
        endpoint("www.example.com", "TXT", "x"),
        endpoint("www.example.com", "A", "nonsense"),
    ],
    ids=["an address", "a record set", "a target that is a record", "a target that is a record of no use"],
)
def test_a_cname_is_no_alias_beside_anything_else_or_where_its_target_is_one_of_the_records(
    beside: Endpoint,
) -> None:
    alias = endpoint("a.dtk.io", "CNAME", "www.example.com")
    shown = project(cluster(alias, beside))
    assert alias_of(shown, "a.dtk.io") == ""
    assert reasons(shown)["a.dtk.io", "CNAME"] is Reason.DANGLING


def test_a_cname_is_never_an_alias_where_the_clusters_address_is_known() -> None:
    alias = endpoint("a.dtk.io", "CNAME", "www.example.com")
    for routable in ("", "10.0.0.0/8"):
        shown = project(cluster(alias, addresses=("10.0.0.9",)), routable=routable)
        assert addresses(shown) == {"a.dtk.io": ("10.0.0.9",)}
        assert shown.records == {}


def test_a_managed_domain_itself_is_no_alias() -> None:
    shown = project(cluster(endpoint("dtk.io", "CNAME", "www.example.com")))
    assert alias_of(shown, "dtk.io") == ""
    assert reasons(shown) == {("dtk.io", "CNAME"): Reason.DANGLING}


def test_a_cname_whose_target_cannot_stand_in_a_record_is_no_alias() -> None:
    shown = project(cluster(endpoint("a.dtk.io", "CNAME", "no..name", "x" * 64)))
    assert shown.records == {}
    assert reasons(shown) == {("a.dtk.io", "CNAME"): Reason.DANGLING}


@pytest.mark.parametrize("other", ["default", "lab"])
@pytest.mark.parametrize("record", [("A", "10.0.0.1"), ("TXT", "x")])
def test_an_alias_goes_when_its_target_becomes_a_record_in_any_cluster_and_comes_back_when_that_goes(
    other: str, record: tuple[str, str]
) -> None:
    clusters = {name: cluster(name=name) for name in ("default", "lab")}
    clusters["default"], delta = clusters["default"].apply(
        Changes(create=(endpoint("a.dtk.io", "CNAME", "B.dtk.io."),)), 1.0
    )
    shown, _ = Projection().after(clusters, delta.owners)
    assert alias_of(shown, "a.dtk.io") == "b.dtk.io"

    target = endpoint("b.dtk.io", *record)
    clusters[other], delta = clusters[other].apply(Changes(create=(target,)), 2.0)
    shown, touched = shown.after(clusters, delta.owners)
    assert set(touched) == {"a.dtk.io", "b.dtk.io"}
    assert "a.dtk.io" not in shown.records
    resolves = record[0] == "A" and other == "default"
    assert reasons(shown).get(("a.dtk.io", "CNAME")) is (None if resolves else Reason.DANGLING)

    clusters[other], delta = clusters[other].apply(Changes(delete=(target,)), 3.0)
    shown, _ = shown.after(clusters, delta.owners)
    assert alias_of(shown, "a.dtk.io") == "b.dtk.io"


def test_an_alias_goes_when_the_clusters_address_becomes_known_and_comes_back_when_it_is_not() -> None:
    one = cluster(endpoint("a.dtk.io", "CNAME", "b.dtk.io"), addresses=("10.0.0.9",))
    shown = project(one)
    assert shown.records == {}
    one = evolve(one, addresses=())
    shown, _ = shown.after({"default": one}, one.since)
    assert alias_of(shown, "a.dtk.io") == "b.dtk.io"
    lab = cluster(endpoint("b.dtk.io", "A", "10.0.0.1"), name="lab")
    shown, _ = shown.after({"default": one, "lab": lab}, ["b.dtk.io"])
    assert "a.dtk.io" not in shown.records


# Two clusters with one name, and what it has beside addresses


def test_the_cluster_that_had_an_address_for_a_name_first_has_the_whole_of_it() -> None:
    default = cluster(
        endpoint("a.dtk.io", "TXT", "default"),
        endpoint("a.dtk.io", "MX", "nonsense"),
        endpoint("a.dtk.io", "TXT", "heritage=external-dns", set_identifier="note"),
        now=1.0,
    )
    lab = cluster(endpoint("a.dtk.io", "A", "10.0.0.2"), endpoint("a.dtk.io", "TXT", "lab"), name="lab", now=2.0)
    out = cluster(endpoint("a.dtk.io", "CNAME", "www.example.com"), name="out", now=1.0)
    for order in ((default, lab, out), (out, lab, default)):
        shown = project(*order)
        assert addresses(shown) == {"a.dtk.io": ("10.0.0.2",)}
        assert served(shown, "a.dtk.io") == {dns.TXT: (dns.Record_TXT(b"lab"),)}
        assert {(found.cluster, found.key[1:], found.reason) for found in shown.hidden["a.dtk.io"]} == {
            ("default", ("TXT", ""), Reason.OTHER_CLUSTER),
            ("default", ("MX", ""), Reason.DATA),
            ("lab", ("TXT", ""), Reason.TYPE),
            ("out", ("CNAME", ""), Reason.OTHER_CLUSTER),
        }


def test_of_clusters_that_have_no_address_for_a_name_the_first_by_name_has_it() -> None:
    b = cluster(endpoint("x.dtk.io", "MX", "10 b.example.com"), name="b", now=2.0)
    c = cluster(endpoint("x.dtk.io", "CNAME", "www.example.com"), name="c", now=1.0)
    for order in ((b, c), (c, b)):
        shown = project(*order)
        assert served(shown, "x.dtk.io").keys() == {dns.MX}
        assert {(found.cluster, found.sentence) for found in shown.hidden["x.dtk.io"]} == {
            ("b", "a hosts file holds addresses only, and this is a record of type MX"),
            ("c", "cluster b had the name first and keeps it"),
        }


def test_a_wildcard_of_two_clusters_is_hidden_from_hosts_files_in_one_and_everywhere_in_the_other() -> None:
    records = [endpoint("*.dtk.io", "A", "10.0.0.1"), endpoint("*.dtk.io", "TXT", "x")]
    shown = project(cluster(*records, name="b"), cluster(*records, name="c", now=2.0))
    assert shown.shown["*.dtk.io"].cluster == "b"
    assert {(found.cluster, found.key[1], found.reason) for found in shown.hidden["*.dtk.io"]} == {
        ("b", "A", Reason.WILDCARD),
        ("b", "TXT", Reason.TYPE),
        ("c", "A", Reason.OTHER_CLUSTER),
        ("c", "TXT", Reason.OTHER_CLUSTER),
    }


# What is kept and not shown


def test_a_wildcard_has_addresses_and_is_hidden_from_hosts_files() -> None:
    shown = project(cluster(endpoint("*.dtk.io", "A", "10.0.0.1"), endpoint("*.dtk.io", "TXT", "x")))
    assert addresses(shown) == {"*.dtk.io": ("10.0.0.1",)}
    assert reasons(shown) == {("*.dtk.io", "A"): Reason.WILDCARD, ("*.dtk.io", "TXT"): Reason.TYPE}
    assert "a hosts file has no wildcards" in sentences(shown)


@pytest.mark.parametrize("name", ["*", "a.*.dtk.io", "*a.dtk.io", "*.*.dtk.io", "**.dtk.io"])
def test_an_asterisk_anywhere_else_is_no_wildcard(name: str) -> None:
    shown = project(cluster(endpoint(name, "A", "10.0.0.1"), domains=("dtk.io", "*")))
    assert shown.shown == {}
    assert reasons(shown) == {(name, "A"): Reason.NAME}


def test_other_types_are_hidden_from_the_hosts_file_under_their_own_name_for_it() -> None:
    targets = {"TXT": "x", "SRV": "0 0 443 b.dtk.io", "MX": "10 b.dtk.io", "NS": "b.dtk.io"}
    shown = project(cluster(*(endpoint("a.dtk.io", kind, target) for kind, target in targets.items())))
    assert shown.shown == {}
    assert set(reasons(shown).values()) == {Reason.TYPE}
    assert Reason.TYPE.faces == {HOSTS_FACE}
    assert "a hosts file holds addresses only, and this is a record of type SRV" in sentences(shown)


def test_types_that_are_not_served_are_hidden_under_their_own_name_for_it() -> None:
    types = ["SOA", "a", "", "TYPE65400", "A\n10.0.0.1 evil.dtk.io", "X" * 300]
    shown = project(cluster(*(endpoint("a.dtk.io", record_type, "10.0.0.1") for record_type in types)))
    assert (shown.shown, shown.records) == ({}, {})
    assert set(reasons(shown).values()) == {Reason.DATA}
    assert Reason.DATA.faces == {HOSTS_FACE, DNS_FACE}
    assert sentences(shown)[0] == "Records of type 'SOA' are not served"
    assert all(sentence.isprintable() and len(sentence) < 150 for sentence in sentences(shown))


def test_the_ownership_records_of_external_dns_are_told_from_other_texts() -> None:
    ours = [
        endpoint("a-a.dtk.io", "TXT", '"heritage=external-dns,external-dns/owner=default"'),
        endpoint("b.dtk.io", "TXT", "heritage=external-dns"),
        endpoint("c.dtk.io", "TXT", "encrypted", labels={"ownedRecord": "a.dtk.io"}),
        endpoint("a-dtk.io", "TXT", '"heritage=external-dns"'),
    ]
    others = [endpoint("d.dtk.io", "TXT", "v=spf1"), endpoint("e.dtk.io", "A", labels={"ownedRecord": "x"})]
    assert [one.is_note for one in (*ours, *others)] == [True] * 4 + [False] * 2
    found = project(cluster(*ours, *others))
    assert set(found.hidden) == {"d.dtk.io", "e.dtk.io"}
    assert found.records.keys() | found.shown.keys() == {"d.dtk.io"}


def test_a_name_outside_the_domains_is_not_shown_and_that_is_said() -> None:
    outside = ["evildtk.io", "io", "", "dtk.io.example.com", "www.example.com"]
    one = cluster(*(endpoint(name, "A", "10.0.0.1") for name in outside), domains=("dtk.io", "lab.io"))
    shown = project(one)
    assert shown.shown == {}
    assert reasons(shown) == {(name, "A"): Reason.UNMANAGED for name in outside}
    assert set(sentences(shown)) == {"it lies in none of the managed domains"}


def test_without_a_domain_nothing_is_shown() -> None:
    shown = project(cluster(endpoint("a.dtk.io", "A", "10.0.0.1"), domains=(), addresses=("10.0.0.9",)))
    assert shown.shown == {}
    assert sentences(shown) == ["it lies in none of the managed domains"]


@pytest.mark.parametrize(
    "name",
    [
        f"{odd}.dtk.io"
        for odd in (
            *(f"a{character}b" for character in "\n\t\r\v\f#\0\u2028\u2029\u0085\u00a0\x1b \\/\"'_,:%[]\ufffd"),
            "\n",
            "10.0.0.1 evil.com #",
            "-a",
            "a-",
            "a..b",
            "",
            "a" * 64,
            "a." * 150 + "a",
        )
    ]
    + ["a.dtk.io\n", "\ndtk.io", " a.dtk.io", "a.dtk.io.."],
)
def test_an_odd_name_is_kept_and_never_shown(name: str) -> None:
    one = cluster(endpoint(name, "A", "10.0.0.1"))
    shown = project(one)
    assert shown.shown == {}
    assert len(shown.hidden) == 1
    assert set(reasons(shown).values()) <= {Reason.NAME, Reason.UNMANAGED}
    assert addresses(project(evolve(one, addresses=("10.0.0.9",)))) == {}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("A.DTK.io", "a.dtk.io"),
        ("a.dtk.io.", "a.dtk.io"),
        ("B\u00fccher.dtk.io", "xn--bcher-kva.dtk.io"),
        ("a\u3002dtk.io", "a.dtk.io"),
        ("\uff21.dtk.io", "a.dtk.io"),
        ("*.A.dtk.io.", "*.a.dtk.io"),
    ],
)
def test_a_name_is_shown_in_lower_case_and_ascii_without_the_last_dot(name: str, shown: str) -> None:
    assert addresses(project(cluster(endpoint(name, "A", "10.0.0.1")))) == {shown: ("10.0.0.1",)}


ANY_NAMES = st.one_of(
    st.text(max_size=12),
    st.text(alphabet="aA-.*\n\t\r\v\f #\0\u2028\u00df\u0130\u3002\uff0e\u212a_0", max_size=8),
).flatmap(lambda text: st.sampled_from([text, f"{text}.dtk.io", f"a.{text}.Dtk.io.", f"{text}dtk.io"]))
SOME_DATA = [
    "10.0.0.1",
    "10.0.0.1\n",
    "FD00::1",
    "::",
    "1",
    "10 a.dtk.io",
    "10  A.dtk.io.",
    "0 0 443 b.dtk.io",
    '"a"',
]
ANY_TARGETS = st.lists(st.one_of(st.text(max_size=6), ANY_NAMES, st.sampled_from(SOME_DATA)), max_size=2)
ANY_TYPES = st.sampled_from(["A", "AAAA", "CNAME", "TXT", "MX", "NS", "SRV", "CAA", "x"])


@given(
    st.lists(st.tuples(ANY_NAMES, ANY_TYPES, ANY_TARGETS), max_size=6),
    st.sampled_from([("dtk.io",), ("dtk.io", "a"), ()]),
    st.sampled_from([(), ("192.168.122.167",)]),
    st.sampled_from(["", "10.0.0.0/8"]),
)
@settings(max_examples=250)
def test_nothing_outside_the_domains_has_anything_and_what_is_shown_is_a_plain_hostname_with_addresses(
    records: list[tuple[str, str, list[str]]], domains: tuple[str, ...], own: tuple[str, ...], routable: str
) -> None:
    one = cluster(*(endpoint(n, t, *targets) for n, t, targets in records), domains=domains, addresses=own)
    projection = project(one, routable=routable)
    for name, shown in projection.shown.items():
        assert shown.name == name
        assert PLAIN_HOSTNAME.fullmatch(name.removeprefix("*."))
        assert len(name) <= names.MAX_NAME
        assert any(name == domain or name.endswith(f".{domain}") for domain in domains)
        assert shown.addresses
        assert all(str(ip_address(address)) == address for address in shown.addresses)
    for name, sets in projection.records.items():
        assert names.is_owner(name)
        assert any(name == domain or name.endswith(f".{domain}") for domain in domains)
        numbers = [found.number for found in sets]
        assert len(set(numbers)) == len(numbers)
        assert not {dns.A, dns.AAAA} & set(numbers)
        assert all(found.data and len(set(found.data)) == len(found.data) for found in sets)
        if dns.CNAME in numbers:
            assert numbers == [dns.CNAME]
            assert len(sets[0].data) == 1
            assert name not in projection.shown
    assert projection.domains == set(domains)
    for sentence in sentences(projection):
        assert sentence.isascii()
        assert sentence.isprintable()
    for owner, group in one.endpoints.items():
        told = [hidden.key for hidden in projection.hidden.get(owner, ())]
        assert len(set(told)) == len(told)
        assert owner in projection.shown or set(told) == {found.key for found in group}


# Changes


OUTSIDE = "www.example.com"
SOME_NAMES = st.sampled_from(
    ["a.dtk.io", "b.dtk.io", "c.dtk.io", "*.dtk.io", "\u00fc.dtk.io", "x.lab.io", OUTSIDE]
)
SOME_TARGETS = st.sampled_from(
    ["A.dtk.io.", "b.dtk.io", "c.dtk.io", "\u00fc.dtk.io", "x.lab.io", "*.dtk.io", OUTSIDE]
)
SOME_ENDPOINTS = st.one_of(
    st.builds(
        lambda name, targets: endpoint(name, "CNAME", *targets),
        SOME_NAMES,
        st.lists(SOME_TARGETS, min_size=1, max_size=2),
    ),
    st.builds(endpoint, SOME_NAMES, st.just("A"), st.sampled_from(["10.0.0.1", "10.9.0.1", "nonsense"])),
    st.builds(endpoint, SOME_NAMES, st.sampled_from(["AAAA", "TXT"]), st.just("fd00::1")),
    st.builds(
        endpoint,
        SOME_NAMES,
        st.sampled_from(["MX", "NS", "SRV"]),
        st.sampled_from(["10 a.dtk.io", "a.dtk.io", "0 0 443 b.dtk.io"]),
        set_identifier=st.sampled_from(["", "eu"]),
        ttl=st.sampled_from([0, 60]),
    ),
)
SOME_LISTS = st.lists(SOME_ENDPOINTS, max_size=3).map(tuple)
STEPS = st.one_of(
    st.builds(Changes, create=SOME_LISTS, delete=SOME_LISTS),
    st.builds(Changes, create=SOME_LISTS, delete=SOME_LISTS),
    st.sampled_from([{"addresses": ()}, {"addresses": ("192.168.122.167",)}]),
    st.sampled_from([{"domains": ()}, {"domains": ("dtk.io",)}, {"domains": ("dtk.io", "lab.io")}]),
    st.just("forget"),
)


def mappings(projection: Projection) -> tuple[Mapping[str, object], ...]:
    return projection.shown, projection.records, projection.hidden


def changed(one: Cluster, step: object, now: float) -> tuple[Cluster, Iterable[str]]:
    """A cluster after a step, and the owner names whose endpoints or rules are others now."""
    if isinstance(step, Changes):
        after, delta = one.apply(step, now)
        return after, delta.owners
    if isinstance(step, dict):
        return evolve(one, **step), one.since if "addresses" in step else one.endpoints
    return evolve(one, endpoints={}, since={}), one.endpoints


@given(
    st.lists(st.tuples(st.sampled_from(["default", "lab"]), STEPS), min_size=1, max_size=12),
    st.sampled_from(["", "10.9.0.0/16"]),
)
@settings(max_examples=200)
def test_changes_computed_step_by_step_give_what_a_computation_from_scratch_gives(
    steps: list[tuple[str, object]], routable: str
) -> None:
    clusters = {name: cluster(name=name) for name in ("default", "lab")}
    projection = project(routable=routable)
    for now, (name, step) in enumerate(steps, start=1):
        clusters[name], owners = changed(clusters[name], step, float(now))
        before = projection
        projection, touched = before.after(clusters, list(owners))
        scratch = project(*clusters.values(), routable=routable)
        assert projection.shown == scratch.shown
        assert projection.records == scratch.records
        assert projection.hidden == scratch.hidden
        assert projection.domains == scratch.domains
        had = {name for mapping in (*mappings(before), *mappings(projection)) for name in mapping}
        assert set(touched) >= set(owners) & had
        assert len(set(touched)) == len(touched)
        for old, new in zip(mappings(before), mappings(projection), strict=True):
            for other in (old.keys() | new.keys()) - set(touched):
                assert new.get(other) is old.get(other)


def test_a_change_of_one_record_among_thousands_computes_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    many = cluster(
        *(endpoint(f"n{n}.dtk.io", "A", "10.0.0.1") for n in range(3000)),
        *(endpoint(f"c{n}.dtk.io", "CNAME", f"n{n}.dtk.io") for n in range(1000, 3000)),
    )
    before = project(many)
    computed: list[str] = []
    compute = projection_module._compute

    def counting(name: str, *rest: object) -> object:
        computed.append(name)
        return compute(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(projection_module, "_compute", counting)
    after, delta = many.apply(Changes(create=(endpoint("n500.dtk.io", "A", "10.0.0.2"),)), 2.0)
    now, touched = before.after({"default": after}, delta.owners)
    assert touched == ("n500.dtk.io",)
    assert computed == ["n500.dtk.io"]
    assert now.shown["n500.dtk.io"].addresses == ("10.0.0.2",)
    assert before.shown["n500.dtk.io"].addresses == ("10.0.0.1",)

    after, delta = after.apply(Changes(create=(endpoint("n1500.dtk.io", "A", "10.0.0.2"),)), 3.0)
    now, touched = now.after({"default": after}, delta.owners)
    assert sorted(touched) == ["c1500.dtk.io", "n1500.dtk.io"]
    assert now.shown["c1500.dtk.io"].addresses == ("10.0.0.2",)


def test_the_owners_of_a_change_may_be_given_as_an_iterator() -> None:
    one = cluster(endpoint("a.dtk.io", "A", "10.0.0.1"))
    shown, touched = Projection().after({"default": one}, iter(one.endpoints))
    assert touched == ("a.dtk.io",)
    assert addresses(shown) == {"a.dtk.io": ("10.0.0.1",)}
