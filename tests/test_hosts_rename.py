"""A new file takes the place of the old one, whole, and what came into the old one meanwhile is seen."""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dtkdns.hosts import rename as rename_module
from dtkdns.hosts.kernel import Lease
from dtkdns.hosts.rename import Leftover, Renamed, RenameImpossibleError, leftovers, put
from dtkdns.hosts.settle import APART_SECONDS, SETTLE_SECONDS, read_settled
from dtkdns.hosts.versions import Signature, Version
from kernels import OLD, StillKernel, alone, append, refuse_files, replace

NEW = OLD + b"10.0.0.1 foo.dtk.io\n"
NAS = b"192.0.2.1 nas\n"
ABSENT = Version(b"", None)


@pytest.fixture
def with_attributes(tmp_path: Path) -> Iterator[Path]:
    """A directory whose file system has extended attributes."""
    for place in (tmp_path, Path("/var/tmp"), Path.cwd(), Path("/dev/shm")):
        try:
            with tempfile.TemporaryDirectory(dir=place) as found:
                os.setxattr(found, "user.test", b"")
                yield Path(found)
                return
        except OSError:
            continue
    raise AssertionError("No directory for tests has extended attributes.")


def version(path: Path) -> Version:
    return read_settled(StillKernel(), str(path))[0]


def put_new(kernel: StillKernel, path: Path) -> Renamed | None:
    return put(kernel, str(path), version(path), NEW)


def done(renamed: Renamed | None) -> Renamed:
    assert renamed is not None
    return renamed


def cannot_exchange(kernel: StillKernel) -> None:
    kernel.instead("exchange", lambda _one, _other: False)


# What it leaves in place


def test_the_new_file_is_there_and_the_displaced_one_is_gone(path: Path, kernel: StillKernel) -> None:
    before = version(path)
    renamed = done(put_new(kernel, path))
    assert path.read_bytes() == NEW
    assert renamed.status == path.stat()
    assert renamed.displaced is not None
    assert renamed.displaced.text == before.text
    assert renamed.kept is None
    assert alone(path)


def test_a_reader_that_has_the_old_file_open_goes_on_reading_it(path: Path, kernel: StillKernel) -> None:
    with path.open("rb") as reader:
        put_new(kernel, path)
        assert reader.read() == OLD
    assert path.read_bytes() == NEW


def test_the_disk_is_told_in_the_order_that_survives_a_power_cut(path: Path, kernel: StillKernel) -> None:
    calls = kernel.heard("write", "set_mode", "sync", "rename", "exchange", "unlink")
    put_new(kernel, path)
    found = [(call, re.sub("-[0-9a-f]{8}$", "", name)) for call, name in calls]
    complete = f".hosts.dtkdns-{path.stat().st_ino:x}"
    assert found == [
        ("write", ".hosts.dtkdns-new"),
        ("set_mode", ".hosts.dtkdns-new"),
        ("sync", ".hosts.dtkdns-new"),
        ("rename", ".hosts.dtkdns-new"),
        ("exchange", complete),
        ("sync", path.parent.name),
        ("set_mode", "hosts"),
        ("unlink", complete),
    ]


def test_the_temporary_file_is_new_and_nobody_elses_to_read(path: Path, kernel: StillKernel) -> None:
    opened: list[tuple[str, int, int]] = []
    real = kernel.open

    def note(name: str, flags: int, mode: int = 0o600) -> int:
        opened.append((os.path.basename(name), flags, mode))
        return real(name, flags, mode)

    kernel.instead("open", note)
    put_new(kernel, path)
    made = [(name, flags & os.O_EXCL, mode) for name, flags, mode in opened if flags & os.O_CREAT]
    assert made == [(made[0][0], os.O_EXCL, 0o600)]
    assert made[0][0].startswith(".hosts.dtkdns-new-")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o600, 0o4755])
