"""What the file, its directory, and what lies beside it can be when dtkdns starts, each with its result."""

from __future__ import annotations

import os
import stat
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from steps import StepKernel, is_killed, killed_midway

from dtkdns.hosts import rename
from dtkdns.hosts import text as hosts_text
from dtkdns.hosts.entries import Entries, make_entry
from dtkdns.hosts.faults import HostsFileError
from dtkdns.hosts.inplace import Journal
from dtkdns.hosts.kernel import Kernel
from dtkdns.hosts.replace import Edited, HostsFile
from dtkdns.hosts.settle import MAX_SIZE
from dtkdns.hosts.writer import HostsBlock
from dtkdns.projection import Shown
from running import HOSTS, hosts_file

STATE = "0123abcd"


def records(count: int = 3, address: str = "192.168.1.1") -> dict[str, Shown | None]:
    names = [f"name-{number}.dtk.io" for number in range(count)]
    return {name: Shown(name, (address,), "default", "ingress/d/t", 0, 0.0) for name in names}


def write(path: Path, shown: dict[str, Shown | None] | None = None) -> Edited:
    """One write of a service that has just started."""
    return HostsBlock(hosts_file(path), STATE).write(records() if shown is None else shown).edited


def lines_of(text: bytes) -> Counter[bytes]:
    return Counter(line for line in text.split(b"\n") if line)


def check(path: Path, foreign: bytes, count: int = 3) -> None:
    """There is one block, intact and complete, and beside it exactly these lines; nothing of ours lies about."""
    text = path.read_bytes()
    block = hosts_text.read(text)
    assert block is not None
    assert block.intact
    assert len(block.lines) == count
    assert lines_of(hosts_text.remove(text)) == lines_of(foreign)
    assert rename.leftovers(Kernel(), os.path.realpath(path)) == []


