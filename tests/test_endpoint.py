"""Endpoints made from their fields, and changes made of them."""

from __future__ import annotations

import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st

from dtkdns import names
from dtkdns.endpoint import Changes, Endpoint, make_endpoint


def named(name: str, record_type: str = "A", labels: dict[str, str] | None = None) -> Endpoint:
    return make_endpoint(name, record_type, "set", ("10.0.0.1",), 300, labels or {}, b"{}")


def test_an_endpoint_keeps_what_it_was_made_of() -> None:
    labels = {"resource": "ingress/default/test", "ownedRecord": "bar.dtk.io", "owner": "default"}
    endpoint = make_endpoint("Foo.dtk.io.", "AAAA", "Weighted", ("::1", "::2"), 60, labels, b'{"a": 1}')
    assert endpoint.key == ("foo.dtk.io", "AAAA", "Weighted")
    assert endpoint.owner == "foo.dtk.io"
    assert endpoint.record_type == "AAAA"
    assert endpoint.targets == ("::1", "::2")
    assert endpoint.ttl == 60
    assert endpoint.resource == "ingress/default/test"
    assert endpoint.owned == "bar.dtk.io"
    assert endpoint.document == b'{"a": 1}'


def test_what_no_label_says_is_empty_or_none() -> None:
    endpoint = named("foo.dtk.io", labels={"owner": "default"})
    assert endpoint.resource == ""
    assert endpoint.owned is None
    assert named("foo.dtk.io", labels={"ownedRecord": ""}).owned == ""


@pytest.mark.parametrize(
    ("record_type", "target", "labels", "is_note"),
    [
        ("TXT", '"heritage=external-dns,external-dns/owner=default"', {}, True),
        ("TXT", "heritage=external-dns", {}, True),
        ("TXT", "encrypted", {"ownedRecord": "a.dtk.io"}, True),
        ("TXT", "v=spf1 -all", {"owner": "default"}, False),
        ("A", "10.0.0.1", {"ownedRecord": "a.dtk.io"}, False),
    ],
)
def test_a_note_of_external_dns_is_told_from_other_records(
    record_type: str, target: str, labels: dict[str, str], is_note: bool
) -> None:
    endpoint = make_endpoint("foo.dtk.io", record_type, "", ("x", target), 0, labels, b"{}")
    assert endpoint.is_note == is_note
    assert endpoint.targets == (() if is_note else ("x", target))


def test_spellings_in_unicode_and_in_punycode_have_a_key_each_and_one_owner() -> None:
    unicode, punycode = named("B\u00fccher.dtk.io."), named("xn--bcher-kva.dtk.io")
    assert unicode.key[0] == "b\u00fccher.dtk.io"
    assert punycode.key[0] == "xn--bcher-kva.dtk.io"
    assert unicode.owner == punycode.owner == "xn--bcher-kva.dtk.io"


def test_only_the_name_of_a_key_is_compared_without_case() -> None:
    assert named("foo.io", "a").key != named("foo.io", "A").key
    lower, upper = (make_endpoint("foo.io", "A", text, (), 0, {}, b"{}") for text in ("x", "X"))
    assert lower.key != upper.key


@given(st.text(st.characters(exclude_categories=())))
def test_no_name_makes_it_raise_and_the_owner_is_the_ascii_form_of_the_key(name: str) -> None:
    endpoint = named(name)
    assert endpoint.key[0] == names.normalise(name)
    assert endpoint.owner == (
        names.to_ascii(endpoint.key[0]) if not endpoint.key[0].isascii() else endpoint.key[0]
    )


@pytest.mark.parametrize("target", ["10.32.0.45", "x" * 1000])
def test_what_is_in_common_is_kept_once_and_never_grows(target: str) -> None:
    one, other = (
        make_endpoint(name, "".join(["A", "AAA"]), "", (target[:5] + target[5:],), 0, {}, b"{}") for name in "ab"
    )
    assert one.key[1] is other.key[1]
    assert (one.targets is other.targets) == (len(target) < 100)
    assert one.targets == other.targets
    assert one.owner is one.key[0]


def test_endpoints_and_changes_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        named("foo.io").ttl = 1  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        Changes().create = ()  # type: ignore[misc]


def test_changes_are_false_only_when_all_four_lists_are_empty() -> None:
    one = (named("foo.io"),)
    assert not Changes()
    assert Changes(create=one)
    assert Changes(update_old=one)
    assert Changes(update_new=one)
    assert Changes(delete=one)
