"""A file is read when nobody is writing it, and nobody waits for ever for that moment."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dtkdns.hosts.faults import HostsFileError
from dtkdns.hosts.kernel import Lease
from dtkdns.hosts.settle import APART_SECONDS, MAX_SIZE, SETTLE_SECONDS, read_settled
from dtkdns.hosts.versions import Version
from kernels import OLD, StillKernel, append, refuse, replace

NAS = b"192.0.2.1 nas\n"


@pytest.fixture
def kernel() -> StillKernel:
    """One whose files have leases, which are granted."""
    kernel = StillKernel()
    kernel.instead("lease", lambda _handle, _kind: Lease.HELD)
    return kernel


def busy_for(kernel: StillKernel, seconds: float) -> None:
    """Somebody has the file open for writing, for so long."""
    until = kernel.now() + seconds
    kernel.instead("lease", lambda _handle, _kind: Lease.BUSY if kernel.now() < until else Lease.HELD)


def no_leases(kernel: StillKernel) -> None:
    kernel.instead("lease", lambda _handle, _kind: Lease.NONE)


def passed(kernel: StillKernel) -> float:
    return sum(kernel.pauses)


# With leases


def test_a_file_that_nobody_writes_is_read_at_once(path: Path, kernel: StillKernel) -> None:
    version, leases = read_settled(kernel, str(path))
    assert (version.text, version.status, leases) == (OLD, path.stat(), True)
    assert kernel.pauses == []


def test_a_text_that_is_the_likely_one_is_that_very_object(path: Path, kernel: StillKernel) -> None:
    likely = bytes(bytearray(OLD))
    assert read_settled(kernel, str(path), likely=likely)[0].text is likely


def test_the_lease_and_the_file_are_let_go(path: Path, kernel: StillKernel) -> None:
    before = len(os.listdir("/proc/self/fd"))
    read_settled(kernel, str(path))
    assert len(os.listdir("/proc/self/fd")) == before


def test_who_has_the_file_open_for_writing_is_waited_for(path: Path, kernel: StillKernel) -> None:
    busy_for(kernel, 0.5)
    kernel.at(0.5, lambda: append(path, NAS))
    version, leases = read_settled(kernel, str(path))
    assert (version.text, leases) == (OLD + NAS, True)
    assert 0.5 <= passed(kernel) < 0.55


def test_a_wait_begins_short_so_that_a_quick_writer_costs_little(path: Path, kernel: StillKernel) -> None:
    busy_for(kernel, 0.001)
    assert read_settled(kernel, str(path))[0].text == OLD
    assert passed(kernel) < 0.003


def test_who_never_closes_the_file_but_writes_nothing_is_waited_for_two_seconds(
    path: Path, kernel: StillKernel
) -> None:
    busy_for(kernel, 1e9)
    version, leases = read_settled(kernel, str(path))
    assert (version.text, leases) == (OLD, True)
    assert SETTLE_SECONDS + APART_SECONDS <= passed(kernel) < SETTLE_SECONDS + 2 * APART_SECONDS


def test_who_closes_the_file_late_is_not_read_halfway(path: Path, kernel: StillKernel) -> None:
    busy_for(kernel, 1e9)
    kernel.at(SETTLE_SECONDS + APART_SECONDS / 2, lambda: append(path, NAS))
    assert read_settled(kernel, str(path))[0].text == OLD + NAS


def test_who_never_stops_writing_is_waited_for_twice_as_long(path: Path, kernel: StillKernel) -> None:
    busy_for(kernel, 1e9)
    kernel.before("open", lambda: append(path, NAS), times=1_000)
    assert read_settled(kernel, str(path))[0].text.startswith(OLD + NAS)
    assert 2 * SETTLE_SECONDS <= passed(kernel) < 2 * SETTLE_SECONDS + 2 * APART_SECONDS


def test_a_program_that_has_a_lease_on_the_file_is_waited_for(path: Path, kernel: StillKernel) -> None:
    kernel.fail("open", errno.EAGAIN, times=4)
    assert read_settled(kernel, str(path))[0].text == OLD
    assert len(kernel.pauses) == 4


def test_a_program_that_never_gives_up_its_lease_is_an_error_in_the_end(path: Path, kernel: StillKernel) -> None:
    kernel.fail("open", errno.EAGAIN)
    with pytest.raises(BlockingIOError):
        read_settled(kernel, str(path))
    assert SETTLE_SECONDS <= passed(kernel) < SETTLE_SECONDS + 0.1


# Without leases


def test_without_leases_the_file_is_read_twice_a_moment_apart(path: Path, kernel: StillKernel) -> None:
    no_leases(kernel)
    version, leases = read_settled(kernel, str(path))
    assert (version.text, leases) == (OLD, False)
    assert kernel.pauses == [APART_SECONDS]


def test_without_leases_the_bytes_have_to_stay_the_same(path: Path, kernel: StillKernel) -> None:
    no_leases(kernel)
    for number in range(3):
        kernel.at(0.05 + number * APART_SECONDS, lambda: append(path, NAS))
    version, _ = read_settled(kernel, str(path))
    assert version.text == OLD + NAS * 3
    assert kernel.pauses == [APART_SECONDS] * 4


def test_without_leases_a_file_that_never_stays_the_same_is_read_all_the_same_in_the_end(
    path: Path, kernel: StillKernel
) -> None:
    no_leases(kernel)
    kernel.before("open", lambda: append(path, NAS), times=1_000)
    version, _ = read_settled(kernel, str(path))
    assert version.text.startswith(OLD + NAS)
    assert 2 * SETTLE_SECONDS <= passed(kernel) < 2 * SETTLE_SECONDS + 2 * APART_SECONDS


# What may be about to be written


def test_a_sudden_shrink_has_to_last(path: Path, kernel: StillKernel) -> None:
    path.write_bytes(b"")
    kernel.at(0.05, lambda: path.write_bytes(OLD))
    version, _ = read_settled(kernel, str(path), len(OLD))
    assert version.text == OLD
    assert kernel.pauses == [APART_SECONDS]


def test_a_shrink_that_lasts_is_believed(path: Path, kernel: StillKernel) -> None:
    path.write_bytes(b"#\n")
    assert read_settled(kernel, str(path), 1000)[0].text == b"#\n"
    assert kernel.pauses == [APART_SECONDS]


def test_a_file_that_lost_less_than_half_is_believed_at_once(path: Path, kernel: StillKernel) -> None:
    assert read_settled(kernel, str(path), 2 * len(OLD))[0].text == OLD
    assert kernel.pauses == []


def test_an_absence_has_to_last(path: Path, kernel: StillKernel) -> None:
    path.unlink()
    kernel.at(0.05, lambda: path.write_bytes(OLD))
    assert read_settled(kernel, str(path))[0].text == OLD


def test_an_absence_that_lasts_is_an_empty_text(path: Path, kernel: StillKernel) -> None:
    path.unlink()
    assert read_settled(kernel, str(path)) == (Version(b"", None), True)
    assert kernel.pauses == [APART_SECONDS]


def test_an_empty_file_in_the_place_of_none_has_to_stay_empty(path: Path, kernel: StillKernel) -> None:
    no_leases(kernel)
    path.unlink()
    kernel.at(0.05, lambda: path.write_bytes(b""))
    kernel.at(0.15, lambda: path.write_bytes(OLD))
    assert read_settled(kernel, str(path))[0].text == OLD


def test_the_status_is_that_of_the_text(path: Path, kernel: StillKernel) -> None:
    no_leases(kernel)
    kernel.at(0.05, lambda: replace(path, OLD))
    version, _ = read_settled(kernel, str(path))
    assert (version.text, version.status) == (OLD, path.stat())


# What is no hosts file


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_directory_or_a_pipe_is_refused_at_once(
    path: Path, kernel: StillKernel, make: Callable[[Path], None]
) -> None:
    path.unlink()
    make(path)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(HostsFileError) as raised:
        read_settled(kernel, str(path))
    assert str(raised.value) == f"{path} is not a regular file: give another --hosts-file."
    assert kernel.pauses == []
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_symbolic_link_is_not_followed(path: Path, kernel: StillKernel) -> None:
    link = path.parent / "link"
    link.symlink_to(path)
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        read_settled(kernel, str(link))


def test_a_file_longer_than_programs_read_is_refused(path: Path, kernel: StillKernel) -> None:
    os.truncate(path, MAX_SIZE + 1)
    with pytest.raises(HostsFileError, match="has more than 33554432 bytes: it is left as it is"):
        read_settled(kernel, str(path))
    assert path.stat().st_size == MAX_SIZE + 1


@pytest.mark.parametrize("text", [b"\0", OLD + b"\0", OLD + b"\0" * 600 + NAS])
def test_nul_bytes_are_refused_with_the_way_to_remove_them(path: Path, kernel: StillKernel, text: bytes) -> None:
    path.write_bytes(text)
    with pytest.raises(HostsFileError, match=r"holds NUL bytes.*it is left as it is.*tr -d '\\000' <"):
        read_settled(kernel, str(path))
    assert path.read_bytes() == text


def test_a_file_that_cannot_be_read_is_an_error_of_the_kernel(path: Path, kernel: StillKernel) -> None:
    def fail(*_args: Any) -> None:
        refuse(errno.EIO)

    kernel.instead("read", fail)
    with pytest.raises(OSError, match="Input/output error"):
        read_settled(kernel, str(path))
