"""One hosts file, one dtkdns."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dtkdns.hosts import claim as module
from dtkdns.hosts.claim import ClaimError, HostsClaim


def test_a_second_one_is_refused_until_the_first_has_gone(path: Path) -> None:
    first, second = HostsClaim(str(path)), HostsClaim(str(path))
    first.take()
    first.take()
    with pytest.raises(ClaimError, match=rf"process {os.getpid()}\) keeps {path}: stop it first"):
        second.take()
    first.release()
    first.release()
    second.take()
    second.release()


def test_the_same_file_is_known_by_every_path_and_after_it_was_replaced(path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to("hosts")
    first = HostsClaim(str(path))
    first.take()
    path.with_name("new").write_bytes(b"")
    path.with_name("new").rename(path)
    with pytest.raises(ClaimError):
        HostsClaim(str(link)).take()
    other = HostsClaim(str(path.with_name("other")))
    other.take()
    other.release()
    first.release()


def test_a_name_that_another_user_has_is_no_claim(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = HostsClaim(str(path))
    first.take()

    class Somebody:
        size = module._CREDENTIALS.size

        def unpack(self, _found: bytes) -> tuple[int, int, int]:
            return 1, os.geteuid() + 4242, 1

    monkeypatch.setattr(module, "_CREDENTIALS", Somebody())
    HostsClaim(str(path)).take()
    first.release()


def failing(*_args: object) -> Any:
    raise OSError


@pytest.mark.parametrize("name", ["socket", "listen", "connect"])
def test_where_nothing_can_be_claimed_nothing_is(path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    first = HostsClaim(str(path))
    if name == "connect":
        first.take()
    monkeypatch.setattr(socket if name == "socket" else socket.socket, name, failing)
    HostsClaim(str(path)).take()
    monkeypatch.undo()
    first.take()
    first.release()


def test_on_another_system_nothing_is_claimed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    first, second = HostsClaim(str(path)), HostsClaim(str(path))
    first.take()
    second.take()


def test_without_its_directory_nothing_is_claimed(tmp_path: Path) -> None:
    HostsClaim(str(tmp_path / "gone/hosts")).take()


MOUNTS = "29 1 254:0 / / rw - ext4 /dev/vda rw\n31 29 254:0 /x {mounted} rw - ext4 /dev/vda rw\n"


@pytest.mark.parametrize(
    ("mounts", "is_mount"),
    [
        (lambda path: MOUNTS.format(mounted=path), True),
        (lambda path: MOUNTS.format(mounted=f"{path}2"), False),
        (None, False),
    ],
)
def test_a_file_that_is_mounted_over_another_stays_what_it_is(
    path: Path, monkeypatch: pytest.MonkeyPatch, mounts: Callable[[Path], str] | None, is_mount: bool
) -> None:
    def read_text(self: Path, *_how: str) -> str:
        if mounts is None:
            raise OSError
        return mounts(path)

    monkeypatch.setattr(Path, "read_text", read_text)
    status = path.stat()
    assert (module._identity(str(path)) == f"{status.st_dev}:{status.st_ino}") is is_mount
