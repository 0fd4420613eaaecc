"""A file that is overwritten where it stands is whole again after any cut, and nobody's change is written over."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtkdns.hosts.inplace import LEASE_SECONDS, Journal, Overwriting, overwrite, redo
from dtkdns.hosts.kernel import Lease
from dtkdns.hosts.settle import read_settled
from dtkdns.hosts.versions import Version
from kernels import OLD, StillKernel, append, refuse

FOO = b"10.0.0.1 foo.dtk.io\n"
NEW = OLD + FOO
NAS = b"192.0.2.1 nas\n"
ABSENT = Version(b"", None)


@pytest.fixture
def kernel() -> StillKernel:
    """One whose files have leases, which are granted."""
    kernel = StillKernel()
    kernel.instead("lease", lambda _handle, _kind: Lease.HELD)
    kernel.instead("end_lease", lambda _handle: None)
    return kernel


@pytest.fixture
def journal(tmp_path: Path, kernel: StillKernel) -> Journal:
    (tmp_path / "state").mkdir()
    return Journal(str(tmp_path / "state/journal"), kernel)


def append_foo(text: bytes) -> bytes:
    return text + FOO


def version(path: Path) -> Version:
    return read_settled(StillKernel(), str(path))[0]


def overwriting(old: bytes, new: bytes, start: int = 0) -> Overwriting:
    return Overwriting("/hosts", start, old, new[start:])


def overwrite_it(kernel: StillKernel, journal: Journal, path: Path) -> bool:
    return overwrite(kernel, journal, str(path), version(path), append_foo)


# What a cut leaves

pieces = st.lists(st.sampled_from([b"#" * 300, b"10.0.0.1 a\n", b"x" * 512, b"y" * 700, b"\n"]), max_size=4).map(
    b"".join
)  # shorter than eight sectors
texts = pieces | st.binary(max_size=8)


def cuts(old: bytes, new: bytes) -> list[bytes]:
    """All that writing the new text over the old and then truncating it goes through."""
    return [new[:at] + old[at:] for at in range(len(new) + 1)] + [new]


@given(texts, texts, texts)
def test_whatever_a_cut_leaves_is_known_as_such(common: bytes, old: bytes, new: bytes) -> None:
    begun = overwriting(common + old, common + new, len(common))
    assert all(begun.cut(common + left) for left in cuts(old, new))


@given(texts, texts, st.lists(st.integers(0, 512), min_size=8, max_size=8))
def test_a_disk_writes_its_sectors_in_any_order(old: bytes, new: bytes, cut_at: list[int]) -> None:
    sectors = []
    for number, cut in enumerate(cut_at):
        at = slice(number * 512, number * 512 + 512)
        written = new[at][:cut] if len(old[at]) >= len(new[at]) else new[at]
        sectors.append(written + old[at][len(written) :])
    assert overwriting(old, new).cut(b"".join(sectors))


def test_a_sector_that_a_disk_has_never_written_is_a_cut() -> None:
    assert overwriting(OLD, b"x" * 2000).cut(b"x" * 512 + b"\0" * 512 + b"x" * 976)


def test_an_end_of_the_file_that_a_disk_has_never_written_is_a_cut() -> None:
    assert overwriting(OLD, NEW).cut(OLD + b"\0" * len(FOO))


@given(texts, texts, st.data())
def test_a_byte_that_is_neither_old_nor_new_is_no_cut(old: bytes, new: bytes, data: st.DataObject) -> None:
    left = data.draw(st.sampled_from([one for one in cuts(old, new) if one] or [b"?"]))
    at = data.draw(st.integers(0, len(left) - 1))
    others = [byte for byte in b"\1\2\3" if byte not in {*old[at : at + 1], *new[at : at + 1]}]
    changed = left[:at] + bytes(others[:1]) + left[at + 1 :]
    assert not overwriting(old, new).cut(changed)


@given(texts, texts)
def test_a_line_of_others_behind_both_texts_is_no_cut(old: bytes, new: bytes) -> None:
    longer = max(old, new, key=len)
    assert not overwriting(old, new).cut(longer + NAS)


def test_what_changed_in_front_of_our_writing_is_no_cut() -> None:
    begun = overwriting(OLD + NAS, OLD + FOO, len(OLD))
    assert begun.cut(OLD + FOO)
    assert not begun.cut(b"#" + OLD[1:] + FOO)
    assert not begun.cut(OLD[:-1])


@pytest.mark.parametrize("left", [b"", b"x" * 9, b"x" * 41])
def test_a_length_between_neither_old_nor_new_is_no_cut(left: bytes) -> None:
    assert not overwriting(b"x" * 10, b"x" * 40).cut(left)


def test_only_the_old_text_is_untouched() -> None:
    begun = overwriting(OLD, NEW)
    assert begun.untouched(OLD)
    assert not begun.untouched(NEW)
    assert not begun.untouched(OLD[:-1])


# The journal


def test_what_was_begun_is_read_back_until_it_is_ended(journal: Journal) -> None:
    assert journal.read() is None
    begun = Overwriting("/etc/hosts", 4096, b"\0\xff", b"new")
    journal.begin(begun)
    assert journal.read() == begun
    journal.begin(overwriting(OLD, NEW))
    assert journal.read() == overwriting(OLD, NEW)
    journal.end()
    assert journal.read() is None
    assert Path(journal.path).read_bytes() == b""


def test_the_journal_is_for_its_owner_alone_and_leaves_no_other_file(journal: Journal) -> None:
    Path(f"{journal.path}.new").write_bytes(b"of a crash")
    journal.begin(overwriting(OLD, NEW))
    assert os.listdir(os.path.dirname(journal.path)) == ["journal"]
    assert stat.S_IMODE(os.stat(journal.path).st_mode) == 0o600


def test_the_journal_is_durable_before_and_after(journal: Journal, kernel: StillKernel) -> None:
    calls = kernel.heard("write", "sync", "rename", "truncate")
    journal.begin(overwriting(OLD, NEW))
    journal.end()
    assert calls == [
        ("write", "journal.new"),
        ("sync", "journal.new"),
        ("rename", "journal.new"),
        ("sync", "state"),
        ("truncate", "journal"),
        ("sync", "journal"),
    ]


def test_a_journal_that_cannot_be_made_keeps_what_it_held(journal: Journal, kernel: StillKernel) -> None:
    journal.begin(overwriting(OLD, NEW))
    kernel.fail("sync", errno.ENOSPC)
    with pytest.raises(OSError, match="No space left"):
        journal.begin(overwriting(NEW, OLD))
    assert journal.read() == overwriting(OLD, NEW)


def test_a_journal_that_was_cut_anywhere_means_nothing(journal: Journal) -> None:
    journal.begin(overwriting(OLD, NEW))
    text = Path(journal.path).read_bytes()
    for length in range(len(text)):
        Path(journal.path).write_bytes(text[:length])
        assert journal.read() is None


def test_a_journal_with_a_flipped_bit_means_nothing(journal: Journal) -> None:
    journal.begin(overwriting(OLD, NEW))
    text = Path(journal.path).read_bytes()
    for at in range(len(text)):
        Path(journal.path).write_bytes(text[:at] + bytes([text[at] ^ 0x10]) + text[at + 1 :])
        assert journal.read() is None


def test_a_journal_that_cannot_be_read_is_an_error(journal: Journal, kernel: StillKernel) -> None:
    journal.begin(overwriting(OLD, NEW))
    kernel.fail("read", errno.EIO)
    with pytest.raises(OSError, match="Input/output error"):
        journal.read()


# Overwriting


def test_a_file_is_overwritten_where_it_stands(path: Path, kernel: StillKernel, journal: Journal) -> None:
    before = path.stat().st_ino
    assert overwrite_it(kernel, journal, path)
    assert (path.read_bytes(), path.stat().st_ino) == (NEW, before)
    assert journal.read() is None


def test_the_disk_is_told_in_the_order_that_survives_a_kill_and_a_power_cut(
    path: Path, kernel: StillKernel, journal: Journal
) -> None:
    calls = kernel.heard("lease", "write", "truncate", "end_lease", "sync", "rename")
    overwrite_it(kernel, journal, path)
    assert calls == [
        ("write", "journal.new"),
        ("sync", "journal.new"),
        ("rename", "journal.new"),
        ("sync", "state"),
        ("lease", "hosts"),
        ("write", "hosts"),
        ("truncate", "hosts"),
        ("end_lease", "hosts"),
        ("sync", "hosts"),
        ("truncate", "journal"),
        ("sync", "journal"),
    ]


def test_only_the_blocks_from_the_first_difference_on_are_written(
    path: Path, kernel: StillKernel, journal: Journal
) -> None:
    old = b"# a line\n" * 2000
    path.write_bytes(old)
    written: list[tuple[int, bytes]] = []
    real = kernel.write

    def note(handle: int, data: memoryview, offset: int) -> int:
        if os.readlink(f"/proc/self/fd/{handle}") == str(path):
            written.append((offset, bytes(data)))
        return real(handle, data, offset)

    kernel.instead("write", note)
    overwrite_it(kernel, journal, path)
    assert path.read_bytes() == old + FOO
    start = len(old) // 4096 * 4096
    assert written == [(start, (old + FOO)[start:])]


@pytest.mark.parametrize("new", [b"", OLD[:5], OLD, b"# as long as that is\n"[: len(OLD)]])
def test_a_shorter_text_leaves_no_rest_of_the_longer_one(
    path: Path, kernel: StillKernel, journal: Journal, new: bytes
) -> None:
    path.write_bytes(NEW)
    overwrite(kernel, journal, str(path), version(path), lambda _text: new)
    assert path.read_bytes() == new


def test_a_missing_file_is_made_readable_for_all_whatever_the_umask(
    path: Path, kernel: StillKernel, journal: Journal
) -> None:
    path.unlink()
    umask = os.umask(0o077)
    try:
        written = overwrite(kernel, journal, str(path), ABSENT, append_foo)
    finally:
        os.umask(umask)
    assert (written, path.read_bytes()) == (True, FOO)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_file_that_appears_where_there_was_none_is_not_overwritten(
    path: Path, kernel: StillKernel, journal: Journal
) -> None:
    with pytest.raises(FileExistsError):
        overwrite(kernel, journal, str(path), ABSENT, append_foo)
    assert path.read_bytes() == OLD


def test_a_symbolic_link_that_was_put_there_is_not_followed(
    path: Path, kernel: StillKernel, journal: Journal
) -> None:
    expected = version(path)
    path.rename(path.parent / "elsewhere")
    path.symlink_to("elsewhere")
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        overwrite(kernel, journal, str(path), expected, append_foo)
    assert path.read_bytes() == OLD


# Others at the same time


def test_who_has_the_file_open_is_waited_for(path: Path, kernel: StillKernel, journal: Journal) -> None:
    until = kernel.now() + 0.1
    kernel.instead("lease", lambda _handle, _kind: Lease.BUSY if kernel.now() < until else Lease.HELD)
    ended = kernel.heard("end_lease")
    assert overwrite_it(kernel, journal, path)
    assert path.read_bytes() == NEW
    assert 0.1 <= sum(kernel.pauses) < 0.12
    assert ended == [("end_lease", "hosts")]


def test_readers_who_never_stop_do_not_keep_us_for_ever(path: Path, kernel: StillKernel, journal: Journal) -> None:
    kernel.instead("lease", lambda _handle, _kind: Lease.BUSY)
    kernel.fail("end_lease", errno.EINVAL)
    assert overwrite_it(kernel, journal, path)
    assert path.read_bytes() == NEW
    assert LEASE_SECONDS <= sum(kernel.pauses) < LEASE_SECONDS + 0.01


def test_where_there_are_no_leases_nothing_is_waited_for(
    path: Path, kernel: StillKernel, journal: Journal
) -> None:
    kernel.instead("lease", lambda _handle, _kind: Lease.NONE)
    assert overwrite_it(kernel, journal, path)
    assert (path.read_bytes(), kernel.pauses) == (NEW, [])


def test_where_somebody_was_faster_the_text_is_built_again_while_nobody_else_has_the_file(
    path: Path, kernel: StillKernel, journal: Journal
) -> None:
    kernel.before("lease", lambda: append(path, NAS))
    begun: list[Overwriting | None] = []
    kernel.before("end_lease", lambda: begun.append(journal.read()))
    assert overwrite_it(kernel, journal, path)
    assert path.read_bytes() == OLD + NAS + FOO
    assert begun == [Overwriting(str(path), 0, OLD + NAS, OLD + NAS + FOO)]
    assert journal.read() is None


def test_where_somebody_was_faster_and_may_still_write_nothing_is_written(
    path: Path, kernel: StillKernel, journal: Journal
) -> None:
    kernel.instead("lease", lambda _handle, _kind: Lease.NONE)
    kernel.before("lease", lambda: append(path, NAS))
    assert not overwrite_it(kernel, journal, path)
    assert path.read_bytes() == OLD + NAS
    assert journal.read() is None


def test_what_others_write_behind_us_stays(path: Path, kernel: StillKernel, journal: Journal) -> None:
    kernel.after("end_lease", lambda: append(path, NAS))
    assert overwrite_it(kernel, journal, path)
    assert path.read_bytes() == NEW + NAS


# Faults


def test_without_its_journal_nothing_is_overwritten(path: Path, kernel: StillKernel, journal: Journal) -> None:
    kernel.fail("sync", errno.ENOSPC, times=1)
    before = path.stat()
    with pytest.raises(OSError, match="No space left"):
        overwrite_it(kernel, journal, path)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (OLD, before.st_mtime_ns)


def full_after(kernel: StillKernel, path: Path, room: int) -> None:
    """Let the disk be full once, after so many bytes of this file."""
    real = kernel.write
    left = [room, 0]

    def write(handle: int, data: memoryview, offset: int) -> int:
        if left and os.readlink(f"/proc/self/fd/{handle}") == str(path):
            take = left.pop(0)
            if not take:
                refuse(errno.ENOSPC)
            return real(handle, data[:take], offset)
        return real(handle, data, offset)

    kernel.instead("write", write)


@pytest.mark.parametrize("room", [1, 5, 30])
def test_a_disk_that_fills_up_midway_gets_the_old_bytes_back(
    path: Path, kernel: StillKernel, journal: Journal, room: int
) -> None:
    full_after(kernel, path, room)
    with pytest.raises(OSError, match="No space left"):
        overwrite(kernel, journal, str(path), version(path), lambda text: b"x" * 100)
    assert path.read_bytes() == OLD
    begun = journal.read()
    assert begun is not None
    assert begun.untouched(OLD)


def test_what_a_dying_disk_leaves_is_in_the_journal(path: Path, kernel: StillKernel, journal: Journal) -> None:
    kernel.instead("lease", lambda _handle, _kind: kernel.fail("write", errno.EIO) or Lease.HELD)
    with pytest.raises(OSError, match="Input/output error"):
        overwrite_it(kernel, journal, path)
    assert journal.read() == Overwriting(str(path), 0, OLD, NEW)


def test_a_file_whose_sync_fails_is_finished_later(path: Path, kernel: StillKernel, journal: Journal) -> None:
    kernel.before("end_lease", lambda: kernel.fail("sync", errno.EIO, times=1))
    with pytest.raises(OSError, match="Input/output error"):
        overwrite_it(kernel, journal, path)
    begun = journal.read()
    assert begun is not None
    assert begun.cut(path.read_bytes())


@pytest.mark.parametrize("fault", [None, errno.EIO])
def test_nothing_is_left_open(path: Path, kernel: StillKernel, journal: Journal, fault: int | None) -> None:
    before = len(os.listdir("/proc/self/fd"))
    if fault is None:
        overwrite_it(kernel, journal, path)
    else:
        kernel.fail("truncate", fault)
        with pytest.raises(OSError, match="Input/output error"):
            overwrite_it(kernel, journal, path)
    assert len(os.listdir("/proc/self/fd")) == before


# Finishing what was cut


@pytest.mark.parametrize("new", [NEW, OLD[:7], b""])
def test_from_every_cut_the_new_text_comes_out(
    path: Path, kernel: StillKernel, journal: Journal, new: bytes
) -> None:
    for left in cuts(OLD, new):
        path.write_bytes(left)
        redo(kernel, journal, Overwriting(str(path), 0, OLD, new))
        assert path.read_bytes() == new


def test_finishing_leaves_alone_what_stands_in_front_and_is_durable(
    path: Path, kernel: StillKernel, journal: Journal
) -> None:
    path.write_bytes(OLD + b"10.0.0.")
    calls = kernel.heard("write", "truncate", "sync")
    redo(kernel, journal, Overwriting(str(path), len(OLD), OLD, FOO))
    assert path.read_bytes() == NEW
    assert calls == [("write", "hosts"), ("truncate", "hosts"), ("sync", "hosts")]


@pytest.mark.parametrize(("lease", "least"), [(Lease.BUSY, LEASE_SECONDS), (Lease.NONE, 0), (Lease.HELD, 0)])
def test_finishing_waits_for_readers_and_not_for_ever(
    path: Path, kernel: StillKernel, journal: Journal, lease: Lease, least: float
) -> None:
    kernel.instead("lease", lambda _handle, _kind: lease)
    redo(kernel, journal, Overwriting(str(path), 0, OLD, NEW))
    assert path.read_bytes() == NEW
    assert least <= sum(kernel.pauses) < least + 0.01


transforms = st.sampled_from([append_foo, lambda text: text[1:], lambda text: b"", lambda text: b"# x\n" + text])


@given(pieces, transforms, st.integers(0, 3000))
def test_a_kill_at_any_byte_is_known_and_finished(
    tmp_path_factory: pytest.TempPathFactory, old: bytes, build: Callable[[bytes], bytes], room: int
) -> None:
    kernel = StillKernel()
    directory = tmp_path_factory.mktemp("kill")
    path, journal = directory / "hosts", Journal(str(directory / "journal"), kernel)
    path.write_bytes(old)
    expected = version(path)

    class KilledError(BaseException):
        pass

    def write(handle: int, data: memoryview, offset: int) -> int:
        if os.readlink(f"/proc/self/fd/{handle}") == str(path):
            os.pwrite(handle, data[:room], offset)
            raise KilledError
        return os.pwrite(handle, data, offset)

    kernel.instead("write", write)
    new = build(old)
    try:
        overwrite(kernel, journal, str(path), expected, build)
    except KilledError:
        begun = journal.read()
        assert begun is not None
        left = path.read_bytes()
        assert begun.untouched(left) or begun.cut(left)
        redo(StillKernel(), journal, begun)
    assert path.read_bytes() == new


OLD_TEXT = b"127.0.0.1 localhost\n10.0.0.1 foo\n10.0.0.2 bar\n"


@pytest.mark.parametrize("new", [b"127.0.0.1 localhost\n", OLD_TEXT + b"10.0.0.3 baz\n"])
def test_what_others_append_to_a_cut_text_is_told_from_it(new: bytes) -> None:
    overwriting = Overwriting("hosts", 20, OLD_TEXT, new[20:])
    for at in [*range(20, min(len(OLD_TEXT), len(new)) + 1), len(new)]:
        cut = new[:at] + OLD_TEXT[at:]
        assert overwriting.appended(cut) == b""
        assert overwriting.appended(cut + b"10.9.9.9 theirs\n") == b"10.9.9.9 theirs\n"
    assert overwriting.appended(new + b"10.9.9.9 theirs\n") == b"10.9.9.9 theirs\n"
    assert overwriting.appended(b"# another file\n") is None


def test_what_others_append_to_a_file_that_was_growing_is_told_from_it() -> None:
    new = OLD_TEXT + b"10.0.0.3 baz\n" * 1000
    grown = new[:4096]
    assert not grown.endswith(b"\n")
    assert (
        Overwriting("hosts", 20, OLD_TEXT, new[20:]).appended(grown + b"10.9.9.9 theirs\n") == b"10.9.9.9 theirs\n"
    )


def test_what_others_have_appended_since_stays_when_a_cut_text_is_finished(path: Path, journal: Journal) -> None:
    path.write_bytes(OLD_TEXT + b"10.9.9.9 theirs\n")
    assert redo(StillKernel(), journal, Overwriting(str(path), 20, OLD_TEXT, b""))
    assert path.read_bytes() == OLD_TEXT[:20] + b"10.9.9.9 theirs\n"
    begun = journal.read()
    assert begun is not None
    assert begun.whole == path.read_bytes(), "a cut of this, too, would be finished"
    assert begun.torn


def test_a_text_that_is_not_what_a_cut_leaves_is_left_alone(path: Path, journal: Journal) -> None:
    path.write_bytes(b"# another file\n")
    assert not redo(StillKernel(), journal, Overwriting(str(path), 20, OLD_TEXT, b""))
    assert path.read_bytes() == b"# another file\n"
