"""The state directory: where it is, and that only one dtkdns uses it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
from collections.abc import Mapping
from hashlib import sha256

from attrs import define, field

_KEPT = re.compile(
    r"records\.sqlite(\.damaged-[\w-]+)?(-wal|-shm|-journal)?|posted\.json(\.previous)?(\.damaged|\.new)?"
    r"|(hosts|import)\.journal(\.\w+)?|url(\.new)?|lock"
)
"""The names of the files in it."""


class StateError(Exception):
    """The state directory cannot be used; the message is a sentence."""


def default_path(environment: Mapping[str, str], user_id: int) -> str:
    """`/var/lib/dtkdns` for root, else `$XDG_STATE_HOME/dtkdns` (XDG Base Directory Specification)."""
    if user_id == 0:
        return "/var/lib/dtkdns"
    home = environment.get("XDG_STATE_HOME", "")
    return os.path.join(home if os.path.isabs(home) else os.path.expanduser("~/.local/state"), "dtkdns")


@define
class StateDirectory:
    path: str
    _held: int | None = field(default=None, init=False)
    """The descriptor by which this process has the directory."""

    @property
    def database(self) -> str:
        return os.path.join(self.path, "records.sqlite")

    @property
    def posted(self) -> str:
        return os.path.join(self.path, "posted.json")

    @property
    def journal(self) -> str:
        """What is about to be written in place into the hosts file."""
        return os.path.join(self.path, "hosts.journal")

    @property
    def url(self) -> str:
        """Where the service that runs is called, for the command line of every user."""
        return os.path.join(self.path, "url")

    @property
    def identity(self) -> str:
        """Eight hexadecimal digits by which a hosts file's block names the state it belongs to."""
        return sha256(os.fsencode(os.path.realpath(self.path))).hexdigest()[:8]

    def make(self) -> None:
        """Make the directory, in which others find what they know the name of and may read.

        Raises `StateError` when that can never work.

        A file system that is full or read-only may mend itself and is not an error here.
        """
        try:
            os.makedirs(self.path, mode=0o711, exist_ok=True)
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EROFS}:
                raise StateError(
                    f"{self.path} cannot be made ({error.strerror}): give another --state."
                ) from error
        else:
            if not os.access(self.path, os.W_OK | os.X_OK) and not _is_read_only(self.path):
                raise StateError(
                    f"No right to write in {self.path}: start dtkdns with sudo, or give another --state."
                )

    def take(self) -> None:
        """Make the directory and take it for this process, until `release` or its end.

        Where the file system takes no files now, that is left to a later call. Raises `StateError` when another
        dtkdns has it, and what `make` does.
        """
        self.make()
        if self._held is not None:
            return
        lock = os.path.join(self.path, "lock")
        try:
            handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENOENT}:
                return
            raise StateError(f"{self.path} cannot be locked ({error.strerror}): give another --state.") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise StateError(
                f"Another dtkdns uses {self.path}: stop it first, or give this one another --state."
            ) from error
        self._held = handle

    def tell_url(self, url: str) -> None:
        """Write down where the service is called; where that cannot be, nobody finds it by itself."""
        with contextlib.suppress(OSError):
            with open(self.url + ".new", "w", encoding="ascii") as file:
                file.write(url + "\n")
                os.fchmod(file.fileno(), 0o644)
            os.replace(self.url + ".new", self.url)

    def remove(self) -> None:
        """Remove what dtkdns keeps there, and the directory once nothing else is in it.

        Raises `OSError`, and `StateError` when a dtkdns has it.
        """
        self.take()
        try:
            for name in os.listdir(self.path):
                if _KEPT.fullmatch(name) is not None:
                    os.unlink(os.path.join(self.path, name))
        finally:
            self.release()
        with contextlib.suppress(OSError):
            os.rmdir(self.path)

    def release(self) -> None:
        """Let another process have the directory."""
        if self._held is not None:
            os.close(self._held)
            self._held = None


def _is_read_only(path: str) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
