"""Other programs edit the file while dtkdns changes its block as fast as it can: no line of theirs is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import editors
import pytest

from dtkdns.hosts import text as hosts_text
from dtkdns.hosts.faults import HostsFileError
from dtkdns.hosts.versions import REMEMBERED
from dtkdns.hosts.writer import HostsBlock
from dtkdns.projection import Shown
from running import hosts_file

COUNT = int(os.environ.get("DTKDNS_TEST_EDITS", "300"))
MINE = [b"127.0.0.1 localhost", b"# a note of mine\r", b"10.9.9.9 \xe9trange printer"]


def shown(number: int) -> dict[str, Shown | None]:
    """A change of the block: names come and go."""
    name, old = f"name-{number % 50}.dtk.io", f"name-{(number + 25) % 50}.dtk.io"
    address = f"192.168.1.{number % 250}"
    return {name: Shown(name, (address,), "default", "ingress/d/t", 0, 0.0), old: None}


def foreign_lines(path: Path) -> Counter[bytes]:
    return Counter(line for line in hosts_text.remove(path.read_bytes()).split(b"\n") if line)


@pytest.mark.parametrize("way", editors.WAYS)
def test_no_line_of_others_is_lost_or_doubled_by_rename(tmp_path: Path, way: str) -> None:
    edited(tmp_path / "hosts", way, "rename")


@pytest.mark.parametrize("way", ["append", "wait-and-append", "truncate", "vim"])
def test_no_line_of_others_is_lost_or_doubled_in_place(mounted: Path, way: str) -> None:
    edited(mounted, way, "in place")


def edited(path: Path, way: str, ours: str) -> None:
    path.write_bytes(b"".join(line + b"\n" for line in MINE))
    block = HostsBlock(hosts_file(path), "0123abcd")
    command = [sys.executable, editors.__file__, way, str(path), str(COUNT)]
    writes = 0
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as editor:
        while editor.poll() is None:
            with suppress(HostsFileError):  # somebody keeps it open: the service tries again, as we do here
                written = block.write(shown(writes))
                assert written.edited.way.startswith(ours) or not written.edited.changed
                writes += 1
        assert editor.stderr is not None
        assert editor.returncode == 0, editor.stderr.read()
    while not (final := block.write(shown(writes))).edited.settled:
        pass
    expected = Counter(MINE)
    expected += Counter(editors.line(number).encode() for number in range(COUNT))
    if way == "rewrite":
        expected = Counter([*MINE, editors.line(COUNT - 1).split()[0].encode() + b" rewritten"])
    found = foreign_lines(path)
    assert found == expected, (found - expected, expected - found)
    text = path.read_bytes()
    assert text.count(b"# BEGIN dtkdns ") == text.count(b"# END dtkdns ") == 1
    read = hosts_text.read(text)
    assert read is not None
    assert read.intact
    assert final.spliced.moved_out == ()
    print(f"{way}, {ours}: {COUNT} edits beside {writes} writes; remembered for {REMEMBERED:g} s")
