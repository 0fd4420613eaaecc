"""Notice that others changed the hosts file.

inotify(7) on the file alone goes deaf at the first rename, so its directory is watched, and the file beside it
(a bind-mounted file changes without its directory). A slow poll covers what inotify cannot see: network file
systems, symbolic links put elsewhere, queues that overflowed, systems without inotify.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet import task
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.filepath import FilePath

from dtkdns.hosts.replace import HostsFile

if TYPE_CHECKING:
    from twisted.internet.inotify import INotify

try:
    from twisted.internet import inotify
except ImportError:  # pragma: no cover (another system than Linux)
    inotify = None  # type: ignore[assignment]

POLL_SECONDS = 5.0
SETTLE_SECONDS = 0.05
"""What is left to an editor to finish before the file is looked at."""


class HostsWatch:
    """Calls `changed` after events in the file's directory and at every poll, once for a burst of them."""

    _log = Logger()

    def __init__(self, file: HostsFile, changed: Callable[[], None], clock: IReactorTime) -> None:
        self._file = file
        self._changed = changed
        self._clock = clock
        self._poll = task.LoopingCall(changed)
        self._poll.clock = clock
        self._settling: IDelayedCall | None = None
        self._notifier: INotify | None = None

    def start(self) -> None:
        """Watch from now on; must be called in the process that stays (after a fork)."""
        self._poll.start(POLL_SECONDS, now=False)
        if inotify is None:
            self._log.info(
                "No inotify here: changes by others are noticed within {seconds} s.", seconds=POLL_SECONDS
            )
            return
        target = self._file.target
        mask = (
            inotify.IN_CLOSE_WRITE
            | inotify.IN_MOVED_TO
            | inotify.IN_MOVED_FROM
            | inotify.IN_DELETE
            | inotify.IN_ATTRIB
            | inotify.IN_MODIFY
        )
        name = os.path.basename(target).encode()

        def happened(_ignored: object, path: FilePath[bytes], _mask: int) -> None:
            if path.basename() == name:
                self._soon()

        notifier = inotify.INotify()
        notifier.startReading()
        self._notifier = notifier
        for watched in (os.path.dirname(target), target):
            if os.path.exists(watched):
                notifier.watch(FilePath(watched.encode()), mask=mask, callbacks=[happened])

    def stop(self) -> None:
        """Watch no longer."""
        if self._poll.running:
            self._poll.stop()
        if self._settling is not None and self._settling.active():
            self._settling.cancel()
        if self._notifier is not None:
            self._notifier.loseConnection()
            self._notifier = None

    def _soon(self) -> None:
        if self._settling is None or not self._settling.active():
            self._settling = self._clock.callLater(SETTLE_SECONDS, self._changed)
