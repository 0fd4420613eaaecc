"""A file that others read and edit too gets a new text, whole or not at all, and keeps all else that it has."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dtkdns.hosts.replace import MAX_SIZE, Edited, HostsFile, HostsFileError, Signature, read_text, why_no_right

OLD = b"127.0.0.1 localhost\n"
NEW = OLD + b"10.0.0.1 foo.dtk.io\n"


def append_foo(text: bytes) -> bytes:
    return text + b"10.0.0.1 foo.dtk.io\n"


def failing(error: int) -> Callable[..., Any]:
    """A system call that fails."""

    def fail(*_args: object, **_options: object) -> None:
        raise OSError(error, os.strerror(error))

    return fail


def refuse_new_files(monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    """Let every creation of a file that must be new fail, as in a directory without the right to write."""
    real = os.open

    def refuse(path: str, flags: int, *args: Any, **options: Any) -> int:
        if flags & os.O_EXCL:
            raise OSError(error, os.strerror(error))
        return real(path, flags, *args, **options)

    monkeypatch.setattr(os, "open", refuse)


def refuse_writing(monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    """Let every opening for writing fail."""
    real = os.open

    def refuse(path: str, flags: int, *args: Any, **options: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(error, os.strerror(error))
        return real(path, flags, *args, **options)

    monkeypatch.setattr(os, "open", refuse)


def meanwhile(once: Callable[[], object]) -> Callable[[bytes], bytes]:
    """A transform during whose first call somebody else does something."""
    waiting = [once]

    def transform(text: bytes) -> bytes:
        if waiting:
            waiting.pop()()
        return append_foo(text)

    return transform


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "hosts"
    path.write_bytes(OLD)
    return path


@pytest.fixture
def file(path: Path) -> HostsFile:
    return HostsFile(str(path))


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


def alone(path: Path) -> bool:
    """Whether no temporary file is left beside a file."""
    return not [name for name in os.listdir(path.parent) if name.startswith(".")]


# By rename


def test_the_new_text_takes_the_place_of_the_old_by_rename(path: Path, file: HostsFile) -> None:
    before = path.stat().st_ino
    edited = file.edit(append_foo)
    assert path.read_bytes() == NEW
    assert edited == Edited(NEW, True, "rename", file.signature())
    assert path.stat().st_ino != before
    assert alone(path)


def test_a_reader_that_has_the_old_file_open_goes_on_reading_it(path: Path, file: HostsFile) -> None:
    with path.open("rb") as reader:
        file.edit(append_foo)
        assert reader.read() == OLD


def test_the_disk_is_told_in_the_order_that_survives_a_power_cut(
    path: Path, file: HostsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str]] = []

    def record(name: str) -> None:
        real = getattr(os, name)

        def recorded(what: Any, *args: Any) -> Any:
            where = os.readlink(f"/proc/self/fd/{what}") if isinstance(what, int) else what
            calls.append((name, "directory" if where == str(path.parent) else os.path.basename(where)[:14]))
            return real(what, *args)

        monkeypatch.setattr(os, name, recorded)

    for name in ("pwrite", "fchmod", "fsync", "rename"):
        record(name)
    file.edit(append_foo)
    temporary = ".hosts.dtkdns-"
    assert calls == [
        ("pwrite", temporary),
        ("fchmod", temporary),
        ("fsync", temporary),
        ("rename", temporary),
        ("fsync", "directory"),
    ]


def test_the_same_text_writes_nothing(path: Path, file: HostsFile) -> None:
    before = path.stat()
    edited = file.edit(lambda text: text)
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert edited == Edited(OLD, False, "", Signature.of(before))


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o600, 0o4755])
def test_the_mode_is_kept(path: Path, file: HostsFile, mode: int) -> None:
    path.chmod(mode)
    file.edit(append_foo)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_the_owner_is_kept(path: Path, file: HostsFile) -> None:
    owner = (1234, 2345) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(path, *owner)
    path.chmod(0o640)
    assert file.edit(append_foo).way == "rename"
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (*owner, 0o640)


def test_extended_attributes_are_kept(with_attributes: Path) -> None:
    path = with_attributes / "hosts"
    path.write_bytes(OLD)
    os.setxattr(path, "user.label", b"a\0b")
    assert HostsFile(str(path)).edit(append_foo).way == "rename"
    assert os.getxattr(path, "user.label") == b"a\0b"


def test_a_file_system_without_extended_attributes_has_none_to_keep(
    path: Path, file: HostsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "listxattr", failing(errno.ENOTSUP))
    assert file.edit(append_foo).way == "rename"
    assert path.read_bytes() == NEW


def test_a_missing_file_is_made_readable_for_all_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    file = HostsFile(str(path))
    assert file.signature() is None
    umask = os.umask(0o077)
    try:
        edited = file.edit(append_foo)
    finally:
        os.umask(umask)
    assert path.read_bytes() == b"10.0.0.1 foo.dtk.io\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert (edited.way, edited.signature) == ("rename", file.signature())


def test_a_missing_file_that_is_to_be_empty_stays_missing(tmp_path: Path) -> None:
    file = HostsFile(str(tmp_path / "hosts"))
    assert file.edit(lambda text: text) == Edited(b"", False, "", None)
    assert os.listdir(tmp_path) == []


# Symbolic links


@pytest.mark.parametrize("links", [["real/hosts"], ["other", "real/hosts"], ["real/../real/hosts"]])
def test_symbolic_links_are_followed_and_stay(tmp_path: Path, links: list[str]) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/hosts").write_bytes(OLD)
    names = ["hosts", *links[:-1]]
    for name, leads_to in zip(names, links, strict=True):
        (tmp_path / name).symlink_to(leads_to)
    assert HostsFile(str(tmp_path / "hosts")).edit(append_foo).way == "rename"
    assert [os.readlink(tmp_path / name) for name in names] == links
    assert (tmp_path / "real/hosts").read_bytes() == NEW
    assert not (tmp_path / "real/hosts").is_symlink()
    assert alone(tmp_path / "real/hosts")


def test_the_file_that_a_dangling_link_leads_to_is_made(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "hosts"
    link.symlink_to("real/hosts")
    HostsFile(str(link)).edit(append_foo)
    assert os.readlink(link) == "real/hosts"
    assert (tmp_path / "real/hosts").read_bytes() == b"10.0.0.1 foo.dtk.io\n"


# In place


def test_a_file_with_hard_links_is_written_in_place(path: Path, file: HostsFile) -> None:
    other = path.parent / "other"
    os.link(path, other)
    edited = file.edit(append_foo)
    assert edited == Edited(NEW, True, "in place (because the file has 2 hard links)", file.signature())
    assert other.read_bytes() == NEW
    assert other.stat().st_ino == path.stat().st_ino
    assert sorted(os.listdir(path.parent)) == ["hosts", "other"]


@pytest.mark.parametrize("error", [errno.EBUSY, errno.EXDEV, errno.EPERM])
def test_where_a_rename_is_refused_the_file_is_written_in_place(
    path: Path, file: HostsFile, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    before = path.stat().st_ino
    monkeypatch.setattr(os, "rename", failing(error))
    assert file.edit(append_foo).way == f"in place (because a rename is refused: {os.strerror(error)})"
    assert path.read_bytes() == NEW
    assert path.stat().st_ino == before
    assert alone(path)


@pytest.mark.parametrize("error", [errno.EACCES, errno.EROFS])
def test_where_the_directory_refuses_new_files_the_file_is_written_in_place(
    path: Path, file: HostsFile, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    before = path.stat().st_ino
    refuse_new_files(monkeypatch, error)
    assert file.edit(append_foo).way == f"in place (because its directory refuses new files: {os.strerror(error)})"
    assert path.read_bytes() == NEW
    assert path.stat().st_ino == before


@pytest.mark.parametrize("call", ["fchmod", "listxattr"])
def test_an_owner_or_attribute_that_cannot_be_kept_means_in_place(
    path: Path, file: HostsFile, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(os, call, failing(errno.EPERM))
    way = file.edit(append_foo).way
    assert way == "in place (because its owner or attributes cannot be kept: Operation not permitted)"
    assert path.read_bytes() == NEW
    assert alone(path)


def test_in_place_only_the_blocks_from_the_first_difference_on_are_written(
    path: Path, file: HostsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = b"# a line\n" * 2000
    path.write_bytes(old)
    os.link(path, path.parent / "other")
    written: list[tuple[int, int]] = []
    real = os.pwrite

    def note(handle: int, data: memoryview, offset: int) -> int:
        written.append((offset, len(data)))
        return real(handle, data, offset)

    monkeypatch.setattr(os, "pwrite", note)
    file.edit(append_foo)
    assert path.read_bytes() == append_foo(old)
    start, length = written[0]
    assert start >= len(old) - 4096
    assert start + length == len(append_foo(old))


def test_in_place_a_shorter_text_leaves_no_rest_of_the_longer_one(path: Path, file: HostsFile) -> None:
    path.write_bytes(NEW)
    os.link(path, path.parent / "other")
    file.edit(lambda text: OLD)
    assert path.read_bytes() == OLD


# What the disk refuses


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (errno.ENOSPC, "the disk is full: make room"),
        (errno.EDQUOT, "the disk quota is used up: make room"),
        (errno.EIO, "Input/output error: dtkdns tries again"),
    ],
)
@pytest.mark.parametrize("call", ["pwrite", "fsync"])
def test_a_write_that_fails_leaves_the_old_file_whole_and_says_what_to_do(
    path: Path, file: HostsFile, monkeypatch: pytest.MonkeyPatch, call: str, error: int, advice: str
) -> None:
    before = path.stat()
    monkeypatch.setattr(os, call, failing(error))
    with pytest.raises(HostsFileError) as raised:
        file.edit(append_foo)
    assert str(raised.value) == f"{path} cannot be written, {advice}."
    assert path.read_bytes() == OLD
    assert Signature.of(path.stat()) == Signature.of(before)
    assert alone(path)


def test_short_writes_go_on_where_they_ended(path: Path, file: HostsFile, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda handle, data, offset: real(handle, data[:7], offset))
    file.edit(append_foo)
    assert path.read_bytes() == NEW


def fill_after(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """Let the disk be full once, after so many bytes."""
    real = os.pwrite
    left = [room, 0]

    def write(handle: int, data: memoryview, offset: int) -> int:
        if left:
            take = left.pop(0)
            if not take:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(handle, data[:take], offset)
        return real(handle, data, offset)

    monkeypatch.setattr(os, "pwrite", write)


@pytest.mark.parametrize("linked", [False, True])
def test_a_disk_that_fills_up_midway_leaves_the_old_file_whole(
    path: Path, file: HostsFile, monkeypatch: pytest.MonkeyPatch, linked: bool
) -> None:
    if linked:
        os.link(path, path.parent / "other")
    fill_after(monkeypatch, 5)
    with pytest.raises(HostsFileError, match="the disk is full"):
        file.edit(lambda text: b"x" * 100)
    assert path.read_bytes() == OLD
    assert alone(path)


def test_in_place_a_failing_fsync_gives_the_old_bytes_back(
    path: Path, file: HostsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.link(path, path.parent / "other")
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(HostsFileError):
        file.edit(lambda text: b"# other\n" + append_foo(text))
    assert path.read_bytes() == OLD


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (errno.EROFS, "its file system is read-only"),
        (errno.EACCES, "there is no right to do so: start dtkdns with sudo"),
        (errno.EPERM, "the kernel forbids it: is the file immutable"),
        (errno.ENOSPC, "the disk is full"),
    ],
)
def test_a_file_that_cannot_be_opened_for_writing_is_left_with_advice(
    path: Path, file: HostsFile, monkeypatch: pytest.MonkeyPatch, error: int, advice: str
) -> None:
    refuse_writing(monkeypatch, error)
    with pytest.raises(HostsFileError, match=advice):
        file.edit(append_foo)
    assert path.read_bytes() == OLD
    assert alone(path)


@pytest.mark.parametrize("call", ["rename", "listxattr"])
def test_any_other_fault_on_the_way_leaves_the_old_file_whole(
    path: Path, file: HostsFile, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(os, call, failing(errno.EIO))
    with pytest.raises(HostsFileError, match="Input/output error"):
        file.edit(append_foo)
    assert path.read_bytes() == OLD
    assert alone(path)


def test_without_its_directory_the_file_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(HostsFileError, match="its directory is gone: put it back"):
        HostsFile(str(tmp_path / "gone/hosts")).edit(append_foo)


def test_an_edit_succeeds_only_once_the_directory_is_synced(
    path: Path, file: HostsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync
    synced: list[bool] = []
    works = False

    def sync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            if not works:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            synced.append(True)
        real(handle)

    monkeypatch.setattr(os, "fsync", sync)
    with pytest.raises(HostsFileError):
        file.edit(lambda text: NEW)
    works = True
    file.edit(lambda text: NEW)
    assert path.read_bytes() == NEW
    assert synced == [True]


# Others who change the file at the same time


def replace_it(path: Path, text: bytes) -> None:
    other = path.parent / "by somebody"
    other.write_bytes(text)
    other.rename(path)


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("how", ["append", "replace"])
def test_a_change_while_we_build_the_new_text_is_not_lost(
    path: Path, file: HostsFile, monkeypatch: pytest.MonkeyPatch, how: str, in_place: bool
) -> None:
    if in_place:
        refuse_new_files(monkeypatch, errno.EACCES)
    theirs = OLD + b"192.0.2.1 nas\n"

    def change() -> None:
        if how == "append":
            with path.open("ab") as other:
                other.write(b"192.0.2.1 nas\n")
        else:
            replace_it(path, theirs)

    edited = file.edit(meanwhile(change))
    assert path.read_bytes() == append_foo(theirs) == edited.text
    assert edited.signature == file.signature()
    assert alone(path)


def test_a_file_that_is_removed_meanwhile_is_made_anew(path: Path, file: HostsFile) -> None:
    file.edit(meanwhile(path.unlink))
    assert path.read_bytes() == b"10.0.0.1 foo.dtk.io\n"


def test_a_file_that_appears_meanwhile_is_not_overwritten(path: Path, file: HostsFile) -> None:
    path.unlink()
    file.edit(meanwhile(lambda: path.write_bytes(OLD)))
    assert path.read_bytes() == NEW


def test_in_place_a_line_added_while_we_write_is_seen_when_all_is_read_back(
    path: Path, file: HostsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.link(path, path.parent / "other")
    real = os.fsync
    waiting = [b"192.0.2.1 nas\n"]

    def add_theirs(handle: int) -> None:
        if waiting:
            with path.open("ab") as other:
                other.write(waiting.pop())
        real(handle)

    monkeypatch.setattr(os, "fsync", add_theirs)

    def put_foo(text: bytes) -> bytes:
        return text if b"foo" in text else append_foo(text)

    edited = file.edit(put_foo)
    assert path.read_bytes() == NEW + b"192.0.2.1 nas\n" == edited.text


def test_others_who_never_stop_changing_the_file_do_not_keep_us_for_ever(path: Path, file: HostsFile) -> None:
    calls: list[bytes] = []

    def disturbed(text: bytes) -> bytes:
        calls.append(text)
        path.write_bytes(b"#" * len(calls))
        return append_foo(text)

    with pytest.raises(HostsFileError, match="Other programs keep changing"):
        file.edit(disturbed)
    assert path.read_bytes() == b"#" * len(calls)
    assert alone(path)


# What is no hosts file


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_directory_or_a_pipe_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "hosts"
    make(path)
    with pytest.raises(HostsFileError, match="is not a regular file: give another --hosts-file"):
        HostsFile(str(path)).edit(append_foo)
    with pytest.raises(HostsFileError, match="is not a regular file: give another --hosts-file"):
        read_text(str(path))


def test_refusing_a_file_keeps_nothing_open(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.mkdir()
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(HostsFileError):
        read_text(str(path))
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_longer_than_programs_read_is_refused(path: Path, file: HostsFile) -> None:
    os.truncate(path, MAX_SIZE + 1)
    with pytest.raises(HostsFileError, match="has more than 33554432 bytes: it is left as it is"):
        file.edit(append_foo)
    assert path.stat().st_size == MAX_SIZE + 1


def test_a_text_longer_than_programs_read_is_not_written(path: Path, file: HostsFile) -> None:
    with pytest.raises(HostsFileError, match="would grow to 33554433 bytes"):
        file.edit(lambda text: b"#" * (MAX_SIZE + 1))
    assert path.read_bytes() == OLD


def test_an_absent_file_reads_as_empty(path: Path) -> None:
    assert read_text(str(path)) == OLD
    path.unlink()
    assert read_text(str(path)) == b""


# What a crash leaves


def test_temporary_files_of_a_crash_are_removed_and_nothing_else(path: Path, file: HostsFile) -> None:
    leftovers = [path.parent / ".hosts.dtkdns-0123abcd", path.parent / ".hosts.dtkdns-ffffffff"]
    kept = [".hosts.dtkdns-0123abc", ".hosts.dtkdns-0123abcd~", "hosts.dtkdns-0123abcd", ".hostsxdtkdns-0123abcd"]
    for leftover in leftovers:
        leftover.write_bytes(NEW)
    for name in kept:
        (path.parent / name).write_bytes(NEW)
    (path.parent / ".hosts.dtkdns-00000000").mkdir()
    (path.parent / ".hosts.dtkdns-11111111").symlink_to(path)
    assert file.remove_leftovers() == [str(leftover) for leftover in leftovers]
    left = {"hosts", ".hosts.dtkdns-00000000", ".hosts.dtkdns-11111111", *kept}
    assert set(os.listdir(path.parent)) == left


def test_leftovers_lie_beside_the_file_itself_and_not_beside_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    leftover = tmp_path / "real/.hosts.dtkdns-0123abcd"
    leftover.write_bytes(NEW)
    (tmp_path / "link").symlink_to("real/hosts")
    assert HostsFile(str(tmp_path / "link")).remove_leftovers() == [str(leftover)]


def test_without_its_directory_there_are_no_leftovers(tmp_path: Path) -> None:
    assert HostsFile(str(tmp_path / "gone/hosts")).remove_leftovers() == []


# What can be said before the start


def test_a_file_in_a_directory_of_ones_own_can_be_written(path: Path) -> None:
    assert why_no_right(str(path)) is None
    path.unlink()
    assert why_no_right(str(path)) is None


def test_a_path_that_can_never_become_a_hosts_file_is_named(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert why_no_right(str(gone / "hosts")) == (
        f"There is no directory {gone} for the hosts file {gone}/hosts: give another --hosts-file."
    )
    assert why_no_right(str(tmp_path)) == f"{tmp_path} is not a regular file: give another --hosts-file."


@pytest.mark.parametrize("error", [errno.EACCES, errno.EPERM, errno.ENOENT])
def test_without_the_right_to_write_sudo_is_advised(
    path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    monkeypatch.setattr(os, "access", lambda *_args: False)
    refuse_writing(monkeypatch, error)
    assert why_no_right(str(path)) == (
        f"No right to write {path}: start dtkdns with sudo, or give a --hosts-file of your own."
    )


def test_a_file_that_can_be_written_in_place_needs_no_right_on_its_directory(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_args: False)
    assert why_no_right(str(path)) is None
    assert path.read_bytes() == OLD


def test_what_can_mend_itself_is_no_reason_not_to_start(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_args: False)
    refuse_writing(monkeypatch, errno.EROFS)
    assert why_no_right(str(path)) is None
