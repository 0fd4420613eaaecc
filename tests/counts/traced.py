"""The system calls of a dtkdns that runs under strace(1), between what it is asked and what it answers."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from process import Dtkdns, dtkdns

_BEGUN = re.compile(r"^\d+ +(\w+)\(")
"""A call that another thread's interrupts is in two lines, of which only the first begins so."""
_WAITING = frozenset({"futex", "epoll_wait", "restart_syscall", "sched_yield"})
"""How often threads wait for each other depends on the machine."""
_SYNCS = frozenset({"fsync", "fdatasync", "sync_file_range", "syncfs", "sync"})
_WRITTEN = re.compile(r'(?:pwrite64|write)\(\d+<([^>]*)>, ".*"(?:\.\.\.)?, (\d+)')


@frozen
class Trace:
    """Lines of strace, with the path of each descriptor."""

    lines: Sequence[str]

    def between(self, asked: str, answered: str) -> Trace:
        """From the last request that begins so to the first answer to it that begins so."""
        begin = max(number for number, line in enumerate(self.lines) if f'"{asked}' in line)
        end = next(number for number in range(begin, len(self.lines)) if f'"{answered}' in self.lines[number])
        return Trace(self.lines[begin : end + 1])

    def calls(self) -> Counter[str]:
        """How often each call was made; those with which threads wait are left out."""
        names = (found[1] for line in self.lines if (found := _BEGUN.match(line)))
        return Counter(name for name in names if name not in _WAITING)

    def synced(self) -> list[str]:
        """The name of each file or directory that was waited for to reach the disk, in order."""
        return [
            _plain(found[1])
            for line in self.lines
            if (begun := _BEGUN.match(line)) and begun[1] in _SYNCS and (found := re.search(r"\d+<([^>]*)>", line))
        ]

    def written(self) -> Counter[str]:
        """Bytes by the name of the file that they were written to; the log, a pipe, is none."""
        found: Counter[str] = Counter()
        for line in self.lines:
            if (match := _WRITTEN.search(line)) and not match[1].startswith("pipe:"):
                found[_plain(match[1])] += int(match[2])
        return found


def _plain(path: str) -> str:
    """The name of a file; that of a new hosts file without what makes it unique."""
    return re.sub(r"^\.hosts\.dtkdns-.*", "new hosts", Path(path).name)


@contextmanager
def traced(directory: Path, *options: str) -> Iterator[tuple[Dtkdns, Future[Trace]]]:
    """A dtkdns, and what it did, which is known once it has stopped."""
    log = directory / "trace"
    os.mkfifo(log)
    strace = (
        "strace",
        "--daemonize",
        "--follow-forks",
        "--decode-fds=path",
        "--string-limit=64",
        f"--output={log}",
    )
    with ThreadPoolExecutor(1) as reader:
        trace = reader.submit(lambda: Trace(log.read_text(errors="replace").splitlines()))
        with dtkdns(*options, prefix=strace) as service:
            yield service, trace
