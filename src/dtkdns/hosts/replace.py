"""Put a new text in the place of a file that others read and edit too.

Two ways. *Rename*: a temporary file beside it, with the same mode, owner and extended attributes, fsynced,
renamed over it, then the directory fsynced, so that a reader sees the old file or the new one and a power cut
leaves one of them. *In place*, where a rename is impossible (a bind-mounted file gives EBUSY) or wrong (hard
links, an owner that cannot be kept): only the bytes that differ are written, and read back.

Everything here blocks: it runs on the hosts file's own thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from typing import TypeAlias

from attrs import define, field, frozen

Transform: TypeAlias = Callable[[bytes], bytes]
"""The new text from the text that is there. It may be called again when somebody else changes the file."""

MAX_SIZE = 32 * 1024 * 1024
"""Bytes of a hosts file; Chromium ignores a longer one."""

_TRIES = 20
_BLOCK = 4096
_RENAME_REFUSED = frozenset({errno.EBUSY, errno.EACCES, errno.EPERM, errno.EROFS, errno.EXDEV})


class HostsFileError(Exception):
    """The file could not be read or written; the message is a sentence that says why and what to do."""


class _RenameImpossibleError(Exception):
    """The message says why, to stand behind "because"."""


@frozen
class Signature:
    """A hint that a file is still the one it was; the bytes are the truth."""

    device: int
    inode: int
    size: int
    modified: int
    """Nanoseconds."""

    @classmethod
    def of(cls, status: os.stat_result) -> Signature:
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@frozen
class Edited:
    """What became of an edit."""

    text: bytes = field(repr=False)
    changed: bool
    way: str
    """`rename`, or `in place` with the reason in brackets; empty when nothing was written."""
    signature: Signature | None


@define
class HostsFile:
    """The file at `path`; symbolic links are followed and the file they lead to is replaced."""

    path: str
    _unsynced: str = field(default="", init=False)

    @property
    def target(self) -> str:
        """The file itself, behind all symbolic links."""
        return os.path.realpath(self.path)

    def signature(self) -> Signature | None:
        """Of the file as it is now; None when there is none."""
        try:
            return Signature.of(os.stat(self.path))
        except OSError:
            return None

    def edit(self, transform: Transform) -> Edited:
        """Replace the text by what `transform` makes of it; write nothing when that is the same.

        Raises `HostsFileError`.
        """
        target = self.target
        with _said(target):
            for _ in range(_TRIES):
                text, status = _read(target)
                new = transform(text)
                if new == text:
                    self._sync()
                    return Edited(text, False, "", Signature.of(status) if status else None)
                if len(new) > MAX_SIZE:
                    raise HostsFileError(
                        f"{target} would grow to {len(new)} bytes, more than programs read: it is left as it is."
                    )
                try:
                    signature = _rename(target, new, status)
                except _RenameImpossibleError as reason:
                    way = f"in place (because {reason})"
                    signature = _overwrite(target, text, new)
                else:
                    way = "rename"
                    if signature is not None:
                        self._unsynced = os.path.dirname(target)
                        self._sync()
                if signature is not None:
                    return Edited(new, True, way, signature)
        raise HostsFileError(f"Other programs keep changing {target}: it is tried again.")

    def _sync(self) -> None:
        """Sync the directory that a rename changed, unless that is done: without it the rename may be lost."""
        if self._unsynced:
            _sync_directory(self._unsynced)
            self._unsynced = ""

    def remove_leftovers(self) -> list[str]:
        """Remove temporary files that a crash left beside the file, and name them."""
        directory, name = os.path.split(self.target)
        pattern = re.compile(re.escape(_temporary_name(name, "")) + "[0-9a-f]{8}")
        removed = []
        with contextlib.suppress(OSError):
            for found in sorted(os.listdir(directory)):
                path = os.path.join(directory, found)
                if pattern.fullmatch(found) and stat.S_ISREG(os.lstat(path).st_mode):
                    os.unlink(path)
                    removed.append(path)
        return removed


def why_no_right(path: str) -> str | None:
    """A sentence if this process may not write the file, whatever happens later; None if it may."""
    target = os.path.realpath(path)
    directory = os.path.dirname(target)
    if not os.path.isdir(directory):
        return f"There is no directory {directory} for the hosts file {path}: give another --hosts-file."
    if os.path.exists(target) and not os.path.isfile(target):
        return f"{path} is not a regular file: give another --hosts-file."
    if os.access(directory, os.W_OK | os.X_OK):
        return None
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK))
    except OSError as error:
        if error.errno in {errno.EACCES, errno.EPERM, errno.ENOENT}:
            return f"No right to write {path}: start dtkdns with sudo, or give a --hosts-file of your own."
    return None


def read_text(target: str) -> bytes:
    """The text of a file; an absent one is empty. Raises `HostsFileError`."""
    with _said(target):
        return _read(target)[0]


@contextlib.contextmanager
def _said(target: str) -> Iterator[None]:
    """What the kernel refuses, in a sentence that says what to do."""
    try:
        yield
    except OSError as error:
        advice = {
            errno.EROFS: "its file system is read-only: make it writable again (mount -o remount,rw)",
            errno.ENOSPC: "the disk is full: make room",
            errno.EDQUOT: "the disk quota is used up: make room",
            errno.EACCES: "there is no right to do so: start dtkdns with sudo",
            errno.EPERM: "the kernel forbids it: is the file immutable (lsattr, chattr -i)?",
            errno.ENOENT: "its directory is gone: put it back",
        }.get(error.errno or 0, f"{error.strerror}: dtkdns tries again")
        raise HostsFileError(f"{target} cannot be written, {advice}.") from error


def _read(target: str) -> tuple[bytes, os.stat_result | None]:
    """The text and status of the file; an absent one is empty and has no status."""
    try:
        handle = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return b"", None
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        raise HostsFileError(f"{target} is not a regular file: give another --hosts-file.")
    with open(handle, "rb", buffering=0) as file:
        if status.st_size > MAX_SIZE:
            raise HostsFileError(f"{target} has more than {MAX_SIZE} bytes: it is left as it is.")
        return file.readall(), status


def _rename(target: str, new: bytes, status: os.stat_result | None) -> Signature | None:
    """Replace the file by rename; None if somebody else changed it meanwhile.

    Raises `_RenameImpossibleError` with the file untouched.
    """
    if status is not None and status.st_nlink > 1:
        raise _RenameImpossibleError(f"the file has {status.st_nlink} hard links")
    directory, name = os.path.split(target)
    temporary = os.path.join(directory, _temporary_name(name, secrets.token_hex(4)))
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in _RENAME_REFUSED:
            raise _RenameImpossibleError(f"its directory refuses new files: {error.strerror}") from error
        raise
    try:
        with open(handle, "wb", buffering=0):
            _write_all(handle, new, 0)
            _keep_attributes(target, handle, status)
            os.fsync(handle)
            made = Signature.of(os.fstat(handle))
        if not _unchanged(target, status):
            return None
        try:
            os.rename(temporary, target)
        except OSError as error:
            if error.errno in _RENAME_REFUSED:
                raise _RenameImpossibleError(f"a rename is refused: {error.strerror}") from error
            raise
        return made
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _temporary_name(name: str, tag: str) -> str:
    return f".{name}.dtkdns-{tag}"


def _keep_attributes(target: str, handle: int, status: os.stat_result | None) -> None:
    """Give the new file the owner, mode and extended attributes (ACLs and SELinux labels are such) of the old."""
    if status is None:
        os.fchmod(handle, 0o644)
        return
    try:
        made = os.fstat(handle)
        if (made.st_uid, made.st_gid) != (status.st_uid, status.st_gid):
            os.fchown(handle, status.st_uid, status.st_gid)
        os.fchmod(handle, stat.S_IMODE(status.st_mode))
        for attribute in os.listxattr(target):
            os.setxattr(handle, attribute, os.getxattr(target, attribute))
    except OSError as error:
        if error.errno == errno.ENOENT:
            return  # it is gone: `_unchanged` says so
        if error.errno == errno.ENOTSUP:
            return  # a file system without extended attributes has none to lose
        if error.errno in {errno.EPERM, errno.EACCES}:
            raise _RenameImpossibleError(f"its owner or attributes cannot be kept: {error.strerror}") from error
        raise


def _unchanged(target: str, status: os.stat_result | None) -> bool:
    try:
        now = os.stat(target, follow_symlinks=False)
    except FileNotFoundError:
        return status is None
    return (
        status is not None
        and Signature.of(now) == Signature.of(status)
        and now.st_ctime_ns == status.st_ctime_ns  # its mode, owner and attributes too
    )


def _overwrite(target: str, old: bytes, new: bytes) -> Signature | None:
    """Write the bytes that differ in place and read all back; None if somebody else changed it meanwhile."""
    start = _first_difference(old, new)
    handle = os.open(target, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_CREAT, 0o644)
    with open(handle, "r+b", buffering=0):
        if os.pread(handle, len(old) + 1, 0) != old:
            return None
        try:
            _write_all(handle, new[start:], start)
            os.ftruncate(handle, len(new))
            os.fsync(handle)
        except OSError:
            with contextlib.suppress(OSError):  # what stands behind `start` is given back as it was
                _write_all(handle, old[start:], start)
                os.ftruncate(handle, len(old))
                os.fsync(handle)
            raise
        if os.pread(handle, len(new) + 1, 0) != new:
            return None
        return Signature.of(os.fstat(handle))


def _first_difference(old: bytes, new: bytes) -> int:
    """The offset of the first block in which they differ."""
    start = 0
    while start < min(len(old), len(new)) and old[start : start + _BLOCK] == new[start : start + _BLOCK]:
        start += _BLOCK
    return min(start, len(old), len(new))


def _write_all(handle: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(handle, view, offset)
        view, offset = view[written:], offset + written


def _sync_directory(directory: str) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
