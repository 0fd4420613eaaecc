"""A thread of one's own for work that blocks, so that the reactor never waits for a disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

P = ParamSpec("P")
T = TypeVar("T")


class Worker:
    """Runs one call after the other, in the order in which they were asked for."""

    def __init__(self, reactor: IReactorFromThreads, name: str) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(minthreads=1, maxthreads=1, name=name)

    def start(self) -> None:
        """Start the thread; must be called in the process that stays (after a fork)."""
        self._pool.start()

    def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """What `work` returns or raises, once its turn has come."""
        return deferToThreadPool(self._reactor, self._pool, work, *args, **kwargs)

    def stop(self) -> None:
        """Wait for the calls that were asked for, and end the thread."""
        self._pool.stop()
