"""How long it takes to change one record in the hosts file, beside a plain write of the same bytes.

    python benchmarks/hosts.py [NAMES]

Both are measured in turn, in the same directory: write, fsync, rename, fsync of the directory; and a change by
each of the two ways.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from dtkdns.hosts.inplace import Journal
from dtkdns.hosts.replace import HostsFile
from dtkdns.hosts.writer import HostsBlock
from dtkdns.projection import Shown

ROUNDS = 40


def shown(number: int, address: str) -> dict[str, Shown | None]:
    name = f"name-{number:06}.dtk.io"
    return {name: Shown(name, (address,), "default", f"ingress/default/name-{number}", 0, 0.0)}


def timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1000


def bare(directory: Path, data: bytes) -> None:
    handle = os.open(directory / "new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.write(handle, data)
    os.fsync(handle)
    os.close(handle)
    os.rename(directory / "new", directory / "plain")
    handle = os.open(directory, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def main(names: int) -> None:
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        path = directory / "hosts"
        path.write_bytes(b"127.0.0.1 localhost\n")
        block = HostsBlock(HostsFile(str(path), Journal(str(directory / "journal"))), "0123abcd")
        every: dict[str, Shown | None] = {}
        for number in range(names):
            every |= shown(number, "192.168.122.167")
        block.write(every)
        data = path.read_bytes()
        print(f"{names} names, {len(data) / 1e6:.1f} MB; milliseconds, median of {ROUNDS}")
        for way in ("rename", "in place"):
            if way == "in place":
                os.link(path, directory / "another name")  # what has hard links is not renamed over
            plain, ours = [], []
            for count in range(ROUNDS):
                plain.append(timed(lambda: bare(directory, data)))
                change = shown(names // 2, f"10.0.0.{count + 1}")
                ours.append(timed(lambda change=change: block.write(change)))  # type: ignore[misc]
            print(f"{way:10} plain {median(plain):7.1f}  one change {median(ours):7.1f}", end="")
            print(f"  ratio {median(ours) / median(plain):5.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60_000)
