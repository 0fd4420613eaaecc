"""Put a new file in the place of another, and look afterwards at what was displaced.

A temporary file beside it gets the text, the owner, the mode and the extended attributes; it is fsynced and then
exchanged with the file in one step (renameat2(2), `RENAME_EXCHANGE`), and the directory is fsynced. A reader sees
the old file or the new one, and a power cut leaves one of them. A check *before* a rename always leaves a moment
in which others can write; after an exchange we hold the file that was displaced, and can wait until nobody writes
it any more and see what came into it.

The temporary file's name carries its own inode number. So after a crash its inode tells whether it is still
the new file, which nobody misses, or already the displaced one, which may hold lines of others.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator

from attrs import frozen

from dtkdns.hosts.faults import HostsFileError
from dtkdns.hosts.kernel import Kernel
from dtkdns.hosts.settle import read_settled
from dtkdns.hosts.versions import Signature, Version

_REFUSED = frozenset({errno.EBUSY, errno.EACCES, errno.EPERM, errno.EROFS, errno.EXDEV})


class RenameImpossibleError(Exception):
    """The file is untouched; the message says why, to stand behind "because"."""


@frozen
class Renamed:
    """A file that was put in the place of another."""

    status: os.stat_result
    """Of the file that is there now."""
    displaced: Version | None
    """What was there; None where it cannot be told."""
    kept: str | None
    """Where the displaced file still is, because it is not the expected one."""


@frozen
class Leftover:
    """A file of ours that a crash left beside the hosts file."""

    path: str
    displaced: bool
    """Whether it was the hosts file, and may hold lines that nobody else has."""


def put(kernel: Kernel, target: str, expected: Version, new: bytes) -> Renamed | None:
    """Replace the file; None, with nothing changed, when it is no longer the one that is expected.

    Raises `RenameImpossibleError` with the file untouched, and `OSError`, after which the displaced file may be
    left under a name of ours (`leftovers`).
    """
    if expected.status is not None and expected.status.st_nlink > 1:
        raise RenameImpossibleError(f"the file has {expected.status.st_nlink} hard links")
    handle, temporary = _create(kernel, target)
    try:
        try:
            kernel.write_all(handle, new)
            _keep_attributes(kernel, target, expected, handle)
            kernel.sync(handle)
            complete = _own_name(target, kernel.status(handle).st_ino)
            with _refusals():
                kernel.rename(temporary, complete)
            temporary = complete
            displaced = _displace(kernel, complete, target, expected)
        except (RenameImpossibleError, _StaleError):
            _remove(kernel, temporary)
            raise
        except BaseException:
            with contextlib.suppress(OSError):
                _remove(kernel, temporary)
            raise
        kernel.sync_directory(os.path.dirname(target))
        if displaced is None:
            return Renamed(kernel.status(handle), expected if expected.status is None else None, None)
        version = _look_at(kernel, displaced, target, expected.text)
        _copy_attributes(kernel, displaced, handle)  # somebody may have changed them in the last moment
        if version.text != expected.text:
            return Renamed(kernel.status(handle), version, displaced)
        kernel.unlink(displaced)
        return Renamed(kernel.status(handle), version, None)
    except _StaleError:
        return None
    finally:
        kernel.close(handle)


class _StaleError(Exception):
    """Somebody else has changed the file; nothing of ours is in its place."""


def _create(kernel: Kernel, target: str) -> tuple[int, str]:
    directory, name = os.path.split(target)
    temporary = os.path.join(directory, f".{name}.dtkdns-new-{secrets.token_hex(4)}")
    try:
        return kernel.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL), temporary
    except OSError as error:
        if error.errno in _REFUSED:
            raise RenameImpossibleError(f"its directory refuses new files: {error.strerror}") from error
        raise


def _remove(kernel: Kernel, path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        kernel.unlink(path)


def _own_name(target: str, inode: int) -> str:
    """A name beside the file that tells which inode the new file has."""
    directory, name = os.path.split(target)
    return os.path.join(directory, f".{name}.dtkdns-{inode:x}-{secrets.token_hex(4)}")


def _keep_attributes(kernel: Kernel, target: str, expected: Version, handle: int) -> None:
    """Give the new file what the file has beside its text. Raises `_StaleError`, `RenameImpossibleError`."""
    if expected.status is None:
        kernel.set_mode(handle, 0o644)
        return
    try:
        _copy_attributes(kernel, target, handle)
    except (FileNotFoundError, BlockingIOError) as error:
        raise _StaleError from error
    except PermissionError as error:
        raise RenameImpossibleError(f"its owner or attributes cannot be kept: {error.strerror}") from error


def _copy_attributes(kernel: Kernel, path: str, handle: int) -> None:
    """Copy owner, mode and extended attributes (ACLs and SELinux labels are such) of a file."""
    with kernel.opened(path, os.O_RDONLY | os.O_NONBLOCK) as source:
        old, new = kernel.status(source), kernel.status(handle)
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
            kernel.set_owner(handle, old.st_uid, old.st_gid)
        kernel.set_mode(handle, stat.S_IMODE(old.st_mode))
        try:
            has = kernel.attributes(handle)
            for name, value in kernel.attributes(source).items():
                if has.get(name) != value:
                    kernel.set_attribute(handle, name, value)
        except OSError as error:
            if error.errno != errno.ENOTSUP:  # a file system without them has none to lose
                raise


def _displace(kernel: Kernel, complete: str, target: str, expected: Version) -> str | None:
    """Put the complete file in place; where the displaced one is now. None where there was none, or it is lost.

    Raises `_StaleError`, `RenameImpossibleError` and `OSError` with nothing replaced.
    """
    try:
        with _refusals():
            if expected.status is None:
                kernel.rename_to_nothing(complete, target)
                return None
            if kernel.exchange(complete, target):
                return complete
            return _link_and_rename(kernel, complete, target, expected.status)
    except (FileExistsError, FileNotFoundError) as error:
        raise _StaleError from error


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Turn a rename that is refused into `RenameImpossibleError`."""
    try:
        yield
    except OSError as error:
        if error.errno in _REFUSED:
            raise RenameImpossibleError(f"a rename is refused: {error.strerror}") from error
        raise


