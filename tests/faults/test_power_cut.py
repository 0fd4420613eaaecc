"""The power goes while dtkdns writes: what it has acknowledged is there afterwards, and the file is whole.

The disk is a file on a file system that can copy it in one instant; what the kernel had not written to it is then
missing in the copy, as after a power cut (of a disk that keeps what it was given: its own cache is not lost). The
state directory is on the same disk.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import changing
import disks
import pytest

from dtkdns.hosts.inplace import Journal, Overwriting
from running import hosts_file

COUNT = int(os.environ.get("DTKDNS_TEST_CUTS", "3"))
SYSTEMS = {
    "ext4": ("ext4", ""),
    "ext4-noauto_da_alloc": ("ext4", "noauto_da_alloc"),
    "xfs": ("xfs", "nouuid"),
    "btrfs": ("btrfs", ""),
}


@pytest.mark.timeout(120 + 10 * COUNT)
@pytest.mark.parametrize("way", ["rename", "mounted", "linked"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_nothing_acknowledged_is_lost_and_the_file_is_whole_after_a_power_cut(
    tmp_path: Path, system: str, way: str
) -> None:
    torn = finished = behind = 0
    with (
        disks.disk(tmp_path, *SYSTEMS[system], way) as disk,
        changing.changing(disk.hosts, disk.journal) as changes,
    ):
        for cut in range(COUNT):
            changes.wait_for(changes.acknowledged + random.randint(5, 50))
            time.sleep(random.uniform(0, 0.02))  # any moment of a change
            acknowledged = changes.drain()
            copy = disk.cut(f"{disk.image}.{cut}")
            latest = changes.drain() + 1
            found = disks.look(copy)
            assert found["whole"], found
            assert acknowledged <= found["number"] <= latest, found
            assert found["left"] == []
            assert found["journal"] == 0
            torn += not found["whole before"]
            finished += bool(found["said"])
            behind = max(behind, latest - found["number"])
        did = changes.finish()
    assert set(did["ways"]) == {"rename" if way == "rename" else "in place"}
    print(f"{system}, {way}: {COUNT} cuts, {torn} torn before recovery, {finished} had something to recover")


@pytest.mark.parametrize(
    ("way", "without"), [("rename", "sync-file"), ("rename", "sync-directory"), ("mounted", "sync-file")]
)
@pytest.mark.parametrize("system", SYSTEMS)
def test_without_an_fsync_the_same_cut_loses_what_was_acknowledged(
    tmp_path: Path, system: str, way: str, without: str
) -> None:
    """So the test above would see one that is missing."""
    with (
        disks.disk(tmp_path, *SYSTEMS[system], way) as disk,
        changing.changing(disk.hosts, disk.journal, f"--without={without}", "--pause=20") as changes,
    ):
        changes.wait_for(20)
        found = disks.look(disk.cut(f"{disk.image}.cut"))
    print(f"{system}, {way}, {without}: {found}")
    assert not found["whole"] or found["number"] < 20


@pytest.mark.parametrize("longer", ["old", "new"])
def test_a_cut_between_the_bytes_and_the_length_is_recovered_from(tmp_path: Path, longer: str) -> None:
    """What ext4 left: the pages are on the disk, with NUL behind the shorter text, but the longer length."""
    new = changing.prepared()
    old = new.replace(b"192.168.2.1 a-", b"192.168.2.10 a-" if longer == "old" else b"10.2.1.1 a-")
    written, length = (new, len(old)) if longer == "old" else (old, len(new))
    (tmp_path / "hosts").write_bytes(written.ljust(length, b"\0"))
    Journal(str(tmp_path / "journal")).begin(Overwriting(str(tmp_path / "hosts"), 0, old, new))
    assert len(hosts_file(tmp_path / "hosts").recover()) == 1
    assert (tmp_path / "hosts").read_bytes() == new
