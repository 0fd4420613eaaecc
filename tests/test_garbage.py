"""The search for cyclic garbage rests while records are made, and goes on afterwards whatever happened."""

from __future__ import annotations

import ctypes
import gc
import resource
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from dtkdns import garbage
from dtkdns.garbage import WITHOUT_SEARCH, return_memory, uncollected


class Cycle:
    itself: Cycle


@pytest.fixture(autouse=True)
def enabled() -> Iterator[None]:
    """Whatever fails here, the tests that follow have a collector."""
    yield
    gc.enable()


@pytest.mark.parametrize("staying", [True, False])
def test_nothing_is_searched_meanwhile_and_what_stays_is_not_searched_afterwards(staying: bool) -> None:
    with uncollected(staying=staying):
        assert not gc.isenabled()
        made = [[number] for number in range(1000)]
    assert gc.isenabled()
    searched = {id(one) for one in gc.get_objects()}
    assert all((id(one) in searched) != staying for one in made)


def test_nothing_is_out_of_the_reach_of_a_search_for_ever() -> None:
    with uncollected(staying=True):
        cycle = Cycle()
        cycle.itself = cycle
    gone = weakref.ref(cycle)
    del cycle
    for _ in range(WITHOUT_SEARCH):
        with uncollected(staying=True):
            pass
    assert gone() is None


def test_the_search_goes_on_when_the_last_of_several_has_ended_in_whatever_order() -> None:
    first, second = uncollected(), uncollected()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not gc.isenabled()
    second.__exit__(None, None, None)
    assert gc.isenabled()


def test_the_search_goes_on_after_an_error() -> None:
    with pytest.raises(ValueError, match="bad"), uncollected():
        raise ValueError("bad")
    assert gc.isenabled()
    with uncollected():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_what_was_freed_goes_back_to_the_system() -> None:
    made = [bytes(1000) for _ in range(100_000)]
    kept = made[::1000]  # and so the heap does not get shorter by itself
    full = _resident()
    del made
    assert full - _resident() < 10_000_000
    return_memory()
    assert full - _resident() > 50_000_000
    assert len(kept) == 100


@pytest.mark.parametrize("error", [OSError("Dynamic loading not supported"), AttributeError("malloc_trim")])
def test_another_c_library_keeps_its_memory(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_name: None) -> None:
        raise error

    monkeypatch.setattr(ctypes, "CDLL", fails)
    monkeypatch.setattr(garbage, "_malloc_trim", garbage._find_malloc_trim())
    return_memory()
    assert garbage._malloc_trim is None


def test_what_stays_is_left_out_whoever_of_several_ends_last() -> None:
    staying, other = uncollected(staying=True), uncollected()
    staying.__enter__()
    other.__enter__()
    made = [[number] for number in range(1000)]
    staying.__exit__(None, None, None)
    other.__exit__(None, None, None)
    searched = {id(one) for one in gc.get_objects()}
    assert not any(id(one) in searched for one in made)


def test_what_stayed_is_left_out_again_after_a_search_of_all() -> None:
    with uncollected(staying=True):
        made = [[number] for number in range(1000)]
    for _ in range(WITHOUT_SEARCH):
        with uncollected(staying=True):
            pass
    with uncollected():
        pass
    searched = {id(one) for one in gc.get_objects()}
    assert not any(id(one) in searched for one in made)


def _resident() -> int:
    """Bytes of this process that are in memory (proc_pid_statm(5))."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
