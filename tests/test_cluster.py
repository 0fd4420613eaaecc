"""One cluster as a value: what a change makes of it, and that nothing else happens to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping

import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import given, settings
from hypothesis import strategies as st

from dtkdns import names
from dtkdns.cluster import DEFAULT, Cluster, Delta
from dtkdns.endpoint import ADDRESS_TYPES, Changes, Endpoint, Key, make_endpoint
from dtkdns.slices import at_once
from dtkdns.wire import decode_endpoint

EMPTY = Cluster(DEFAULT, ("dtk.io",))


def endpoint(
    name: str,
    record_type: str = "A",
    target: str = "10.0.0.1",
    set_identifier: str = "",
    labels: Mapping[str, str] | None = None,
) -> Endpoint:
    fields = {"dnsName": name, "recordType": record_type, "targets": [target], "setIdentifier": set_identifier}
    document = json.dumps({**fields, "labels": labels or {}}).encode()
    return make_endpoint(name, record_type, set_identifier, (target,), 0, labels or {}, document)


def holding(*endpoints: Endpoint, now: float = 1.0) -> Cluster:
    return EMPTY.apply(Changes(create=endpoints), now)[0]


def adjusted(cluster: Cluster, desired: Iterable[Endpoint]) -> list[bool]:
    return at_once(cluster.adjusting([found.key for found in desired]))


def documents(cluster: Cluster) -> dict[Key, bytes]:
    return {found.key: found.document for found in cluster.all_endpoints()}


def expected(before: Mapping[Key, bytes], changes: Changes) -> dict[Key, bytes]:
    """What the rule says, on a plain mapping."""
    after = dict(before)
    for gone in (*changes.delete, *changes.update_old):
        after.pop(gone.key, None)
    for put in (*changes.update_new, *changes.create):
        after[put.key] = put.document
    return after


def snapshot(cluster: Cluster) -> object:
    return list(cluster.endpoints.items()), list(cluster.since.items())


ENDPOINTS = st.builds(
    endpoint,
    st.sampled_from(
        [
            "foo.dtk.io",
            "FOO.dtk.io.",
            "b\u00fccher.dtk.io",
            "xn--bcher-kva.dtk.io",
            "a-foo.dtk.io",
            "*.dtk.io",
            "",
            "..",
            "x y",
        ]
    ),
    st.sampled_from(["A", "AAAA", "CNAME", "TXT", "SRV"]),
    st.sampled_from(["10.0.0.1", "10.0.0.2"]),
    st.sampled_from(["", "eu"]),
)
LISTS = st.lists(ENDPOINTS, max_size=5).map(tuple)
CHANGES = st.builds(Changes, create=LISTS, update_old=LISTS, update_new=LISTS, delete=LISTS)


@given(st.lists(CHANGES, min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_a_change_makes_exactly_what_the_rule_says_and_names_exactly_the_difference(posts: list[Changes]) -> None:
    cluster = EMPTY
    for now, changes in enumerate(posts, start=1):
        before, was = documents(cluster), snapshot(cluster)
        after, delta = cluster.apply(changes, float(now))
        wanted = expected(before, changes)

        assert documents(after) == wanted
        assert sum(1 for _ in after.all_endpoints()) == len(wanted)
        for owner, group in after.endpoints.items():
            assert group
            assert all(found.owner == owner for found in group)

        put = {found.key: found.document for found in delta.put}
        assert len(put) == len(delta.put)
        assert put == {key: document for key, document in wanted.items() if before.get(key) != document}
        assert sorted(delta.removed) == sorted(before.keys() - wanted.keys())
        touched = {names.to_ascii(key[0]) if not key[0].isascii() else key[0] for key in (*put, *delta.removed)}
        assert sorted(delta.owners) == sorted(touched)
        assert bool(delta) is (before != wanted)
        assert delta.grown == len(wanted) - len(before)

        resolving = {found.owner for found in after.all_endpoints() if found.record_type in ADDRESS_TYPES}
        assert after.since == {owner: cluster.since.get(owner, float(now)) for owner in resolving}
        assert snapshot(cluster) == was
        cluster = after


@given(before=CHANGES, changes=CHANGES)
@settings(max_examples=200, deadline=None)
def test_a_change_applied_twice_is_the_change_applied_once(before: Changes, changes: Changes) -> None:
    once, _ = EMPTY.apply(before, 1.0)[0].apply(changes, 2.0)
    twice, delta = once.apply(changes, 3.0)
    assert twice is once
    assert delta == Delta()
    assert not delta


def test_no_changes_are_no_difference() -> None:
    cluster = holding(endpoint("foo.dtk.io"))
    assert cluster.apply(Changes(), 2.0) == (cluster, Delta())


def test_delete_and_update_old_take_away_by_key_whatever_their_content() -> None:
    cluster = holding(endpoint("a.dtk.io"), endpoint("b.dtk.io"), endpoint("c.dtk.io"))
    labels = {"resource": "ingress/other/one"}
    deleted = endpoint("A.dtk.io.", target="10.9.9.9", labels=labels)
    replaced = endpoint("b.dtk.io", target="10.9.9.9", labels=labels)
    after, delta = cluster.apply(Changes(delete=(deleted,), update_old=(replaced,)), 2.0)
    assert list(after.endpoints) == ["c.dtk.io"]
    assert delta == Delta((), (("a.dtk.io", "A", ""), ("b.dtk.io", "A", "")), ("a.dtk.io", "b.dtk.io"), grown=-2)


def test_what_has_another_type_or_set_identifier_is_not_taken_away() -> None:
    kept = (endpoint("a.dtk.io", "AAAA", "::1"), endpoint("a.dtk.io", set_identifier="EU"))
    cluster = holding(endpoint("a.dtk.io"), *kept)
    after, delta = cluster.apply(
        Changes(delete=(endpoint("a.dtk.io"), endpoint("a.dtk.io", set_identifier="eu"))), 2.0
    )
    assert tuple(after.all_endpoints()) == kept
    assert delta.removed == (("a.dtk.io", "A", ""),)


def test_deleting_what_is_not_there_is_no_difference() -> None:
    cluster = holding(endpoint("a.dtk.io"))
    after, delta = cluster.apply(
        Changes(delete=(endpoint("b.dtk.io"),), update_old=(endpoint("a.dtk.io", "TXT"),)), 2.0
    )
    assert after is cluster
    assert not delta


def test_create_is_put_last_so_it_wins_over_update_new_and_over_a_delete_of_its_key() -> None:
    old, updated, created = (endpoint("a.dtk.io", target=f"10.0.0.{number}") for number in (1, 2, 3))
    changes = Changes(create=(created,), update_old=(old,), update_new=(updated,), delete=(old,))
    after, delta = holding(old).apply(changes, 2.0)
    assert tuple(after.all_endpoints()) == (created,)
    assert delta == Delta((created,), (), ("a.dtk.io",))


def test_one_key_in_delete_and_create_with_what_already_stood_is_no_difference() -> None:
    txt = endpoint("a.dtk.io", "TXT", "heritage=external-dns")
    cluster = holding(txt)
    after, delta = cluster.apply(Changes(create=(txt,), delete=(txt,)), 2.0)
    assert after is cluster
    assert not delta


def test_of_one_key_twice_in_a_list_the_last_one_stands() -> None:
    first, last = endpoint("a.dtk.io", target="10.0.0.1"), endpoint("A.dtk.io.", target="10.0.0.2")
    after, delta = EMPTY.apply(Changes(create=(first, last)), 1.0)
    assert tuple(after.all_endpoints()) == (last,)
    assert delta.put == (last,)


def test_the_same_content_in_other_bytes_is_a_difference() -> None:
    spaced = decode_endpoint(b'{ "dnsName": "a.dtk.io", "recordType": "A" }')
    tight = decode_endpoint(b'{"dnsName":"a.dtk.io","recordType":"A"}')
    after, delta = holding(spaced).apply(Changes(create=(tight,)), 2.0)
    assert [found.document for found in after.all_endpoints()] == [tight.document]
    assert delta.put == (tight,)


def test_only_the_endpoints_that_differ_are_put() -> None:
    txt = endpoint("a.dtk.io", "TXT")
    cluster = holding(endpoint("a.dtk.io"), txt, endpoint("b.dtk.io"))
    changed = endpoint("a.dtk.io", target="10.0.0.2")
    after, delta = cluster.apply(Changes(create=(changed, txt, endpoint("b.dtk.io"))), 2.0)
    assert delta == Delta((changed,), (), ("a.dtk.io",))
    assert after.endpoints["a.dtk.io"] == (changed, txt)
    assert after.endpoints["b.dtk.io"] is cluster.endpoints["b.dtk.io"]


def test_a_host_respelled_as_punycode_is_another_key_of_the_same_name() -> None:
    old, new = endpoint("b\u00fccher.dtk.io"), endpoint("xn--bcher-kva.dtk.io")
    after, delta = holding(old).apply(Changes(update_old=(old,), update_new=(new,)), 2.0)
    assert dict(after.endpoints) == {"xn--bcher-kva.dtk.io": (new,)}
    assert delta == Delta((new,), (("b\u00fccher.dtk.io", "A", ""),), ("xn--bcher-kva.dtk.io",))
    assert after.since == {"xn--bcher-kva.dtk.io": 1.0}


def test_a_name_keeps_its_time_through_a_change_of_type_in_one_post() -> None:
    a, cname = endpoint("a.dtk.io"), endpoint("a.dtk.io", "CNAME", "b.dtk.io")
    after, delta = holding(a, now=1.0).apply(Changes(create=(cname,), delete=(a,)), 2.0)
    assert after.endpoints == {"a.dtk.io": (cname,)}
    assert after.since == {"a.dtk.io": 1.0}
    assert delta == Delta((cname,), (("a.dtk.io", "A", ""),), ("a.dtk.io",))


def test_a_name_has_a_time_only_while_it_has_a_record_that_resolves() -> None:
    a, txt = endpoint("a.dtk.io"), endpoint("a.dtk.io", "TXT")
    cluster = holding(txt, now=1.0)
    assert cluster.since == {}
    cluster, _ = cluster.apply(Changes(create=(a,)), 2.0)
    assert cluster.since == {"a.dtk.io": 2.0}
    cluster, _ = cluster.apply(Changes(create=(endpoint("a.dtk.io", target="10.0.0.2"),)), 3.0)
    assert cluster.since == {"a.dtk.io": 2.0}
    cluster, _ = cluster.apply(Changes(delete=(a,)), 4.0)
    assert cluster.since == {}
    cluster, _ = cluster.apply(Changes(create=(a,)), 5.0)
    assert cluster.since == {"a.dtk.io": 5.0}
    cluster, _ = cluster.apply(Changes(delete=(a, txt)), 6.0)
    assert (cluster.since, cluster.endpoints) == ({}, {})


def test_the_order_is_that_in_which_the_names_first_came_and_an_update_keeps_it() -> None:
    cluster = holding(*(endpoint(f"{letter}.dtk.io") for letter in "cabd"))
    update = endpoint("a.dtk.io", target="10.0.0.2")
    cluster, _ = cluster.apply(Changes(update_old=(endpoint("a.dtk.io"),), update_new=(update,)), 2.0)
    assert [found.owner[0] for found in cluster.all_endpoints()] == list("cabd")
    cluster, _ = cluster.apply(
        Changes(create=(endpoint("e.dtk.io"), endpoint("c.dtk.io")), delete=(endpoint("b.dtk.io"),)), 3.0
    )
    assert [found.owner[0] for found in cluster.all_endpoints()] == list("cade")


def test_what_is_outside_of_the_domains_is_kept() -> None:
    kept = (endpoint("a-dtk.io", "TXT"), endpoint("www.example.com"), endpoint("*.dtk.io"), endpoint("so odd\n"))
    assert tuple(holding(*kept).all_endpoints()) == kept


def test_adjust_tells_in_order_what_is_managed() -> None:
    managed = [
        endpoint("Foo.DTK.io."),
        endpoint("dtk.io", "TXT"),
        endpoint("*.dtk.io"),
        endpoint("b\u00fccher.dtk.io"),
    ]
    others = [endpoint("evildtk.io"), endpoint("a-dtk.io", "TXT"), endpoint("io"), endpoint("")]
    mixed = [found for pair in zip(managed, others, strict=True) for found in pair]
    assert adjusted(EMPTY, mixed) == [True, False] * 4
    assert adjusted(EMPTY, []) == []


def test_a_unicode_name_is_managed_by_a_domain_in_ascii() -> None:
    cluster = Cluster(DEFAULT, ("xn--bcher-kva.io",))
    assert adjusted(cluster, [endpoint("www.B\u00fccher.io")]) == [True]
    assert cluster.manages("xn--bcher-kva.io")
    assert not cluster.manages("xn--bcher-kva.io.example.com")


def test_without_a_domain_nothing_is_managed() -> None:
    desired = [endpoint("foo.dtk.io"), endpoint("")]
    assert adjusted(Cluster(DEFAULT), desired) == [False, False]


def owned_by(label: str | None) -> Mapping[str, str]:
    return {"owner": "default"} if label is None else {"owner": "default", "ownedRecord": label}


def forgotten(name: str, *endpoints: Endpoint) -> list[Endpoint]:
    """Which of the endpoints go when a name is forgotten."""
    cluster = holding(*endpoints)
    was = snapshot(cluster)
    after, delta = cluster.forget(name)
    left = documents(after)
    gone = [found for found in endpoints if found.key not in left]
    assert sorted(delta.removed) == sorted(found.key for found in gone)
    assert delta.put == ()
    assert set(delta.owners) == {found.owner for found in gone}
    assert delta.grown == -len(gone)
    assert snapshot(cluster) == was
    assert (after is cluster) is (not gone)
    return gone


def goes_and_stays(name: str, goes: Iterable[Endpoint], stays: Iterable[Endpoint]) -> None:
    goes = list(goes)
    assert forgotten(name, *goes, *stays) == goes


def test_a_forgotten_name_goes_with_all_its_records() -> None:
    goes_and_stays(
        "Foo.DTK.io.",
        [endpoint("foo.dtk.io"), endpoint("foo.dtk.io", set_identifier="eu"), endpoint("FOO.dtk.io", "SRV")],
        [endpoint("bar.dtk.io"), endpoint("a.foo.dtk.io"), endpoint("dtk.io"), endpoint("*.dtk.io")],
    )


def test_ownership_texts_go_by_the_label_that_names_their_record() -> None:
    goes_and_stays(
        "foo.dtk.io",
        [
            endpoint("foo.dtk.io"),
            endpoint("prefix-of-its-own.example.com", "TXT", labels=owned_by("Foo.dtk.io.")),
            endpoint("a-foo.dtk.io", "TXT", labels=owned_by("foo.dtk.io")),
        ],
        [
            endpoint("cname-foo.dtk.io", "TXT", labels=owned_by("bar.dtk.io")),
            endpoint("a-foo.dtk.io", "TXT", set_identifier="other", labels=owned_by("")),
            endpoint("a-foo.dtk.io", "CNAME", labels=owned_by("foo.dtk.io")),
        ],
    )


def test_ownership_texts_without_the_label_go_by_their_name_and_the_types_of_the_record() -> None:
    goes_and_stays(
        "foo.dtk.io",
        [
            endpoint("foo.dtk.io"),
            endpoint("foo.dtk.io", "CNAME", "foo.dtk.io"),
            endpoint("foo.dtk.io", "TXT", "heritage=external-dns"),
            endpoint("a-foo.dtk.io", "TXT", labels=owned_by(None)),
            endpoint("CNAME-foo.dtk.io.", "TXT"),
        ],
        [
            endpoint("aaaa-foo.dtk.io", "TXT"),
            endpoint("a-foo.dtk.io"),
            endpoint("xa-foo.dtk.io", "TXT"),
            endpoint("a-bar.dtk.io", "TXT"),
        ],
    )


@pytest.mark.parametrize("name", ["dtk.io", "*.dtk.io"])
def test_the_apex_and_a_wildcard_are_forgotten_with_their_ownership_texts(name: str) -> None:
    goes_and_stays(name, [endpoint(name), endpoint(f"a-{name}", "TXT")], [endpoint("foo.dtk.io")])


@pytest.mark.parametrize("ask", [str, names.to_ascii])
@pytest.mark.parametrize("spelling", [str, names.to_ascii])
def test_a_unicode_name_is_forgotten_with_its_ownership_texts_in_either_spelling(
    ask: Callable[[str], str], spelling: Callable[[str], str]
) -> None:
    name = "b\u00fccher.dtk.io"
    goes_and_stays(
        ask(name),
        [
            endpoint(spelling(name)),
            endpoint("x.dtk.io", "TXT", labels=owned_by(name)),
            endpoint("y.dtk.io", "TXT", labels=owned_by(names.to_ascii(name))),
            endpoint(f"a-{spelling(name)}", "TXT", labels=owned_by(None)),
        ],
        [endpoint("xn--b-eha.dtk.io")],
    )


def test_ownership_texts_left_behind_are_forgotten_when_their_record_is_gone_already() -> None:
    goes_and_stays(
        "foo.dtk.io", [endpoint("a-foo.dtk.io", "TXT", labels=owned_by("foo.dtk.io"))], [endpoint("bar.dtk.io")]
    )


def test_forgetting_takes_the_time_of_the_name_and_keeps_those_of_others() -> None:
    cluster = holding(
        endpoint("foo.dtk.io"),
        endpoint("a-foo.dtk.io"),
        endpoint("a-foo.dtk.io", "TXT", labels=owned_by("foo.dtk.io")),
        now=7.0,
    )
    after, _ = cluster.forget("foo.dtk.io")
    assert after.since == {"a-foo.dtk.io": 7.0}
    assert tuple(after.all_endpoints()) == (endpoint("a-foo.dtk.io"),)


def test_a_name_that_is_not_there_is_forgotten_without_a_difference() -> None:
    assert forgotten("nothing.dtk.io", endpoint("foo.dtk.io"), endpoint("a-nothing.dtk.io", "TXT")) == []


def test_a_cluster_cannot_be_changed_and_keeps_its_settings_through_changes() -> None:
    cluster = Cluster("lab", ("lab.io",), ("192.168.122.167",))
    with pytest.raises(FrozenInstanceError):
        cluster.domains = ()  # type: ignore[misc]
    after, _ = cluster.apply(Changes(create=(endpoint("foo.lab.io"),)), 1.0)
    assert (after.name, after.domains, after.addresses) == ("lab", ("lab.io",), ("192.168.122.167",))
    after, _ = after.forget("foo.lab.io")
    assert after == cluster
