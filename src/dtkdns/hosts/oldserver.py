"""The lines that DTK's `hostsfile-server.py` leaves in a hosts file: found, and taken out.

Values in, values out. That server appends a line for each name, `IPv4 name` and a LF, with one space and no
comment, and gives such a line another address when the cluster has one. It never takes a line out.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection

from attrs import frozen

from dtkdns import names

_WHOLE = re.compile(rb"[^\n]*\n|[^\n]+")
_LINE = re.compile(rb"([0-9.]+) ([^\s#]+)\n")
_BEGIN = b"# BEGIN dtkdns state="
_END = b"# END dtkdns state="
_NEWLINE_ADDED = b" newline=added"


@frozen
class OldLine:
    """A line that the old server has written, or that nobody can tell from one."""

    number: int
    """Counted from 1."""
    text: bytes
    """With its LF."""
    address: str
    name: str
    """In ASCII, normalised."""


def find(text: bytes, domains: Collection[str]) -> tuple[OldLine, ...]:
    """Those for names in these domains.

    A line for a loopback address is somebody's own: the old server writes the address of a virtual machine.
    """
    lines = _split(text)
    kept = _kept_by_place(lines)
    found = [_read(number, line) for number, line in enumerate(lines, 1) if number - 1 not in kept]
    return tuple(one for one in found if one is not None and names.inside(one.name, domains))


def without(text: bytes, lines: Collection[bytes]) -> bytes:
    """The text without the lines that are exactly one of these, each given with its LF."""
    split = _split(text)
    kept = _kept_by_place(split)
    return b"".join([line for at, line in enumerate(split) if line not in lines or at in kept])


def _read(number: int, line: bytes) -> OldLine | None:
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    try:
        address = ipaddress.IPv4Address(match[1].decode("ascii"))
        name = names.to_ascii(match[2].decode("utf-8"))
    except ValueError:
        return None
    if address.is_loopback or not names.is_owner(name):
        return None
    return OldLine(number, line, str(address), name)


def _split(text: bytes) -> list[bytes]:
    """The lines with their ends; only LF ends a line in a hosts file."""
    return _WHOLE.findall(text)


def _kept_by_place(lines: list[bytes]) -> set[int]:
    """The places, from 0, of lines that are dtkdns' or that it will move.

    Those in its block, and the one before a block that needed a newline added: that line had none.
    """
    kept: set[int] = set()
    begun: int | None = None
    for at, line in enumerate(lines):
        if line.startswith(_BEGIN):
            begun = at
            if _NEWLINE_ADDED in line:
                kept.add(at - 1)
        elif line.startswith(_END) and begun is not None:
            kept.update(range(begun, at + 1))
            begun = None
    return kept
