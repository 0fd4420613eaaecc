"""Processes that meet the leases of dtkdns with leases of their own, or by opening what it has a lease on.

`python leases.py hold FILE KIND` takes a lease (`read`, `write`) and stops (SIGSTOP) with it.
`python leases.py broken FILE JOURNAL SIGNAL` changes the block; as soon as it has a lease, somebody opens the file
for writing, and the kernel asks for the lease by SIGNAL (0: by the one that it takes by itself, SIGIO).
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import changing
from attrs import define, field

from dtkdns.hosts.inplace import Journal
from dtkdns.hosts.kernel import Kernel, Lease
from dtkdns.hosts.replace import HostsFile
from dtkdns.hosts.writer import HostsBlock

KINDS = {"read": fcntl.F_RDLCK, "write": fcntl.F_WRLCK}


@contextmanager
def stopped_holder(path: Path | str, kind: str) -> Iterator[None]:
    """A process that is stopped while it has a lease; killed at the end."""
    with subprocess.Popen([sys.executable, __file__, "hold", str(path), kind]) as process:
        try:
            _pid, status = os.waitpid(process.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status), status
            yield
        finally:
            process.kill()


@define
class BrokenKernel(Kernel):
    """Somebody opens each file for writing on which we have just got the first lease of a kind."""

    number: int
    """Of the signal by which the kernel asks for the lease."""
    broken: list[int] = field(factory=list)
    _openers: list[subprocess.Popen[bytes]] = field(factory=list)

    def lease(self, handle: int, kind: int) -> Lease:
        lease = super().lease(handle, kind)
        if lease is Lease.HELD and kind not in self.broken:
            self.broken.append(kind)
            if self.number != signal.SIGURG:
                fcntl.fcntl(handle, fcntl.F_SETSIG, self.number)
            command = ["sh", "-c", f"exec 3>>/proc/{os.getpid()}/fd/{handle}"]
            self._openers.append(subprocess.Popen(command))
            while fcntl.fcntl(handle, fcntl.F_GETLEASE) == kind:  # until the kernel has asked for it
                time.sleep(0.001)
        return lease

    def wait(self) -> None:
        for opener in self._openers:
            assert opener.wait() == 0


def hold(path: str, kind: str) -> None:
    handle = os.open(path, os.O_RDONLY if kind == "read" else os.O_RDWR)
    fcntl.fcntl(handle, fcntl.F_SETLEASE, KINDS[kind])
    os.kill(os.getpid(), signal.SIGSTOP)


def broken(path: str, journal: str, number: str) -> None:
    kernel = BrokenKernel(int(number))
    block = HostsBlock(HostsFile(path, Journal(journal, kernel), kernel), changing.STATE)
    block.write(changing.shown(0))
    block.write(changing.shown(1))
    kernel.wait()
    print(*sorted(kernel.broken))


if __name__ == "__main__":
    {"hold": hold, "broken": broken}[sys.argv[1]](*sys.argv[2:])
