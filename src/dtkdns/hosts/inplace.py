"""Overwrite a file where it stands, because no other can be put in its place.

A kill cuts even a single write in two. So what is about to be written is first made durable in a journal in the
state directory (`--state`), which is emptied after the last fsync: a start that finds it finishes the work. A
write lease (fcntl(2)) keeps readers from seeing the part; it is refused while anyone has the file open, and asked
for a bounded time.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise

import msgspec
from attrs import define, field

from dtkdns.hosts.kernel import Kernel, Lease
from dtkdns.hosts.settle import MAX_SIZE
from dtkdns.hosts.versions import Version

LEASE_SECONDS = 0.25
"""How long a write lease is asked for; readers that never stop would starve it for ever."""

_BLOCK = 4096
_SECTOR = 512
_PAUSE = 0.002
_DIGEST_SIZE = 32


class Overwriting(msgspec.Struct, frozen=True):
    """What the journal holds: a file, its text before, and from `start` on its text afterwards."""

    path: str
    start: int
    old: bytes
    new: bytes
    torn: bool = False
    """Whether the text before was itself what a cut had left."""

    @property
    def whole(self) -> bytes:
        """The text afterwards."""
        return self.old[: self.start] + self.new

    def untouched(self, text: bytes) -> bool:
        """Whether nothing was overwritten yet."""
        return text == self.old and not self.torn

    def cut(self, text: bytes) -> bool:
        """Whether a cut leaves this, after nothing, a part or all: in each sector new bytes, then old."""
        if text[: self.start] != self.old[: self.start]:
            return False
        tail, old = text[self.start :], self.old[self.start :]
        if not min(len(old), len(self.new)) <= len(tail) <= max(len(old), len(self.new)):
            return False
        # Sectors of the disk are those of the file, not of its tail.
        edges = [0, *range(_SECTOR - self.start % _SECTOR, len(tail), _SECTOR), len(tail)]
        return all(_mixed(tail[at:end], old[at:end], self.new[at:end]) for at, end in pairwise(edges))

    def appended(self, text: bytes) -> bytes | None:
        """What others have appended to the text that a cut left; None where that is not what has happened."""
        if self.cut(text):
            return b""
        whole = self.whole
        # A file that was growing is cut between two pages.
        ends = {len(self.old), len(whole), _first_difference(text, whole)}
        # The longest first: behind the new text may be the rest of the old one.
        for end in sorted(ends, reverse=True):
            if end < len(text) and self.cut(text[:end]):
                return text[end:]
        return None


def _mixed(text: bytes, old: bytes, new: bytes) -> bool:
    """Whether it starts as the new and goes on as the old; or was never written by a disk that lost power."""
    if text in {old[: len(text)], new[: len(text)]}:
        return True
    same = next((at for at, (one, other) in enumerate(zip(text, new, strict=False)) if one != other), len(new))
    rest, was = text[same:], old[same : len(text)]
    return was in {rest, rest.rstrip(b"\0")} or not rest.strip(b"\0")


@define
class Journal:
    """The file in the state directory that says what is being overwritten; empty when nothing is."""

    path: str
    kernel: Kernel = field(factory=Kernel)

    def begin(self, overwriting: Overwriting) -> None:
        """Make it durable, before the first byte is overwritten. What the journal held stays until then."""
        body = msgspec.msgpack.encode(overwriting)
        directory = os.path.dirname(self.path)
        new = f"{self.path}.new"
        with suppress(FileNotFoundError):
            self.kernel.unlink(new)
        with self.kernel.opened(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as handle:
            self.kernel.write_all(handle, hashlib.sha256(body).digest() + body)
            self.kernel.sync(handle)
        self.kernel.rename(new, self.path)
        self.kernel.sync_directory(directory)

    def end(self) -> None:
        """Empty it, after the last byte is durable."""
        with self.kernel.opened(self.path, os.O_WRONLY) as handle:
            self.kernel.truncate(handle, 0)
            self.kernel.sync(handle)

    def read(self) -> Overwriting | None:
        """What was begun and not ended; None too for a journal that is damaged: what it says means nothing.

        Raises `OSError`.
        """
        try:
            with self.kernel.opened(self.path, os.O_RDONLY) as handle:
                text = self.kernel.read_all(handle, 4 * MAX_SIZE)
        except FileNotFoundError:
            return None
        digest, body = text[:_DIGEST_SIZE], text[_DIGEST_SIZE:]
        if hashlib.sha256(body).digest() != digest:
            return None
        return msgspec.msgpack.decode(body, type=Overwriting)


def overwrite(
    kernel: Kernel, journal: Journal, path: str, expected: Version, build: Callable[[bytes], bytes]
) -> bool:
    """Write what `build` makes of the expected text over it.

    Where somebody was faster, `build` is asked again while nobody else has the file. False, with the file
    untouched, when that cannot be had. Raises `OSError`; what was begun is then in the journal.
    """
    if expected.status is None:
        with kernel.opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as made:
            kernel.set_mode(made, 0o644)  # whatever the umask
    handle = kernel.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        overwriting = _overwriting(path, expected.text, build(expected.text))
        journal.begin(overwriting)
        alone = _lease(kernel, handle)
        found = kernel.read_all(handle, MAX_SIZE, expected.text)
        if found != expected.text:
            if not alone:
                journal.end()
                return False
            overwriting = _overwriting(path, found, build(found))
            journal.begin(overwriting)
        try:
            _write(kernel, handle, overwriting.new, overwriting.start)
        except OSError:  # what was there is given back, if the disk lets us
            _write(kernel, handle, overwriting.old[overwriting.start :], overwriting.start)
            raise
        if alone:
            kernel.end_lease(handle)
        kernel.sync(handle)
        journal.end()
        return True
    finally:
        kernel.close(handle)


def _overwriting(path: str, old: bytes, new: bytes, *, torn: bool = False) -> Overwriting:
    start = _first_difference(old, new)
    return Overwriting(path, start, old, new[start:], torn)


def _write(kernel: Kernel, handle: int, tail: bytes, start: int) -> None:
    """Have the file go on like this from an offset to its end."""
    kernel.write_all(handle, tail, start)
    kernel.truncate(handle, start + len(tail))


def redo(kernel: Kernel, journal: Journal, overwriting: Overwriting) -> bool:
    """Finish an overwriting that was cut, and keep what others have appended since; whether it was that."""
    handle = kernel.open(overwriting.path, os.O_RDWR | os.O_NONBLOCK)
    try:
        _lease(kernel, handle)
        found = kernel.read_all(handle, MAX_SIZE)
        appended = overwriting.appended(found)
        if appended is None:
            return False
        if appended:  # a second cut would be another one
            overwriting = _overwriting(overwriting.path, found, overwriting.whole + appended, torn=True)
            journal.begin(overwriting)
        _write(kernel, handle, overwriting.new, overwriting.start)
        kernel.sync(handle)
        return True
    finally:
        kernel.close(handle)


def _lease(kernel: Kernel, handle: int) -> bool:
    """Ask until nobody has the file open, or for a bounded time; whether it was granted."""
    until = kernel.now() + LEASE_SECONDS
    while True:
        lease = kernel.lease(handle, fcntl.F_WRLCK)
        if lease is not Lease.BUSY or kernel.now() >= until:
            return lease is Lease.HELD
        kernel.pause(_PAUSE)


def _first_difference(old: bytes, new: bytes) -> int:
    """The offset of the first block in which they differ."""
    start = 0
    while start < min(len(old), len(new)) and old[start : start + _BLOCK] == new[start : start + _BLOCK]:
        start += _BLOCK
    return min(start, len(old), len(new))
