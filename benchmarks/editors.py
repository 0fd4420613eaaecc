"""How others put names into a hosts file. None of them makes it durable or keeps a reader from half a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from attrs import frozen
from hostctl.hosts import HostsFile
from python_hosts import Hosts, HostsEntry

Put: TypeAlias = Callable[[Path, str, Sequence[str]], None]
"""Puts names with this address into the file; those that are there get it."""


@frozen
class Editor:
    name: str
    put: Put
    most_loaded: int
    """Names that it can load within seconds."""
    most_changed: int
    """Names among which it can change one within seconds."""


def like_hostsfile_server(path: Path, address: str, names: Sequence[str]) -> None:
    """As DTK's `hostsfile-server.py` goes about it: the whole file is read for each name."""
    for name in names:
        with path.open() as file:
            lines = file.readlines()
        for at, line in enumerate(lines):
            if re.match(rf"(^\d{{1,3}}\.\d{{1,3}}\.\d{{1,3}}\.\d{{1,3}})[\s]+{name}$", line):
                lines[at] = f"{address} {name}\n"
                with path.open("w") as file:
                    file.writelines(lines)
                break
        else:
            with path.open("a") as file:
                file.write(f"{address} {name}\n")


def like_python_hosts(path: Path, address: str, names: Sequence[str]) -> None:
    hosts = Hosts(path=str(path))
    entries = [HostsEntry("ipv4", address=address, names=[name]) for name in names]
    hosts.add(entries, force=True, allow_address_duplication=True)
    hosts.write()


def like_hostctl(path: Path, address: str, names: Sequence[str]) -> None:
    hosts = HostsFile(str(path)).load()
    for name in names:
        hosts.remove(name)
        hosts.add(address, [name])
    hosts.save()


EDITORS = (
    Editor("hostsfile-server.py's way", like_hostsfile_server, 1_000, 60_000),
    Editor("python-hosts", like_python_hosts, 1_000, 60_000),
    Editor("hostctl-cli", like_hostctl, 10_000, 1_000),
)