@contextmanager
def mounted_at(path: Path, *options: str) -> Iterator[None]:
    subprocess.run(["mount", *options, str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@contextmanager
def attribute(flag: str, path: Path) -> Iterator[None]:
    """With an attribute of chattr(1)."""
    subprocess.run(["chattr", f"+{flag}", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["chattr", f"-{flag}", str(path)], check=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "hosts"
    path.write_bytes(HOSTS)
    return path


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A directory on a disk of 64 KiB."""
    directory = tmp_path / "small"
    directory.mkdir()
    with mounted_at(directory, "-t", "tmpfs", "-o", "size=64k", "tmpfs"):
        yield directory


def fill(directory: Path) -> Path:
    """Leave no room in the file system."""
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return filler


# Texts


def test_a_missing_file_is_made_for_all_to_read(path: Path) -> None:
    path.unlink()
    write(path)
    check(path, b"")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_missing_file_is_not_made_for_an_empty_block(path: Path) -> None:
    path.unlink()
    assert not write(path, {}).changed
    assert not path.exists()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"127.0.0.1 localhost",
        b"127.0.0.1 localhost\r\n# mine\r\n",
        b"10.0.0.1 \xff\xfe\xe9\n",
        b"\xef\xbb\xbf",
    ],
    ids=["empty", "an empty line", "without a final newline", "CRLF", "invalid UTF-8", "a BOM alone"],
)
def test_text_of_others_is_kept_to_the_byte_and_is_all_that_is_left_without_a_block(
    path: Path, text: bytes
) -> None:
    path.write_bytes(text)
    write(path)
    check(path, text)
    assert hosts_text.remove(path.read_bytes()) == text
    write(path, dict.fromkeys(records()))
    assert path.read_bytes() == text


def test_a_file_with_nul_bytes_is_left_as_it_is_and_said_how_to_mend(path: Path) -> None:
    path.write_bytes(HOSTS + b"10.0.0.1 a\0b\n")
    with pytest.raises(HostsFileError, match=r"holds NUL bytes.*Remove them"):
        write(path)
    assert path.read_bytes() == HOSTS + b"10.0.0.1 a\0b\n"
    path.write_bytes(HOSTS)
    write(path)
    check(path, HOSTS)


def test_a_file_of_100_megabytes_is_left_as_it_is_and_not_read_to_its_end(path: Path) -> None:
    path.write_bytes(b"10.0.0.1 name\n" * (100_000_000 // 14))
    before = path.stat()
    kernel = StepKernel()
    with pytest.raises(HostsFileError, match=f"has more than {MAX_SIZE} bytes"):
        HostsBlock(hosts_file(path, kernel), STATE).write(records())
    assert kernel.steps.count("read") == 1
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


# What is no plain file


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["directory", "FIFO"])
def test_what_is_no_file_is_refused_at_once_and_left(path: Path, make: Callable[[Path], None]) -> None:
    path.unlink()
    make(path)
    with pytest.raises(HostsFileError, match="is not a regular file: give another --hosts-file"):
        write(path)
    assert not path.is_file()
    assert os.listdir(path.parent) == ["hosts"]


@pytest.mark.parametrize("links", [["real/hosts"], ["one", "two", "real/hosts"]], ids=["relative", "chain"])
@pytest.mark.parametrize("exists", [True, False], ids=["", "dangling"])
def test_a_link_stays_and_the_file_that_it_leads_to_is_written(path: Path, links: list[str], exists: bool) -> None:
    path.unlink()
    real = path.parent / "real/hosts"
    real.parent.mkdir()
    if exists:
        real.write_bytes(HOSTS)
    for name, leads in zip(["hosts", *links], links, strict=False):
        (path.parent / name).symlink_to(leads)
    write(path)
    assert os.readlink(path) == links[0]
    assert not real.is_symlink()
    check(path, HOSTS if exists else b"")


def test_a_link_into_a_missing_directory_is_an_error_and_stays(path: Path) -> None:
    path.unlink()
    path.symlink_to("gone/hosts")
    with pytest.raises(HostsFileError, match="its directory is gone"):
        write(path)
    assert os.readlink(path) == "gone/hosts"


def test_a_loop_of_links_is_an_error_and_stays(path: Path) -> None:
    path.unlink()
    path.symlink_to("other")
    (path.parent / "other").symlink_to("hosts")
    with pytest.raises(HostsFileError, match="Too many levels of symbolic links"):
        write(path)
    assert sorted(os.listdir(path.parent)) == ["hosts", "other"]


def test_a_file_with_a_hard_link_is_written_in_place_and_keeps_it(path: Path) -> None:
    other = path.parent / "other"
    os.link(path, other)
    assert write(path).way == "in place (because the file has 2 hard links)"
    check(path, HOSTS)
    assert path.samefile(other)


# Rights


def test_an_immutable_file_is_left_with_advice_until_it_is_not_immutable(path: Path) -> None:
    with attribute("i", path):
        with pytest.raises(HostsFileError, match=r"immutable \(lsattr, chattr -i\)"):
            write(path)
        assert path.read_bytes() == HOSTS
    write(path)
    check(path, HOSTS)


def test_in_an_immutable_directory_the_file_is_written_in_place(tmp_path: Path) -> None:
    directory = tmp_path / "etc"
    directory.mkdir()
    path = directory / "hosts"
    path.write_bytes(HOSTS)
    file = HostsFile(str(path), Journal(str(tmp_path / "journal")))
    with attribute("i", directory):
        edited = HostsBlock(file, STATE).write(records()).edited
        assert edited.way == "in place (because its directory refuses new files: Operation not permitted)"
        check(path, HOSTS)


def test_an_append_only_file_is_left_with_advice(path: Path) -> None:
    with attribute("a", path):
        with pytest.raises(HostsFileError, match="the kernel forbids it"):
            write(path)
        assert path.read_bytes() == HOSTS


def test_on_a_read_only_file_system_the_file_is_left_until_it_is_writable(small: Path) -> None:
    path = small / "hosts"
    path.write_bytes(HOSTS)
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    with pytest.raises(HostsFileError, match=r"its file system is read-only: make it writable again"):
        write(path)
    assert path.read_bytes() == HOSTS
    subprocess.run(["mount", "-o", "remount,rw", str(small)], check=True)
    write(path)
    check(path, HOSTS)


def test_a_file_that_is_mounted_read_only_is_left_with_advice(mounted: Path) -> None:
    mounted.write_bytes(HOSTS)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(mounted)], check=True)
    with pytest.raises(HostsFileError, match="its file system is read-only"):
        write(mounted)
    assert mounted.read_bytes() == HOSTS
    assert set(os.listdir(mounted.parent)) == {"hosts", "source"}


def test_a_mounted_file_is_written_in_place_and_by_rename_once_it_is_unmounted(mounted: Path) -> None:
    mounted.write_bytes(HOSTS)
    assert write(mounted).way == "in place (because a rename is refused: Device or resource busy)"
    check(mounted, HOSTS)
    with ExitStack() as stack:
        subprocess.run(["umount", str(mounted)], check=True)
        stack.callback(subprocess.run, ["mount", "--bind", str(mounted.with_name("source")), str(mounted)])
        assert write(mounted).way == "rename"
        check(mounted, b"")


# Names of ours that are taken


def plant(path: Path, kind: str, victim: Path) -> None:
    if kind == "file":
        path.write_bytes(b"10.5.5.5 planted\n")
    elif kind == "link":
        path.symlink_to(victim)
    else:
        path.mkdir()


@pytest.mark.parametrize("kind", ["file", "link", "directory"])
@pytest.mark.parametrize("which", ["new", "own"])
def test_what_has_our_temporary_name_is_never_written_to_and_the_next_attempt_takes_another(
    path: Path, kind: str, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = path.parent / "victim"
    victim.write_bytes(b"precious")
    tokens = iter(["11111111", "22222222", *(f"{number:08x}" for number in range(100))])
    monkeypatch.setattr("secrets.token_hex", lambda _size: next(tokens))
    planted: list[str] = []

    class Planting(Kernel):
        """Takes the name in the last moment."""

        def open(self, path: str, flags: int, mode: int = 0o600) -> int:
            if not planted and which == "new" and ".dtkdns-new-" in path:
                planted.append(path)
                plant(Path(path), kind, victim)
            return super().open(path, flags, mode)

        def rename(self, old: str, new: str) -> None:
            if not planted and which == "own" and ".dtkdns-" in new:
                planted.append(new)
                plant(Path(new), kind, victim)
            super().rename(old, new)

    block = HostsBlock(hosts_file(path, Planting()), STATE)
    try:
        block.write(records())
    except HostsFileError:
        assert path.read_bytes() == HOSTS
    block.write({})
    assert planted
    assert victim.read_bytes() == b"precious"
    if kind == "directory":
        Path(planted[0]).rmdir()
    Path(planted[0]).unlink(missing_ok=True)
    check(path, HOSTS)


# Markers


BLOCK = hosts_text.splice(
    b"", Entries([make_entry(f"name-{n}.dtk.io", ("192.168.1.1",), "", "ingress/d/t") for n in range(3)]), STATE
).text
BEGIN, *BODY, END = BLOCK.splitlines(keepends=True)
INNER = b"".join(BODY)
MINE = b"10.1.1.1 mine\n"
REST = b"10.2.2.2 rest\n"


@pytest.mark.parametrize(
    ("text", "foreign"),
    [
        (HOSTS + BLOCK + MINE + BLOCK + REST, HOSTS + MINE + REST),
        (HOSTS + BEGIN + BLOCK + MINE + END + REST, HOSTS + MINE + REST),
        (HOSTS + BEGIN + BEGIN + INNER + END + END + MINE, HOSTS + MINE),
        (HOSTS + BEGIN + INNER + MINE, HOSTS + MINE),
        (HOSTS + INNER + END + MINE, HOSTS + MINE),
        (HOSTS + BEGIN + MINE + REST, HOSTS + MINE + REST),
        (HOSTS + MINE + REST + END, HOSTS + MINE + REST),
        (HOSTS + BEGIN + BODY[0] + MINE + b"".join(BODY[1:]) + END + REST, HOSTS + MINE + REST),
        (HOSTS + BEGIN[:30] + b"\n" + INNER + END + MINE, HOSTS + BEGIN[:30] + b"\n" + MINE),
        (HOSTS + BEGIN + INNER + END[:30] + b"\n" + MINE, HOSTS + END[:30] + b"\n" + MINE),
        (HOSTS + BEGIN + INNER + END[:30], HOSTS + END[:30]),
        (
            HOSTS + b"# see: " + BEGIN + MINE + b"# and: " + END,
            HOSTS + b"# see: " + BEGIN + MINE + b"# and: " + END,
        ),
        (HOSTS + b"# see: " + BEGIN + BLOCK + MINE, HOSTS + b"# see: " + BEGIN + MINE),
        ((HOSTS + BLOCK + MINE).replace(b"\n", b"\r\n"), (HOSTS + MINE).replace(b"\n", b"\r\n")),
        (HOSTS + BLOCK[:-1], HOSTS),
    ],
    ids=[
        "doubled",
        "a block in a block",
        "nested",
        "without its end",
        "without its begin",
        "a begin alone",
        "an end alone",
        "a line of others in it",
        "half a begin",
        "half an end",
        "half an end at the end",
        "both quoted in comments",
        "one quoted in a comment",
        "CRLF",
        "without a final newline",
    ],
)
def test_damaged_markers_become_one_whole_block_and_no_line_of_others_is_lost(
    path: Path, text: bytes, foreign: bytes
) -> None:
    path.write_bytes(text)
    write(path)
    check(path, foreign)
    found = [
        line for line in path.read_bytes().split(b"\n") if line.startswith((b"# BEGIN dtkdns state", b"# END dtk"))
    ]
    assert len([line for line in found if line not in foreign.split(b"\n")]) == 2
    before = path.read_bytes()
    assert not write(path).changed
    assert path.read_bytes() == before


@pytest.mark.parametrize("between", [INNER, MINE + INNER, INNER + MINE])
def test_reversed_markers_prove_nothing_so_the_lines_between_them_are_those_of_others(
    path: Path, between: bytes
) -> None:
    path.write_bytes(HOSTS + END + between + BEGIN + REST)
    write(path, records(4))
    check(path, HOSTS + between + REST, 1)


# The journal


@pytest.fixture
def cut(small: Path) -> tuple[Path, bytes, bytes]:
    """A file that a kill has cut in place, what it held before, and what the journal holds now."""
    path = small / "hosts"
    path.write_bytes(HOSTS + BLOCK + REST)
    os.link(path, small / "other")
    old = path.read_bytes()

    class Killed(StepKernel):
        def take(self, name: str, call: Callable[..., object], args: tuple[object, ...]) -> object:
            if name == "write" and self.status(args[0]).st_ino == path.stat().st_ino:
                killed_midway(name, call, args)
            return super().take(name, call, args)

    block = HostsBlock(hosts_file(path, Killed()), STATE)
    assert is_killed(lambda: block.write(records(9)))
    assert path.read_bytes() != old
    return path, old, (small / "journal").read_bytes()


def test_a_whole_journal_finishes_what_was_cut(cut: tuple[Path, bytes, bytes]) -> None:
    path, _old, _journal = cut
    assert hosts_file(path).recover() == [f"Finished writing {path}, which was interrupted."]
    check(path, HOSTS + REST, 9)
    assert (path.parent / "journal").read_bytes() == b""


def damages(journal: bytes) -> Iterator[bytes]:
    for length in range(len(journal)):
        yield journal[:length]
    for at in range(len(journal)):
        for bit in (1, 128):
            yield journal[:at] + bytes([journal[at] ^ bit]) + journal[at + 1 :]
    yield journal + b"\0"


def test_a_journal_cut_at_any_length_or_with_a_flipped_bit_is_believed_nothing(
    cut: tuple[Path, bytes, bytes],
) -> None:
    path, old, journal = cut
    path.write_bytes(old)
    for damaged in damages(journal):
        path.with_name("journal").write_bytes(damaged)
        assert hosts_file(path).recover() == []
        assert path.read_bytes() == old
    write(path, records(4))
    check(path, HOSTS + REST, 4)
    assert path.with_name("journal").read_bytes() == b""


def test_with_a_damaged_journal_a_cut_file_gets_a_whole_block_again(cut: tuple[Path, bytes, bytes]) -> None:
    path, _old, journal = cut
    text = path.read_bytes()
    for damaged in list(damages(journal))[::50]:
        path.write_bytes(text)
        path.with_name("journal").write_bytes(damaged)
        write(path, records(9))
        block = hosts_text.read(path.read_bytes())
        assert block is not None
        assert block.intact
        assert path.read_bytes().startswith(HOSTS)


def test_a_journal_of_a_file_that_is_gone_is_emptied_by_the_next_edit(cut: tuple[Path, bytes, bytes]) -> None:
    path, _old, _journal = cut
    path.unlink()
    write(path)
    check(path, HOSTS + REST)
    assert path.with_name("journal").read_bytes() == b""


@pytest.fixture(params=["to a file", "to a true journal", "nowhere"])
def victim(request: pytest.FixtureRequest, cut: tuple[Path, bytes, bytes]) -> Iterator[Path]:
    """What a link leads to; it must be as it was when all is over."""
    path, old, journal = cut
    path.write_bytes(old)
    path.with_name("journal").unlink()
    victim = path.with_name("victim")
    before = {"to a file": b"precious", "to a true journal": journal, "nowhere": None}[request.param]
    if before is not None:
        victim.write_bytes(before)
    yield victim
    assert (victim.read_bytes() if victim.exists() else None) == before


def test_a_link_in_the_place_of_the_journal_is_an_error_and_is_not_followed(victim: Path) -> None:
    path = victim.with_name("hosts")
    old = path.read_bytes()
    path.with_name("journal").symlink_to("victim")
    with pytest.raises(HostsFileError, match="Too many levels of symbolic links"):
        write(path, records(4))
    assert path.read_bytes() == old
    path.with_name("journal").unlink()
    write(path, records(4))
    check(path, HOSTS + REST, 4)


def test_a_link_in_the_place_of_the_new_journal_is_removed_and_not_followed(victim: Path) -> None:
    path = victim.with_name("hosts")
    path.with_name("journal.new").symlink_to("victim")
    write(path, records(4))
    check(path, HOSTS + REST, 4)
    assert not path.with_name("journal.new").is_symlink()


# The clock


def test_a_clock_that_is_set_back_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(10**9, 0, -3600))
    monkeypatch.setattr(time, "time", lambda: next(times))
    monkeypatch.setattr(time, "time_ns", lambda: next(times) * 10**9)
    future = time.monotonic() + 10**10
    os.utime(path, (future, future))
    block = HostsBlock(hosts_file(path), STATE)
    for number in range(5):
        with path.open("ab") as file:
            file.write(b"10.0.0.%d mine-%d\n" % (number, number))
        block.write(records(number + 1))
        os.utime(path, (future - number * 3600, future - number * 3600))
    check(path, HOSTS + b"".join(b"10.0.0.%d mine-%d\n" % (number, number) for number in range(5)), 5)
    assert next(times) == 10**9, "the time of day was asked for"


# Room


def test_on_a_full_disk_the_file_is_left_until_there_is_room(small: Path) -> None:
    path = small / "hosts"
    path.write_bytes(HOSTS)
    filler = fill(small)
    block = HostsBlock(hosts_file(path), STATE)
    with pytest.raises(HostsFileError, match="the disk is full: make room"):
        block.write(records(100))
    assert path.read_bytes() == HOSTS
    assert set(os.listdir(small)) == {"hosts", "filler"}
    filler.unlink()
    block.write({})
    check(path, HOSTS, 100)


@pytest.mark.parametrize("room", [0, 4096, 8192])
def test_in_place_on_a_full_disk_the_file_is_left_until_there_is_room(
    small: Path, tmp_path: Path, room: int
) -> None:
    path = small / "hosts"
    path.write_bytes(HOSTS + BLOCK + REST)
    old = path.read_bytes()
    os.link(path, small / "other")
    journal = tmp_path / "journal"
    block = HostsBlock(HostsFile(str(path), Journal(str(journal))), STATE)
    filler = fill(small)
    os.truncate(filler, filler.stat().st_size - room)
    with pytest.raises(HostsFileError, match="the disk is full: make room"):
        block.write(records(1000))
    assert path.read_bytes() == old
    filler.unlink()
    block.write({})
    check(path, HOSTS + REST, 1000)
    assert journal.read_bytes() == b""


def test_by_rename_a_full_disk_of_the_journal_hinders_nothing(path: Path, small: Path) -> None:
    fill(small)
    HostsBlock(HostsFile(str(path), Journal(str(small / "journal"))), STATE).write(records())
    check(path, HOSTS)


def test_in_place_a_full_disk_of_the_journal_leaves_the_file_untouched_until_there_is_room(
    path: Path, small: Path
) -> None:
    os.link(path, path.with_name("other"))
    before = path.stat()
    filler = fill(small)
    block = HostsBlock(HostsFile(str(path), Journal(str(small / "journal"))), STATE)
    with pytest.raises(HostsFileError, match="the disk is full: make room"):
        block.write(records())
    assert path.read_bytes() == HOSTS
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    filler.unlink()
    block.write({})
    check(path, HOSTS)
    assert set(os.listdir(small)) == {"journal"}
