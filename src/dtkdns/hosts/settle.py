"""Read a file at a moment in which nobody is writing it.

The largest loss is not a race but a half-written file of another program that is read, and written back. A read
lease (fcntl(2)) is refused while anyone has the file open for writing, and makes them wait while it is held.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from dtkdns.hosts.faults import HostsFileError
from dtkdns.hosts.kernel import Kernel, Lease
from dtkdns.hosts.versions import Version

MAX_SIZE = 32 * 1024 * 1024
"""Bytes of a hosts file; Chromium ignores a longer one."""
SETTLE_SECONDS = 2.0
"""How long to wait for those who have the file open for writing."""
APART_SECONDS = 0.1
"""Where there are no leases, the bytes must be the same this long apart."""

_FIRST_PAUSE = 0.0005
_LONGEST_PAUSE = 0.02


def read_settled(
    kernel: Kernel, path: str, usual: int = 0, likely: bytes = b"", *, torn: bool = False
) -> tuple[Version, bool]:
    """The file's version, once nobody has it open for writing; and whether leases work.

    Where somebody keeps it open for longer than `SETTLE_SECONDS`, it has to read the same twice; after twice that
    time it is taken as it is.

    A file that is gone, or less than half of its `usual` size (bytes), may be about to be written: it has to stay
    so for a moment. An absent one has an empty text. A text that is the `likely` one is that very object, so that
    to compare them takes no time. NUL bytes are let through where the file may be `torn` by a power cut.

    Raises `HostsFileError` for what is no text of a hosts file, and `OSError`.
    """
    until = kernel.now() + SETTLE_SECONDS
    leases = True
    before: Version | None = None
    pause = _FIRST_PAUSE
    while True:
        late = kernel.now() >= until
        over = kernel.now() >= until + SETTLE_SECONDS
        found = _read(kernel, path, likely, wait=not late, torn=torn)
        if found is not None:
            version, lease = found
            leases = leases and lease is not Lease.NONE
            doubtful = version.status is None or len(version.text) < usual // 2 or lease is not Lease.HELD
            if over or not doubtful or (before is not None and _alike(before, version)):
                return version, leases
            before, pause = version, APART_SECONDS
        kernel.pause(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _alike(one: Version, other: Version) -> bool:
    return one.text == other.text and (one.status is None) == (other.status is None)


def _read(kernel: Kernel, path: str, likely: bytes, *, wait: bool, torn: bool) -> tuple[Version, Lease] | None:
    """The version that is there now; None when somebody is writing it and that is to be waited for."""
    try:
        handle = kernel.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return Version(b"", None), Lease.HELD
    except OSError as error:
        if error.errno == errno.EAGAIN and wait:  # somebody else has a lease on it
            return None
        raise
    try:
        lease = kernel.lease(handle, fcntl.F_RDLCK)
        if lease is Lease.BUSY and wait:
            return None
        status = kernel.status(handle)
        if not stat.S_ISREG(status.st_mode):
            raise HostsFileError(f"{path} is not a regular file: give another --hosts-file.")
        text = kernel.read_all(handle, MAX_SIZE, likely)
        if len(text) > MAX_SIZE:
            raise HostsFileError(f"{path} has more than {MAX_SIZE} bytes: it is left as it is.")
        if text is not likely and b"\0" in text and not torn:
            raise HostsFileError(
                f"{path} holds NUL bytes, behind which programs read nothing: it is left as it is. Remove them:"
                f" tr -d '\\000' < {path} > hosts.new, look at it, and put it in the place of {path}."
            )
        return Version(text, status), lease
    finally:
        kernel.close(handle)
