"""The text of a hosts file: the managed block put in, read back, taken out, and what the user's lines shadow.

Values in, values out. The block stands between two marker lines that both carry the same facts: the state it
belongs to, how many lines it holds, a digest of them, and whether a newline had to be added in front of it.
So either marker alone proves which lines are ours when the other is lost, and a line is never taken for ours
merely because of where it stands.

The syntax of the file is that of hosts(5), as glibc's `nss/nss_files/files-hosts.c` reads it: `#` cuts a line,
white space (CR, VT and FF too) separates words, NUL hides the rest of a line.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import socket
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from functools import lru_cache

from attrs import field, frozen

from dtkdns import names
from dtkdns.rdata import RdataError, parse_address

MAX_LINE = 500
"""Bytes of a line of ours: systemd-resolved keeps its old table, and musl cuts, when lines get longer."""

_BEGIN = b"# BEGIN dtkdns "
_END = b"# END dtkdns "
_NOTE = b" (written by dtkdns: put lines of your own outside)"
_FACTS = re.compile(rb"state=([0-9a-f]{8}) lines=([0-9]{1,7}) check=([0-9a-f]{16}) newline=(kept|added)")
_OURS = re.compile(rb"([0-9a-f:.]+) ([a-z0-9.-]+) # (?:[a-z0-9-]{1,63} )?[!-~]+\n")
_FEW = 100
_UNSAFE = re.compile(r"[^A-Za-z0-9._:/@+=-]")
_NO_RESOURCE = "external-dns"


@frozen
class Entry:
    """One name with its addresses, as the block holds it: a line for each address."""

    name: str
    addresses: tuple[str, ...]
    provenance: str
    """What the comment says: `ingress/<namespace>/<name>`, behind the name of a cluster other than the default."""
    lines: bytes = field(repr=False)

    def without(self, addresses: frozenset[str]) -> bytes:
        """The lines for its other addresses."""
        return _lines(self.name, tuple(a for a in self.addresses if a not in addresses), self.provenance)


def make_entry(name: str, addresses: tuple[str, ...], cluster: str, resource: str) -> Entry:
    """The entry for a host name in ASCII; what the resource holds cannot get out of its comment.

    `cluster` is empty for the default one.
    """
    provenance = _UNSAFE.sub("?", resource) or _NO_RESOURCE
    if cluster:
        provenance = f"{cluster} {provenance}"
    room = MAX_LINE - len(name) - max(map(len, addresses), default=0) - len("  # \n")
    provenance = provenance[:room]
    return Entry(name, addresses, provenance, _lines(name, addresses, provenance))


def _lines(name: str, addresses: tuple[str, ...], provenance: str) -> bytes:
    end = f" {name} # {provenance}\n"
    return "".join([address + end for address in addresses]).encode("ascii")


class Entries:
    """What the block is to hold, sorted by name; a change of one name costs no look at the others."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._by_name: dict[str, Entry] = {}
        self._names: list[str] = []
        self._lines: list[bytes] = []
        self.update({entry.name: entry for entry in entries})

    def update(self, changes: Mapping[str, Entry | None]) -> None:
        """Put entries by name; None takes one out."""
        if len(changes) > _FEW:
            kept = {**self._by_name, **changes}
            self._names = sorted(name for name, entry in kept.items() if entry is not None)
            self._by_name = {name: entry for name in self._names if (entry := kept[name]) is not None}
            self._lines = [entry.lines for entry in self._by_name.values()]
            return
        for name, entry in changes.items():
            at = bisect_left(self._names, name)
            if self._by_name.pop(name, None) is not None:
                del self._names[at], self._lines[at]
            if entry is not None:
                self._by_name[name] = entry
                self._names.insert(at, name)
                self._lines.insert(at, entry.lines)

    def get(self, name: str) -> Entry | None:
        return self._by_name.get(name)

    def lines(self, instead: Mapping[str, bytes]) -> list[bytes]:
        """The lines of each name, with others in the place of some."""
        if not instead:
            return self._lines
        lines = [instead.get(name, own) for name, own in zip(self._names, self._lines, strict=True)]
        return [line for line in lines if line]


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

    text: bytes
    shadowed: Mapping[str, str]
    """Name to the addresses that the user's own lines give it, where they are not ours; it is left out."""
    moved_out: tuple[bytes, ...]
    """Lines of others that stood inside the block."""
    block: bytes = field(repr=False)
    """What is now ours in it: to tell our lines from those of others the next time."""


@frozen
class _Marker:
    start: int
    end: int
    begins: bool
    state: str
    lines: int
    check: bytes
    newline_added: bool


