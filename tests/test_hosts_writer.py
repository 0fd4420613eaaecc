"""The block follows the projection: one write at a time, tried again after failures, mended after others."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent

from dtkdns.hosts.entries import Entries, make_entry
from dtkdns.hosts.faults import HostsFileError
from dtkdns.hosts.kernel import Lease
from dtkdns.hosts.text import splice
from dtkdns.hosts.versions import REMEMBERED
from dtkdns.hosts.writer import FIRST_PAUSE, LONGEST_PAUSE, SLOW_SECONDS, HostsBlock, HostsWriter
from dtkdns.projection import Projection, Shown
from dtkdns.status import HostsStatus, PartStatus, utc
from kernels import StillKernel, append
from running import hosts_file

LOCALHOST = b"127.0.0.1 localhost\n"


def shown(name: str, *addresses: str, cluster: str = "default", resource: str = "ingress/a/b") -> Shown:
    return Shown(name, addresses or ("10.0.0.1",), cluster, resource, 0, 1.0)


class PatientWorker:
    """Runs a call when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Callable[[], Any], Deferred[Any]]] = []
        self.ran = 0

    def run(self, work: Callable[..., Any], *args: Any) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.waiting.append((lambda: work(*args), done))
        return done

    def step(self) -> None:
        """Run the one call that waits; a second one must not be there."""
        ((work, done),) = self.waiting
        self.waiting = []
        self.ran += 1
        try:
            result = work()
        except Exception:
            done.errback()
        else:
            done.callback(result)

    def steps(self) -> None:
        while self.waiting:
            self.step()


class Parts:
    def __init__(self, directory: Path) -> None:
        self.path = directory / "hosts"
        self.path.write_bytes(LOCALHOST)
        self.clock = Clock()
        self.clock.advance(1000)
        self.worker = PatientWorker()
        self.kernel = StillKernel()
        file = hosts_file(self.path, self.kernel)
        self.writer = HostsWriter(HostsBlock(file, "0123abcd"), file, self.worker, self.clock)  # type: ignore[arg-type]
        self.projection = Projection()

    def show(self, *changes: Shown | str) -> Deferred[None]:
        """Show names, and those given as text no longer."""
        now = dict(self.projection.shown)
        for change in changes:
            if isinstance(change, Shown):
                now[change.name] = change
            else:
                now.pop(change, None)
        self.projection = Projection(shown=now)
        names = [change.name if isinstance(change, Shown) else change for change in changes]
        return self.writer.show(self.projection, names)

    def shown_now(self, *changes: Shown | str) -> None:
        """Show names, and let it be written, whether or not that succeeds."""
        self.show(*changes).addErrback(lambda failure: failure.trap(HostsFileError) and None)
        self.worker.steps()

    def lines(self) -> list[str]:
        """The lines of the file that are no comments, without their own."""
        lines = self.path.read_text().splitlines()
        return [line.partition(" #")[0] for line in lines if not line.startswith("#")]

    def append(self, line: str) -> None:
        append(self.path, line.encode())

    def later(self) -> None:
        """Let so much time pass that what others delete stays deleted."""
        self.kernel.pause(2 * REMEMBERED)


