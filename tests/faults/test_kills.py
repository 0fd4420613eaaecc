"""kill -9 at random moments of a service that changes a block of 60,000 names as fast as it can."""

from __future__ import annotations

import os
import random
import re
import signal
import time
import traceback
import warnings
from itertools import count
from pathlib import Path
from typing import NoReturn

import pytest
from attrs import define

from dtkdns.hosts import rename
from dtkdns.hosts import text as hosts_text
from dtkdns.hosts.entries import Entries, make_entry
from dtkdns.hosts.kernel import Kernel
from dtkdns.hosts.writer import HostsBlock
from dtkdns.projection import Shown
from running import hosts_file

COUNT = int(os.environ.get("DTKDNS_TEST_KILLS", "12"))
NAMES = 60_000
SHORT = 0.001
"""Seconds, about, that the system call takes which writes the whole file."""
STATE = "0123abcd"
BEFORE = b"127.0.0.1 localhost\n# a note of mine\r\n10.9.9.9 \xe9trange printer\n" + b"".join(
    b"10.8.%d.%d machine-%d\n" % (number >> 8, number & 255, number) for number in range(1000)
)
BEHIND = b"# behind the block\n10.7.7.7 behind\n"


def change(number: int) -> dict[str, Shown | None]:
    """The change of this number: it is in the block as an address, and the file gets longer and shorter by it."""
    shown: dict[str, Shown | None] = {
        "number.dtk.io": Shown("number.dtk.io", (f"fd00::{number:x}",), "default", "ingress/d/t", 0, 0.0)
    }
    for one in range(random.randrange(20)):
        name = f"more-{one}.dtk.io"
        addresses = tuple(f"10.0.{one}.{n}" for n in range(random.randrange(3)))
        shown[name] = Shown(name, addresses, "default", "ingress/d/t", 0, 0.0) if addresses else None
    return shown


def number_in(text: bytes) -> int:
    found = re.search(rb"^fd00::([0-9a-f]+) number\.dtk\.io ", text, re.MULTILINE)
    assert found is not None
    return int(found[1], 16)


@define
class Service:
    """What a service on this file does; each start knows nothing but what is on the disk."""

    path: Path
    in_place: bool
    entries: Entries

    @classmethod
    def make(cls, path: Path, way: str) -> Service:
        entries = Entries(
            make_entry(
                f"name-{number}.dtk.io", (f"192.168.{number >> 8 & 255}.{number & 255}",), "", "ingress/d/t"
            )
            for number in range(NAMES)
        )
        path.write_bytes(BEFORE)
        service = cls(path, way == "in place", entries)
        service.start().write(change(0))
        with path.open("ab") as file:
            file.write(BEHIND)
        return service

    def start(self, kernel: Kernel | None = None) -> HostsBlock:
        block = HostsBlock(hosts_file(self.path, kernel), STATE)
        block._entries = self.entries  # made once: to make them takes longer than all the rest
        return block

    def changing(self, first: int, tell: int) -> NoReturn:
        """In a process of its own: changes without end. It tells each long write and each change that is made."""
        try:
            random.seed()
            block = self.start(Telling(tell, self.path if self.in_place else None))
            for number in count(first):
                block.write(change(number))
                os.write(tell, b"%d\n" % number)
        except BaseException:  # noqa: BLE001, RUF100 (nothing may get out of the child into pytest)
            traceback.print_exc()
        os._exit(1)

    def killed(self, first: int, told: int, moment: float) -> int:
        """Let it change, and kill it so many seconds after it has told so many things.

        Returns the number of the last change that was acknowledged.
        """
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside the threads of pytest-xdist
            child = os.fork()
        if child == 0:
            self.changing(first, writing)
        os.close(writing)
        said = b""
        while said.count(b"\n") < told and (more := os.read(reading, 4096)):
            said += more
        time.sleep(moment)
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status), "the service failed before it was killed: see its traceback"
        with os.fdopen(reading, "rb") as file:
            said += file.read()
        return max([first - 1, *(int(word) for word in said.split() if word != b"writing")])


class Telling(Kernel):
    """Tells when the write begins that a kill is to cut: of the file itself where it is written in place."""

    def __init__(self, tell: int, path: Path | None) -> None:
        self._tell = tell
        self._path = path

    def write(self, handle: int, data: memoryview, offset: int) -> int:
        if self._path is None or os.fstat(handle).st_ino == self._path.stat().st_ino:
            os.write(self._tell, b"writing\n")
        return super().write(handle, data, offset)


@pytest.mark.timeout(120 + 4 * COUNT)
def test_a_kill_at_any_moment_by_rename_leaves_a_whole_block_and_every_line_of_others(tmp_path: Path) -> None:
    kill_often(tmp_path / "hosts", "rename")


@pytest.mark.timeout(120 + 4 * COUNT)
def test_a_kill_at_any_moment_in_place_leaves_a_whole_block_and_every_line_of_others(mounted: Path) -> None:
    kill_often(mounted, "in place")


def kill_often(path: Path, way: str) -> None:
    service = Service.make(path, way)
    started = time.monotonic()
    written = service.start().write(change(1))
    usual = time.monotonic() - started
    assert written.edited.way.startswith(way)
    foreign = BEFORE + BEHIND
    number = 1
    torn, found = 0, 0
    for kill in range(COUNT):
        # Every second kill is to come while a write of the file is under way.
        told, longest = (random.randrange(9), usual) if kill % 2 else (random.randrange(1, 9, 2), SHORT)
        acknowledged = service.killed(number + 1, told, random.uniform(0, longest))
        text = path.read_bytes()
        whole = is_whole(text)
        torn += not whole
        assert whole or way == "in place"

        found += bool(hosts_file(path).recover())
        text = path.read_bytes()
        assert is_whole(text)
        assert hosts_text.remove(text) == foreign
        assert acknowledged <= number_in(text) <= acknowledged + 1

        foreign += b"10.6.6.%d after-kill-%d\n" % (kill % 250, kill)
        with path.open("ab") as file:
            file.write(foreign.splitlines(keepends=True)[-1])
        number = acknowledged + 2
        service.start().write(change(number))
        text = path.read_bytes()
        assert is_whole(text)
        assert hosts_text.remove(text) == foreign
        assert number_in(text) == number
        assert rename.leftovers(Kernel(), str(path)) == []
        assert set(os.listdir(path.parent)) <= {"hosts", "source", "journal"}
        assert not path.with_name("journal").exists() or path.with_name("journal").stat().st_size == 0
    print(
        f"{way}: {COUNT} kills among {number} changes; {torn} left a torn file, {found} left something to recover"
    )


def is_whole(text: bytes) -> bool:
    block = hosts_text.read(text)
    return block is not None and block.intact and text.count(b"\n# END dtkdns ") == 1