@frozen
class _Region:
    """A stretch of the file that is ours."""

    marker: _Marker
    intact: bool
    ours: tuple[bytes, ...]
    others: tuple[bytes, ...] = ()
    """Lines of others that stood in it; they follow as a piece of their own."""


def splice(text: bytes, entries: Entries, state: str, known: bytes | None = None) -> Spliced:
    """The text with the block for these entries in the place of the one it has, or else at its end.

    `state` is eight hexadecimal digits. `known` is the block that we wrote last, where that is known: only its
    lines are then taken for ours in a block that somebody changed.
    """
    pieces = _parse_untouched(text, known) or _parse(text, known)
    moved_out = tuple(line for piece in pieces if isinstance(piece, _Region) for line in piece.others)
    foreign = b"".join([piece for piece in pieces if isinstance(piece, bytes)])
    lines, shadowed = _wanted_lines(entries, foreign)
    if not lines:
        return Spliced(_without_blocks(pieces)[0], shadowed, moved_out, b"")
    place = next((i for i, piece in enumerate(pieces) if isinstance(piece, _Region)), None)
    if place is None:
        added = bool(text) and not text.endswith(b"\n")
        before, after = text + b"\n" * added, b""
    else:
        region = pieces[place]
        assert isinstance(region, _Region)  # noqa: S101 (for the type checker)
        before = b"".join([piece for piece in pieces[:place] if isinstance(piece, bytes)])
        after, newline_left = _without_blocks(pieces[place + 1 :])
        added = region.marker.newline_added or newline_left
    block = _render(lines, state, newline_added=added)
    return Spliced(before + block + after, shadowed, moved_out, block)


def remove(text: bytes) -> bytes:
    """The text without our block: the bytes that were there before, and the lines others put inside it."""
    return _without_blocks(_parse(text, None))[0]


def read(text: bytes) -> Block | None:
    """Our block in the text, the first if there are several; None where there is none."""
    for piece in _parse(text, None):
        if isinstance(piece, _Region):
            return Block(piece.marker.state, piece.ours, piece.intact)
    return None


def _render(lines: list[bytes], state: str, *, newline_added: bool) -> bytes:
    body = b"".join(lines)
    count = body.count(b"\n")
    newline = "added" if newline_added else "kept"
    facts = b"state=%s lines=%d check=%s newline=%s" % (
        state.encode("ascii"),
        count,
        _digest(body),
        newline.encode("ascii"),
    )
    return b"".join([_BEGIN, facts, _NOTE, b"\n", body, _END, facts, b"\n"])


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:16].encode("ascii")


def _wanted_lines(entries: Entries, foreign: bytes) -> tuple[list[bytes], dict[str, str]]:
    """The lines for the block, and the names that lines of others give another address."""
    instead: dict[str, bytes] = {}
    shadowed: dict[str, str] = {}
    for name, theirs in _foreign_names(foreign).items():
        entry = entries.get(name)
        if entry is not None:
            if theirs <= set(entry.addresses):
                instead[name] = entry.without(theirs)
            else:
                instead[name] = b""
                shadowed[name] = ", ".join(sorted(theirs))
    return entries.lines(instead), shadowed


@lru_cache(maxsize=2)
def _foreign_names(foreign: bytes) -> Mapping[str, frozenset[str]]:
    """Name to the addresses that lines of others give it."""
    found: dict[str, set[str]] = {}
    for line in foreign.split(b"\n"):
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


def _parse_untouched(text: bytes, known: bytes | None) -> list[bytes | _Region] | None:
    """What `_parse` gives for a text whose one block is as we left it, without a look at each line."""
    start = text.find(_BEGIN)
    if not known or start < 0 or text[start : start + len(known)] != known:
        return None
    before, after = text[:start], text[start + len(known) :]
    if before[-1:] not in {b"", b"\n"}:
        return None
    if any(word in part for word in (_BEGIN, _END) for part in (before, after)):
        return None
    begin = _find_markers(known[: known.index(b"\n") + 1])[0]
    return [piece for piece in (before, _Region(begin, True, ()), after) if piece != b""]


