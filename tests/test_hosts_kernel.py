"""Each system call does what its name says, and says so where the system cannot do it."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dtkdns.hosts import kernel as kernel_module
from dtkdns.hosts.kernel import Kernel, Lease
from kernels import OLD


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


@pytest.fixture
def leased() -> Iterator[Path]:
    """A file on a file system that has leases."""
    for place in (Path("/dev/shm"), Path("/var/tmp"), Path.cwd()):
        with tempfile.TemporaryDirectory(dir=place) as found:
            path = Path(found) / "hosts"
            path.write_bytes(OLD)
            with Kernel().opened(str(path), os.O_RDONLY) as handle:
                works = Kernel().lease(handle, fcntl.F_RDLCK) is Lease.HELD
            if works:
                yield path
                return
    raise AssertionError("No directory for tests has leases.")


def renameat2(number: int) -> Callable[..., int]:
    """One that fails."""

    def fail(*_args: Any) -> int:
        ctypes.set_errno(number)
        return -1

    return fail


# Files


def test_a_file_behind_a_symbolic_link_is_not_opened(path: Path, kernel: Kernel) -> None:
    link = path.parent / "link"
    link.symlink_to(path)
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        kernel.open(str(link), os.O_RDONLY)


def test_no_child_inherits_a_descriptor(path: Path, kernel: Kernel) -> None:
    with kernel.opened(str(path), os.O_RDONLY) as handle:
        assert not os.get_inheritable(handle)


def test_what_was_opened_is_closed_when_its_use_fails(path: Path, kernel: Kernel) -> None:
    with pytest.raises(ZeroDivisionError), kernel.opened(str(path), os.O_RDONLY) as handle:
        raise ZeroDivisionError
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        os.fstat(handle)


def test_a_new_file_is_for_its_owner_alone(path: Path, kernel: Kernel) -> None:
    new = path.parent / "new"
    kernel.close(kernel.open(str(new), os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    assert new.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("most", [0, 1, len(OLD) - 1, len(OLD), len(OLD) + 1])
def test_all_is_read_up_to_one_byte_more_than_the_most(path: Path, kernel: Kernel, most: int) -> None:
    with kernel.opened(str(path), os.O_RDONLY) as handle:
        assert kernel.read_all(handle, most) == OLD[: most + 1]


def test_a_file_that_grows_while_it_is_read_is_read_to_its_end(path: Path) -> None:
    class GrowingKernel(Kernel):
        def status(self, handle: int) -> os.stat_result:
            status = super().status(handle)
            path.write_bytes(OLD * 10_000)
            return status

    kernel = GrowingKernel()
    with kernel.opened(str(path), os.O_RDONLY) as handle:
        assert kernel.read_all(handle, 1_000_000) == OLD * 10_000


def test_a_file_that_holds_what_is_likely_gives_that_very_object(path: Path, kernel: Kernel) -> None:
    large = OLD * 100_000
    path.write_bytes(large)
    likely, other = bytes(bytearray(large)), large[:-2] + b"#\n"
    with kernel.opened(str(path), os.O_RDONLY) as handle:
        assert kernel.read_all(handle, len(large), likely) is likely
        assert kernel.read_all(handle, len(large), other) == large
        assert kernel.read_all(handle, len(large), OLD) == large


@pytest.mark.parametrize("text", [OLD * 2, OLD[:-1]])
def test_a_file_that_becomes_longer_or_shorter_while_it_is_compared_is_read(path: Path, text: bytes) -> None:
    class ChangingKernel(Kernel):
        def status(self, handle: int) -> os.stat_result:
            status = super().status(handle)
            path.write_bytes(text)
            return status

    kernel = ChangingKernel()
    with kernel.opened(str(path), os.O_RDONLY) as handle:
        assert kernel.read_all(handle, 1_000, OLD) == text


def test_short_writes_go_on_where_they_ended(path: Path) -> None:
    class SlowKernel(Kernel):
        def write(self, handle: int, data: memoryview, offset: int) -> int:
            return super().write(handle, data[:7], offset)

    kernel = SlowKernel()
    with kernel.opened(str(path), os.O_RDWR) as handle:
        kernel.write_all(handle, b"# a line that is longer than that\n", 4)
        kernel.truncate(handle, 30)
    assert path.read_bytes() == (OLD[:4] + b"# a line that is longer than that\n")[:30]


def test_a_directory_is_synced(path: Path, monkeypatch: pytest.MonkeyPatch, kernel: Kernel) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.readlink(f"/proc/self/fd/{handle}")))
    kernel.sync_directory(str(path.parent))
    assert synced == [str(path.parent)]


def test_owner_and_mode_are_set(path: Path, kernel: Kernel) -> None:
    owner = (1234, 2345) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    with kernel.opened(str(path), os.O_RDONLY) as handle:
        kernel.set_owner(handle, *owner)
        kernel.set_mode(handle, 0o4751)
        status = kernel.status(handle)
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (*owner, 0o4751)


# Names


def test_two_files_exchange_their_names(path: Path, kernel: Kernel) -> None:
    other = path.parent / "other"
    other.write_bytes(b"# other\n")
    inodes = path.stat().st_ino, other.stat().st_ino
    assert kernel.exchange(str(path), str(other))
    assert (path.read_bytes(), other.read_bytes()) == (b"# other\n", OLD)
    assert (other.stat().st_ino, path.stat().st_ino) == inodes


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EINVAL, errno.ENOTSUP])
def test_where_files_cannot_be_exchanged_nothing_happens(
    path: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(kernel_module, "_renameat2", renameat2(number))
    assert not kernel.exchange(str(path), str(path.parent / "other"))
    assert os.listdir(path.parent) == ["hosts"]


def test_a_system_that_does_not_know_how_to_exchange_files_says_so(
    path: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_module, "_renameat2", None)
    assert not kernel.exchange(str(path), str(path.parent / "other"))


@pytest.mark.parametrize("fault", [AttributeError, OSError])
def test_a_c_library_without_the_call_is_a_system_without_it(
    monkeypatch: pytest.MonkeyPatch, fault: type[Exception]
) -> None:
    def load(*_args: object, **_options: object) -> None:
        raise fault

    monkeypatch.setattr(ctypes, "CDLL", load)
    assert kernel_module._find_renameat2() is None


def test_any_other_refusal_to_exchange_names_both_files(
    path: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_module, "_renameat2", renameat2(errno.EBUSY))
    with pytest.raises(OSError, match=os.strerror(errno.EBUSY)) as raised:
        kernel.exchange("/one", "/other")
    assert (raised.value.errno, raised.value.filename, raised.value.filename2) == (errno.EBUSY, "/one", "/other")


@pytest.mark.parametrize("call", ["native", "replaced"])
def test_a_rename_to_nothing_replaces_nothing(
    path: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    if call == "replaced":
        monkeypatch.setattr(kernel_module, "_renameat2", renameat2(errno.EINVAL))
    other, free = path.parent / "other", path.parent / "free"
    other.write_bytes(b"# other\n")
    with pytest.raises(FileExistsError):
        kernel.rename_to_nothing(str(path), str(other))
    assert (path.read_bytes(), other.read_bytes()) == (OLD, b"# other\n")
    kernel.rename_to_nothing(str(path), str(free))
    assert sorted(os.listdir(path.parent)) == ["free", "other"]
    assert (free.read_bytes(), free.stat().st_nlink) == (OLD, 1)


# Leases


def test_a_read_lease_is_refused_while_somebody_has_the_file_open_for_writing(
    leased: Path, kernel: Kernel
) -> None:
    with kernel.opened(str(leased), os.O_RDONLY) as handle:
        with leased.open("ab"):
            assert kernel.lease(handle, fcntl.F_RDLCK) is Lease.BUSY
        with leased.open("rb"):
            assert kernel.lease(handle, fcntl.F_RDLCK) is Lease.HELD


def test_a_write_lease_is_refused_while_anybody_has_the_file_open(leased: Path, kernel: Kernel) -> None:
    with kernel.opened(str(leased), os.O_RDWR) as handle:
        with leased.open("rb"):
            assert kernel.lease(handle, fcntl.F_WRLCK) is Lease.BUSY
        assert kernel.lease(handle, fcntl.F_WRLCK) is Lease.HELD


def test_a_lease_keeps_others_out_until_it_ends_and_its_signal_ends_nobody(leased: Path, kernel: Kernel) -> None:
    with kernel.opened(str(leased), os.O_RDWR) as handle:
        assert kernel.lease(handle, fcntl.F_WRLCK) is Lease.HELD
        with pytest.raises(BlockingIOError):
            os.open(leased, os.O_RDONLY | os.O_NONBLOCK)
        kernel.end_lease(handle)
        os.close(os.open(leased, os.O_RDONLY | os.O_NONBLOCK))


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EACCES, errno.ENOSYS])
def test_where_leases_are_refused_there_are_none(
    path: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused(*_args: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "fcntl", refused)
    assert kernel.lease(0, fcntl.F_RDLCK) is Lease.NONE


def test_a_system_that_knows_no_leases_has_none(
    path: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(fcntl, "F_SETLEASE")
    with kernel.opened(str(path), os.O_RDONLY) as handle:
        assert kernel.lease(handle, fcntl.F_RDLCK) is Lease.NONE


# Time


def test_time_goes_on_and_a_pause_is_a_sleep(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(time, "monotonic", lambda: 12.5)
    kernel.pause(0.25)
    assert (slept, kernel.now()) == ([0.25], 12.5)
