"""A thread of one's own for work that blocks, so that the reactor never waits for a disk."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Any, ParamSpec, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

P = ParamSpec("P")
T = TypeVar("T")


class _DaemonThread(Thread):
    """A thread that does not keep the process from ending while it hangs on a disk."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how, daemon=True)


class Worker:
    """Runs one call after the other, in the order in which they were asked for."""

    def __init__(self, reactor: IReactorFromThreads, name: str) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(minthreads=1, maxthreads=1, name=name)
        self._pool.threadFactory = _DaemonThread  # type: ignore[assignment]

    def start(self) -> None:
        """Start the thread; must be called in the process that stays (after a fork)."""
        self._pool.start()

    def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """What `work` returns or raises, once its turn has come."""
        return deferToThreadPool(self._reactor, self._pool, work, *args, **kwargs)

    def stop(self) -> None:
        """Wait for the calls that were asked for, and end the thread."""
        self._pool.stop()
