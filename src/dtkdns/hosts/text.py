"""The text of a hosts file: the managed block put in, read back, taken out, and what the user's lines shadow.

Values in, values out. The syntax of the file is that of hosts(5), as glibc's `nss/nss_files/files-hosts.c` reads
it: `#` cuts a line, white space (CR, VT and FF too) separates words, NUL hides the rest of a line.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from functools import lru_cache

from attrs import field, frozen

from dtkdns.hosts.entries import Entries
from dtkdns.hosts.markers import Pieces, Region, parse, render


@frozen
class Block:
    """What a hosts file holds of ours."""

    state: str
    """The state directory it belongs to: eight hexadecimal digits."""
    lines: tuple[bytes, ...]
    intact: bool
    """Whether both markers are there and the lines are as they were written."""


@frozen
class Spliced:
    """A hosts file's text with the block put in."""

    text: bytes = field(repr=False)
    shadowed: Mapping[str, str]
    """Name to the addresses that the user's own lines give it, where they are not ours; it is left out."""
    moved_out: tuple[bytes, ...]
    """Lines of others that stood inside the block."""
    start: int
    """Where the block begins in the text."""
    stop: int
    """Where it ends; equal to `start` where there is none."""
    taken_over: str = ""
    """The state that the block belonged to before, where that was another one."""

    @property
    def block(self) -> bytes:
        """What is now ours in it: to tell our lines from those of others the next time."""
        return self.text[self.start : self.stop]


def splice(text: bytes, entries: Entries, state: str, known: bytes | None = None) -> Spliced:
    """The text with the block for these entries in the place of the one it has, or else at its end.

    `state` is eight hexadecimal digits. `known` is the block that we wrote last, where that is known: only its
    lines are then taken for ours in a block that somebody changed.
    """
    return put_in(parse(text, known), entries, state)


def put_in(pieces: Pieces, entries: Entries, state: str) -> Spliced:
    """`splice`, for a text that is parsed."""
    moved_out = tuple(line for piece in pieces if isinstance(piece, Region) for line in piece.others)
    foreign = b"".join([piece for piece in pieces if isinstance(piece, bytes)])
    lines, count, shadowed = _wanted_lines(entries, foreign)
    states = [piece.marker.state for piece in pieces if isinstance(piece, Region)]
    taken_over = next((other for other in states if other != state), "")
    if not lines:
        return Spliced(take_out(pieces), shadowed, moved_out, 0, 0, taken_over)
    place = next((i for i, piece in enumerate(pieces) if isinstance(piece, Region)), None)
    if place is None:
        added = bool(foreign) and not foreign.endswith(b"\n")
        before, after = foreign + b"\n" * added, b""
    else:
        region = pieces[place]
        assert isinstance(region, Region)  # noqa: S101 (for the type checker)
        before = b"".join([piece for piece in pieces[:place] if isinstance(piece, bytes)])
        after, newline_left = _without_blocks(pieces[place + 1 :])
        added = region.marker.newline_added or newline_left
    block = render(lines, count, state, newline_added=added)
    text = b"".join([before, *block, after])
    return Spliced(text, shadowed, moved_out, len(before), len(text) - len(after), taken_over)


def remove(text: bytes, known: bytes | None = None) -> bytes:
    """The text without our block: the bytes that were there before, and the lines others put inside it.

    `known` is the block that we wrote last, where that is known.
    """
    return take_out(parse(text, known))


def take_out(pieces: Pieces) -> bytes:
    """`remove`, for a text that is parsed."""
    return _without_blocks(pieces)[0]


def read(text: bytes) -> Block | None:
    """Our block in the text, the first if there are several; None where there is none."""
    for piece in parse(text, None):
        if isinstance(piece, Region):
            return Block(piece.marker.state, piece.ours, piece.intact)
    return None


def _wanted_lines(entries: Entries, foreign: bytes) -> tuple[bytes, int, dict[str, str]]:
    """The lines for the block, their number, and the names that lines of others give another address."""
    instead: dict[str, bytes] = {}
    shadowed: dict[str, str] = {}
    left_out = 0
    for name, theirs in names_of(foreign).items():
        ours = set(entries.addresses(name))
        if not ours:
            continue
        rest = entries.get(name) if theirs < ours else None
        instead[name] = rest.without(theirs) if rest is not None else b""
        left_out += len(ours) - instead[name].count(b"\n")
        if not theirs <= ours:
            shadowed[name] = ", ".join(sorted(theirs))
    return entries.lines(instead), entries.count - left_out, shadowed


@lru_cache(maxsize=2)
def names_of(text: bytes) -> Mapping[str, frozenset[str]]:
    """Name to the addresses that the lines of this text give it."""
    found: dict[str, set[str]] = {}
    for line in text.split(b"\n"):
        words = line.partition(b"#")[0].partition(b"\0")[0].split()
        if len(words) > 1:
            address = _read_address(words[0])
            if address is not None:
                for word in words[1:]:
                    found.setdefault(word.lower().decode("latin-1"), set()).add(address)
    return {name: frozenset(addresses) for name, addresses in found.items()}


def _read_address(word: bytes) -> str | None:
    """The address that some reader takes the first word of a line for (musl: those of inet_aton(3) too)."""
    text = word.decode("latin-1")
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(text)) if text.isascii() else None
    except OSError:
        return None


def _without_blocks(pieces: Pieces) -> tuple[bytes, bool]:
    """The pieces without what is ours, and whether a newline that we added stood before all of them.

    A newline that we added goes with the block behind it, unless something now follows the block.
    """
    kept: list[bytes] = []
    newline_left = False
    for piece in reversed(pieces):
        if isinstance(piece, Region):
            newline_left = newline_left or (piece.marker.newline_added and not kept)
        else:
            foreign = piece.removesuffix(b"\n") if newline_left else piece
            kept += [foreign] if foreign else []
            newline_left = False
    return b"".join(reversed(kept)), newline_left
