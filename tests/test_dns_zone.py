"""Which names exist, where another server's begin, and that a change leaves nothing behind."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dns_model import Record, names_in, projection_of
from dns_questions import zone
from dtkdns.dns.zone import Zone
from dtkdns.projection import Projection
from dtkdns.slices import STRIDE


def filled(projection: Projection, now: float = 1000.0) -> Zone:
    found = Zone()
    found.update(projection, names_in(projection), now)
    return found


def enclosers(name: str) -> list[str]:
    labels = name.split(".")
    return [".".join(labels[at:]) for at in range(len(labels))]


SOME = zone(
    ("foo.dtk.io", "A", "10.0.0.1"),
    ("a.b.c.dtk.io", "TXT", "hello"),
    ("sub.dtk.io", "NS", "ns.example.com"),
    ("x.sub.dtk.io", "NS", "ns.example.com"),
    ("*.wild.dtk.io", "NS", "ns.example.com"),
    domains=["dtk.io", "dev.dtk.io", "example"],
)


def test_nothing_is_loaded_before_the_first_projection_even_an_empty_one() -> None:
    empty = Zone()
    assert not empty.loaded
    assert not empty.exists("dtk.io")
    assert empty.domain_among(["foo.dtk.io", "dtk.io"]) is None
    assert empty.cut_among(["foo.dtk.io", "dtk.io"]) == ""
    empty.update(Projection(), [], now=0.0)
    assert empty.loaded
    assert empty.serial == 1


@pytest.mark.parametrize(
    ("name", "exists"),
    [
        ("foo.dtk.io", True),
        ("bar.dtk.io", False),
        ("x.foo.dtk.io", False),
        ("a.b.c.dtk.io", True),
        ("b.c.dtk.io", True),
        ("c.dtk.io", True),
        ("x.b.c.dtk.io", False),
        ("dtk.io", True),
        ("dev.dtk.io", True),
        ("example", True),
        ("*.dtk.io", False),
        ("*.wild.dtk.io", True),
        ("wild.dtk.io", True),
    ],
)
def test_a_name_exists_with_what_it_has_or_with_names_below_it_or_as_a_domain(name: str, exists: bool) -> None:
    assert filled(SOME).exists(name) == exists


def test_the_nearest_domain_and_the_furthest_cut_count() -> None:
    found = filled(SOME)
    assert found.domain_among(enclosers("foo.dev.dtk.io")) == 1
    assert found.domain_among(enclosers("foo.dtk.io")) == 1
    assert found.domain_among(enclosers("dtk.io")) == 0
    assert found.domain_among(enclosers("evildtk.io")) is None
    assert found.domain_among([]) is None
    assert found.cut_among(enclosers("a.x.sub.dtk.io")) == "sub.dtk.io"
    assert found.cut_among(enclosers("foo.dtk.io")) == ""
    assert found.cut_among(enclosers("a.wild.dtk.io")) == ""


def test_what_a_name_has_is_given_as_it_is_in_the_projection() -> None:
    found = filled(SOME)
    shown = found.shown("foo.dtk.io")
    assert shown is not None
    assert shown.addresses == ("10.0.0.1",)
    assert found.shown("sub.dtk.io") is None
    assert [one.number for one in found.records("sub.dtk.io")] == [2]
    assert found.records("foo.dtk.io") == ()


# The serial


def test_the_serial_is_the_time_and_rises_with_every_change_even_in_one_second_and_with_the_clock_put_back() -> (
    None
):
    found = Zone()
    serials = []
    for now in (1000.9, 1000.9, 1000.9, 1001.0, 900.0, -5.0, 2000.0):
        found.update(SOME, [], now)
        serials.append(found.serial)
    assert serials == [1000, 1001, 1002, 1003, 1004, 1005, 2000]


@pytest.mark.parametrize("start", [2**32 - 2, 2**32 + 100, 2**33 - 1])
def test_the_serial_begins_again_after_32_bits_and_goes_on_rising(start: int) -> None:
    """RFC 1982, section 3.2: one more is what comes after, modulo 2**32."""
    found = Zone()
    serials = []
    for _ in range(4):
        found.update(SOME, [], float(start))
        assert found.loaded
        serials.append(found.serial)
    assert serials == [(start + at) % 2**32 for at in range(4)]


# Changes


@pytest.mark.parametrize(
    ("before", "after", "more"),
    [
        ([("foo.dtk.io", "A", "10.0.0.1")], [("foo.dtk.io", "A", "10.0.0.2")], False),
        ([], [("foo.dtk.io", "TXT", "hello")], False),
        ([], [("foo.dtk.io", "NS", "ns.example.com")], True),
        ([("foo.dtk.io", "NS", "ns.example.com")], [], True),
        ([("foo.dtk.io", "NS", "ns.example.com")], [("foo.dtk.io", "TXT", "hello")], True),
        ([("foo.dtk.io", "TXT", "hello")], [("foo.dtk.io", "A", "10.0.0.1")], False),
        ([("foo.dtk.io", "NS", "ns.example.com")], [("foo.dtk.io", "NS", "ns.example.org")], False),
        ([], [("*.dtk.io", "NS", "ns.example.com")], False),
    ],
)
def test_a_change_says_whether_another_server_begins_or_ends_somewhere(
    before: list[tuple[str, str, str]], after: list[tuple[str, str, str]], more: bool
) -> None:
    old, new = zone(*before), zone(*after)
    found = filled(old)
    assert found.update(new, names_in(old) | names_in(new), 1.0) == more


def test_a_change_says_whether_there_are_other_domains() -> None:
    found = filled(zone(domains=["dtk.io"]))
    assert found.update(zone(domains=["dtk.io", "a.b.dtk.io"]), [], 1.0)
    assert found.exists("b.dtk.io")
    assert not found.update(zone(domains=["a.b.dtk.io", "dtk.io"]), [], 1.0)
    assert found.update(zone(domains=["dtk.io"]), [], 1.0)
    assert not found.exists("b.dtk.io")


def test_a_name_between_a_domain_and_a_name_in_it_exists_until_both_are_gone() -> None:
    found = filled(zone(("x.a.b.dtk.io", "A", "10.0.0.1"), domains=["dtk.io", "a.b.dtk.io"]))
    found.update(zone(domains=["dtk.io", "a.b.dtk.io"]), ["x.a.b.dtk.io"], 1.0)
    assert found.exists("b.dtk.io")
    found.update(zone(domains=["dtk.io"]), [], 1.0)
    assert not found.exists("b.dtk.io")


def test_a_comparison_gives_way_every_so_many_names_and_changes_nothing_until_it_is_taken() -> None:
    many = zone(
        *((f"n{at}.dtk.io", "A", "10.0.0.1") for at in range(3 * STRIDE)), ("cut.dtk.io", "NS", "ns.example")
    )
    found = filled(SOME)
    steps = found.comparing(many, [*sorted(names_in(many)), "foo.dtk.io"])
    pauses = 0
    while True:
        try:
            next(steps)
        except StopIteration as done:
            difference = done.value
            break
        pauses += 1
    assert pauses == 3
    assert found.exists("foo.dtk.io")
    assert not found.exists("n0.dtk.io")
    assert found.take(difference, 1.0)
    assert found.exists("n0.dtk.io")
    assert found.cut_among(["x.cut.dtk.io", "cut.dtk.io"]) == "cut.dtk.io"


NAMES = st.lists(st.sampled_from("ab"), min_size=1, max_size=4).map(lambda labels: ".".join([*labels, "d"]))
ONE = st.builds(
    lambda owner, kind: Record(owner, kind, "10.0.0.1" if kind == "A" else "ns.example"),
    NAMES,
    st.sampled_from(["A", "NS", "PTR"]),
)
STATES = st.tuples(
    st.lists(st.sampled_from(["d", "a.d", "b.a.d", "a.b.d"]), max_size=3, unique=True),
    st.lists(ONE, max_size=6, unique=True),
)


@given(st.lists(STATES, min_size=1, max_size=5))
def test_after_any_changes_the_zone_is_as_if_it_had_never_been_another(
    states: Sequence[tuple[list[str], list[Record]]],
) -> None:
    changing = Zone()
    before = Projection()
    for domains, records in states:
        projection = projection_of(domains, records)
        changing.update(projection, names_in(before) | names_in(projection), 1.0)
        at_once = filled(projection)
        assert changing._below == at_once._below
        assert 0 not in changing._below.values()
        assert changing._cuts == at_once._cuts
        before = projection
    changing.update(Projection(), names_in(before), 1.0)
    assert not changing._below
    assert not changing._cuts
