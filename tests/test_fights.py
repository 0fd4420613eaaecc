"""Two external-dns that undo each other's records are noticed, and nothing else is taken for that."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from dtkdns.endpoint import Key
from dtkdns.fights import TURNS, WINDOW, Fights

A: Key = ("a.dtk.io", "A", "")
B: Key = ("b.dtk.io", "A", "")


def turn(fights: Fights, keys: Iterable[Key], now: float) -> list[Key]:
    """Delete keys and create them again; what is told."""
    keys = list(keys)
    assert fights.note([], keys, now) == []
    return fights.note(keys, [], now)


def test_three_deletions_each_followed_by_a_creation_in_ten_minutes_are_a_fight() -> None:
    assert (TURNS, WINDOW) == (3, 600)
    fights = Fights()
    assert fights.note([A, B], [], 0.0) == []
    assert turn(fights, [A], 100.0) == []
    assert turn(fights, [A], 200.0) == []
    assert turn(fights, [A], 700.0) == [A]


def test_turns_that_take_longer_are_none() -> None:
    fights = Fights()
    for number in range(20):
        assert turn(fights, [A], number * 301.0) == []


def test_a_fight_is_told_once_in_ten_minutes_and_again_when_it_goes_on() -> None:
    fights = Fights()
    told = [now for now in range(0, 1800, 60) if turn(fights, [A], float(now))]
    assert told == [120, 780, 1440]


def test_keys_are_told_apart() -> None:
    fights = Fights()
    other_type, other_set = ("a.dtk.io", "TXT", ""), ("a.dtk.io", "A", "eu")
    for key in (A, B, other_type, other_set):
        assert turn(fights, [key], 0.0) == []
        assert turn(fights, [key], 1.0) == []
    assert turn(fights, [B, A], 2.0) == [B, A]


@pytest.mark.parametrize("deletions", [1, 2])
def test_a_name_that_is_only_updated_is_not_fought_over(deletions: int) -> None:
    fights = Fights()
    for now in range(deletions):
        turn(fights, [A], float(now))
    assert all(fights.note([A], [], 10.0 + now) == [] for now in range(20))


def test_a_name_that_is_deleted_for_good_is_not_fought_over() -> None:
    fights = Fights()
    for now in range(3):
        turn(fights, [B], float(now))
    assert fights.note([], [A], 3.0) == []
    assert fights.note([], [B], 4.0) == []


def test_what_is_long_past_is_forgotten() -> None:
    fights = Fights()
    for now in range(3):
        turn(fights, [A, B], float(now))
    fights.note([], [], 2.0 + WINDOW + 1)
    assert not fights._deleted
    assert not fights._told


def test_a_fight_goes_on_for_ten_minutes_after_it_was_told() -> None:
    fights = Fights()
    assert fights.going_on(0.0) == []
    for now in (0.0, 1.0):
        turn(fights, [A, B], now)
    assert fights.going_on(1.0) == []
    turn(fights, [B], 2.0)
    assert fights.going_on(2.0) == [B]
    turn(fights, [A], 3.0)
    assert fights.going_on(2.0 + WINDOW) == [B, A]
    assert fights.going_on(2.5 + WINDOW) == [A]
    assert fights.going_on(3.5 + WINDOW) == []
