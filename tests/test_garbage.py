"""The search for cyclic garbage rests while records are made, and goes on afterwards whatever happened."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from dtkdns.garbage import uncollected


@pytest.fixture(autouse=True)
def unfrozen() -> Iterator[None]:
    """What is frozen here is searched again by the tests that follow."""
    gc.enable()
    gc.unfreeze()
    yield
    gc.enable()
    gc.unfreeze()


def test_nothing_is_searched_meanwhile_and_what_is_there_at_the_end_never_again() -> None:
    with uncollected():
        assert not gc.isenabled()
        made = [[number] for number in range(1000)]
        assert gc.get_freeze_count() == 0
    assert gc.isenabled()
    assert gc.get_freeze_count() >= len(made)


def test_the_search_goes_on_when_the_last_of_several_has_ended_in_whatever_order() -> None:
    first, second = uncollected(), uncollected()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not gc.isenabled()
    assert gc.get_freeze_count() == 0
    second.__exit__(None, None, None)
    assert gc.isenabled()


def test_the_search_goes_on_after_an_error() -> None:
    with pytest.raises(ValueError, match="bad"), uncollected():
        raise ValueError("bad")
    assert gc.isenabled()
    with uncollected():
        assert not gc.isenabled()
    assert gc.isenabled()
