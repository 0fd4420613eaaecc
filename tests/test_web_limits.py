"""How many connections there may be, and how many large bodies at once."""

from __future__ import annotations

import resource

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from dtkdns.web.limits import (
    DESCRIPTORS_KEPT,
    MOST_CONNECTIONS,
    MOST_OF_A_PEER,
    MOST_OF_STRANGERS,
    WAIT_SECONDS,
    BusyError,
    Connections,
    LargeBodies,
)


def let_have(monkeypatch: pytest.MonkeyPatch, descriptors: int) -> None:
    """Let the process open so many descriptors."""
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (descriptors, descriptors))


def filled(*, stranger: bool) -> int:
    """How many connections there is room for, each of another peer."""
    connections = Connections()
    while connections.take(f"peer {len(connections)}", stranger=stranger):
        pass
    return len(connections)


# Connections


@pytest.mark.parametrize(
    ("descriptors", "room"),
    [
        (resource.RLIM_INFINITY, MOST_CONNECTIONS),
        (65536, MOST_CONNECTIONS),
        (MOST_CONNECTIONS + DESCRIPTORS_KEPT, MOST_CONNECTIONS),
        (100, 100 - DESCRIPTORS_KEPT),
        (DESCRIPTORS_KEPT, 0),
        (10, 0),
    ],
)
def test_connections_are_bounded_and_leave_descriptors_for_dtkdns_itself(
    monkeypatch: pytest.MonkeyPatch, descriptors: int, room: int
) -> None:
    let_have(monkeypatch, descriptors)
    assert filled(stranger=False) == room
    assert filled(stranger=True) == min(room, MOST_OF_STRANGERS)


def test_a_peer_has_its_share_and_the_others_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    let_have(monkeypatch, resource.RLIM_INFINITY)
    connections = Connections()
    for peer in ("10.0.0.1", "10.0.0.2"):
        taken = [connections.take(peer, stranger=False) for _ in range(MOST_OF_A_PEER + 1)]
        assert taken == [True] * MOST_OF_A_PEER + [False]
    connections.release("10.0.0.1", stranger=False)
    assert not connections.take("10.0.0.2", stranger=False)
    assert connections.take("10.0.0.1", stranger=False)
    assert len(connections) == 2 * MOST_OF_A_PEER


def test_strangers_never_take_the_last_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    let_have(monkeypatch, resource.RLIM_INFINITY)
    connections = Connections()
    while connections.take(f"stranger {len(connections)}", stranger=True):
        pass
    assert connections.take("10.0.0.1", stranger=False)
    connections.release("10.0.0.1", stranger=False)
    assert not connections.take("another", stranger=True)
    connections.release("stranger 0", stranger=True)
    assert connections.take("another", stranger=True)


def test_what_is_refused_is_not_counted_and_what_is_released_leaves_nothing() -> None:
    connections = Connections()
    for _ in range(3):
        for _ in range(MOST_OF_A_PEER):
            assert connections.take("10.0.0.1", stranger=True)
        assert not connections.take("10.0.0.1", stranger=True)
        for _ in range(MOST_OF_A_PEER):
            connections.release("10.0.0.1", stranger=True)
        assert connections == Connections()
    assert not connections._peers


# Large bodies


class Bodies:
    """Large bodies of peers, by name, on a clock that stands still."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.large = LargeBodies(self.clock)
        self.log: list[str] = []

    def take(self, peer: str) -> Deferred[None]:
        taken = Deferred.fromCoroutine(self.large.take(peer))
        taken.addCallbacks(
            lambda _none: self.log.append(peer),
            lambda failure: failure.trap(BusyError, CancelledError) and self.log.append(f"not {peer}"),
        )
        return taken

    def at_rest(self) -> bool:
        """Whether nothing is left of anybody."""
        return self.large == LargeBodies(self.clock) and not self.clock.getDelayedCalls()


@pytest.fixture
def bodies() -> Bodies:
    return Bodies()


def test_two_large_bodies_are_taken_at_once_and_one_of_a_peer(bodies: Bodies) -> None:
    for peer in ("a", "a", "b", "c"):
        bodies.take(peer)
    assert bodies.log == ["a", "b"]
    for peer in ("a", "b", "a", "c"):
        bodies.large.release(peer)
    assert bodies.at_rest()


def test_who_waited_first_comes_next_unless_another_of_its_peer_is_worked_on(bodies: Bodies) -> None:
    for peer in ("a", "b", "b", "c", "d", "a"):
        bodies.take(peer)
    assert bodies.log == ["a", "b"]
    bodies.large.release("a")
    assert bodies.log == ["a", "b", "c"]
    bodies.large.release("b")
    assert bodies.log == ["a", "b", "c", "b"]
    bodies.large.release("c")
    bodies.large.release("b")
    assert bodies.log == ["a", "b", "c", "b", "d", "a"]
    for peer in ("d", "a"):
        bodies.large.release(peer)
    assert bodies.at_rest()


def test_nobody_waits_longer_than_is_said_and_the_next_one_is_not_harmed(bodies: Bodies) -> None:
    for peer in ("a", "b", "c"):
        bodies.take(peer)
    bodies.clock.advance(WAIT_SECONDS / 2)
    bodies.take("d")
    bodies.clock.advance(WAIT_SECONDS / 2)
    assert bodies.log == ["a", "b", "not c"]
    bodies.large.release("a")
    assert bodies.log == ["a", "b", "not c", "d"]
    bodies.clock.advance(WAIT_SECONDS)
    for peer in ("b", "d"):
        bodies.large.release(peer)
    assert bodies.at_rest()
    assert bodies.log == ["a", "b", "not c", "d"]


def test_who_goes_away_while_it_waits_leaves_nothing_and_takes_no_turn(bodies: Bodies) -> None:
    for peer in ("a", "b"):
        bodies.take(peer)
    leaving, staying = bodies.take("c"), bodies.take("d")
    leaving.cancel()
    bodies.large.release("a")
    assert staying.called
    assert bodies.log == ["a", "b", "not c", "d"]
    for peer in ("b", "d"):
        bodies.large.release(peer)
    assert bodies.at_rest()


def test_the_sentence_for_one_that_finds_no_room_says_what_to_do(bodies: Bodies) -> None:
    for _ in range(2):
        waiting = Deferred.fromCoroutine(bodies.large.take("a"))
    said: list[str] = []
    waiting.addErrback(lambda failure: said.append(str(failure.value)))
    bodies.clock.advance(WAIT_SECONDS)
    assert said == ["Other large bodies are being worked on: try again."]
