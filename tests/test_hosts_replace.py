"""A file that others read and edit too gets a new text, whole or not at all, and no line of theirs is lost."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dtkdns.hosts import kernel as kernel_module
from dtkdns.hosts.entries import Entries, make_entry
from dtkdns.hosts.faults import HostsFileError
from dtkdns.hosts.inplace import Journal, Overwriting
from dtkdns.hosts.kernel import Lease
from dtkdns.hosts.replace import Edited, HostsFile, read_text, why_no_right
from dtkdns.hosts.settle import APART_SECONDS, MAX_SIZE
from dtkdns.hosts.text import remove, splice
from dtkdns.hosts.versions import REMEMBERED, Signature
from kernels import OLD, StillKernel, alone, append, refuse, refuse_files, replace
from running import hosts_file

FOO = splice(OLD, Entries([make_entry("foo.dtk.io", ("10.0.0.1",), "", "ingress/a/b")]), "0123abcd").block
NEW = OLD + FOO
NAS = b"192.0.2.1 nas\n"
TV = b"192.0.2.2 tv\n"


@pytest.fixture
def file(path: Path, kernel: StillKernel) -> HostsFile:
    return hosts_file(path, kernel)


@pytest.fixture
def still_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[StillKernel]:
    """For what makes its own kernel."""
    still = StillKernel()
    monkeypatch.setattr(kernel_module.time, "monotonic", still.now)
    monkeypatch.setattr(kernel_module.time, "sleep", still.pause)
    yield still
    monkeypatch.undo()


def show_foo(text: bytes) -> bytes:
    """Put the block with foo in, where it is not there as it should be."""
    return text if FOO in text else remove(text) + FOO


def meanwhile(once: Callable[[], object]) -> Callable[[bytes], bytes]:
    """A transform during whose first call somebody else does something."""
    waiting = [once]

    def transform(text: bytes) -> bytes:
        if waiting:
            waiting.pop()()
        return show_foo(text)

    return transform


def journal_of(path: Path) -> Journal:
    return Journal(str(path.parent / "journal"))


def leave_displaced(path: Path, text: bytes) -> Path:
    """What a crash behind the exchange leaves: a file under a name with another inode."""
    return leave(path, text, 1)


def leave_new(path: Path, text: bytes) -> Path:
    """What a crash before the exchange leaves."""
    return leave(path, text, 0)


def leave(path: Path, text: bytes, beside: int) -> Path:
    made = path.parent / "made"
    made.write_bytes(text)
    return made.rename(path.parent / f".hosts.dtkdns-{made.stat().st_ino + beside:x}-0123abcd")


# By rename


def test_the_new_text_takes_the_place_of_the_old_by_rename(path: Path, file: HostsFile) -> None:
    before = path.stat().st_ino
    edited = file.edit(show_foo)
    assert path.read_bytes() == NEW
    assert edited == Edited(NEW, True, "rename", file.signature(), edited.limits)
    assert path.stat().st_ino != before
    assert alone(path)


def test_the_same_text_writes_nothing(path: Path, file: HostsFile) -> None:
    before = path.stat()
    edited = file.edit(lambda text: text)
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert edited == Edited(OLD, False, "", Signature.of(before), edited.limits)


def test_the_file_has_a_new_time_so_that_readers_drop_what_they_cached(path: Path, file: HostsFile) -> None:
    os.utime(path, (1, 1))
    file.edit(show_foo)
    assert path.stat().st_mtime > 1


def test_a_missing_file_is_made(path: Path, file: HostsFile) -> None:
    path.unlink()
    assert file.signature() is None
    edited = file.edit(show_foo)
    assert path.read_bytes() == FOO
    assert (edited.way, edited.signature, path.stat().st_mode & 0o777) == ("rename", file.signature(), 0o644)
    assert edited.limits == ()


def test_a_missing_file_that_is_to_be_empty_stays_missing(path: Path, file: HostsFile) -> None:
    path.unlink()
    assert file.edit(lambda text: text) == Edited(b"", False, "", None)
    assert os.listdir(path.parent) == []


def test_an_edit_succeeds_only_once_the_directory_is_synced(
    path: Path, file: HostsFile, kernel: StillKernel
) -> None:
    synced: list[str] = []
    real = kernel.sync_directory

    def fail_once(directory: str) -> None:
        synced.append(directory)
        if len(synced) == 1:
            refuse(errno.EIO)
        real(directory)

    kernel.instead("sync_directory", fail_once)
    with pytest.raises(HostsFileError):
        file.edit(show_foo)
    assert file.edit(show_foo).text == path.read_bytes() == NEW
    assert synced == [str(path.parent)] * 2
    assert file.edit(show_foo).changed is False
    assert len(synced) == 2
    assert alone(path)


def test_a_start_makes_a_rename_of_the_run_before_durable(
    path: Path, file: HostsFile, kernel: StillKernel
) -> None:
    path.write_bytes(NEW)
    calls = kernel.heard("sync")
    file.edit(show_foo)
    file.edit(show_foo)
    assert calls == [("sync", path.parent.name)]


# Symbolic links


@pytest.mark.parametrize("links", [["real/hosts"], ["other", "real/hosts"], ["real/../real/hosts"]])
def test_symbolic_links_are_followed_and_stay(tmp_path: Path, kernel: StillKernel, links: list[str]) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/hosts").write_bytes(OLD)
    names = ["hosts", *links[:-1]]
    for name, leads_to in zip(names, links, strict=True):
        (tmp_path / name).symlink_to(leads_to)
    assert hosts_file(tmp_path / "hosts", kernel).edit(show_foo).way == "rename"
    assert [os.readlink(tmp_path / name) for name in names] == links
    assert (tmp_path / "real/hosts").read_bytes() == NEW
    assert not (tmp_path / "real/hosts").is_symlink()
    assert alone(tmp_path / "real/hosts")


def test_the_file_that_a_dangling_link_leads_to_is_made(tmp_path: Path, kernel: StillKernel) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "hosts"
    link.symlink_to("real/hosts")
    hosts_file(link, kernel).edit(show_foo)
    assert os.readlink(link) == "real/hosts"
    assert (tmp_path / "real/hosts").read_bytes() == FOO


# In place


def test_a_file_with_hard_links_is_written_in_place(path: Path, file: HostsFile) -> None:
    other = path.parent / "other"
    os.link(path, other)
    edited = file.edit(show_foo)
    way = "in place (because the file has 2 hard links)"
    assert edited == Edited(NEW, True, way, file.signature(), edited.limits)
    assert other.read_bytes() == NEW
    assert other.stat().st_ino == path.stat().st_ino
    assert sorted(os.listdir(path.parent)) == ["hosts", "journal", "other"]
    assert journal_of(path).read() is None


@pytest.mark.parametrize("error", [errno.EBUSY, errno.EXDEV, errno.EPERM])
def test_where_a_rename_is_refused_the_file_is_written_in_place(
    path: Path, file: HostsFile, kernel: StillKernel, error: int
) -> None:
    before = path.stat().st_ino
    kernel.fail("exchange", error)
    assert file.edit(show_foo).way == f"in place (because a rename is refused: {os.strerror(error)})"
    assert (path.read_bytes(), path.stat().st_ino) == (NEW, before)
    assert alone(path)


@pytest.mark.parametrize("error", [errno.EACCES, errno.EROFS])
def test_where_the_directory_refuses_new_files_the_file_is_written_in_place(
    path: Path, file: HostsFile, kernel: StillKernel, error: int
) -> None:
    before = path.stat().st_ino
    refuse_files(kernel, os.O_CREAT, error)
    assert file.edit(show_foo).way == f"in place (because its directory refuses new files: {os.strerror(error)})"
    assert (path.read_bytes(), path.stat().st_ino) == (NEW, before)


@pytest.mark.parametrize("call", ["set_mode", "attributes"])
def test_an_owner_or_attribute_that_cannot_be_kept_means_in_place(
    path: Path, file: HostsFile, kernel: StillKernel, call: str
) -> None:
    kernel.fail(call, errno.EPERM)
    way = file.edit(show_foo).way
    assert way == "in place (because its owner or attributes cannot be kept: Operation not permitted)"
    assert path.read_bytes() == NEW
    assert alone(path)


# What the disk refuses


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (errno.ENOSPC, "the disk is full: make room"),
        (errno.EDQUOT, "the disk quota is used up: make room"),
        (errno.EIO, "Input/output error: dtkdns tries again"),
    ],
)
@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("call", ["write", "sync"])
def test_a_write_that_fails_leaves_the_old_file_whole_and_says_what_to_do(
    path: Path, file: HostsFile, kernel: StillKernel, call: str, linked: bool, error: int, advice: str
) -> None:
    if linked:
        os.link(path, path.parent / "other")
    before = path.stat()
    kernel.fail(call, error)
    with pytest.raises(HostsFileError) as raised:
        file.edit(show_foo)
    assert str(raised.value) == f"{path} cannot be written, {advice}."
    assert path.read_bytes() == OLD
    assert Signature.of(path.stat()) == Signature.of(before)
    assert alone(path)


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (errno.EROFS, "its file system is read-only: make it writable again"),
        (errno.EACCES, "there is no right to do so: start dtkdns with sudo"),
        (errno.EPERM, "the kernel forbids it: is the file immutable"),
        (errno.ENOSPC, "the disk is full: make room"),
    ],
)
def test_a_file_that_cannot_be_opened_for_writing_is_left_with_advice(
    path: Path, file: HostsFile, kernel: StillKernel, error: int, advice: str
) -> None:
    refuse_files(kernel, os.O_WRONLY | os.O_RDWR, error)
    with pytest.raises(HostsFileError, match=re.escape(advice)):
        file.edit(show_foo)
    assert path.read_bytes() == OLD
    assert alone(path)


def test_a_link_into_the_store_of_nixos_is_refused_with_the_setting_to_change(
    file: HostsFile, kernel: StillKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "realpath", lambda _path: "/nix/store/abc/hosts")
    kernel.instead("list", lambda _directory: [])
    kernel.instead("open", lambda *_args: refuse(errno.EROFS))
    file.journal.path = "/nowhere"
    file.journal.kernel = StillKernel()
    with pytest.raises(
        HostsFileError, match=r'read-only store of NixOS: set environment\.etc\.hosts\.mode = "0644"'
    ):
        file.edit(show_foo)


@pytest.mark.parametrize("call", ["rename", "exchange", "attributes", "read", "list"])
def test_any_other_fault_on_the_way_leaves_the_old_file_whole(
    path: Path, file: HostsFile, kernel: StillKernel, call: str
) -> None:
    kernel.fail(call, errno.EIO)
    with pytest.raises(HostsFileError, match="Input/output error"):
        file.edit(show_foo)
    assert path.read_bytes() == OLD
    assert alone(path)


def test_without_its_directory_the_file_cannot_be_written(tmp_path: Path, kernel: StillKernel) -> None:
    with pytest.raises(HostsFileError, match="its directory is gone: put it back"):
        hosts_file(tmp_path / "gone/hosts", kernel).edit(show_foo)


def test_after_a_fault_in_place_the_next_edit_writes_it_all(
    path: Path, file: HostsFile, kernel: StillKernel
) -> None:
    os.link(path, path.parent / "other")
    kernel.instead("lease", lambda _handle, _kind: Lease.HELD)
    kernel.instead("end_lease", lambda _handle: kernel.fail("sync", errno.EIO, times=1))
    with pytest.raises(HostsFileError):
        file.edit(show_foo)
    kernel.instead("end_lease", lambda _handle: None)
    assert file.edit(show_foo).text == path.read_bytes() == NEW
    assert journal_of(path).read() is None


# Others who change the file at the same time


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("how", ["append", "replace"])
def test_a_change_while_we_build_the_new_text_is_not_lost(
    path: Path, file: HostsFile, kernel: StillKernel, how: str, in_place: bool
) -> None:
    if in_place:
        kernel.fail("exchange", errno.EBUSY)
    change = (lambda: append(path, NAS)) if how == "append" else (lambda: replace(path, OLD + NAS))
    edited = file.edit(meanwhile(change))
    assert path.read_bytes() == edited.text
    assert (remove(edited.text), edited.settled) == (OLD + NAS, True)
    assert edited.text.count(FOO) == 1
    assert edited.signature == file.signature()
    assert alone(path)


def test_the_displaced_file_is_kept_until_its_lines_are_in_the_file(
    path: Path, file: HostsFile, kernel: StillKernel
) -> None:
    kept: list[bytes] = []

    def look() -> None:
        kept.extend(one.read_bytes() for one in path.parent.iterdir() if ".dtkdns-" in one.name)

    kernel.before("exchange", lambda: append(path, NAS))
    kernel.after("exchange", lambda: kernel.before("exchange", look))
    file.edit(show_foo)
    assert OLD + NAS in kept
    assert remove(path.read_bytes()) == OLD + NAS
    assert alone(path)


def test_when_lines_cannot_be_put_back_their_file_is_kept_and_the_next_edit_puts_them_back(
    path: Path, file: HostsFile, kernel: StillKernel
) -> None:
    kernel.before("exchange", lambda: append(path, NAS))
    real = kernel.write
    kernel.after("exchange", lambda: kernel.fail("write", errno.ENOSPC))
    with pytest.raises(HostsFileError, match="the disk is full"):
        file.edit(show_foo)
    assert path.read_bytes() == NEW
    (kept,) = (one for one in path.parent.iterdir() if one.name.startswith("."))
    assert kept.read_bytes() == OLD + NAS
    kernel.instead("write", real)
    kernel.time += 10 * REMEMBERED
    assert remove(file.edit(show_foo).text) == OLD + NAS
    assert alone(path)


def test_after_a_crash_in_that_moment_a_start_puts_the_lines_back(
    path: Path, file: HostsFile, kernel: StillKernel
) -> None:
    kernel.before("exchange", lambda: append(path, NAS))
    kernel.after("exchange", lambda: kernel.fail("write", errno.ENOSPC))
    with pytest.raises(HostsFileError):
        file.edit(show_foo)
    again = hosts_file(path, StillKernel())
    assert len(again.recover()) == 1
    assert again.edit(show_foo).text == path.read_bytes()
    assert remove(path.read_bytes()) == OLD + NAS
    assert alone(path)


@pytest.mark.parametrize("in_place", [False, True])
def test_a_line_that_another_editor_read_away_a_moment_ago_comes_back(
    path: Path, file: HostsFile, kernel: StillKernel, in_place: bool
) -> None:
    if in_place:
        kernel.fail("exchange", errno.EBUSY)
    file.edit(show_foo)
    append(path, NAS)
    kernel.time += REMEMBERED / 2
    file.edit(show_foo)
    replace(path, NEW)
    kernel.time += REMEMBERED / 2
    assert remove(file.edit(show_foo).text) == OLD + NAS == remove(path.read_bytes())


def test_a_line_that_is_deleted_later_stays_deleted(path: Path, file: HostsFile, kernel: StillKernel) -> None:
    append(path, NAS)
    file.edit(show_foo)
    replace(path, NEW)
    kernel.time += REMEMBERED + 0.1
    assert file.edit(show_foo).text == path.read_bytes() == NEW


def test_before_we_ever_wrote_every_deletion_stands(path: Path, file: HostsFile, kernel: StillKernel) -> None:
    path.write_bytes(NEW + NAS)
    file.edit(show_foo)
    replace(path, NEW)
    assert file.edit(show_foo).text == path.read_bytes() == NEW


def test_a_line_that_was_rewritten_meanwhile_does_not_come_back(
    path: Path, file: HostsFile, kernel: StillKernel
) -> None:
    append(path, NAS)
    changed = OLD + b"192.0.2.9 nas\n"
    kernel.before("exchange", lambda: replace(path, changed))
    assert remove(file.edit(show_foo).text) == changed == remove(path.read_bytes())


def test_a_line_that_comes_back_has_its_own_line_end(path: Path, file: HostsFile, kernel: StillKernel) -> None:
    path.write_bytes(OLD + b"192.0.2.1 nas\r\n")
    file.edit(show_foo)
    replace(path, NEW)
    assert remove(file.edit(show_foo).text) == OLD + b"192.0.2.1 nas\r\n"


def test_a_file_that_is_removed_meanwhile_is_made_anew_with_all_its_lines(path: Path, file: HostsFile) -> None:
    edited = file.edit(meanwhile(path.unlink))
    assert remove(path.read_bytes()) == OLD
    assert FOO in edited.text


def test_a_file_that_appears_meanwhile_is_not_overwritten(path: Path, file: HostsFile) -> None:
    path.unlink()
    file.edit(meanwhile(lambda: path.write_bytes(OLD)))
    assert path.read_bytes() == NEW


def test_a_directory_that_appears_in_the_last_moment_is_refused_and_stays(
    path: Path, file: HostsFile, kernel: StillKernel
) -> None:
    def make_directory() -> None:
        path.unlink()
        path.mkdir()

    kernel.before("exchange", make_directory)
    with pytest.raises(HostsFileError, match="is not a regular file"):
        file.edit(show_foo)
    assert path.is_dir()
    assert alone(path)


def test_in_place_a_line_added_while_we_write_is_seen(path: Path, file: HostsFile, kernel: StillKernel) -> None:
    os.link(path, path.parent / "other")
    kernel.instead("lease", lambda _handle, _kind: Lease.HELD)
    kernel.instead("end_lease", lambda _handle: None)
    kernel.after("end_lease", lambda: append(path, NAS))
    edited = file.edit(show_foo)
    assert path.read_bytes() == NEW + NAS == edited.text
    assert (edited.settled, edited.signature) == (True, file.signature())


@pytest.mark.parametrize("lease", [Lease.HELD, Lease.NONE])
def test_in_place_who_was_faster_keeps_their_line(
    path: Path, file: HostsFile, kernel: StillKernel, lease: Lease
) -> None:
    os.link(path, path.parent / "other")
    kernel.instead("lease", lambda _handle, _kind: lease)
    kernel.instead("end_lease", lambda _handle: None)
    file.edit(lambda text: text)
    kernel.before("rename", lambda: append(path, NAS))  # that of the journal
    edited = file.edit(show_foo)
    assert remove(path.read_bytes()) == OLD + NAS == remove(edited.text)
    assert edited.text.count(FOO) == 1


def test_others_who_never_stop_changing_the_file_do_not_keep_us_for_ever(
    path: Path, file: HostsFile, kernel: StillKernel
) -> None:
    calls: list[bytes] = []

    def disturb() -> None:
        calls.append(b"192.0.2.1 n%d\n" % len(calls))
        append(path, calls[-1])

    kernel.before("exchange", disturb, times=1_000)
    edited = file.edit(show_foo)
    assert not edited.settled
    assert len(calls) < 20
    kernel.instead("exchange", StillKernel().exchange)
    kernel.time += 10 * REMEMBERED
    final = file.edit(show_foo)
    assert final.settled
    assert sorted(remove(path.read_bytes()).splitlines(True)) == sorted([OLD, *calls])
    assert alone(path)


def test_others_who_are_always_faster_are_given_way_for_now(
    path: Path, file: HostsFile, kernel: StillKernel
) -> None:
    kernel.instead("exchange", lambda _one, _other: False)
    calls: list[float] = []

    def disturbed(text: bytes) -> bytes:
        calls.append(kernel.now())
        kernel.pause(0.3)
        replace(path, b"# %d\n" % len(calls))
        return text + FOO

    with pytest.raises(HostsFileError, match=r"Other programs keep changing .*: it is tried again"):
        file.edit(disturbed)
    assert path.read_bytes() == b"# %d\n" % len(calls)
    assert 4 <= calls[-1] - calls[0] <= 5
    assert alone(path)


def test_a_half_written_file_of_another_program_is_not_read(
    path: Path, file: HostsFile, kernel: StillKernel
) -> None:
    file.edit(show_foo)
    kernel.instead("lease", lambda _handle, _kind: Lease.NONE)
    kernel.time += 10 * REMEMBERED
    path.write_bytes(b"")
    kernel.at(APART_SECONDS / 2, lambda: path.write_bytes(NEW + NAS))
    assert remove(file.edit(show_foo).text) == OLD + NAS == remove(path.read_bytes())


def test_a_text_that_suddenly_shrinks_is_looked_at_twice(path: Path, file: HostsFile, kernel: StillKernel) -> None:
    kernel.instead("lease", lambda _handle, _kind: Lease.HELD)
    file.edit(show_foo)
    kernel.pauses.clear()
    kernel.time += 10 * REMEMBERED
    path.write_bytes(OLD)
    assert remove(file.edit(show_foo).text) == OLD
    assert kernel.pauses == [APART_SECONDS]


# What this system cannot do


def test_a_file_without_leases_is_told(path: Path, file: HostsFile, kernel: StillKernel) -> None:
    kernel.instead("lease", lambda _handle, _kind: Lease.NONE)
    (limit,) = file.edit(show_foo).limits
    assert limit == (
        "there are no leases for it, so it is read twice, 0.1 s apart, to see that nobody is writing it"
    )
    assert file.edit(show_foo).limits == (limit,)


def test_a_displaced_file_that_cannot_be_told_is_told(path: Path, file: HostsFile, kernel: StillKernel) -> None:
    kernel.instead("lease", lambda _handle, _kind: Lease.HELD)
    kernel.instead("exchange", lambda _one, _other: False)
    kernel.fail("link", errno.EPERM)
    edited = file.edit(show_foo)
    assert path.read_bytes() == NEW
    assert edited.limits == (
        "its file system cannot exchange two files, so a change by others in the same moment may be lost",
    )


# What is no hosts file


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_directory_or_a_pipe_is_refused(
    path: Path, file: HostsFile, still_time: StillKernel, make: Callable[[Path], None]
) -> None:
    path.unlink()
    make(path)
    with pytest.raises(HostsFileError, match="is not a regular file: give another --hosts-file"):
        file.edit(show_foo)
    with pytest.raises(HostsFileError, match="is not a regular file: give another --hosts-file"):
        read_text(str(path))


@pytest.mark.parametrize("text", [b"\0", OLD + b"\0" * 512])
def test_a_file_with_nul_bytes_is_refused_and_left_as_it_is(path: Path, file: HostsFile, text: bytes) -> None:
    path.write_bytes(text)
    with pytest.raises(HostsFileError, match="holds NUL bytes"):
        file.edit(show_foo)
    assert path.read_bytes() == text
    assert alone(path)


def test_a_file_longer_than_programs_read_is_refused(path: Path, file: HostsFile) -> None:
    os.truncate(path, MAX_SIZE + 1)
    with pytest.raises(HostsFileError, match="has more than 33554432 bytes: it is left as it is"):
        file.edit(show_foo)
    assert path.stat().st_size == MAX_SIZE + 1


def test_a_text_longer_than_programs_read_is_not_written(path: Path, file: HostsFile) -> None:
    with pytest.raises(HostsFileError, match="would grow to 33554433 bytes"):
        file.edit(lambda text: b"#" * (MAX_SIZE + 1))
    assert path.read_bytes() == OLD
    assert alone(path)


def test_an_absent_file_reads_as_empty(path: Path, still_time: StillKernel) -> None:
    assert read_text(str(path)) == OLD
    path.unlink()
    assert read_text(str(path)) == b""
    assert still_time.pauses == [APART_SECONDS]


# What a crash leaves beside the file


def test_after_a_clean_end_there_is_nothing_to_recover_and_nothing_is_looked_for_twice(
    path: Path, file: HostsFile, kernel: StillKernel
) -> None:
    calls = kernel.heard("list")
    assert file.recover() == []
    file.edit(show_foo)
    assert file.recover() == []
    file.edit(show_foo)
    assert calls == [("list", path.parent.name)]


def test_a_new_file_of_a_crash_is_removed_whatever_it_holds(path: Path, file: HostsFile) -> None:
    incomplete = path.parent / ".hosts.dtkdns-new-0123abcd"
    incomplete.write_bytes(NAS)
    complete = leave_new(path, OLD + NAS)
    assert sorted(file.recover()) == sorted(
        f"Removed {one}, which an interruption left behind." for one in (incomplete, complete)
    )
    assert file.edit(show_foo).text == path.read_bytes() == NEW
    assert alone(path)


@pytest.mark.parametrize("text", [OLD, NEW, b"", b"\n", OLD.replace(b"\n", b"\r\n")])
def test_a_displaced_file_without_a_line_that_is_missing_is_removed(
    path: Path, file: HostsFile, text: bytes
) -> None:
    leftover = leave_displaced(path, text)
    assert file.recover() == [f"Removed {leftover}, which an interruption left behind."]
    assert alone(path)


def test_lines_that_a_displaced_file_alone_holds_are_put_back_exactly_once(
    path: Path, file: HostsFile, kernel: StillKernel
) -> None:
    leftover = leave_displaced(path, OLD + NAS + FOO + b"192.0.2.2 tv\r\n")
    sentence = f"Lines that were in {path}, and are now in {leftover} alone, are put back."
    assert file.recover() == [sentence]
    assert file.recover() == []
    assert leftover.exists()
    assert file.edit(show_foo).text == path.read_bytes()
    assert remove(path.read_bytes()) == OLD + NAS + b"192.0.2.2 tv\r\n"
    assert alone(path)
    kernel.time += 10 * REMEMBERED
    replace(path, NEW)
    assert file.edit(show_foo).text == NEW


def test_an_edit_recovers_by_itself(path: Path, file: HostsFile) -> None:
    leave_displaced(path, NAS)
    assert remove(file.edit(show_foo).text) == OLD + NAS == remove(path.read_bytes())
    assert alone(path)


def test_a_displaced_file_is_kept_while_its_lines_cannot_be_put_back(
    path: Path, file: HostsFile, kernel: StillKernel
) -> None:
    leftover = leave_displaced(path, NAS)
    real = kernel.write
    kernel.fail("write", errno.ENOSPC)
    for _ in range(2):
        with pytest.raises(HostsFileError, match="the disk is full"):
            file.edit(show_foo)
        assert leftover.read_bytes() == NAS
    kernel.instead("write", real)
    assert remove(file.edit(show_foo).text) == OLD + NAS
    assert alone(path)


def test_a_displaced_file_that_somebody_removes_in_the_end_is_no_fault(path: Path, file: HostsFile) -> None:
    leftover = leave_displaced(path, NAS)
    file.recover()
    leftover.unlink()
    assert remove(file.edit(show_foo).text) == OLD + NAS
    assert file.edit(show_foo).changed is False


def test_other_files_in_the_directory_stay(path: Path, file: HostsFile) -> None:
    others = [path.parent / name for name in ("hosts~", ".hosts.swp", "hosts.dtkdns-new-0123abcd", "other")]
    for other in others:
        other.write_bytes(NAS)
    assert file.recover() == []
    assert [other.read_bytes() for other in others] == [NAS] * 4


def test_leftovers_lie_beside_the_file_itself_and_not_beside_a_link(tmp_path: Path, kernel: StillKernel) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/hosts").write_bytes(OLD)
    leftover = leave_new(tmp_path / "real/hosts", NAS)
    (tmp_path / "hosts").symlink_to("real/hosts")
    file = hosts_file(tmp_path / "hosts", kernel)
    assert file.recover() == [f"Removed {leftover}, which an interruption left behind."]


def test_without_its_directory_nothing_can_be_recovered_yet(tmp_path: Path, kernel: StillKernel) -> None:
    file = hosts_file(tmp_path / "gone/hosts", kernel)
    with pytest.raises(HostsFileError, match="its directory is gone: put it back"):
        file.recover()
    (tmp_path / "gone").mkdir()
    leftover = leave_new(tmp_path / "gone/hosts", NAS)
    assert file.recover() == [f"Removed {leftover}, which an interruption left behind."]


def test_a_leftover_that_cannot_be_removed_is_tried_again(
    path: Path, file: HostsFile, kernel: StillKernel
) -> None:
    leftover = leave_new(path, NAS)
    kernel.fail("unlink", errno.EROFS, times=1)
    with pytest.raises(HostsFileError, match="read-only"):
        file.recover()
    assert file.recover() == [f"Removed {leftover}, which an interruption left behind."]
    assert alone(path)


# What a cut in place leaves


def begin(path: Path, old: bytes = OLD, new: bytes = NEW) -> Journal:
    journal = journal_of(path)
    journal.begin(Overwriting(str(path), 0, old, new))
    return journal


def test_a_write_that_had_not_begun_leaves_nothing_to_finish(path: Path, file: HostsFile) -> None:
    journal = begin(path)
    assert file.recover() == []
    assert (path.read_bytes(), journal.read()) == (OLD, None)


@pytest.mark.parametrize("length", [len(OLD) + 1, len(NEW) - 1, len(NEW)])
def test_a_write_that_was_cut_is_finished(path: Path, file: HostsFile, length: int) -> None:
    journal = begin(path)
    path.write_bytes(NEW[:length])
    assert file.recover() == [f"Finished writing {path}, which was interrupted."]
    assert (path.read_bytes(), journal.read()) == (NEW, None)
    assert file.recover() == []


def test_a_sector_that_the_disk_never_wrote_is_finished(path: Path, file: HostsFile) -> None:
    new = OLD + b"# a note\n" * 200
    journal = begin(path, OLD, new)
    path.write_bytes(new[:512] + b"\0" * 512 + new[1024:])
    assert file.recover() == [f"Finished writing {path}, which was interrupted."]
    assert (path.read_bytes(), journal.read()) == (new, None)


def test_after_others_changed_a_cut_file_the_lines_from_before_are_put_back_once(
    path: Path, file: HostsFile, kernel: StillKernel
) -> None:
    journal = begin(path, OLD + NAS, NEW + NAS)
    path.write_bytes(b"# cut, and edited since\n" + TV)
    assert file.recover() == [
        f"{path} was changed by others after a write of ours was interrupted: lines that it had before are put"
        " back where they are missing."
    ]
    assert journal.read() is not None
    edited = file.edit(show_foo)
    assert edited.text == path.read_bytes()
    assert remove(edited.text).splitlines(True) == [b"# cut, and edited since\n", TV, OLD, NAS]
    assert journal.read() is None
    kernel.time += 10 * REMEMBERED
    replace(path, NEW)
    assert file.edit(show_foo).text == NEW


def test_the_journal_keeps_the_lines_while_they_cannot_be_put_back(
    path: Path, file: HostsFile, kernel: StillKernel
) -> None:
    journal = begin(path, OLD + NAS)
    path.write_bytes(TV)
    kernel.fail("write", errno.ENOSPC)
    with pytest.raises(HostsFileError, match="the disk is full"):
        file.edit(show_foo)
    assert journal.read() is not None
    again = hosts_file(path, StillKernel())
    assert remove(again.edit(show_foo).text).splitlines(True) == [TV, OLD, NAS]
    assert journal.read() is None


@pytest.mark.parametrize("damage", [lambda text: text[:-1], lambda text: b"?" + text[1:], lambda _text: b""])
def test_a_damaged_journal_changes_nothing(path: Path, file: HostsFile, damage: Callable[[bytes], bytes]) -> None:
    journal = begin(path, OLD + NAS)
    Path(journal.path).write_bytes(damage(Path(journal.path).read_bytes()))
    assert file.recover() == []
    assert path.read_bytes() == OLD


def test_a_journal_that_cannot_be_read_is_tried_again(path: Path, file: HostsFile, kernel: StillKernel) -> None:
    begin(path)
    path.write_bytes(NEW[:-1])
    kernel.fail("read", errno.EIO, times=1)
    with pytest.raises(HostsFileError, match="Input/output error"):
        file.recover()
    assert file.recover() == [f"Finished writing {path}, which was interrupted."]
    assert path.read_bytes() == NEW


def test_lines_of_one_file_are_never_put_into_another(path: Path, kernel: StillKernel) -> None:
    begin(path, OLD + NAS)
    path.write_bytes(TV)
    other = path.with_name("other")
    other.write_bytes(OLD)
    file = hosts_file(other, kernel)
    file.recover()
    assert file.edit(show_foo).text == other.read_bytes() == NEW
    assert path.read_bytes() == TV


def test_a_cut_file_that_is_gone_by_now_is_no_fault(path: Path, file: HostsFile) -> None:
    begin(path, NEW, b"")
    path.unlink()
    file.recover()
    assert file.edit(show_foo).text == path.read_bytes()
    assert FOO in path.read_bytes()


# What can be said before the start


def refuse_writing(monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    """Let every opening for writing fail."""
    real = os.open

    def open_or_refuse(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            refuse(error)
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", open_or_refuse)


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