def _link_and_rename(kernel: Kernel, complete: str, target: str, expected: os.stat_result) -> str | None:
    """The next best where files cannot be exchanged: a second name keeps the displaced file."""
    with kernel.opened(target, os.O_RDONLY | os.O_NONBLOCK) as handle:
        if Signature.of(kernel.status(handle)) != Signature.of(expected):
            raise _StaleError
        kept: str | None = _own_name(target, kernel.status(handle).st_ino + 1)
    try:
        kernel.link(target, str(kept))
    except OSError:
        kept = None
    try:
        kernel.rename(complete, target)
    except BaseException:
        if kept is not None:
            kernel.unlink(kept)
        raise
    return kept


def _look_at(kernel: Kernel, displaced: str, target: str, likely: bytes) -> Version:
    """What the displaced file holds, once nobody writes it any more.

    What is no text of a hosts file was put there by somebody in the last moment: it goes back to its place.
    """
    try:
        return read_settled(kernel, displaced, likely=likely)[0]
    except HostsFileError as error:
        back: Exception = error
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        back = error
    if kernel.exchange(displaced, target):
        kernel.unlink(displaced)
    else:
        kernel.rename(displaced, target)
    raise _StaleError from back


def leftovers(kernel: Kernel, target: str) -> list[Leftover]:
    """The files of ours that lie beside the file. Those of other users are not ours."""
    directory, name = os.path.split(target)
    pattern = re.compile(re.escape(f".{name}.dtkdns-") + "(new|[0-9a-f]+)-[0-9a-f]{8}")
    owners = {os.geteuid()}
    with contextlib.suppress(OSError):
        owners.add(os.lstat(target).st_uid)
    found = []
    for entry in sorted(kernel.list(directory)):
        match = pattern.fullmatch(entry)
        if match is None:
            continue
        path = os.path.join(directory, entry)
        status = os.lstat(path)
        if stat.S_ISREG(status.st_mode) and status.st_uid in owners:
            found.append(Leftover(path, match[1] not in {"new", f"{status.st_ino:x}"}))
    return found
