"""When each external-dns last came is remembered, and not for more of them than there can be."""

from __future__ import annotations

import pytest

from dtkdns.passes import GAPS, MOST_REMEMBERED, SAME_PASS_SECONDS, Passes, Seen


def test_an_external_dns_is_told_by_cluster_and_peer() -> None:
    passes = Passes()
    for cluster, peer in (("a", "10.0.0.1"), ("b", "10.0.0.1"), ("a", "10.0.0.2")):
        passes.note_pass(cluster, peer, 1.0)
    assert list(passes) == [Seen("a", "10.0.0.1", 1.0), Seen("b", "10.0.0.1", 1.0), Seen("a", "10.0.0.2", 1.0)]


def test_a_pass_and_a_change_are_noted_each_by_itself() -> None:
    passes = Passes()
    passes.note_pass("a", "10.0.0.1", 1.0)
    passes.note_change("a", "10.0.0.1", 2.0)
    assert list(passes) == [Seen("a", "10.0.0.1", 1.0, 2.0)]
    passes.note_pass("a", "10.0.0.1", 3.0)
    assert list(passes) == [Seen("a", "10.0.0.1", 3.0, 2.0, (2.0,))]
    passes.note_change("b", "10.0.0.1", 4.0)
    assert len(list(passes)) == 1


def test_the_one_that_was_silent_longest_comes_first_and_goes_first() -> None:
    passes = Passes()
    for number in range(MOST_REMEMBERED):
        passes.note_pass("a", f"peer {number}", float(number))
    passes.note_change("a", "peer 0", 1000.0)
    passes.note_pass("a", "one more", 1001.0)
    peers = [one.peer for one in passes]
    assert len(peers) == MOST_REMEMBERED
    assert peers[0] == "peer 2"
    assert peers[-2:] == ["peer 0", "one more"]


def interval(*times: float) -> float | None:
    """Of an external-dns that called at these times."""
    passes = Passes()
    for time in times:
        passes.note_pass("a", "10.0.0.1", time)
    (seen,) = passes
    return seen.interval


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ((0.0,), None),
        ((0.0, 60.0), 60.0),
        ((0.0, 60.0, 65.0), 60.0),
        (tuple(map(float, range(20))), 1.0),
    ],
)
def test_the_interval_is_known_from_the_second_pass_on(times: tuple[float, ...], expected: float | None) -> None:
    assert interval(*times) == expected


def test_several_calls_of_one_pass_do_not_make_the_interval_short() -> None:
    assert interval(0.0, 0.1, 0.2) is None
    assert interval(*(pass_ + call / 10 for pass_ in (0.0, 60.0, 120.0, 180.0) for call in range(4))) == 60.0


def test_passes_that_follow_changes_at_once_do_not_make_the_interval_short() -> None:
    assert interval(0.0, 60.0, 120.0, *(125.0 + 5 * number for number in range(GAPS - 3)), 245.0) == 60.0


def test_one_outage_does_not_make_the_interval_long_and_is_forgotten() -> None:
    assert interval(0.0, 1.0, 2.0, 3602.0, 3603.0, 3604.0) == 1.0
    assert interval(0.0, 3600.0, 7200.0, *(7201.0 + number for number in range(GAPS))) == 1.0


def test_calls_that_never_end_are_passes_too() -> None:
    assert interval(*(number * SAME_PASS_SECONDS / 4 for number in range(20))) == SAME_PASS_SECONDS


def test_a_clock_that_was_set_back_is_no_gap() -> None:
    assert interval(1000.0, 1060.0, 500.0, 560.0) == 60.0
