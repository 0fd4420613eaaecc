"""What systemd is told, as it would hear it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent

from dtkdns.notify import LONGEST_STATUS, PINGS, notifier
from running import hang, running, until


class Manager:
    """Where a service manager listens."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)
        self.heard: list[str] = []

    def hear(self) -> list[str]:
        while True:
            try:
                self.heard.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return self.heard

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(f"{tmp_path}/notify")
    yield made
    made.close()


def test_ready_alive_and_stopping_are_told_in_this_order(tmp_path: Path, manager: Manager) -> None:
    clock = Clock()
    said = ["two names", "two names", "the disk\nis full"]
    environment = {"NOTIFY_SOCKET": f"{tmp_path}/notify", "WATCHDOG_USEC": "30000000"}
    one = notifier(environment, clock)
    one.ready(lambda: said[0])
    assert manager.hear() == ["READY=1", "STATUS=two names", "WATCHDOG=1"]
    clock.advance(30 / PINGS)
    assert manager.hear()[3:] == ["WATCHDOG=1"]
    said[0] = "the disk\nis full " + "x" * LONGEST_STATUS
    clock.advance(30 / PINGS)
    assert manager.hear()[4] == "WATCHDOG=1"
    assert manager.hear()[5].startswith("STATUS=the disk is full xxx")
    assert len(manager.hear()[5]) <= LONGEST_STATUS + len("STATUS=")
    one.stopping()
    assert manager.hear()[6:] == ["STOPPING=1"]
    assert not clock.getDelayedCalls()


def test_a_fault_in_what_is_said_ends_no_sign_of_life(
    tmp_path: Path, manager: Manager, no_lost_errors: list[LogEvent]
) -> None:
    clock = Clock()
    environment = {"NOTIFY_SOCKET": f"{tmp_path}/notify", "WATCHDOG_USEC": "30000000"}

    def fail() -> str:
        raise ZeroDivisionError

    one = notifier(environment, clock)
    one.ready(fail)
    clock.advance(30 / PINGS)
    assert manager.hear() == ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]
    assert len(no_lost_errors) == 3
    no_lost_errors.clear()
    one.stopping()


def test_an_address_in_the_abstract_namespace_is_spoken_to() -> None:
    name = f"dtkdns-test-{os.getpid()}"
    manager = Manager(f"\0{name}")
    notifier({"NOTIFY_SOCKET": f"@{name}"}, Clock()).ready(lambda: "")
    assert manager.hear() == ["READY=1"]
    manager.close()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"WATCHDOG_USEC": "1000000"},
        {"NOTIFY_SOCKET": "vsock:2:1234", "WATCHDOG_USEC": "1000000"},
    ],
)
def test_without_a_manager_nobody_is_told_anything(environment: dict[str, str], log_lines: list[str]) -> None:
    clock = Clock()
    one = notifier(environment, clock)
    one.ready(lambda: "well")
    one.stopping()
    assert not clock.getDelayedCalls()
    assert log_lines == []


@pytest.mark.parametrize("wanted", [{"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "often"}, {"WATCHDOG_USEC": "0"}])
def test_signs_of_life_that_are_not_wanted_of_this_process_are_not_sent(
    tmp_path: Path, manager: Manager, wanted: dict[str, str]
) -> None:
    clock = Clock()
    environment = {"NOTIFY_SOCKET": f"{tmp_path}/notify", "WATCHDOG_USEC": "1000000", **wanted}
    notifier(environment, clock).ready(lambda: "well")
    assert not clock.getDelayedCalls()
    assert manager.hear() == ["READY=1", "STATUS=well"]


def test_a_manager_that_does_not_listen_is_a_line_in_the_log(tmp_path: Path, log_lines: list[str]) -> None:
    notifier({"NOTIFY_SOCKET": f"{tmp_path}/nobody"}, Clock()).ready(lambda: "")
    assert log_lines == ["systemd was not told 'READY=1': [Errno 2] No such file or directory."]


@ensureDeferred
async def test_the_service_is_ready_once_the_hosts_file_is_looked_at_and_says_how_it_does(
    tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", f"{tmp_path}/notify")
    slow = hang(monkeypatch)
    async with running(tmp_path) as service:
        assert (await service.call("GET", "/")).status == 200
        assert manager.hear() == []
        slow.set()
        await until(lambda: len(manager.hear()) == 2)
        assert manager.heard == ["READY=1", "STATUS=All is as it should be: 0 names."]
    assert manager.hear()[2:] == ["STOPPING=1"]


@ensureDeferred
async def test_a_hosts_file_that_cannot_be_written_does_not_keep_the_service_from_its_work(
    tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", f"{tmp_path}/notify")
    (tmp_path / "hosts").write_bytes(b"\0")
    async with running(tmp_path):
        await until(lambda: len(manager.hear()) == 2)
        assert manager.heard[0] == "READY=1"
        assert manager.heard[1].startswith("STATUS=hosts file: ")


@ensureDeferred
async def test_a_stop_before_the_service_is_ready_says_so_only(
    tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", f"{tmp_path}/notify")
    slow = hang(monkeypatch)
    async with running(tmp_path) as service:
        stopped = service.service.stopService()
        slow.set()
        await stopped
    assert manager.hear() == ["STOPPING=1"]
