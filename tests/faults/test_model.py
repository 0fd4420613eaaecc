"""Any order of changes, edits by others, refusals, crashes and restarts, compared with a model in memory.

A line that somebody deletes within two seconds of a write of ours may come back (`versions.REMEMBERED`), so the
clock goes on before each deletion. So may one that is deleted between a crash and the next write: a file that the
crash left still has it, and nobody can tell whether it was deleted or lost.
"""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from steps import ERRORS, Appending, Call, Fault, StepKernel, short

from dtkdns.hosts import rename
from dtkdns.hosts import text as hosts_text
from dtkdns.hosts.faults import HostsFileError
from dtkdns.hosts.kernel import Kernel
from dtkdns.hosts.writer import HostsBlock
from dtkdns.projection import Shown
from running import hosts_file

EXAMPLES = int(os.environ.get("DTKDNS_TEST_EXAMPLES", "50"))
STATE = "0123abcd"
FORGOTTEN = 3.0
"""Seconds after which lines are not remembered any more."""

names = st.integers(0, 11).map(lambda number: f"name-{number}.dtk.io")
addresses = st.integers(1, 250).map(lambda number: f"192.168.1.{number}")
steps = st.integers(0, 60)
picks = st.integers(0, 1000)
"""Which one of the lines that there are."""


class Crash(BaseException):
    """The process is gone: nothing that it would do now happens."""


class CrashKernel(StepKernel):
    """One in which everything ends at a step; what is open then is closed, as it is when a process is killed."""

    def __init__(self, time: float) -> None:
        super().__init__()
        self.time = time
        self._crash: tuple[int, str] | None = None
        self._open: set[int] = set()
        self._gone = False

    def crash_at(self, step: int, how: str) -> None:
        self._crash = (len(self.steps) + step, how)

    def fail_at(self, step: int, fault: Fault, *, lasting: bool) -> None:
        self._step, self._fault, self._lasting = len(self.steps) + step, fault, lasting

    def mend(self) -> None:
        super().mend()
        self._crash = None

    def take(self, name: str, call: Call, args: tuple[Any, ...]) -> Any:
        if self._gone:
            raise Crash
        if self._crash is not None and len(self.steps) == self._crash[0]:
            for watch in self.watchers:
                watch(name)
            self._end(name, call, args, self._crash[1])
        return super().take(name, lambda *given: self._tracked(name, call, given), args)

    def _end(self, name: str, call: Call, args: tuple[Any, ...], how: str) -> None:
        with suppress(OSError):
            if how == "after":
                self._tracked(name, call, args)
            elif how == "midway" and name == "write":
                short(name, call, args)
        self._gone = True
        for handle in self._open:
            os.close(handle)
        raise Crash

    def _tracked(self, name: str, call: Call, args: tuple[Any, ...]) -> Any:
        result = call(*args)
        if name == "open":
            self._open.add(result)
        elif name == "close":
            self._open.discard(args[0])
        return result


