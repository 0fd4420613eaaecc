"""A dry run says which lines it would write, and writes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dtkdns.hosts.dryrun import DryRunHostsFile
from dtkdns.hosts.faults import HostsFileError
from dtkdns.hosts.kernel import Kernel
from dtkdns.reports import MANY
from kernels import StillKernel


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "hosts"
    path.write_bytes(b"127.0.0.1 localhost\n192.0.2.1 nas # caf\xe9\n")
    return path


def test_lines_that_would_go_and_come_are_said_and_the_file_stays_as_it_is(
    path: Path, log_lines: list[str]
) -> None:
    before = path.stat()
    text = path.read_bytes()
    new = b"127.0.0.1 localhost\n10.0.0.1 foo.dtk.io\n10.0.0.2 bar.dtk.io\n"
    file = DryRunHostsFile(str(path))
    edited = file.edit(lambda _text: new)
    assert log_lines == [
        "Would write: - 192.0.2.1 nas # caf\xe9",
        "Would write: + 10.0.0.1 foo.dtk.io",
        "Would write: + 10.0.0.2 bar.dtk.io",
    ]
    assert (edited.text, edited.changed, edited.way, edited.signature) == (new, False, "", file.signature())
    after = path.stat()
    assert (path.read_bytes(), after.st_ino, after.st_mtime_ns) == (text, before.st_ino, before.st_mtime_ns)
    assert os.listdir(path.parent) == ["hosts"]


def test_what_was_said_once_is_taken_for_written(path: Path, log_lines: list[str]) -> None:
    file = DryRunHostsFile(str(path))
    file.edit(lambda text: text + b"10.0.0.1 foo.dtk.io\n")
    log_lines.clear()
    file.edit(lambda text: text)
    assert log_lines == []
    file.edit(lambda text: text.replace(b"10.0.0.1", b"10.0.0.2"))
    assert log_lines == ["Would write: - 10.0.0.1 foo.dtk.io", "Would write: + 10.0.0.2 foo.dtk.io"]


def test_many_lines_are_cut_short_with_their_number(path: Path, log_lines: list[str]) -> None:
    DryRunHostsFile(str(path)).edit(lambda text: text + b"".join(b"10.0.0.1 n%d\n" % n for n in range(MANY + 5)))
    assert len(log_lines) == MANY + 1
    assert log_lines[-1] == "Would write 5 lines more."


def test_an_absent_file_is_not_made(path: Path, log_lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    still = StillKernel()
    monkeypatch.setattr(Kernel, "now", lambda _kernel: still.now())
    monkeypatch.setattr(Kernel, "pause", lambda _kernel, seconds: still.pause(seconds))
    path.unlink()
    DryRunHostsFile(str(path)).edit(lambda text: text + b"10.0.0.1 foo.dtk.io\n")
    assert log_lines == ["Would write: + 10.0.0.1 foo.dtk.io"]
    assert not path.exists()


def test_a_file_that_cannot_be_read_is_said(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(HostsFileError, match="is not a regular file"):
        DryRunHostsFile(str(path)).edit(lambda text: text)
