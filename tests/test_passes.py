"""When each external-dns last came is remembered, and not for more of them than there can be."""

from __future__ import annotations

from dtkdns.passes import MOST_REMEMBERED, Passes


def test_an_external_dns_is_told_by_cluster_and_peer() -> None:
    passes = Passes()
    for cluster, peer in (("a", "10.0.0.1"), ("b", "10.0.0.1"), ("a", "10.0.0.2")):
        passes.note_pass(cluster, peer, 1.0)
    assert list(passes) == [
        ("a", "10.0.0.1", 1.0, None),
        ("b", "10.0.0.1", 1.0, None),
        ("a", "10.0.0.2", 1.0, None),
    ]


def test_a_pass_and_a_change_are_noted_each_by_itself() -> None:
    passes = Passes()
    passes.note_pass("a", "10.0.0.1", 1.0)
    passes.note_change("a", "10.0.0.1", 2.0)
    assert list(passes) == [("a", "10.0.0.1", 1.0, 2.0)]
    passes.note_pass("a", "10.0.0.1", 3.0)
    assert list(passes) == [("a", "10.0.0.1", 3.0, 2.0)]
    passes.note_change("b", "10.0.0.1", 4.0)
    assert len(list(passes)) == 1


def test_the_one_that_was_silent_longest_comes_first_and_goes_first() -> None:
    passes = Passes()
    for number in range(MOST_REMEMBERED):
        passes.note_pass("a", f"peer {number}", float(number))
    passes.note_change("a", "peer 0", 1000.0)
    passes.note_pass("a", "one more", 1001.0)
    peers = [peer for _, peer, _, _ in passes]
    assert len(peers) == MOST_REMEMBERED
    assert peers[0] == "peer 2"
    assert peers[-2:] == ["peer 0", "one more"]
