"""File systems on loop devices, and what they hold when the power goes at some moment.

`python disks.py look DISK` is run in a mount namespace of its own: it mounts the copy of a disk at the place of
the disk, as a start of the computer would, recovers there, and prints in JSON what it found.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import changing
import msgspec
import pytest

from dtkdns.hosts.inplace import Journal
from dtkdns.hosts.replace import HostsFile

PACKAGES = {"ext4": "e2fsprogs", "xfs": "xfsprogs", "btrfs": "btrfs-progs"}
SIZE = "512M"
"""XFS wants 300 MB, Btrfs 110 MB; a sparse file takes what is written."""


class Disk(msgspec.Struct, frozen=True):
    """A mounted file system with a hosts file in `etc` and the state directory in `var`."""

    image: str
    place: str
    options: str
    way: str
    """`rename`; `mounted` and `linked`, which is in place."""

    @property
    def hosts(self) -> Path:
        return Path(self.place, "etc", "hosts")

    @property
    def journal(self) -> Path:
        return Path(self.place, "var", "journal")

    def cut(self, copy: str) -> Disk:
        """The disk as it is in one instant: the outer file system locks the file while it shares its extents."""
        subprocess.run(["cp", "--reflink=always", self.image, copy], check=True)
        return msgspec.structs.replace(self, image=copy)

    def attach(self) -> None:
        """Mount it, and what is mounted in it."""
        _mount(self.image, self.place, self.options)
        if self.way == "mounted" and self.hosts.exists():
            self._mount_hosts()

    def make(self) -> None:
        """Put the files in it."""
        self.hosts.parent.mkdir()
        self.journal.parent.mkdir()
        self.hosts.write_bytes(changing.prepared())
        self.hosts.chmod(0o644)
        if self.way == "mounted":
            shutil.copy(self.hosts, self._source)
            self._mount_hosts()
        elif self.way == "linked":
            self._source.hardlink_to(self.hosts)
        os.sync()

    @property
    def _source(self) -> Path:
        return Path(self.place, "var", "hosts")

    def _mount_hosts(self) -> None:
        subprocess.run(["mount", "--bind", str(self._source), str(self.hosts)], check=True)


@contextmanager
def outer(directory: Path) -> Iterator[Path]:
    """A file system whose files can be copied in an instant."""
    image, place = directory / "outer.image", directory / "outer"
    _format(image, "xfs", "4G")
    place.mkdir()
    _mount(str(image), str(place))
    try:
        yield place
    finally:
        _unmount(place)
        image.unlink()


@contextmanager
def disk(directory: Path, system: str, options: str, way: str) -> Iterator[Disk]:
    """A disk whose image lies in an outer file system."""
    place = directory / "disk"
    place.mkdir()
    with outer(directory) as images:
        made = Disk(str(images / "disk.image"), str(place), options, way)
        _format(Path(made.image), system, SIZE)
        made.attach()
        try:
            made.make()
            yield made
        finally:
            _unmount(place)


def _format(image: Path, system: str, size: str) -> None:
    if shutil.which(f"mkfs.{system}") is None:
        pytest.fail(f"There is no mkfs.{system}: install the package {PACKAGES[system]}.")
    subprocess.run(["truncate", "--size", size, str(image)], check=True)
    subprocess.run([f"mkfs.{system}", "-q", str(image)], check=True, stdout=subprocess.DEVNULL)


def _mount(image: str, place: str, options: str = "") -> None:
    """With a loop device that goes away with the mount, so with the last process of the mount namespace."""
    every = ",".join(filter(None, ["loop", options]))
    subprocess.run(["mount", "-o", every, image, place], check=True)


def _unmount(place: Path) -> None:
    """With all that is mounted in it; lazily, for a mount namespace of another test may hold it for a moment."""
    subprocess.run(["umount", "--recursive", "--lazy", str(place)], check=True)


def look(copy: Disk) -> dict[str, Any]:
    """What a start of the computer finds on it, before and after `HostsFile.recover`."""
    command = ["unshare", "--mount", "--propagation", "private", sys.executable, __file__, "look"]
    ended = subprocess.run([*command, msgspec.json.encode(copy)], stdout=subprocess.PIPE, check=True)
    Path(copy.image).unlink()
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def _look(copy: Disk) -> dict[str, Any]:
    copy.attach()
    before = copy.hosts.read_bytes()
    said = HostsFile(str(copy.hosts), Journal(str(copy.journal))).recover()
    after = copy.hosts.read_bytes()
    return {
        "whole before": changing.whole(before),
        "whole": changing.whole(after),
        "number": changing.number_in(after) if changing.whole(after) else None,
        "size": len(after),
        "said": said,
        "left": sorted(set(os.listdir(copy.hosts.parent)) - {"hosts"}),
        "journal": copy.journal.stat().st_size if copy.journal.exists() else 0,
    }


if __name__ == "__main__":
    looked_at = msgspec.json.decode(sys.argv[2], type=Disk)
    print(json.dumps(_look(looked_at)))
    _unmount(Path(looked_at.place))
