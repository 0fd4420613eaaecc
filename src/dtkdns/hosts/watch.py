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
        self._notifiers: dict[str, INotify] = {}

    def start(self) -> None:
        """Watch from now on; must be called in the process that stays (after a fork)."""
        self._poll.start(POLL_SECONDS, now=False)
        if inotify is None:
            self._log.info(
                "No inotify here: changes by others are noticed within {seconds} s.", seconds=POLL_SECONDS
            )
            return
        self._listen()

    def _listen(self) -> None:
        """Watch the directory and the file, each with a notifier of its own.

        Twisted's ends when something it watches is deleted, and the file is, at every rename over it. Where the
        kernel has no room for more watches (inotify(7), `max_user_watches`), the poll has to do.
        """
        target = self._file.target
        name = os.path.basename(target).encode()
        mask = (
            inotify.IN_CLOSE_WRITE
            | inotify.IN_MOVED_TO
            | inotify.IN_MOVED_FROM
            | inotify.IN_DELETE
            | inotify.IN_ATTRIB
            | inotify.IN_MODIFY
        )

        def happened(_ignored: object, path: FilePath[bytes], _mask: int) -> None:
            if path.basename() == name:
                self._soon()

        for watched in (os.path.dirname(target), target):
            current = self._notifiers.get(watched)
            if current is not None and current in self._listening():
                current.startReading()
                continue
            if not os.path.exists(watched):
                continue
            try:
                notifier = inotify.INotify()
            except inotify.INotifyError:
                continue
            try:
                notifier.watch(FilePath(watched.encode()), mask=mask, callbacks=[happened])
            except inotify.INotifyError:
                notifier.loseConnection()
                continue
            notifier.startReading()
            self._notifiers[watched] = notifier

    def stop(self) -> None:
        """Watch no longer."""
        if self._poll.running:
            self._poll.stop()
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        while self._notifiers:
            self._notifiers.popitem()[1].loseConnection()

    def _soon(self) -> None:
        """Look at the file in a moment; what happens until then is read in one piece."""
        if self._settling is None:
            self._settling = self._clock.callLater(SETTLE_SECONDS, self._settled)
            for notifier in self._listening():
                notifier.stopReading()

    def _settled(self) -> None:
        for notifier in self._listening():
            notifier.doRead()
        self._settling = None
        self._listen()
        self._changed()

    def _listening(self) -> list[INotify]:
        """The notifiers that still are: the descriptors of others may be somebody else's by now."""
        return [one for one in self._notifiers.values() if one.connected and not one.disconnecting]
