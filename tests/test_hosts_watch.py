"""Changes of the hosts file by others are noticed: at once by inotify, and at the latest by a slow poll."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import inotify, reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock, deferLater

from dtkdns.hosts import watch as watch_module
from dtkdns.hosts.watch import POLL_SECONDS, SETTLE_SECONDS, HostsWatch
from running import hosts_file


class NoticingClock(Clock):
    """Tells when something is put off, which is what an event of inotify does."""

    def __init__(self) -> None:
        super().__init__()
        self.put_off: Deferred[None] | None = None

    def callLater(self, when: float, what: Callable[..., object], *a: Any, **kw: Any) -> IDelayedCall:  # noqa: N802
        if self.put_off is not None:
            put_off, self.put_off = self.put_off, None
            put_off.callback(None)
        return super().callLater(when, what, *a, **kw)


class Watched:
    """A hosts file under watch by the real inotify, with a clock that stands still until it is moved."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "hosts"
        self.path.write_bytes(b"127.0.0.1 localhost\n")
        self.clock = NoticingClock()
        self.changes = 0
        self.watch = HostsWatch(hosts_file(self.path), self._changed, self.clock)

    def _changed(self) -> None:
        self.changes += 1

    async def noticed(self, act: Callable[[], object]) -> None:
        """Act, and wait until that has been noticed and the file has settled."""
        put_off: Deferred[None] = Deferred()
        self.clock.put_off = put_off
        act()
        put_off.addTimeout(4, reactor)
        await put_off
        await turns()
        self.clock.advance(SETTLE_SECONDS)

    async def unnoticed(self, act: Callable[[], object]) -> None:
        """Act, let the reactor read what inotify has to say about it, and let the file settle."""
        act()
        await turns()
        self.clock.advance(SETTLE_SECONDS)

    def replace(self) -> None:
        other = self.path.parent / "by somebody"
        other.write_bytes(b"192.0.2.1 nas\n")
        other.rename(self.path)

    def append(self) -> None:
        with self.path.open("ab") as file:
            file.write(b"192.0.2.1 nas\n")

    def remove(self) -> None:
        self.path.unlink()

    def change_mode(self) -> None:
        self.path.chmod(0o600)


async def turns() -> None:
    """A few turns of the reactor: what can be read by now is read."""
    for _ in range(4):
        await deferLater(reactor, 0)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path)
    yield watched
    watched.watch.stop()


@pytest.mark.parametrize("how", [Watched.replace, Watched.append, Watched.remove, Watched.change_mode])
@ensureDeferred
async def test_a_change_by_others_is_noticed_at_once(watched: Watched, how: Callable[[Watched], None]) -> None:
    watched.watch.start()
    await watched.noticed(lambda: how(watched))
    assert watched.changes == 1
    watched.watch.stop()
    await turns()


@ensureDeferred
async def test_one_change_after_the_other_is_noticed(watched: Watched) -> None:
    watched.watch.start()
    for number, how in enumerate(
        [watched.replace, watched.append, watched.replace, watched.remove, watched.append]
    ):
        await watched.noticed(how)
        assert watched.changes == number + 1
    watched.watch.stop()
    await turns()


@ensureDeferred
async def test_a_file_whose_former_self_lives_on_is_watched(watched: Watched) -> None:
    watched.watch.start()
    os.link(watched.path, watched.path.parent / "kept by an editor")
    await turns()
    watched.clock.advance(SETTLE_SECONDS)
    changes = watched.changes
    await watched.noticed(watched.replace)
    await watched.noticed(lambda: watched.path.chmod(0o600))
    with watched.path.open("ab", buffering=0) as file:
        await watched.noticed(lambda: file.write(b"192.0.2.2 printer\n"))
    assert watched.changes == changes + 3
    watched.watch.stop()
    await turns()


@ensureDeferred
async def test_a_burst_of_changes_is_one(watched: Watched) -> None:
    watched.watch.start()

    def burst() -> None:
        for _ in range(10):
            watched.append()

    await watched.noticed(burst)
    assert watched.changes == 1
    watched.watch.stop()
    await turns()


