"""The hosts file alone: all names put in, and one changed, beside the disk and beside other programs' ways."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from benchmarks import disk, sent
from benchmarks.editors import EDITORS
from benchmarks.measures import Found, Measure
from benchmarks.server import LINES_BEFORE
from benchmarks.timing import in_turn, rounds, timed
from dtkdns.hosts.inplace import Journal
from dtkdns.hosts.replace import HostsFile
from dtkdns.hosts.writer import HostsBlock
from dtkdns.projection import Shown

ADDRESS = "192.168.122.167"
CHANGE = Measure("file-change", "the file alone, one name changed", "the disk alone")
OTHERS_LOAD = {
    editor.name: Measure(f"file-load-{number}", "the file alone, all names put in", editor.name)
    for number, editor in enumerate(EDITORS, 1)
}
OTHERS_CHANGE = {
    editor.name: Measure(f"file-change-{number}", "the file alone, one name changed", editor.name)
    for number, editor in enumerate(EDITORS, 1)
}


def measure(size: int, directory: Path, _seconds: float) -> Iterator[Found]:
    """On files of their own in one directory."""
    path = _begun(directory / "ours")
    block = HostsBlock(HostsFile(str(path), Journal(str(directory / "journal"))), "0123abcd")
    every = {name: shown for number in range(size) for name, shown in _shown(number, ADDRESS).items()}
    load = timed(lambda: block.write(every))
    addresses = itertools.cycle(f"192.168.123.{count}" for count in range(1, 250))
    bare = directory / "bare"
    bare.write_bytes(path.read_bytes())

    def change() -> None:
        block.write(_shown(size // 2, next(addresses)))

    ours, plain = in_turn(rounds(size), change, lambda: disk.replace(bare))
    yield Found(CHANGE, ours, plain)
    names = [sent.name_of(number) for number in range(size)]
    for editor in EDITORS:
        theirs = _begun(directory / "theirs")
        if size <= editor.most_loaded:
            yield Found(OTHERS_LOAD[editor.name], load, timed(partial(editor.put, theirs, ADDRESS, names)))
        else:
            theirs.write_text(LINES_BEFORE.decode() + "".join(f"{ADDRESS} {name}\n" for name in names))
        if size <= editor.most_changed:
            one = names[size // 2 : size // 2 + 1]
            again = timed(partial(editor.put, theirs, next(addresses), one))
            yield Found(OTHERS_CHANGE[editor.name], ours, again)


def _begun(path: Path) -> Path:
    path.write_bytes(LINES_BEFORE)
    return path


def _shown(number: int, address: str) -> Mapping[str, Shown | None]:
    name = sent.name_of(number)
    return {name: Shown(name, (address,), "default", f"ingress/default/app-{number:06}", 0, 0.0)}
