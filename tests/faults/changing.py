"""A process that changes the block as fast as it can, and says which changes were acknowledged.

`python changing.py FILE JOURNAL [--without=CALL]... [--pause=NUMBER]` writes a number to its standard output as
soon as that change is acknowledged. SIGTERM ends it after a change; its last line is then what it saw, in JSON.
`--without` leaves out what makes a change durable: `sync-file`, `sync-directory`. `--pause` stops (SIGSTOP) behind
a change.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import define, field

from dtkdns.hosts import text as hosts_text
from dtkdns.hosts.entries import Entries, make_entry
from dtkdns.hosts.inplace import Journal
from dtkdns.hosts.kernel import Kernel, Lease
from dtkdns.hosts.replace import HostsFile
from dtkdns.hosts.text import splice
from dtkdns.hosts.writer import HostsBlock
from dtkdns.projection import Shown

TOP = b"127.0.0.1 localhost\n# a note of mine\r\n10.9.9.9 \xe9trange printer\n" + b"".join(
    b"10.8.0.%d of-others-%d\n" % (number, number) for number in range(100)
)
STATE = "0123abcd"
BOTTOM = b"10.9.9.8 last-line\n"
"""They stand around the block; others never change them."""
STAYS = "m-stays.dtk.io"
STAYS_ADDRESS = "192.168.1.1"
NUMBER = "n-number.dtk.io"
"""Its address is the number of the change."""
OTHERS = 300
_FULL = 2_000_000


@define
class CountingKernel(Kernel):
    """Counts the write leases, and leaves out what it is told to."""

    without: frozenset[str] = frozenset()
    granted: int = 0
    """How often nobody else had the file open while it was overwritten."""

    def lease(self, handle: int, kind: int) -> Lease:
        lease = super().lease(handle, kind)
        if kind == fcntl.F_WRLCK and lease is Lease.HELD:
            self.granted += 1
        return lease

    def sync(self, handle: int) -> None:
        kind = "directory" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"
        if f"sync-{kind}" not in self.without:
            super().sync(handle)


def shown(number: int) -> dict[str, Shown | None]:
    """Change `number`: one name gets another address, one comes, one goes."""

    def name(at: int) -> str:
        return f"{'amz'[at % 3]}-{'long-' * (at % 7)}{at % OTHERS}.dtk.io"

    address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
    changes: dict[str, Shown | None] = {NUMBER: _shown(NUMBER, address)}
    if number == 0:
        changes |= {name(at): _shown(name(at), "192.168.2.1") for at in range(OTHERS)}
        changes[STAYS] = _shown(STAYS, STAYS_ADDRESS)
    else:
        changes |= {name(number * 7): _shown(name(number * 7), address), name(number * 7 + 100): None}
    return changes


def _shown(name: str, address: str) -> Shown:
    return Shown(name, (address,), "default", "ingress/d/t", 0, 0.0)


def whole(text: bytes) -> bool:
    """Whether it is one of the versions, entire: its block as it was written, the lines of others exact."""
    block = hosts_text.read(text)
    return block is not None and block.intact and hosts_text.remove(text) == TOP + BOTTOM


def number_in(text: bytes) -> int:
    """The number of the change that this version holds."""
    address = next(line.split()[0] for line in text.split(b"\n") if f" {NUMBER} ".encode() in line)
    _ten, high, middle, low = address.split(b".")
    return int(high) << 16 | int(middle) << 8 | int(low)


def prepared() -> bytes:
    """A file with the lines of others around the first version of the block."""
    entries = Entries(make_entry(one.name, one.addresses, "", one.resource) for one in shown(0).values() if one)
    return splice(TOP, entries, STATE).text + BOTTOM


@define
class Changing:
    """The process, and what it has acknowledged."""

    process: subprocess.Popen[bytes]
    acknowledged: int = 0
    _rest: bytes = b""
    _last: list[bytes] = field(factory=list)
    _reader: threading.Thread | None = None

    def wait_for(self, number: int) -> None:
        """Until that change is acknowledged."""
        while self.acknowledged < number:
            self._read()

    def drain(self) -> int:
        """The last change that is acknowledged now."""
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)
        try:
            while True:
                self._read()
        except BlockingIOError:
            return self.acknowledged
        finally:
            os.set_blocking(self.process.stdout.fileno(), True)

    def keep_reading(self) -> None:
        """Take its numbers without being asked, so that it never waits for us; after that only `finish`."""
        self._reader = threading.Thread(target=self._read_all, daemon=True)
        self._reader.start()

    def _read_all(self) -> None:
        with contextlib.suppress(EOFError):
            while True:
                self._read()

    def finish(self) -> dict[str, Any]:
        """End it after the change it is at; what it saw."""
        self.process.send_signal(signal.SIGTERM)
        if self._reader is None:
            self._read_all()
        else:
            self._reader.join()
        summary: dict[str, Any] = json.loads(self._last[-1])
        return summary

    def _read(self) -> None:
        assert self.process.stdout is not None
        data = os.read(self.process.stdout.fileno(), 65536)
        if not data:
            raise EOFError(f"changing.py ended: {self.process.wait()}")
        *lines, self._rest = (self._rest + data).split(b"\n")
        numbers = [int(line) for line in lines if line.isdigit()]
        self.acknowledged = max([self.acknowledged, *numbers])
        self._last = lines or self._last


@contextmanager
def changing(path: Path | str, journal: Path, *options: str, prefix: Sequence[str] = ()) -> Iterator[Changing]:
    """Such a process on a prepared file; killed at the end."""
    command = [*prefix, sys.executable, __file__, str(path), str(journal), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            found = Changing(process)
            found.wait_for(1)
            yield found
        finally:
            process.kill()


def main(path: str, journal: str, *options: str) -> None:
    given = [option.partition("=")[::2] for option in options]
    kernel = CountingKernel(frozenset(value for option, value in given if option == "--without"))
    pauses = {int(value) for option, value in given if option == "--pause"}
    block = HostsBlock(HostsFile(path, Journal(journal, kernel), kernel), STATE)
    ending: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: ending.append(number))
    block.write(shown(0))
    ways: dict[str, int] = {}
    for number in range(1, _FULL):
        way = block.write(shown(number)).edited.way
        ways[way.partition(" (")[0]] = ways.get(way.partition(" (")[0], 0) + 1
        os.write(1, b"%d\n" % number)
        if number in pauses:
            os.kill(os.getpid(), signal.SIGSTOP)
        if ending:
            break
    print(json.dumps({"ways": ways, "granted": kernel.granted}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
