"""Put a new text in the place of a file that others read and edit too.

By rename where that is possible (`rename.py`), in place where it is not (`inplace.py`): a bind-mounted file gives
EBUSY, a file with hard links or an owner that cannot be kept would become another one. Each round reads the file
while nobody writes it (`settle.py`), puts back what others must not lose (`versions.py`), and looks
afterwards at what was displaced; it ends when nobody interfered.

Everything here blocks: it runs on the hosts file's own thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from typing import TypeAlias

from attrs import define, field, frozen

from dtkdns.hosts import inplace, rename
from dtkdns.hosts.faults import HostsFileError, said
from dtkdns.hosts.inplace import Journal
from dtkdns.hosts.kernel import Kernel
from dtkdns.hosts.settle import APART_SECONDS, MAX_SIZE, read_settled
from dtkdns.hosts.text import read, remove
from dtkdns.hosts.versions import REMEMBERED, Memory, Signature, Version, lost, put_back

Transform: TypeAlias = Callable[[bytes], bytes]
"""The new text from the text that is there. It is called again when somebody else changes the file."""
Foreign: TypeAlias = Callable[[bytes], bytes]
"""What of a text is not ours."""

_ROUNDS = 5
_INTERFERED_SECONDS = 5.0
"""How long others may be faster before it is given up for now."""
_NO_LEASES = (
    f"there are no leases for it, so it is read twice, {APART_SECONDS:g} s apart, to see that nobody is writing it"
)
_NO_EXCHANGE = "its file system cannot exchange two files, so a change by others in the same moment may be lost"


@frozen
class Edited:
    """What became of an edit."""

    text: bytes = field(repr=False)
    changed: bool
    way: str
    """`rename`, or `in place` with the reason in brackets; empty when nothing was written."""
    signature: Signature | None
    limits: tuple[str, ...] = ()
    """What this file system or this user cannot do, as ends of a sentence."""
    settled: bool = True
    """Whether nobody changed the file meanwhile; else another edit is due soon, to put their lines back."""


@define
class HostsFile:
    """The file at `path`; symbolic links are followed and the file they lead to is replaced."""

    path: str
    journal: Journal
    _kernel: Kernel = field(factory=Kernel)
    ours: bytes | None = field(default=None, init=False)
    """Lines that an interrupted write is known to have left, in a file that others have changed since."""
    _memory: Memory = field(factory=Memory, init=False)
    _written: float | None = field(default=None, init=False)
    """When we last wrote it (seconds of the kernel's clock)."""
    _last: bytes = field(default=b"", init=False)
    """Its text when it was last read or written."""
    _displaced: list[str] = field(factory=list, init=False)
    """Files that a crash left, whose lines are owed."""
    _journal_owed: bool = field(default=False, init=False)
    """Whether the journal holds lines that are owed."""
    _unsynced: bool = field(default=True, init=False)
    """Whether the directory may hold a rename that is not durable."""
    _dirty: bool = field(default=True, init=False)
    """Whether there may be something to recover."""
    _limits: dict[str, None] = field(factory=dict, init=False)

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

    def edit(self, transform: Transform, foreign: Foreign = remove) -> Edited:
        """Replace the text by what `transform` makes of it; write nothing when that is the same.

        Raises `HostsFileError`.
        """
        target = self.target
        self.recover()
        with said(target):
            self._dirty = True
            edited = self._edit(target, transform, foreign)
            self._dirty = False
            return edited

    def _edit(self, target: str, transform: Transform, foreign: Foreign) -> Edited:
        def build(content: bytes) -> bytes:
            """The new text, with the lines that others must not lose."""
            theirs = foreign(content)
            missing = self._memory.missing(theirs, self._kernel.now())
            new = transform(put_back(content, missing))
            if new != content:
                self._written = self._kernel.now()
            self._note(put_back(theirs, missing))
            if len(new) > MAX_SIZE:
                raise HostsFileError(
                    f"{target} would grow to {len(new)} bytes, more than programs read: it is left as it is."
                )
            return new

        current = self._settled(target)
        content = current.text
        way = ""
        rounds = 0
        until = self._kernel.now() + _INTERFERED_SECONDS
        while rounds < _ROUNDS and self._kernel.now() < until:
            new = build(content)
            if new == current.text:
                self._sync(target)
                self._settle_debts()
                return self._edited(Version(new, current.status), way)
            self._unsynced = True
            put = self._put(target, current, new, build)
            self._written = self._kernel.now()
            if put is None:
                current = self._settled(target)
                content = current.text
                continue
            rounds += 1
            self._unsynced = False
            self._settle_debts()
            way, current = put.way, put.current
            if put.came is None:
                return self._edited(current, way)
            content = put.came
            if put.kept is not None:
                self._memory.owe(foreign(content))
                self._displaced.append(put.kept)
        if not way:
            raise HostsFileError(f"Other programs keep changing {target}: it is tried again.")
        return self._edited(current, way, settled=False)

    def _edited(self, current: Version, way: str, *, settled: bool = True) -> Edited:
        self._last = current.text
        signature = Signature.of(current.status) if current.status is not None else None
        return Edited(current.text, bool(way), way, signature, tuple(self._limits), settled)

    def _settled(self, target: str, likely: bytes | None = None) -> Version:
        likely = self._last if likely is None else likely
        version, leases = read_settled(self._kernel, target, len(self._last), likely)
        if not leases:
            self._limits[_NO_LEASES] = None
        return version

    def _note(self, foreign: bytes) -> None:
        """Remember what others have in the file, as long as something of ours was written a moment ago."""
        now = self._kernel.now()
        if self._written is not None and now - self._written <= REMEMBERED:
            self._memory.note(foreign, now)

    def _put(self, target: str, current: Version, new: bytes, build: Transform) -> _Put | None:
        """Write the new text by the way that is possible; None when the file is no longer the current one."""
        written = [new]

        def again(text: bytes) -> bytes:
            if text != current.text:
                written.append(build(text))
            return written[-1]

        try:
            renamed = rename.put(self._kernel, target, current, new)
        except rename.RenameImpossibleError as reason:
            if not inplace.overwrite(self._kernel, self.journal, target, current, again):
                return None
            version = self._settled(target, written[-1])
            came = None if version.text == written[-1] else version.text
            return _Put(f"in place (because {reason})", version, came)
        if renamed is None:
            return None
        if renamed.displaced is None:
            self._limits[_NO_EXCHANGE] = None
        found = current.text if renamed.displaced is None else renamed.displaced.text
        came = None if found == current.text else found
        return _Put("rename", Version(new, renamed.status), came, renamed.kept)

    def _sync(self, target: str) -> None:
        """Sync the directory where that may not be done: without it a rename may be lost after all."""
        if self._unsynced:
            self._kernel.sync_directory(os.path.dirname(target))
            self._unsynced = False

    def recover(self) -> list[str]:
        """Finish what a crash or a failure has interrupted; a sentence for each thing that was found.

        Lines that only a file of ours still holds are put back by the next edit. Raises `HostsFileError`.
        """
        if not self._dirty:
            return []
        target = self.target
        with said(target):
            found = self._finish_overwriting()
            for leftover in rename.leftovers(self._kernel, target):
                if leftover.path in self._displaced:
                    continue
                found.append(self._clear(leftover, target))
        self._dirty = False
        return found

    def _finish_overwriting(self) -> list[str]:
        overwriting = self.journal.read()
        if overwriting is None:
            return []
        found = read_settled(self._kernel, overwriting.path, torn=True)[0]
        if overwriting.untouched(found.text):
            self.journal.end()
            return []
        if found.status is not None and inplace.redo(self._kernel, self.journal, overwriting):
            self.journal.end()
            return [f"Finished writing {overwriting.path}, which was interrupted."]
        if overwriting.path != self.target:
            return [
                f"{overwriting.path} was changed by others after a write of ours was interrupted: see whether it"
                " has all its lines."
            ]
        self._memory.owe(remove(overwriting.old))
        self.ours = b"".join([*_ours(overwriting.old), *_ours(overwriting.whole)])
        self._journal_owed = True
        return [
            f"{overwriting.path} was changed by others after a write of ours was interrupted: lines that it had"
            " before are put back where they are missing."
        ]

    def _clear(self, leftover: rename.Leftover, target: str) -> str:
        if leftover.displaced:
            theirs = remove(read_settled(self._kernel, leftover.path)[0].text)
            if lost(theirs, remove(read_settled(self._kernel, target)[0].text)):
                self._memory.owe(theirs)
                self._displaced.append(leftover.path)
                return f"Lines that were in {target}, and are now in {leftover.path} alone, are put back."
        self._kernel.unlink(leftover.path)
        return f"Removed {leftover.path}, which an interruption left behind."

    def _settle_debts(self) -> None:
        """What was owed is in the file: what held it can go."""
        self._memory.paid()
        while self._displaced:
            with contextlib.suppress(FileNotFoundError):
                self._kernel.unlink(self._displaced[-1])
            self._displaced.pop()
        if self._journal_owed:
            self.journal.end()
            self._journal_owed = False


def _ours(text: bytes) -> tuple[bytes, ...]:
    block = read(text)
    return block.lines if block is not None else ()


@frozen
class _Put:
    """A text that was written."""

    way: str
    current: Version
    """What the file is now."""
    came: bytes | None
    """What others had written meanwhile; None where nobody did."""
    kept: str | None = None
    """The file that holds it."""


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
    with said(target):
        return read_settled(Kernel(), target)[0].text