def test_the_mode_is_kept(path: Path, kernel: StillKernel, mode: int) -> None:
    path.chmod(mode)
    put_new(kernel, path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_bytes() == NEW


def test_the_owner_is_kept(path: Path, kernel: StillKernel) -> None:
    owner = (1234, 2345) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(path, *owner)
    path.chmod(0o640)
    put_new(kernel, path)
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (*owner, 0o640)
    assert path.read_bytes() == NEW


def test_extended_attributes_are_kept(with_attributes: Path, kernel: StillKernel) -> None:
    path = with_attributes / "hosts"
    path.write_bytes(OLD)
    os.setxattr(path, "user.label", b"a\0b")
    put_new(kernel, path)
    assert os.getxattr(path, "user.label") == b"a\0b"
    assert path.read_bytes() == NEW


def test_a_file_system_without_extended_attributes_has_none_to_keep(path: Path, kernel: StillKernel) -> None:
    kernel.fail("attributes", errno.ENOTSUP)
    put_new(kernel, path)
    assert path.read_bytes() == NEW


def test_a_missing_file_is_made_readable_for_all_whatever_the_umask(path: Path, kernel: StillKernel) -> None:
    path.unlink()
    umask = os.umask(0o077)
    try:
        renamed = done(put(kernel, str(path), ABSENT, NEW))
    finally:
        os.umask(umask)
    assert path.read_bytes() == NEW
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert renamed == Renamed(path.stat(), ABSENT, None)
    assert alone(path)


# Others in the last moment


def test_a_line_appended_in_the_last_moment_is_found_in_the_displaced_file(
    path: Path, kernel: StillKernel
) -> None:
    kernel.before("exchange", lambda: append(path, NAS))
    renamed = done(put_new(kernel, path))
    assert path.read_bytes() == NEW
    assert renamed.displaced is not None
    assert renamed.displaced.text == OLD + NAS
    assert renamed.kept is not None
    assert Path(renamed.kept).read_bytes() == OLD + NAS


def test_a_program_that_writes_the_displaced_file_for_a_while_is_waited_for(
    path: Path, kernel: StillKernel
) -> None:
    expected = version(path)
    with path.open("ab", buffering=0) as other:
        busy = kernel.lease
        kernel.instead(
            "lease", lambda handle, kind: busy(handle, kind) if other.closed else Lease.BUSY
        )  # whether this file system has leases or not
        kernel.at(0.3, lambda: other.write(NAS) and other.close())
        renamed = done(put(kernel, str(path), expected, NEW))
    assert renamed.displaced is not None
    assert renamed.displaced.text == OLD + NAS
    assert sum(kernel.pauses) >= 0.3


def test_a_program_that_never_closes_the_displaced_file_is_waited_for_two_seconds(
    path: Path, kernel: StillKernel
) -> None:
    expected = version(path)
    kernel.instead("lease", lambda _handle, _kind: Lease.BUSY)
    renamed = done(put(kernel, str(path), expected, NEW))
    assert (path.read_bytes(), renamed.kept) == (NEW, None)
    assert SETTLE_SECONDS <= sum(kernel.pauses) < SETTLE_SECONDS + 2 * APART_SECONDS


def test_a_file_that_was_renamed_over_it_in_the_last_moment_is_the_displaced_one(
    path: Path, kernel: StillKernel
) -> None:
    kernel.before("exchange", lambda: replace(path, NAS))
    renamed = done(put_new(kernel, path))
    assert path.read_bytes() == NEW
    assert renamed.displaced is not None
    assert renamed.displaced.text == NAS
    assert renamed.kept is not None
    assert Path(renamed.kept).read_bytes() == NAS


@pytest.mark.parametrize("also", ["nothing else", "a line"])
def test_a_mode_that_was_set_in_the_last_moment_is_kept(path: Path, kernel: StillKernel, also: str) -> None:
    def change() -> None:
        path.chmod(0o604)
        if also == "a line":
            append(path, NAS)

    kernel.before("exchange", change)
    put_new(kernel, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o604
    assert path.read_bytes() == NEW


def test_an_attribute_that_was_set_in_the_last_moment_is_kept(with_attributes: Path, kernel: StillKernel) -> None:
    path = with_attributes / "hosts"
    path.write_bytes(OLD)
    kernel.before("exchange", lambda: os.setxattr(path, "user.label", b"new"))
    put_new(kernel, path)
    assert os.getxattr(path, "user.label") == b"new"


def make_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def make_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("elsewhere")


def make_image(path: Path) -> None:
    replace(path, b"\0" * 100)


@pytest.mark.parametrize("make", [make_directory, make_pipe, make_link, make_image])
def test_what_is_no_hosts_file_and_was_put_there_in_the_last_moment_goes_back(
    path: Path, kernel: StillKernel, make: Callable[[Path], None]
) -> None:
    kernel.before("exchange", lambda: make(path))
    assert put_new(kernel, path) is None
    model = path.parent / "model"
    model.write_bytes(OLD)
    make(model)
    assert path.lstat().st_mode == model.lstat().st_mode
    assert alone(path)


def test_a_link_that_was_put_there_in_the_last_moment_goes_back_where_files_cannot_be_exchanged(
    path: Path, kernel: StillKernel
) -> None:
    cannot_exchange(kernel)
    kernel.before("link", lambda: make_link(path))
    put_new(kernel, path)
    assert os.readlink(path) == "elsewhere"
    assert alone(path)


def test_a_file_that_was_removed_in_the_last_moment_stays_away(path: Path, kernel: StillKernel) -> None:
    kernel.before("exchange", path.unlink)
    assert put_new(kernel, path) is None
    assert os.listdir(path.parent) == []


def test_a_file_that_was_removed_before_its_attributes_were_read_stays_away(
    path: Path, kernel: StillKernel
) -> None:
    kernel.before("write", path.unlink)
    assert put_new(kernel, path) is None
    assert os.listdir(path.parent) == []


def test_a_file_that_somebody_locks_by_a_lease_is_not_replaced(path: Path, kernel: StillKernel) -> None:
    expected = version(path)
    refuse_files(kernel, os.O_NONBLOCK, errno.EAGAIN)
    assert put(kernel, str(path), expected, NEW) is None
    assert path.read_bytes() == OLD
    assert alone(path)


def test_a_file_that_appears_where_there_was_none_is_not_replaced(path: Path, kernel: StillKernel) -> None:
    assert put(kernel, str(path), ABSENT, NEW) is None
    assert path.read_bytes() == OLD
    assert alone(path)


# Where files cannot be exchanged


def test_without_an_exchange_a_second_name_keeps_the_displaced_file(path: Path, kernel: StillKernel) -> None:
    cannot_exchange(kernel)
    kernel.after("link", lambda: append(path, NAS))
    renamed = done(put_new(kernel, path))
    assert path.read_bytes() == NEW
    assert renamed.displaced is not None
    assert renamed.displaced.text == OLD + NAS
    assert renamed.kept is not None
    assert Path(renamed.kept).read_bytes() == OLD + NAS
    assert leftovers(kernel, str(path)) == [Leftover(renamed.kept, True)]


def test_without_an_exchange_an_untouched_file_leaves_nothing_behind(path: Path, kernel: StillKernel) -> None:
    cannot_exchange(kernel)
    renamed = done(put_new(kernel, path))
    assert path.read_bytes() == NEW
    assert (renamed.displaced is not None, renamed.kept) == (True, None)
    assert alone(path)


def test_without_an_exchange_and_links_what_was_displaced_cannot_be_told(path: Path, kernel: StillKernel) -> None:
    cannot_exchange(kernel)
    kernel.fail("link", errno.EPERM)
    assert done(put_new(kernel, path)) == Renamed(path.stat(), None, None)
    assert path.read_bytes() == NEW
    assert alone(path)


@pytest.mark.parametrize("how", [append, replace])
def test_without_an_exchange_a_file_that_has_changed_is_not_replaced(
    path: Path, kernel: StillKernel, how: Callable[[Path, bytes], None]
) -> None:
    cannot_exchange(kernel)
    expected = version(path)
    how(path, NAS)
    text = path.read_bytes()
    assert put(kernel, str(path), expected, NEW) is None
    assert path.read_bytes() == text
    assert alone(path)


@pytest.mark.parametrize("links", [True, False])
def test_without_an_exchange_a_rename_that_fails_leaves_the_old_file_under_its_name_alone(
    path: Path, kernel: StillKernel, links: bool
) -> None:
    cannot_exchange(kernel)
    if not links:
        kernel.fail("link", errno.EPERM)
    kernel.before("link", lambda: kernel.fail("rename", errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        put_new(kernel, path)
    assert path.read_bytes() == OLD
    assert alone(path)


# Where no rename is possible


def test_a_file_with_hard_links_is_not_replaced(path: Path, kernel: StillKernel) -> None:
    os.link(path, path.parent / "other")
    with pytest.raises(RenameImpossibleError, match=r"^the file has 2 hard links$"):
        put_new(kernel, path)
    assert path.read_bytes() == OLD


@pytest.mark.parametrize("error", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_directory_that_refuses_new_files_is_named_as_the_reason(
    path: Path, kernel: StillKernel, error: int
) -> None:
    refuse_files(kernel, os.O_CREAT, error)
    with pytest.raises(RenameImpossibleError, match=f"^its directory refuses new files: {os.strerror(error)}$"):
        put_new(kernel, path)
    assert path.read_bytes() == OLD


@pytest.mark.parametrize("error", [errno.EBUSY, errno.EXDEV, errno.EPERM])
@pytest.mark.parametrize("call", ["exchange", "rename"])
def test_a_rename_that_is_refused_is_named_as_the_reason(
    path: Path, kernel: StillKernel, call: str, error: int
) -> None:
    kernel.fail(call, error)
    with pytest.raises(RenameImpossibleError, match=f"^a rename is refused: {os.strerror(error)}$"):
        put_new(kernel, path)
    assert path.read_bytes() == OLD
    assert alone(path)


@pytest.mark.parametrize("call", ["set_owner", "set_mode", "attributes", "set_attribute"])
def test_an_owner_or_attribute_that_cannot_be_kept_is_named_as_the_reason(
    with_attributes: Path, kernel: StillKernel, call: str
) -> None:
    path = with_attributes / "hosts"
    path.write_bytes(OLD)
    os.setxattr(path, "user.label", b"a")
    if call == "set_owner":
        status = kernel.status

        def somebody_elses(handle: int) -> os.stat_result:
            found = list(status(handle))
            found[4] += os.readlink(f"/proc/self/fd/{handle}") == str(path)
            return os.stat_result([*found, *[0] * 9])

        kernel.instead("status", somebody_elses)
    kernel.fail(call, errno.EPERM)
    with pytest.raises(RenameImpossibleError, match="its owner or attributes cannot be kept: Oper"):
        put_new(kernel, path)
    assert path.read_bytes() == OLD
    assert alone(path)


# Faults


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("call", ["write", "sync", "set_mode", "rename", "exchange", "attributes"])
def test_any_fault_before_the_exchange_leaves_the_old_file_alone(
    path: Path, kernel: StillKernel, call: str, error: int
) -> None:
    before = path.stat()
    kernel.fail(call, error)
    with pytest.raises(OSError, match=os.strerror(error)):
        put_new(kernel, path)
    after = path.stat()
    assert path.read_bytes() == OLD
    assert (Signature.of(after), after.st_mode) == (Signature.of(before), before.st_mode)
    assert alone(path)


def test_a_fault_on_making_the_temporary_file_leaves_the_old_file_alone(path: Path, kernel: StillKernel) -> None:
    refuse_files(kernel, os.O_CREAT, errno.ENOSPC)
    with pytest.raises(OSError, match="No space left"):
        put_new(kernel, path)
    assert path.read_bytes() == OLD


def test_a_temporary_file_that_cannot_be_removed_hides_no_fault(path: Path, kernel: StillKernel) -> None:
    kernel.fail("sync", errno.EIO)
    kernel.fail("unlink", errno.EROFS)
    with pytest.raises(OSError, match="Input/output error"):
        put_new(kernel, path)
    assert [leftover.displaced for leftover in leftovers(kernel, str(path))] == [False]


def test_a_fault_behind_the_exchange_leaves_the_displaced_file_to_be_found(
    path: Path, kernel: StillKernel
) -> None:
    kernel.before("exchange", lambda: append(path, NAS))
    kernel.after("exchange", lambda: kernel.fail("sync", errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        put_new(kernel, path)
    assert path.read_bytes() == NEW
    (leftover,) = leftovers(kernel, str(path))
    assert leftover.displaced
    assert Path(leftover.path).read_bytes() == OLD + NAS


def test_a_displaced_file_that_cannot_be_read_is_left_to_be_found(path: Path, kernel: StillKernel) -> None:
    kernel.after("exchange", lambda: kernel.fail("read", errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        put_new(kernel, path)
    assert [leftover.displaced for leftover in leftovers(kernel, str(path))] == [True]


@pytest.mark.parametrize("fault", [None, errno.EIO])
def test_nothing_is_left_open(path: Path, kernel: StillKernel, fault: int | None) -> None:
    before = len(os.listdir("/proc/self/fd"))
    if fault is None:
        put_new(kernel, path)
    else:
        kernel.fail("exchange", fault)
        with pytest.raises(OSError, match="Input/output error"):
            put_new(kernel, path)
    assert len(os.listdir("/proc/self/fd")) == before


# What a crash leaves


def test_a_leftover_with_its_own_inode_in_its_name_is_the_new_file_and_any_other_the_displaced_one(
    path: Path, kernel: StillKernel
) -> None:
    new, complete, displaced = (path.parent / name for name in ("a", "b", "c"))
    for one in (new, complete, displaced):
        one.write_bytes(NEW)
    new = new.rename(path.parent / ".hosts.dtkdns-new-0123abcd")
    complete = complete.rename(path.parent / f".hosts.dtkdns-{complete.stat().st_ino:x}-0123abcd")
    displaced = displaced.rename(path.parent / f".hosts.dtkdns-{path.stat().st_ino:x}-0123abcd")
    assert sorted(leftovers(kernel, str(path)), key=lambda leftover: leftover.path) == sorted(
        [Leftover(str(new), False), Leftover(str(complete), False), Leftover(str(displaced), True)],
        key=lambda leftover: leftover.path,
    )


def test_only_regular_files_with_a_name_of_ours_are_leftovers(path: Path, kernel: StillKernel) -> None:
    for name in (
        ".hosts.dtkdns-0123abcd",
        ".hosts.dtkdns-new-0123abc",
        ".hosts.dtkdns-new-0123abcd~",
        ".hosts.dtkdns-NEW-0123abcd",
        ".hosts.dtkdns--0123abcd",
        "hosts.dtkdns-new-0123abcd",
        ".hostsxdtkdns-new-0123abcd",
        ".hosts.dtkdns-new-0123abcd\n",
    ):
        (path.parent / name).write_bytes(NEW)
    (path.parent / ".hosts.dtkdns-1-00000000").mkdir()
    (path.parent / ".hosts.dtkdns-1-11111111").symlink_to(path)
    os.mkfifo(path.parent / ".hosts.dtkdns-1-22222222")
    assert leftovers(kernel, str(path)) == []


@pytest.mark.parametrize("target", ["there", "gone"])
def test_a_file_of_another_user_is_not_ours(
    path: Path, kernel: StillKernel, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    leftover = path.parent / ".hosts.dtkdns-new-0123abcd"
    leftover.write_bytes(NAS)
    if target == "gone":
        path.unlink()
    assert len(leftovers(kernel, str(path))) == 1
    real = os.lstat

    def somebody_elses(name: str) -> os.stat_result:
        found = list(real(name))
        found[4] += name == str(leftover)
        return os.stat_result([*found, *[0] * 9])

    monkeypatch.setattr(rename_module.os, "lstat", somebody_elses)
    assert leftovers(kernel, str(path)) == []
    assert leftover.read_bytes() == NAS


def test_a_file_of_the_hosts_files_owner_is_ours(
    path: Path, kernel: StillKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path.parent / ".hosts.dtkdns-new-0123abcd").write_bytes(NAS)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    assert len(leftovers(kernel, str(path))) == 1
