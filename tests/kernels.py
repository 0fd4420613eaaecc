"""Kernels for tests: the real calls, with a clock that only pauses move, and faults or other people where told."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dtkdns.hosts.kernel import Kernel

OLD = b"127.0.0.1 localhost\n"
"""What the hosts file of a test holds at first."""


class StillKernel(Kernel):
    """Nothing really sleeps; what others do, they do at a moment that the test names."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.pauses: list[float] = []
        self._due: list[tuple[float, Callable[[], object]]] = []

    def now(self) -> float:
        return self.time

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds
        due = [act for when, act in self._due if when <= self.time]
        self._due = [(when, act) for when, act in self._due if when > self.time]
        for act in due:
            act()

    def at(self, seconds: float, act: Callable[[], object]) -> None:
        """Let something happen in the first pause that reaches so many seconds from now."""
        self._due.append((self.time + seconds, act))

    def instead(self, call: str, act: Callable[..., Any]) -> None:
        """From now on a call does something else."""
        setattr(self, call, act)

    def before(self, call: str, act: Callable[[], object], *, times: int = 1) -> None:
        """Let something happen just before the next calls of this name."""
        self._around(call, act, lambda: None, times)

    def after(self, call: str, act: Callable[[], object], *, times: int = 1) -> None:
        """Let something happen just behind the next calls of this name."""
        self._around(call, lambda: None, act, times)

    def fail(self, call: str, number: int, *, times: int = 1_000_000) -> None:
        """Let the next calls of this name fail."""
        self.before(call, lambda: refuse(number), times=times)

    def heard(self, *calls: str) -> list[tuple[str, Any]]:
        """From now on each of these calls, with its first argument: the last part of the file's path."""
        found: list[tuple[str, Any]] = []
        for call in calls:
            self._hear(call, found)
        return found

    def _hear(self, call: str, found: list[tuple[str, Any]]) -> None:
        real = getattr(self, call)

        def heard(what: Any, *args: Any) -> Any:
            where = os.readlink(f"/proc/self/fd/{what}") if isinstance(what, int) else what
            found.append((call, os.path.basename(where)))
            return real(what, *args)

        setattr(self, call, heard)

    def _around(self, call: str, before: Callable[[], object], behind: Callable[[], object], times: int) -> None:
        real = getattr(self, call)
        left = [times]

        def surrounded(*args: Any) -> Any:
            now = left[0] > 0
            left[0] -= 1
            if now:
                before()
            result = real(*args)
            if now:
                behind()
            return result

        setattr(self, call, surrounded)


def refuse(number: int) -> None:
    """What the kernel says when it does not do as it is told."""
    raise OSError(number, os.strerror(number))


def refuse_files(kernel: StillKernel, flags: int, number: int, *, but: str = "journal") -> None:
    """Let every opening with one of these flags fail, but for a file whose name begins so."""
    real = kernel.open

    def open_or_refuse(path: str, wanted: int, mode: int = 0o600) -> int:
        if wanted & flags and not os.path.basename(path).startswith(but):
            refuse(number)
        return real(path, wanted, mode)

    kernel.instead("open", open_or_refuse)


def append(path: Path, text: bytes) -> None:
    """What `>>` does."""
    with path.open("ab") as file:
        file.write(text)


def replace(path: Path, text: bytes) -> None:
    """What `sed -i` does."""
    other = path.with_name("by somebody")
    other.write_bytes(text)
    other.rename(path)


def alone(path: Path) -> bool:
    """Whether no file of ours is left beside a file."""
    return not [name for name in os.listdir(path.parent) if name.startswith(".")]
