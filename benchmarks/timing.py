"""How long something takes, in turn with something else."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

FEWEST, MOST = 7, 25
"""Rounds of a measure in one run."""


def timed(work: Callable[[], object]) -> float:
    """Milliseconds."""
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def rounds(size: int) -> int:
    """How often something is repeated: less often where it takes longer."""
    return max(FEWEST, min(MOST, 200_000 // size))


def in_turn(times: int, *works: Callable[[], object]) -> list[float]:
    """Milliseconds that each work takes in the middle of the rounds, in each of which every one has its turn."""
    taken: list[list[float]] = [[] for _work in works]
    for _ in range(times):
        for work, own in zip(works, taken, strict=True):
            own.append(timed(work))
    return [median(own) for own in taken]
