"""The system calls that a hosts file is read and replaced by, each in one place.

A test puts its faults here: whatever else in `hosts` touches a file only looks at its status.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator
from enum import Enum

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2
_PIECE = 1024 * 1024
_UNSUPPORTED = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP})


class Lease(Enum):
    """What became of asking for a lease (fcntl(2), `F_SETLEASE`)."""

    HELD = "held"
    BUSY = "busy"
    """Somebody has the file open: for writing, or, where a write lease was asked for, at all."""
    NONE = "none"
    """There are no leases on this file system, on this system, or for this user."""


class Kernel:
    """The calls; every one of them may raise `OSError`."""

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        """A descriptor that no child inherits; never of a file behind a symbolic link."""
        return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, mode)

    def close(self, handle: int) -> None:
        os.close(handle)

    def status(self, handle: int) -> os.stat_result:
        return os.fstat(handle)

    def read(self, handle: int, size: int, offset: int) -> bytes:
        return os.pread(handle, size, offset)

    def write(self, handle: int, data: memoryview, offset: int) -> int:
        """The number of bytes that were written, which may be fewer than asked for."""
        return os.pwrite(handle, data, offset)

    def truncate(self, handle: int, size: int) -> None:
        os.ftruncate(handle, size)

    def sync(self, handle: int) -> None:
        os.fsync(handle)

    def set_owner(self, handle: int, user: int, group: int) -> None:
        os.fchown(handle, user, group)

    def set_mode(self, handle: int, mode: int) -> None:
        os.fchmod(handle, mode)

    def attributes(self, handle: int) -> dict[str, bytes]:
        """The extended attributes: ACLs and SELinux labels are such (xattr(7))."""
        return {name: os.getxattr(handle, name) for name in os.listxattr(handle)}

    def set_attribute(self, handle: int, name: str, value: bytes) -> None:
        os.setxattr(handle, name, value)

    def rename(self, old: str, new: str) -> None:
        os.rename(old, new)

    def link(self, old: str, new: str) -> None:
        os.link(old, new)

    def unlink(self, path: str) -> None:
        os.unlink(path)

    def list(self, directory: str) -> list[str]:
        return os.listdir(directory)

    def exchange(self, one: str, other: str) -> bool:
        """Let two files change names in one step (rename(2), `RENAME_EXCHANGE`); whether that is possible here."""
        return self._renameat2(one, other, _RENAME_EXCHANGE)

    def rename_to_nothing(self, old: str, new: str) -> None:
        """Rename to a name that nothing has; raises `FileExistsError` where something has it."""
        if not self._renameat2(old, new, _RENAME_NOREPLACE):
            self.link(old, new)
            self.unlink(old)

    def _renameat2(self, old: str, new: str, flags: int) -> bool:
        if _renameat2 is None:
            return False
        if _renameat2(_AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), flags) == 0:
            return True
        number = ctypes.get_errno()
        if number in _UNSUPPORTED:
            return False
        raise OSError(number, os.strerror(number), old, None, new)

    def lease(self, handle: int, kind: int) -> Lease:
        """Ask for a lease of this kind (`fcntl.F_RDLCK`, `fcntl.F_WRLCK`); it goes with `end_lease` or `close`.

        Whoever opens the file in a way that it forbids has to wait until then. The kernel tells the holder by a
        signal, SIGIO, which would end the process; SIGURG in its place is ignored unless somebody handles it.
        """
        try:
            fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(handle, fcntl.F_SETLEASE, kind)
        except BlockingIOError:
            return Lease.BUSY
        except (AttributeError, OSError):
            return Lease.NONE
        return Lease.HELD

    def end_lease(self, handle: int) -> None:
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    def now(self) -> float:
        """Seconds of a clock that is never set back."""
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)

    # What is made of them.

    @contextlib.contextmanager
    def opened(self, path: str, flags: int, mode: int = 0o600) -> Iterator[int]:
        handle = self.open(path, flags, mode)
        try:
            yield handle
        finally:
            self.close(handle)

    def read_all(self, handle: int, most: int, likely: bytes = b"") -> bytes:
        """The bytes of a file up to one more than `most`; `likely` itself where it holds just these."""
        size = self.status(handle).st_size
        if size == len(likely) and self._holds(handle, likely):
            return likely
        text = self.read(handle, min(size, most) + 1, 0)
        while len(text) <= most and (more := self.read(handle, min(most + 1 - len(text), 65536), len(text))):
            text += more
        return text

    def _holds(self, handle: int, text: bytes) -> bool:
        """Whether a file holds these bytes; no second copy of them is made."""
        at = 0
        while piece := self.read(handle, _PIECE, at):
            if not text.startswith(piece, at):
                return False
            at += len(piece)
        return at == len(text)

    def write_all(self, handle: int, data: bytes, offset: int = 0) -> None:
        view = memoryview(data)
        while view:
            written = self.write(handle, view, offset)
            view, offset = view[written:], offset + written

    def sync_directory(self, directory: str) -> None:
        with self.opened(directory, os.O_RDONLY | os.O_DIRECTORY) as handle:
            self.sync(handle)


def _find_renameat2() -> Callable[..., int] | None:
    try:
        found = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return None
    found.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    found.restype = ctypes.c_int
    return found


_renameat2 = _find_renameat2()
