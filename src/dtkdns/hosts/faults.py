"""Why a hosts file cannot be read or written, in a sentence that says what to do."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

_ADVICE = {
    errno.EROFS: "its file system is read-only: make it writable again (mount -o remount,rw)",
    errno.ENOSPC: "the disk is full: make room",
    errno.EDQUOT: "the disk quota is used up: make room",
    errno.EACCES: "there is no right to do so: start dtkdns with sudo",
    errno.EPERM: "the kernel forbids it: is the file immutable (lsattr, chattr -i)?",
    errno.ENOENT: "its directory is gone: put it back",
    errno.EAGAIN: "another program keeps it locked by a lease: it is tried again",
}


class HostsFileError(Exception):
    """The file could not be read or written; the message is a sentence that says why and what to do."""


@contextlib.contextmanager
def said(target: str) -> Iterator[None]:
    """Turn what the kernel refuses into `HostsFileError`."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, f"{error.strerror}: dtkdns tries again")
        if error.errno == errno.EROFS and target.startswith("/nix/"):
            advice = (
                'it lies in the read-only store of NixOS: set environment.etc.hosts.mode = "0644", which makes'
                " /etc/hosts a file of its own"
            )
        raise HostsFileError(f"{target} cannot be written, {advice}.") from error
