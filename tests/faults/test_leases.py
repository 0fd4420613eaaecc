"""Leases (fcntl(2), `F_SETLEASE`): those of others cannot stop dtkdns for long, and its own stop nobody."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import changing
import leases
import pytest
import readers

from dtkdns.hosts.faults import HostsFileError
from dtkdns.hosts.inplace import LEASE_SECONDS
from dtkdns.hosts.kernel import Kernel
from dtkdns.hosts.settle import SETTLE_SECONDS
from dtkdns.hosts.writer import HostsBlock
from running import hosts_file

CHANGES = int(os.environ.get("DTKDNS_TEST_CHANGES", "2000"))
SLACK = 1.5
"""Seconds of a busy computer."""


@pytest.fixture(params=["rename", "in place"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def path(way: str, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file that can be replaced by rename, or only be written in place."""
    found: Path = request.getfixturevalue("mounted") if way == "in place" else tmp_path / "hosts"
    found.write_bytes(changing.prepared())
    return found


def block_of(path: Path, kernel: Kernel | None = None) -> HostsBlock:
    """The block as it stands in the file."""
    block = HostsBlock(hosts_file(path, kernel), changing.STATE)
    block.write(changing.shown(0))
    return block


def whole_with(path: Path, number: int) -> bool:
    text = path.read_bytes()
    return changing.whole(text) and changing.number_in(text) == number


def beside(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.parent.iterdir() if "dtkdns" in entry.name)


@contextmanager
def timed(most: float) -> Iterator[None]:
    before = time.monotonic()
    yield
    took = time.monotonic() - before
    print(f"took {took:.2f} s of at most {most:.2f} s")
    assert took < most


@pytest.mark.parametrize("kind", leases.KINDS)
def test_the_lease_of_a_stopped_process_delays_a_change_for_a_bounded_time(
    path: Path, way: str, kind: str
) -> None:
    """By rename past a read lease; else the change is refused, for the one who asked to try again."""
    block = block_of(path)
    with leases.stopped_holder(path, kind), timed(SETTLE_SECONDS + LEASE_SECONDS + SLACK):
        if (way, kind) == ("rename", "read"):
            assert block.write(changing.shown(1)).edited.settled
        else:
            with pytest.raises(HostsFileError, match="another program keeps it locked by a lease"):
                block.write(changing.shown(1))
    with timed(SLACK):
        block.write(changing.shown(2))
    assert whole_with(path, 2)
    assert beside(path) == []


class LateHolder(Kernel):
    """A process takes a lease in the last moment before the exchange, and is stopped."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.holder = ExitStack()

    def exchange(self, one: str, other: str) -> bool:
        if self.kind:
            self.holder.enter_context(leases.stopped_holder(other, self.kind))
            self.kind = ""
        return super().exchange(one, other)


@pytest.mark.parametrize("kind", leases.KINDS)
def test_a_lease_on_the_displaced_file_delays_a_change_for_a_bounded_time(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(changing.prepared())
    kernel = LateHolder("")
    block = block_of(path, kernel)
    kernel.kind = kind
    with kernel.holder:
        with timed(SETTLE_SECONDS + SLACK):
            if kind == "read":
                assert block.write(changing.shown(1)).edited.settled
            else:
                with pytest.raises(HostsFileError, match="another program keeps it locked by a lease"):
                    block.write(changing.shown(1))
        assert whole_with(path, 1)
    block.write(changing.shown(2))
    assert whole_with(path, 2)
    assert beside(path) == []


@pytest.mark.timeout(120 + CHANGES // 10)
def test_nobody_waits_long_for_the_file_while_it_changes(path: Path, way: str) -> None:
    with changing.changing(path, path.parent / "journal") as changes, reading(path, "0.001") as found:
        changes.wait_for(CHANGES)
        did = changes.finish()
    print(f"{did}: {found['reads']} reads, the longest took {found['longest']:.4f} s, {found['bad']} were torn")
    assert set(did["ways"]) == {way}
    assert found["longest"] < 1
    assert found["bad"] == 0


@contextmanager
def reading(path: Path, pause: str) -> Iterator[dict[str, float]]:
    """Another process that reads; afterwards, what it saw."""
    found: dict[str, float] = {}
    command = [sys.executable, readers.__file__, "whole", str(path), "1", pause]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"enough\n"
            yield found
            process.terminate()
            found |= json.loads(process.stdout.read())
        finally:
            process.kill()


def test_readers_that_spin_cannot_starve_the_changes(mounted: Path) -> None:
    mounted.write_bytes(changing.prepared())
    block = block_of(mounted)
    with reading(mounted, "0"), reading(mounted, "0"):
        for number in range(1, 31):
            with timed(LEASE_SECONDS + SLACK):
                assert block.write(changing.shown(number)).edited.settled
            assert whole_with(mounted, number)


def test_a_process_that_has_the_file_open_for_writing_for_ever_delays_a_change_for_a_bounded_time(
    path: Path, way: str
) -> None:
    """It is waited for before the file is read, and again when it is the displaced one."""
    block = block_of(path)
    with subprocess.Popen(
        ["sh", "-c", f"exec 3>>{path}; echo open; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"open\n"
            with timed(2 * SETTLE_SECONDS + LEASE_SECONDS + SLACK):
                assert block.write(changing.shown(1)).edited.way.startswith(way)
            assert whole_with(path, 1)
            with timed(2 * SETTLE_SECONDS + LEASE_SECONDS + SLACK):
                block.write(changing.shown(2))
            assert whole_with(path, 2)
        finally:
            writer.kill()
    assert beside(path) == []


def broken(path: Path, number: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, leases.__file__, "broken", str(path), str(path.parent / "journal"), str(number)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=60)


def test_the_signal_by_which_the_kernel_asks_for_a_lease_does_not_end_the_process(path: Path, way: str) -> None:
    ended = broken(path, signal.SIGURG)
    assert ended.returncode == 0
    kinds = ["read", "write"] if way == "in place" else ["read"]
    assert ended.stdout.split() == [str(leases.KINDS[kind]) for kind in kinds]
    assert whole_with(path, 1)


def test_the_signal_that_the_kernel_takes_by_itself_would_end_the_process(path: Path) -> None:
    """So the test above would see it."""
    assert broken(path, 0).returncode == -signal.SIGIO