def _parse(text: bytes, known: bytes | None) -> list[bytes | _Region]:
    """The text as stretches of others and regions of ours, in order; nothing is left out."""
    markers = _find_markers(text)
    pieces: list[bytes | _Region] = []
    at = 0
    for index, marker in enumerate(markers):
        if marker.start < at:
            continue  # it closed the region before
        following = markers[index + 1] if index + 1 < len(markers) else None
        if marker.begins and following is not None and not following.begins:
            start, end = marker.start, following.end
            region = _closed_region(text[marker.end : following.start], marker, following, known)
        elif marker.begins:
            limit = following.start if following is not None else len(text)
            start, end = marker.start, _skip_lines(text, marker.end, limit, marker.lines)
            region = _torn_region(text[marker.end : end], marker, known)
        else:
            start, end = _skip_lines_back(text, at, marker.start, marker.lines), marker.end
            region = _torn_region(text[start : marker.start], marker, known)
        pieces += [text[at:start], region, b"".join(region.others)]
        at = end
    pieces.append(text[at:])
    return [piece for piece in pieces if piece != b""]


def _find_markers(text: bytes) -> list[_Marker]:
    found: list[_Marker] = []
    for word, begins in ((_BEGIN, True), (_END, False)):
        start = text.find(word)
        while start >= 0:
            if start == 0 or text[start - 1 : start] == b"\n":
                stop = text.find(b"\n", start)
                line = text[start:] if stop < 0 else text[start:stop]
                facts = line[len(word) :].removesuffix(b"\r")
                match = _FACTS.fullmatch(facts.removesuffix(_NOTE) if begins else facts)
                if match is not None:
                    state, lines, check, newline = match.groups()
                    end = len(text) if stop < 0 else stop + 1
                    found.append(
                        _Marker(start, end, begins, state.decode("ascii"), int(lines), check, newline == b"added")
                    )
            start = text.find(word, start + 1)
    return sorted(found, key=lambda marker: marker.start)


def _closed_region(body: bytes, begin: _Marker, end: _Marker, known: bytes | None) -> _Region:
    """Between two markers: all of it is ours if either digest says so, else each line is looked at."""
    lines = tuple(_split_lines(body))
    if _digest(body) in {begin.check, end.check}:
        return _Region(begin, begin.check == end.check, lines, ())
    mine = {_plain(line) for line in _split_lines(known)} if known is not None else None

    def ours(line: bytes) -> bool:
        return _plain(line) in mine if mine is not None else _looks_like_ours(line)

    return _Region(
        begin,
        False,
        tuple(line for line in lines if ours(line)),
        tuple(line for line in lines if not ours(line)),
    )


def _torn_region(body: bytes, marker: _Marker, known: bytes | None) -> _Region:
    """Beside a marker whose other half is lost: only what is proven to be ours is."""
    lines = tuple(_split_lines(body))
    if len(lines) == marker.lines and _digest(body) == marker.check:
        return _Region(marker, False, lines, ())
    mine = frozenset(_split_lines(known or b""))
    return _Region(
        marker,
        False,
        tuple(line for line in lines if line in mine),
        tuple(line for line in lines if line not in mine),
    )


def _split_lines(body: bytes) -> list[bytes]:
    """The lines of a text with their ends; only LF ends a line in a hosts file."""
    lines = [line + b"\n" for line in body.split(b"\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _plain(line: bytes) -> bytes:
    """A line as its words: an editor that changes line ends or spacing does not make it another line."""
    return b" ".join(line.split())


def _looks_like_ours(line: bytes) -> bool:
    match = _OURS.fullmatch(_plain(line) + b"\n")
    if match is None:
        return False
    try:
        address = parse_address(match[1].decode("ascii"))
    except RdataError:
        return False
    return str(address).encode("ascii") == match[1] and names.is_hostname(match[2].decode("ascii"))


def _skip_lines(text: bytes, start: int, limit: int, count: int) -> int:
    """Where `count` whole lines from `start` end, or `limit` where there are fewer."""
    for _ in range(count):
        end = text.find(b"\n", start, limit)
        if end < 0:
            return limit
        start = end + 1
    return start


def _skip_lines_back(text: bytes, limit: int, end: int, count: int) -> int:
    """Where `count` whole lines that end at `end` start, or `limit` where there are fewer."""
    for _ in range(count):
        if end <= limit:
            return limit
        end = text.rfind(b"\n", limit, end - 1) + 1 or limit
    return end


def _without_blocks(pieces: list[bytes | _Region]) -> tuple[bytes, bool]:
    """The pieces without what is ours, and whether a newline that we added stood before all of them.

    A newline that we added goes with the block behind it, unless something now follows the block.
    """
    kept: list[bytes] = []
    newline_left = False
    for piece in reversed(pieces):
        if isinstance(piece, _Region):
            newline_left = newline_left or (piece.marker.newline_added and not kept)
        else:
            foreign = piece.removesuffix(b"\n") if newline_left else piece
            kept += [foreign] if foreign else []
            newline_left = False
    return b"".join(reversed(kept)), newline_left
