"""Long work in slices, between which the reactor gets to everything else.

Such work is a generator that yields wherever it can be interrupted, and returns what it comes to.
"""

from __future__ import annotations

from collections.abc import Generator
from time import perf_counter
from typing import TypeAlias, TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

T = TypeVar("T")

Steps: TypeAlias = Generator[None, None, T]

SLICE = 0.005
"""Seconds after which work gives way."""
STRIDE = 100
"""Names or records between two places where it can."""


def at_once(steps: Steps[T]) -> T:
    """What the work comes to, done in one go."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: T = done.value
            return result


async def in_slices(steps: Steps[T], clock: IReactorTime) -> T:
    """What the work comes to, done in slices. Little work is done in one."""
    began = perf_counter()
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: T = done.value
            return result
        if perf_counter() - began > SLICE:
            await give_way(clock)
            began = perf_counter()


async def give_way(clock: IReactorTime) -> None:
    """Let the reactor get to everything else."""
    await deferLater(clock, 0)