class World(RuleBasedStateMachine):
    """A hosts file, a dtkdns and its block, and other programs."""

    def __init__(self, directory: Path, *, linked: bool) -> None:
        super().__init__()
        for name in os.listdir(directory):
            (directory / name).unlink()
        self.path = directory / "hosts"
        self.linked = linked
        self.numbers = count()
        self.time = 1000.0
        self.kernel: CrashKernel | None = None
        """None while dtkdns does not run."""
        self.block: HostsBlock | None = None
        self.records: dict[str, str] = {}
        self.pending: dict[str, Shown | None] = {}
        self.lines: set[bytes] = set()
        """Those of others."""
        self.maybe: set[bytes] = set()
        """Those that somebody deleted before a crash or a refusal was made good."""
        self.earlier: dict[bytes, set[bytes]] = {}
        """What lines were before they were rewritten, by name, since the last write that succeeded."""
        self.owing = False
        """Whether a crash or a refusal was not made good yet."""

    @initialize(ended=st.booleans(), lines=st.integers(0, 5))
    def begin(self, ended: bool, lines: int) -> None:
        new = [self.fresh() for _ in range(lines)]
        self.lines = set(new)
        text = b"".join(line + b"\n" for line in new)
        self.path.write_bytes(text if ended else text[:-1])
        self.link()

    # dtkdns

    @rule(name=names, address=addresses)
    def put(self, name: str, address: str) -> None:
        self.records[name] = address
        self.pending[name] = Shown(name, (address,), "default", "ingress/d/t", 0, 0.0)

    @rule(name=names)
    def take_away(self, name: str) -> None:
        self.records.pop(name, None)
        self.pending[name] = None

    @rule()
    def restart(self) -> None:
        self.stop()
        self.start()

    @rule()
    def write(self) -> None:
        self.start()
        self.written()

    @rule(step=steps)
    def write_while_another_appends(self, step: int) -> None:
        kernel = self.start()
        theirs = self.appending(kernel, step)
        self.written(theirs)

    @rule(step=steps, fault=st.sampled_from(sorted(ERRORS)), lasting=st.booleans(), appended=st.none() | steps)
    def write_and_be_refused(self, step: int, fault: str, lasting: bool, appended: int | None) -> None:
        kernel = self.start()
        theirs = self.appending(kernel, appended) if appended is not None else None
        kernel.fail_at(step, ERRORS[fault], lasting=lasting and fault not in {"EINTR", "short"})
        try:
            self.written(theirs)
        except HostsFileError:
            event("refused")
            self.owing = True
            self.appended(theirs)
        kernel.mend()

    @rule(step=steps, how=st.sampled_from(["before", "midway", "after"]), appended=st.none() | steps)
    def write_and_crash(self, step: int, how: str, appended: int | None) -> None:
        kernel = self.start()
        theirs = self.appending(kernel, appended) if appended is not None else None
        kernel.crash_at(step, how)
        try:
            self.written(theirs)
        except Crash:
            event(f"crash at {kernel.steps[-1] if kernel.steps else 'the start'}")
            self.owing = True
            self.appended(theirs)
            self.stop()
        kernel.mend()

    @rule(step=st.integers(0, 15))
    def recover_and_crash(self, step: int) -> None:
        self.stop()
        kernel = CrashKernel(self.time)
        kernel.crash_at(step, "midway")
        with suppress(Crash):
            hosts_file(self.path, kernel).recover()
        self.owing = True

    @rule(seconds=st.floats(0, 5))
    def wait(self, seconds: float) -> None:
        self.advance(seconds)

    # Others

    @rule()
    def append(self) -> None:
        line = self.fresh()
        with self.path.open("ab") as file:
            file.write(self.with_end(line))
        self.lines.add(line)

    def is_whole(self) -> bool:
        """Whether no crash has cut the file where it stands; others do not see what they do with one that is."""
        journal = self.path.with_name("journal")
        return not journal.exists() or journal.stat().st_size == 0

    @precondition(is_whole)
    @rule(pick=picks, by_rename=st.booleans())
    def delete(self, pick: int, by_rename: bool) -> None:
        line = self.pick(pick)
        if line is None:
            return
        self.advance(FORGOTTEN)
        self.replace(self.without(line), by_rename=by_rename)
        self.lines.discard(line)
        if self.owing:
            self.maybe |= {line} | self.earlier.get(line.split()[1], set())

    @precondition(is_whole)
    @rule(pick=picks, by_rename=st.booleans())
    def rewrite(self, pick: int, by_rename: bool) -> None:
        line = self.pick(pick)
        if line is None:
            return
        name = line.split()[1]
        new = self.fresh().split()[0] + b" " + name
        self.replace(self.path.read_bytes().replace(line, new), by_rename=by_rename)
        self.lines = self.lines - {line} | {new}
        self.earlier.setdefault(name, set()).add(line)

    @precondition(is_whole)
    @rule(by_rename=st.booleans())
    def replace_all_without_the_block(self, by_rename: bool) -> None:
        line = self.fresh()
        text = hosts_text.remove(self.path.read_bytes())
        if text and not text.endswith(b"\n"):
            text += b"\n"
        self.replace(text + line + b"\n", by_rename=by_rename)
        self.lines.add(line)

    def teardown(self) -> None:
        if self.path.exists():
            self.start()
            self.written()

    # What is made of them

    def start(self) -> CrashKernel:
        """Start dtkdns if it does not run."""
        if self.kernel is None:
            self.kernel = CrashKernel(self.time)
            file = hosts_file(self.path, self.kernel)
            file.recover()
            self.block = HostsBlock(file, STATE)
            self.pending = {
                name: Shown(name, (address,), "default", "ingress/d/t", 0, 0.0)
                for name, address in self.records.items()
            }
        return self.kernel

    def stop(self) -> None:
        if self.kernel is not None:
            self.time = self.kernel.time
        self.kernel = self.block = None

    def advance(self, seconds: float) -> None:
        self.time += seconds
        if self.kernel is not None:
            self.kernel.time += seconds

    def appending(self, kernel: CrashKernel, step: int) -> tuple[Appending, bytes]:
        line = self.fresh()
        return Appending(kernel, str(self.path), self.with_end(line), len(kernel.steps) + step), line

    def appended(self, theirs: tuple[Appending, bytes] | None) -> None:
        if theirs is not None and theirs[0].done:
            self.lines.add(theirs[1])

    def written(self, theirs: tuple[Appending, bytes] | None = None) -> None:
        """Write, and see that it is as it should be. Raises `HostsFileError` and `Crash`."""
        assert self.block is not None
        assert self.kernel is not None
        pending, self.pending = self.pending, {}
        while not self.block.write(pending).edited.settled:
            pending = {}
        self.kernel.mend()
        self.appended(theirs)
        text = self.path.read_bytes()
        block = hosts_text.read(text)
        expected = sorted((name, address) for name, address in self.records.items())
        assert (block is None) == (not expected)
        if block is not None:
            assert block.intact
            assert block.lines == tuple(b"%b %b # ingress/d/t\n" % (a.encode(), n.encode()) for n, a in expected)
        found = Counter(line for line in hosts_text.remove(text).split(b"\n") if line)
        assert max(found.values(), default=1) == 1, found
        assert self.lines <= found.keys(), self.lines - found.keys()
        assert found.keys() <= self.lines | self.maybe, found.keys() - self.lines
        assert rename.leftovers(Kernel(), str(self.path)) == []
        assert self.is_whole()
        self.lines = set(found)
        self.maybe = set()
        self.earlier = {}
        self.owing = False

    def fresh(self) -> bytes:
        number = next(self.numbers)
        return b"10.%d.%d.%d foreign-%d" % (number >> 16, number >> 8 & 255, number & 255, number)

    def with_end(self, line: bytes) -> bytes:
        text = self.path.read_bytes()
        return (b"\n" if text and not text.endswith(b"\n") else b"") + line + b"\n"

    def pick(self, pick: int) -> bytes | None:
        """A line of others that is in the file."""
        here = sorted(self.lines & set(self.path.read_bytes().split(b"\n")))
        return here[pick % len(here)] if here else None

    def without(self, line: bytes) -> bytes:
        return b"\n".join(one for one in self.path.read_bytes().split(b"\n") if one != line)

    def replace(self, text: bytes, *, by_rename: bool) -> None:
        if by_rename:
            new = self.path.with_name("hosts.of-another-tool")
            new.write_bytes(text)
            new.rename(self.path)
            self.link()
        else:
            self.path.write_bytes(text)

    def link(self) -> None:
        """A second name of the file makes it one that is written in place."""
        if self.linked:
            other = self.path.with_name("linked")
            other.unlink(missing_ok=True)
            os.link(self.path, other)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """In memory: nothing here asks what a disk keeps."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(tmp_path)], check=True)
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


@pytest.mark.timeout(120 + EXAMPLES)
@pytest.mark.parametrize("linked", [False, True], ids=["by rename", "in place"])
def test_whatever_happens_in_whatever_order_others_keep_their_lines_and_the_block_is_what_it_should_be(
    directory: Path, linked: bool
) -> None:
    run_state_machine_as_test(
        lambda: World(directory, linked=linked),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
