"""A kernel whose every call is a step at which a fault can happen, and what such a run left."""

from __future__ import annotations

import errno
import functools
import mmap
import os
import signal
import stat
import traceback
import warnings
from collections.abc import Callable
from typing import Any

from dtkdns.hosts.kernel import Kernel, Lease

CALLS = (
    "open",
    "close",
    "status",
    "read",
    "write",
    "truncate",
    "sync",
    "set_owner",
    "set_mode",
    "attributes",
    "set_attribute",
    "rename",
    "link",
    "unlink",
    "list",
    "exchange",
    "rename_to_nothing",
    "lease",
    "end_lease",
    "pause",
)
CHANGING = frozenset(CALLS) - {"close", "status", "read", "attributes", "list", "lease", "end_lease", "pause"}
"""Calls that change something on the disk; an open does when it makes a file or is for writing."""

Call = Callable[..., Any]
Fault = Callable[[str, Call, tuple[Any, ...]], Any]
"""What happens in the place of a call, by its name and its arguments."""


class StepKernel(Kernel):
    """Counts its calls, lets a fault happen at one of them, and has a clock that only its pauses move."""

    def __init__(self, step: int = -1, fault: Fault | None = None, *, lasting: bool = False) -> None:
        self.steps: list[str] = []
        self.fired = False
        self.watchers: list[Callable[[str], None]] = []
        """Called before each call with its name."""
        self.ledger: Ledger | None = None
        self.time = 1000.0
        self._step = step
        self._fault = fault
        self._lasting = lasting

    def mend(self) -> None:
        """No further faults."""
        self._fault = None
        self.watchers.clear()

    def now(self) -> float:
        return self.time

    def take(self, name: str, call: Call, args: tuple[Any, ...]) -> Any:
        """Make one call, or let its fault happen."""
        for watch in self.watchers:
            watch(name)
        number = len(self.steps)
        self.steps.append(name)
        try:
            if self._fault is not None and self._hit(number, name, args):
                self.fired = True
                result = self._fault(name, call, args)
            else:
                result = call(*args)
        except OSError:
            if self.ledger is not None:
                self.ledger.failed(name, args)
            raise
        if self.ledger is not None:
            self.ledger.done(name, args, result)
        return result

    def _hit(self, number: int, name: str, args: tuple[Any, ...]) -> bool:
        if number == self._step:
            return True
        changes = name in CHANGING and (name != "open" or args[1] & (os.O_CREAT | os.O_WRONLY | os.O_RDWR) != 0)
        return self._lasting and number > self._step and changes


def _pause(self: StepKernel, seconds: float) -> None:
    self.time += seconds


def _counted(name: str) -> Any:
    call = _pause if name == "pause" else getattr(Kernel, name)

    def method(self: StepKernel, *args: Any) -> Any:
        return self.take(name, functools.partial(call, self), args)

    return method


for _name in CALLS:
    setattr(StepKernel, _name, _counted(_name))


class Ledger:
    """What a power cut would take: the files and directories with changes that no fsync has made durable.

    `broken` tells where the order was wrong: a file put in place, or a byte overwritten, too early.
    """

    def __init__(self, target: str, journal: str) -> None:
        self.broken: list[str] = []
        self._target = target
        self._journal = journal
        self._files: dict[int, tuple[str, int]] = {}
        """Handle to path and inode."""
        self._dirty: set[int] = set()
        self._lost: set[int] = set()
        """Inodes whose fsync has failed: a second one says nothing about the bytes before it."""
        self._moved: set[str] = set()
        """Paths that were renamed to or made, by a directory that was not synced since."""
        self._journaled = False

    def durable(self) -> bool:
        """Whether the file, as it is now, would outlive a power cut."""
        return self._target not in self._moved and not {os.stat(self._target).st_ino} & (self._dirty | self._lost)

    def failed(self, name: str, args: tuple[Any, ...]) -> None:
        if name == "sync" and not self._is_directory(args[0]):
            self._lost.add(self._files[args[0]][1])
        if name == "close":
            self._files.pop(args[0], None)

    def done(self, name: str, args: tuple[Any, ...], result: Any) -> None:
        if name == "open":
            self._opened(args[0], args[1], result)
        elif name == "close":
            self._files.pop(args[0], None)
        elif name in {"write", "truncate"}:
            self._written(self._files[args[0]][1], empties=name == "truncate" and args[1] == 0)
        elif name == "sync":
            self._synced(args[0])
        elif name in {"rename", "rename_to_nothing", "exchange", "link"} and result is not False:
            self._renamed(args[1])

    def _is_directory(self, handle: int) -> bool:
        return stat.S_ISDIR(os.fstat(handle).st_mode)

    def _opened(self, path: str, flags: int, handle: int) -> None:
        inode = os.fstat(handle).st_ino
        self._files[handle] = (path, inode)
        if flags & os.O_EXCL:
            self._dirty.discard(inode)
            self._lost.discard(inode)
            if path == self._target:
                self._moved.add(path)

    def _written(self, inode: int, *, empties: bool) -> None:
        self._lost.discard(inode)
        self._dirty.add(inode)
        if os.path.exists(self._journal) and inode == os.stat(self._journal).st_ino:
            self._journaled = not empties
        elif os.path.exists(self._target) and inode == os.stat(self._target).st_ino:
            journal = os.stat(self._journal).st_ino if os.path.exists(self._journal) else 0
            if not self._journaled or self._journal in self._moved or journal in self._dirty | self._lost:
                self.broken.append("a byte was overwritten before the journal was durable")

    def _synced(self, handle: int) -> None:
        path, inode = self._files[handle]
        if self._is_directory(handle):
            self._moved = {moved for moved in self._moved if os.path.dirname(moved) != path}
        elif inode not in self._lost:
            self._dirty.discard(inode)

    def _renamed(self, new: str) -> None:
        if new in {self._target, self._journal}:
            if os.stat(new).st_ino in self._dirty | self._lost:
                self.broken.append(f"{new} was put in place before it was durable")
            self._moved.add(new)
            self._journaled = self._journaled or new == self._journal


