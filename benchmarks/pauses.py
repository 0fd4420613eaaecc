"""How long the reactor of dtkdns, which answers everybody, is away at most while it works on large changes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field

from benchmarks import sent, ticker
from benchmarks.measures import SIZES, Found, Held, Measure
from benchmarks.server import ours

LONGEST = 30.0
"""Milliseconds."""
IDLE = "nothing done for a second"


def _pause(word: str, during: str) -> Measure:
    what = f"longest pause of the reactor during {during}"
    return Measure(f"pause-{word}", what, IDLE, held=Held.ALONE, aims=dict.fromkeys(SIZES, LONGEST))


LOAD = _pause("load", "a load")
PASS = _pause("pass", "a quiet pass")
CHANGE = _pause("change", "one change")
MOVED = _pause("moved", "the move of every name")


@define
class Times:
    """When what was done, in seconds of CLOCK_MONOTONIC."""

    spans: dict[str, tuple[float, float]] = field(factory=dict)

    @contextmanager
    def of(self, word: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self.spans[word] = begun, time.monotonic()

    def longest(self, pauses: list[tuple[float, float]]) -> Callable[[str], float]:
        """The longest pause, in milliseconds, that lies in a span at least in part."""

        def during(word: str) -> float:
            begun, ended = self.spans[word]
            return max((to - since for since, to in pauses if since < ended and to > begun), default=0.0) * 1000

        return during


def measure(size: int, directory: Path, _seconds: float) -> Iterator[Found]:
    """In a service with a ticker in its process."""
    noted, times = directory / "pauses", Times()
    prefix = (sys.executable, ticker.__file__, str(noted))
    with ours(directory / "ticking", prefix=prefix) as (server, _service):
        load, wanted = sent.created(range(size)), sent.desired(range(size))
        with times.of("idle"):
            time.sleep(1)
        with times.of("load"):
            server.call("POST", "/records", load)
        with times.of("pass"):
            server.call("GET", "/records")
            server.call("POST", "/adjustendpoints", wanted)
        with times.of("change"):
            server.call("POST", "/records", sent.updated([size // 2], sent.TARGET, "10.32.1.1"))
        with times.of("moved"):
            server.call("POST", "/clusterip", b"192.168.122.1")
    longest = times.longest(json.loads(noted.read_text()))
    for word, one in (("load", LOAD), ("pass", PASS), ("change", CHANGE), ("moved", MOVED)):
        yield Found(one, longest(word), longest("idle"))