@ensureDeferred
async def test_what_happens_until_the_file_is_looked_at_wakes_nobody(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[inotify.INotify] = []
    real = inotify.INotify.doRead
    monkeypatch.setattr(inotify.INotify, "doRead", lambda notifier: (read.append(notifier), real(notifier))[1])
    watched.watch.start()
    watched.append()
    await turns()
    begun = len(read)
    for how in (watched.replace, watched.append, watched.change_mode, watched.replace):
        how()
        await turns()
    assert len(read) == begun
    watched.clock.advance(SETTLE_SECONDS)
    assert len(read) == begun + 2
    await turns()
    watched.clock.advance(SETTLE_SECONDS)
    assert watched.changes == 1
    await watched.noticed(watched.append)
    assert watched.changes == 2
    watched.watch.stop()
    await turns()


@ensureDeferred
async def test_other_files_in_the_directory_are_nobodys_business(watched: Watched) -> None:
    watched.watch.start()
    await watched.unnoticed(lambda: (watched.path.parent / "resolv.conf").write_bytes(b"#"))
    assert watched.changes == 0
    watched.watch.stop()
    await turns()


@ensureDeferred
async def test_a_file_that_appears_is_noticed(watched: Watched) -> None:
    watched.remove()
    watched.watch.start()
    await watched.noticed(watched.replace)
    assert watched.changes == 1
    watched.watch.stop()
    await turns()


@ensureDeferred
async def test_the_file_behind_a_link_is_watched(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    watched = Watched(tmp_path / "real")
    (tmp_path / "hosts").symlink_to("real/hosts")
    watch = HostsWatch(hosts_file(tmp_path / "hosts"), watched._changed, watched.clock)
    watch.start()
    await watched.noticed(watched.append)
    assert watched.changes == 1
    watch.stop()
    await turns()


@ensureDeferred
async def test_the_file_is_looked_at_now_and_then_whatever_inotify_says(watched: Watched) -> None:
    watched.watch.start()
    watched.clock.advance(POLL_SECONDS - 0.1)
    assert watched.changes == 0
    watched.clock.advance(0.1)
    assert watched.changes == 1
    watched.clock.advance(POLL_SECONDS)
    assert watched.changes == 2
    watched.watch.stop()
    await turns()


@ensureDeferred
async def test_without_its_directory_the_file_is_still_polled(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watch = HostsWatch(hosts_file(tmp_path / "gone/hosts"), watched._changed, watched.clock)
    watch.start()
    watched.clock.advance(POLL_SECONDS)
    assert watched.changes == 1
    watch.stop()
    await turns()


def test_a_system_without_inotify_is_polled_and_says_so(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, log_lines: list[str]
) -> None:
    monkeypatch.setattr(watch_module, "inotify", None)
    watched.watch.start()
    assert log_lines == ["No inotify here: changes by others are noticed within 5.0 s."]
    watched.clock.advance(POLL_SECONDS)
    assert watched.changes == 1
    watched.watch.stop()
    assert watched.clock.getDelayedCalls() == []


@pytest.mark.parametrize("call", ["init", "add"])
@ensureDeferred
async def test_where_inotify_has_no_room_left_the_file_is_polled(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def used_up(*_args: object) -> int:
        raise inotify.INotifyError("the user's limit is reached")

    monkeypatch.setattr(inotify.INotify._inotify, call, used_up)
    try:
        watched.watch.start()
        watched.clock.advance(POLL_SECONDS)
        assert watched.changes == 1
    finally:
        watched.watch.stop()
        await turns()


@ensureDeferred
async def test_a_stop_leaves_nothing_behind(watched: Watched) -> None:
    readers = set(reactor.getReaders())
    watched.watch.start()
    assert set(reactor.getReaders()) != readers
    watched.append()
    await turns()
    assert len(watched.clock.getDelayedCalls()) == 2
    watched.watch.stop()
    watched.watch.stop()
    await turns()
    assert watched.clock.getDelayedCalls() == []
    assert set(reactor.getReaders()) == readers
    await watched.unnoticed(watched.append)
    assert watched.changes == 0


def test_a_watch_that_was_never_started_can_be_stopped(watched: Watched) -> None:
    watched.watch.stop()
    assert watched.clock.getDelayedCalls() == []