class Disk:
    """An fsync that fails while it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        self._real = os.fsync
        monkeypatch.setattr(os, "fsync", self._sync)

    def _sync(self, handle: int) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._real(handle)


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return Parts(tmp_path)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


# What is written


@ensureDeferred
async def test_a_caller_is_answered_once_the_file_holds_the_names(parts: Parts) -> None:
    done = parts.show(shown("foo.dtk.io", "10.0.0.1", "fd00::1"))
    assert not done.called
    assert parts.lines() == ["127.0.0.1 localhost"]
    parts.worker.step()
    await done
    assert parts.lines() == ["127.0.0.1 localhost", "10.0.0.1 foo.dtk.io", "fd00::1 foo.dtk.io"]
    assert (parts.writer.status.way, parts.writer.status.written) == ("rename", utc(1000))


def test_names_that_are_gone_leave_the_file_and_the_last_one_takes_the_block_along(parts: Parts) -> None:
    parts.shown_now(shown("foo.dtk.io"), shown("bar.dtk.io"))
    parts.shown_now("foo.dtk.io")
    assert parts.lines() == ["127.0.0.1 localhost", "10.0.0.1 bar.dtk.io"]
    parts.shown_now("bar.dtk.io")
    assert parts.path.read_bytes() == LOCALHOST


def test_a_wildcard_is_not_written_and_takes_no_other_name_along(parts: Parts) -> None:
    parts.shown_now(shown("*.dtk.io"), shown("foo.dtk.io"))
    assert parts.lines() == ["127.0.0.1 localhost", "10.0.0.1 foo.dtk.io"]


def test_the_comment_names_a_cluster_other_than_the_default(parts: Parts) -> None:
    parts.shown_now(shown("bar.dtk.io"), shown("foo.dtk.io", cluster="lab"))
    text = parts.path.read_text()
    assert "10.0.0.1 bar.dtk.io # ingress/a/b\n" in text
    assert "10.0.0.1 foo.dtk.io # lab ingress/a/b\n" in text


@pytest.mark.parametrize("way", ["rename", "in place"])
def test_between_two_writes_the_text_is_kept_once(path: Path, kernel: StillKernel, way: str) -> None:
    if way != "rename":
        kernel.fail("exchange", errno.EBUSY)
    block = HostsBlock(hosts_file(path, kernel), "0123abcd")
    for name in ("foo.dtk.io", "foo.dtk.io", "bar.dtk.io"):
        written = block.write({name: shown(name)})
        assert written.edited.way.startswith(way) or not written.edited.changed
        assert written.edited.text is written.spliced.text


def test_what_is_already_there_is_not_written_again(parts: Parts) -> None:
    parts.shown_now(shown("foo.dtk.io"))
    before = parts.path.stat()
    parts.clock.advance(5)
    parts.shown_now(shown("foo.dtk.io"))
    after = parts.path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert (parts.writer.status.way, parts.writer.status.written) == ("rename", utc(1005))


# One write at a time


@ensureDeferred
async def test_callers_that_come_during_a_write_share_the_next_one(parts: Parts) -> None:
    first = parts.show(shown("a.dtk.io"))
    second = parts.show(shown("b.dtk.io"))
    third = parts.show(shown("c.dtk.io"))
    assert len(parts.worker.waiting) == 1
    parts.worker.step()
    await first
    assert (second.called, third.called) == (False, False)
    assert parts.lines() == ["127.0.0.1 localhost", "10.0.0.1 a.dtk.io"]
    parts.worker.step()
    await second
    await third
    assert parts.lines()[1:] == ["10.0.0.1 a.dtk.io", "10.0.0.1 b.dtk.io", "10.0.0.1 c.dtk.io"]
    assert (parts.worker.ran, parts.worker.waiting) == (2, [])


@ensureDeferred
async def test_a_caller_that_goes_away_undoes_no_work_and_disturbs_no_other(parts: Parts) -> None:
    parts.show(shown("a.dtk.io"))
    leaving = parts.show(shown("b.dtk.io"))
    staying = parts.show(shown("c.dtk.io"))
    leaving.addErrback(lambda _cancelled: None)
    leaving.cancel()
    parts.worker.steps()
    await staying
    assert parts.lines()[1:] == ["10.0.0.1 a.dtk.io", "10.0.0.1 b.dtk.io", "10.0.0.1 c.dtk.io"]


@ensureDeferred
async def test_a_failure_answers_all_who_waited_for_this_write_and_no_others(parts: Parts, disk: Disk) -> None:
    parts.show(shown("a.dtk.io"))
    together = [parts.show(shown("b.dtk.io")), parts.show(shown("c.dtk.io"))]
    parts.worker.step()
    later = parts.show(shown("d.dtk.io"))
    disk.full = True
    parts.worker.step()
    for one in together:
        with pytest.raises(HostsFileError, match="the disk is full: make room"):
            await one
    assert not later.called
    disk.full = False
    parts.worker.step()
    await later
    assert len(parts.lines()) == 5
    assert parts.clock.getDelayedCalls() == []


# After a failure


@ensureDeferred
async def test_a_failed_write_is_tried_again_with_growing_pauses(
    parts: Parts, disk: Disk, log_lines: list[str]
) -> None:
    disk.full = True
    done = parts.show(shown("foo.dtk.io"))
    parts.worker.step()
    with pytest.raises(HostsFileError):
        await done
    pauses = [1, 2, 4, 8, 16, 32, 60, 60]
    for pause in pauses:
        assert log_lines[-1].endswith(f"the disk is full: make room. Next try within {pause} s.")
        parts.clock.advance(pause - 0.1)
        assert parts.worker.waiting == []
        parts.clock.advance(0.1)
        parts.worker.step()
    assert parts.writer.status.failing.endswith("the disk is full: make room.")
    disk.full = False
    parts.clock.advance(LONGEST_PAUSE)
    parts.worker.step()
    assert parts.lines() == ["127.0.0.1 localhost", "10.0.0.1 foo.dtk.io"]
    assert parts.writer.status.failing == ""
    assert log_lines[-1] == "The hosts file can be written again."
    assert parts.clock.getDelayedCalls() == []


def test_after_a_success_the_pauses_begin_anew(parts: Parts, disk: Disk) -> None:
    disk.full = True
    parts.shown_now(shown("a.dtk.io"))
    parts.clock.advance(FIRST_PAUSE)
    parts.worker.step()
    disk.full = False
    parts.shown_now(shown("b.dtk.io"))
    disk.full = True
    parts.shown_now(shown("c.dtk.io"))
    (retry,) = parts.clock.getDelayedCalls()
    assert retry.getTime() == parts.clock.seconds() + FIRST_PAUSE


def test_a_caller_does_not_wait_for_the_pause_and_stands_for_the_retry(parts: Parts, disk: Disk) -> None:
    disk.full = True
    parts.shown_now(shown("a.dtk.io"))
    disk.full = False
    parts.shown_now(shown("b.dtk.io"))
    assert parts.lines()[1:] == ["10.0.0.1 a.dtk.io", "10.0.0.1 b.dtk.io"]
    parts.clock.advance(LONGEST_PAUSE)
    assert parts.worker.waiting == []


@ensureDeferred
async def test_a_fault_of_our_own_is_a_failure_to_write_with_its_traceback_in_the_log(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, no_lost_errors: list[LogEvent]
) -> None:
    def broken(_handle: int) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(os, "fsync", broken)
    done = parts.show(shown("foo.dtk.io"))
    parts.worker.step()
    with pytest.raises(HostsFileError, match="see the log of dtkdns"):
        await done
    assert [event["log_failure"].type for event in no_lost_errors] == [ZeroDivisionError]
    no_lost_errors.clear()
    monkeypatch.undo()
    parts.clock.advance(FIRST_PAUSE)
    parts.worker.step()
    assert parts.lines()[1:] == ["10.0.0.1 foo.dtk.io"]


def test_a_write_in_place_that_fails_is_not_itself_a_change_to_be_mended(parts: Parts, disk: Disk) -> None:
    os.link(parts.path, parts.path.parent / "other")
    parts.shown_now(shown("a.dtk.io"))
    disk.full = True
    parts.shown_now(shown("b.dtk.io"))
    parts.writer.check()
    assert parts.worker.waiting == []


# Changes by others


def test_a_change_by_others_is_mended(parts: Parts) -> None:
    parts.shown_now(shown("foo.dtk.io"))
    parts.path.write_bytes(LOCALHOST + b"192.0.2.1 nas\n")
    parts.writer.check()
    parts.worker.step()
    assert parts.lines() == ["127.0.0.1 localhost", "192.0.2.1 nas", "10.0.0.1 foo.dtk.io"]


def test_a_file_that_was_removed_comes_back(parts: Parts) -> None:
    parts.shown_now(shown("foo.dtk.io"))
    parts.later()
    parts.path.unlink()
    parts.writer.check()
    parts.worker.step()
    assert parts.lines() == ["10.0.0.1 foo.dtk.io"]


def test_lines_of_others_that_are_gone_a_moment_after_a_write_come_back(parts: Parts) -> None:
    parts.shown_now(shown("foo.dtk.io"))
    parts.path.unlink()
    parts.writer.check()
    parts.worker.step()
    assert parts.lines() == ["127.0.0.1 localhost", "10.0.0.1 foo.dtk.io"]


def test_while_others_interfere_the_file_is_written_again_until_their_lines_are_in_it(parts: Parts) -> None:
    theirs = [f"192.0.2.1 n{number}" for number in range(7)]
    coming = iter(theirs)
    parts.kernel.before("exchange", lambda: parts.append(next(coming) + "\n"), times=len(theirs))
    parts.show(shown("foo.dtk.io"))
    parts.worker.step()
    assert len(parts.worker.waiting) == 1
    parts.worker.steps()
    assert sorted(parts.lines()) == sorted(["127.0.0.1 localhost", "10.0.0.1 foo.dtk.io", *theirs])
    assert parts.worker.ran == 2


def test_a_file_that_is_as_we_left_it_is_not_looked_into(parts: Parts) -> None:
    parts.shown_now(shown("foo.dtk.io"))
    parts.writer.check()
    assert parts.worker.waiting == []


def test_a_check_during_a_write_adds_none(parts: Parts) -> None:
    parts.show(shown("foo.dtk.io"))
    parts.writer.check()
    parts.worker.step()
    assert parts.worker.waiting == []


def test_a_check_before_anything_was_shown_leaves_the_block_of_the_last_run(parts: Parts) -> None:
    parts.shown_now(shown("foo.dtk.io"))
    text = parts.path.read_bytes()
    file = hosts_file(parts.path)
    worker = PatientWorker()
    HostsWriter(HostsBlock(file, "0123abcd"), file, worker, parts.clock).check()  # type: ignore[arg-type]
    worker.steps()
    assert parts.path.read_bytes() == text


# What is said


def test_a_conflict_is_said_once_and_so_is_its_end(parts: Parts, log_lines: list[str]) -> None:
    parts.append("192.0.2.1 foo.dtk.io\n")
    parts.shown_now(shown("foo.dtk.io"))
    parts.shown_now(shown("bar.dtk.io"))
    assert parts.writer.status.shadowed == {"foo.dtk.io": "192.0.2.1"}
    assert log_lines == [
        f"foo.dtk.io: a line of your own in {parts.path} says 192.0.2.1, and it wins."
        " Remove it to see the cluster's."
    ]
    assert parts.lines()[1:] == ["192.0.2.1 foo.dtk.io", "10.0.0.1 bar.dtk.io"]
    parts.later()
    parts.path.write_bytes(LOCALHOST)
    parts.writer.check()
    parts.worker.step()
    parts.shown_now("bar.dtk.io")
    assert parts.writer.status.shadowed == {}
    assert log_lines[1:] == ["foo.dtk.io: no line of your own stands in the way any more."]
    assert parts.lines()[1:] == ["10.0.0.1 foo.dtk.io"]


def test_a_line_that_is_moved_out_of_the_block_is_said(parts: Parts, log_lines: list[str]) -> None:
    parts.shown_now(shown("foo.dtk.io"))
    parts.path.write_bytes(parts.path.read_bytes().replace(b"10.0.0.1", b"192.0.2.1 nas\n10.0.0.1"))
    parts.writer.check()
    parts.worker.step()
    assert log_lines == [
        "A line of yours stood inside the block of dtkdns and is now behind it: b'192.0.2.1 nas\\n'"
    ]
    assert parts.lines() == ["127.0.0.1 localhost", "10.0.0.1 foo.dtk.io", "192.0.2.1 nas"]


def test_writing_in_place_is_announced_once(parts: Parts, log_lines: list[str]) -> None:
    os.link(parts.path, parts.path.parent / "other")
    parts.shown_now(shown("foo.dtk.io"))
    parts.shown_now(shown("bar.dtk.io"))
    way = "in place (because the file has 2 hard links)"
    assert log_lines == [f"{parts.path} is written {way}."]
    assert parts.writer.status.way == way


def test_what_the_system_cannot_do_is_said_once(parts: Parts, log_lines: list[str]) -> None:
    parts.kernel.instead("lease", lambda _handle, _kind: Lease.NONE)
    parts.shown_now(shown("foo.dtk.io"))
    parts.shown_now(shown("bar.dtk.io"))
    no_leases = "there are no leases for it, so it is read twice, 0.1 s apart, to see that nobody is writing it"
    assert log_lines == [f"{parts.path}: {no_leases}."]
    parts.kernel.instead("exchange", lambda _one, _other: False)
    parts.kernel.fail("link", errno.EPERM)
    parts.shown_now("foo.dtk.io")
    parts.shown_now("bar.dtk.io")
    no_exchange = "its file system cannot exchange two files, so a change by others in the same moment may be lost"
    assert log_lines[1:] == [f"{parts.path}: {no_exchange}."]
    assert parts.path.read_bytes() == LOCALHOST


def test_a_block_of_another_dtkdns_is_taken_over_with_a_warning(parts: Parts, log_lines: list[str]) -> None:
    entries = Entries([make_entry("old.dtk.io", ("10.0.0.9",), "", "ingress/a/b")])
    parts.path.write_bytes(splice(LOCALHOST, entries, "fedcba98").text)
    parts.shown_now(shown("foo.dtk.io"))
    parts.shown_now(shown("bar.dtk.io"))
    assert log_lines == [
        f"The block in {parts.path} was that of another dtkdns (state fedcba98), which does not run: taken over."
    ]
    assert parts.lines() == ["127.0.0.1 localhost", "10.0.0.1 bar.dtk.io", "10.0.0.1 foo.dtk.io"]


# What is counted, and whether the block agrees


def counted(parts: Parts) -> dict[str, float]:
    """The counters that are not zero."""
    names = ("writes", "seconds", "failures", "retries", "foreign_edits")
    found = {name: getattr(parts.writer.status, name) for name in names}
    return {name: value for name, value in found.items() if value}


def test_every_write_is_counted_with_its_time_whether_or_not_the_file_differed(parts: Parts) -> None:
    assert counted(parts) == {}
    for _ in range(2):
        parts.show(shown("a.dtk.io"))
        parts.clock.advance(0.25)
        parts.worker.step()
    assert counted(parts) == {"writes": 2, "seconds": 0.5}


def test_failures_are_counted_and_the_attempts_that_follow_by_themselves(parts: Parts, disk: Disk) -> None:
    disk.full = True
    parts.shown_now(shown("a.dtk.io"))
    parts.shown_now(shown("b.dtk.io"))
    assert counted(parts) == {"failures": 2}
    for _ in range(2):
        parts.clock.advance(LONGEST_PAUSE)
        parts.worker.step()
    assert counted(parts) == {"failures": 4, "retries": 2}
    disk.full = False
    parts.clock.advance(LONGEST_PAUSE)
    parts.worker.step()
    status = parts.writer.status
    assert (status.failures, status.retries, status.writes) == (4, 3, 1)


def test_each_change_by_others_is_counted_once_and_our_own_never(parts: Parts) -> None:
    parts.append("192.0.2.1 before\n")
    parts.shown_now(shown("a.dtk.io"))
    parts.shown_now(shown("b.dtk.io"))
    assert "foreign_edits" not in counted(parts)
    for number in range(1, 3):
        parts.append(f"192.0.2.1 n{number}\n")
        parts.writer.check()
        parts.worker.step()
        assert counted(parts)["foreign_edits"] == number
    parts.kernel.before("exchange", lambda: parts.append("192.0.2.1 between\n"))
    parts.shown_now(shown("c.dtk.io"))
    assert counted(parts)["foreign_edits"] == 3


def test_the_block_agrees_while_it_is_as_written_and_while_it_is_written_anew(parts: Parts) -> None:
    parts.shown_now(shown("a.dtk.io"))
    agrees = PartStatus("block", True, "agrees with the records")
    assert parts.writer.readiness() == agrees
    parts.show(shown("b.dtk.io"))
    parts.clock.advance(SLOW_SECONDS)
    assert parts.writer.readiness() == agrees
    parts.clock.advance(1)
    slow = "being written for 11 s: is the disk overloaded?"
    assert parts.writer.readiness() == PartStatus("block", False, slow)
    parts.worker.step()
    assert parts.writer.readiness() == agrees


def test_the_block_does_not_agree_while_others_have_changed_the_file(parts: Parts) -> None:
    parts.shown_now(shown("a.dtk.io"))
    parts.append("192.0.2.1 nas\n")
    assert parts.writer.readiness() == PartStatus("block", False, "changed by others just now")
    parts.writer.check()
    assert parts.writer.readiness().ok
    parts.worker.step()
    assert parts.writer.readiness().ok


def test_the_block_does_not_agree_after_a_failure_for_its_reason(parts: Parts, disk: Disk) -> None:
    disk.full = True
    parts.shown_now(shown("a.dtk.io"))
    found = parts.writer.readiness()
    assert (found.ok, found.detail) == (False, parts.writer.status.failing)
    assert "the disk is full" in found.detail


def test_a_block_that_is_held_does_not_agree(parts: Parts) -> None:
    parts.shown_now(shown("a.dtk.io"))
    parts.writer.hold()
    held = "left as it is until external-dns has sent its records again"
    assert parts.writer.readiness() == PartStatus("block", False, held)
    parts.writer.release()
    assert parts.writer.readiness().ok


def test_before_the_first_write_nothing_is_counted(parts: Parts) -> None:
    assert parts.writer.status == HostsStatus(path=str(parts.path))
    assert not parts.writer.readiness().ok


# Held


@ensureDeferred
async def test_while_held_the_file_is_left_alone_and_callers_are_answered_at_once(parts: Parts) -> None:
    parts.writer.hold()
    await parts.show(shown("foo.dtk.io"))
    parts.writer.check()
    assert parts.worker.waiting == []
    assert parts.writer.status.held
    parts.writer.release()
    assert not parts.writer.status.held
    done = parts.show(shown("bar.dtk.io"))
    parts.worker.step()
    await done
    assert parts.lines()[1:] == ["10.0.0.1 bar.dtk.io", "10.0.0.1 foo.dtk.io"]


# Stop


@ensureDeferred
async def test_a_stop_with_nothing_to_do_is_done(parts: Parts) -> None:
    await parts.writer.stop()


@ensureDeferred
async def test_a_stop_waits_for_the_write_that_is_under_way(parts: Parts) -> None:
    done = parts.show(shown("foo.dtk.io"))
    stopped = Deferred.fromCoroutine(parts.writer.stop())
    assert not stopped.called
    parts.worker.step()
    await stopped
    await done


@ensureDeferred
async def test_a_stop_waits_for_the_write_that_callers_share_behind_it(parts: Parts) -> None:
    parts.show(shown("a.dtk.io"))
    shared = parts.show(shown("b.dtk.io"))
    stopped = Deferred.fromCoroutine(parts.writer.stop())
    parts.worker.step()
    assert not stopped.called
    parts.worker.step()
    await stopped
    await shared


@ensureDeferred
async def test_a_stop_that_is_given_up_lets_the_write_end_all_the_same(parts: Parts) -> None:
    done = parts.show(shown("foo.dtk.io"))
    stopped = Deferred.fromCoroutine(parts.writer.stop())
    stopped.addErrback(lambda failure: failure.trap(CancelledError) and None)
    stopped.cancel()
    parts.worker.step()
    await done
    assert parts.lines()[1:] == ["10.0.0.1 foo.dtk.io"]


@ensureDeferred
async def test_after_a_stop_nothing_is_tried_again(parts: Parts, disk: Disk) -> None:
    disk.full = True
    parts.shown_now(shown("a.dtk.io"))
    parts.show(shown("b.dtk.io")).addErrback(lambda failure: failure.trap(HostsFileError) and None)
    stopped = Deferred.fromCoroutine(parts.writer.stop())
    parts.worker.step()
    await stopped
    assert parts.clock.getDelayedCalls() == []
    assert parts.path.read_bytes() == LOCALHOST


def test_a_write_of_our_own_that_failed_is_no_change_by_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, disk = Parts(tmp_path), Disk(monkeypatch)
    disk.full = True
    parts.shown_now(shown("a.dtk.io"))
    disk.full = False
    parts.clock.advance(LONGEST_PAUSE)
    parts.worker.step()
    assert parts.writer.status.foreign_edits == 0
