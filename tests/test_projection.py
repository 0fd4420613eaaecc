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

from dtkdns import names
from dtkdns import projection as projection_module
from dtkdns.cluster import Cluster
from dtkdns.endpoint import Changes, Endpoint, make_endpoint
from dtkdns.projection import MAX_FOLLOWED, Projection, Reason, Shown

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
    shown = project(cluster(endpoint("a.dtk.io", "CNAME", "x" * 300, "y\n", "z.dtk.io", "fourth.dtk.io")))
    assert sentences(shown) == [
        f"it points to {'x' * 80}, y\\n, z.dtk.io, which has no address here; POST /clusterip sets the cluster's"
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


def test_other_types_are_hidden_under_their_own_name_for_it() -> None:
    types = ["TXT", "SRV", "MX", "NS", "a", "", "A\n10.0.0.1 evil.dtk.io"]
    shown = project(cluster(*(endpoint("a.dtk.io", record_type, "10.0.0.1") for record_type in types)))
    assert shown.shown == {}
    assert set(reasons(shown).values()) == {Reason.TYPE}
    assert "a hosts file holds addresses only, and this is a record of type SRV" in sentences(shown)
    assert all("\n" not in sentence for sentence in sentences(shown))


def test_the_ownership_records_of_external_dns_are_told_from_other_texts() -> None:
    ours = [
        endpoint("a-a.dtk.io", "TXT", '"heritage=external-dns,external-dns/owner=default"'),
        endpoint("b.dtk.io", "TXT", "heritage=external-dns"),
        endpoint("c.dtk.io", "TXT", "encrypted", labels={"ownedRecord": "a.dtk.io"}),
        endpoint("a-dtk.io", "TXT", '"heritage=external-dns"'),
    ]
    others = [endpoint("d.dtk.io", "TXT", "v=spf1"), endpoint("e.dtk.io", "A", labels={"ownedRecord": "x"})]
    found = reasons(project(cluster(*ours, *others)))
    assert {key[0] for key, reason in found.items() if reason is Reason.OWNERSHIP} == {one.owner for one in ours}


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
ANY_TARGETS = st.lists(
    st.one_of(st.text(max_size=6), ANY_NAMES, st.sampled_from(["10.0.0.1", "10.0.0.1\n", "FD00::1", "::", "1"])),
    max_size=2,
)


@given(
    st.lists(st.tuples(ANY_NAMES, st.sampled_from(["A", "AAAA", "CNAME", "TXT"]), ANY_TARGETS), max_size=6),
    st.sampled_from([("dtk.io",), ("dtk.io", "a"), ()]),
    st.sampled_from([(), ("192.168.122.167",)]),
    st.sampled_from(["", "10.0.0.0/8"]),
)
@settings(max_examples=250)
def test_nothing_outside_the_domains_is_shown_and_what_is_shown_is_a_plain_hostname_with_addresses(
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
    for sentence in sentences(projection):
        assert sentence.isascii()
        assert sentence.isprintable()
    for owner, group in one.endpoints.items():
        told = [hidden.key for hidden in projection.hidden.get(owner, ())]
        assert len(set(told)) == len(told)
        assert owner in projection.shown or set(told) == {found.key for found in group}


# Changes


SOME_NAMES = st.sampled_from(["a.dtk.io", "b.dtk.io", "c.dtk.io", "*.dtk.io", "\u00fc.dtk.io", "x.lab.io"])
SOME_TARGETS = st.sampled_from(["A.dtk.io.", "b.dtk.io", "c.dtk.io", "\u00fc.dtk.io", "x.lab.io", "*.dtk.io"])
SOME_ENDPOINTS = st.one_of(
    st.builds(
        lambda name, targets: endpoint(name, "CNAME", *targets),
        SOME_NAMES,
        st.lists(SOME_TARGETS, min_size=1, max_size=2),
    ),
    st.builds(endpoint, SOME_NAMES, st.just("A"), st.sampled_from(["10.0.0.1", "10.9.0.1", "nonsense"])),
    st.builds(endpoint, SOME_NAMES, st.sampled_from(["AAAA", "TXT"]), st.just("fd00::1")),
)
SOME_LISTS = st.lists(SOME_ENDPOINTS, max_size=3).map(tuple)
STEPS = st.one_of(
    st.builds(Changes, create=SOME_LISTS, delete=SOME_LISTS),
    st.builds(Changes, create=SOME_LISTS, delete=SOME_LISTS),
    st.sampled_from([{"addresses": ()}, {"addresses": ("192.168.122.167",)}]),
    st.sampled_from([{"domains": ()}, {"domains": ("dtk.io",)}, {"domains": ("dtk.io", "lab.io")}]),
    st.just("forget"),
)


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
        assert projection.hidden == scratch.hidden
        assert set(touched) >= set(owners)
        assert len(set(touched)) == len(touched)
        every = {*before.shown, *before.hidden, *projection.shown, *projection.hidden}
        for other in every - set(touched):
            assert projection.shown.get(other) is before.shown.get(other)
            assert projection.hidden.get(other) is before.hidden.get(other)


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