# Faults


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed_before(_name: str, _call: Call, _args: tuple[Any, ...]) -> Any:
    kill()


def killed_after(_name: str, call: Call, args: tuple[Any, ...]) -> Any:
    try:
        call(*args)
    finally:
        kill()


def killed_midway(name: str, call: Call, args: tuple[Any, ...]) -> Any:
    """A kill that cuts a write; anything else it comes before."""
    if name == "write":
        short(name, call, args)
    kill()


def fails(number: int) -> Fault:
    def fault(name: str, call: Call, args: tuple[Any, ...]) -> Any:
        if name == "lease":  # the kernel class makes this of every error
            return Lease.NONE
        if name == "pause":
            return call(*args)
        if name == "close":  # a descriptor is gone whatever close(2) says
            call(*args)
        raise OSError(number, os.strerror(number))

    return fault


def short(name: str, call: Call, args: tuple[Any, ...]) -> Any:
    """A write or a read of half of what was asked for."""
    if name == "write":
        handle, data, offset = args
        return call(handle, data[: max(1, len(data) // 2)], offset)
    if name == "read":
        handle, size, offset = args
        return call(handle, max(1, size // 2), offset)
    return call(*args)


KILLS: dict[str, Fault] = {
    "SIGKILL before": killed_before,
    "SIGKILL after": killed_after,
    "SIGKILL midway": killed_midway,
}
ERRORS: dict[str, Fault] = {
    **{errno.errorcode[number]: fails(number) for number in (errno.EIO, errno.ENOSPC, errno.EROFS, errno.EPERM)},
    "EINTR": fails(errno.EINTR),
    "short": short,
}


def is_killed(run: Callable[[], object]) -> bool:
    """Whether a process of its own that does this is killed; what it raises otherwise fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside the threads of pytest-xdist
        child = os.fork()
    if child == 0:
        try:
            run()
            os._exit(0)
        except BaseException:  # noqa: BLE001, RUF100 (nothing may get out of the child into pytest)
            traceback.print_exc()
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "the child failed: see its traceback"
    return False


class Appending:
    """Another program that appends one line at a step: `>>` of a shell, which waits while a lease forbids it.

    With `opens` the file is opened at an earlier call, the first of that name, and only written at the step.
    """

    def __init__(self, kernel: StepKernel, path: str, line: bytes, step: int, opens: str | None = None) -> None:
        self._kernel = kernel
        self._path = path
        self._line = line
        self._step = step
        self._opens = opens
        self._handle: int | None = None
        self._done = mmap.mmap(-1, 1)  # shared with the process that is killed
        kernel.watchers.append(self)

    @property
    def done(self) -> bool:
        return self._done[0] == 1

    def __call__(self, name: str) -> None:
        if self.done:
            return
        number = len(self._kernel.steps)
        if self._handle is None and (number >= self._step if self._opens is None else name == self._opens):
            self._open()
        if self._handle is not None and number >= self._step:
            self.write()

    def _open(self) -> None:
        try:
            self._handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
        except (BlockingIOError, FileNotFoundError):
            return

    def write(self) -> None:
        """Write and close, if it is open."""
        if self._handle is not None:
            os.write(self._handle, self._line)
            os.close(self._handle)
            self._handle = None
            self._done[0] = 1
