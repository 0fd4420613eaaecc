"""The two lines around the managed block, and which lines of a text are ours.

Both markers carry the same facts: the state the block belongs to, how many lines it holds, a digest of them, and
whether a newline had to be added in front of it. So either marker alone proves which lines are ours when the
other is lost, and a line is never taken for ours merely because of where it stands.
"""

from __future__ import annotations

import re
import zlib
from typing import TypeAlias

from attrs import frozen

from dtkdns.hosts.entries import looks_rendered

_BEGIN = b"# BEGIN dtkdns "
_END = b"# END dtkdns "
_NOTE = b" (written by dtkdns: put lines of your own outside)"
_FACTS = re.compile(rb"state=([0-9a-f]{8}) lines=([0-9]{1,7}) check=([0-9a-f]{16}) newline=(kept|added)")


@frozen
class Marker:
    start: int
    end: int
    begins: bool
    state: str
    lines: int
    check: bytes
    newline_added: bool


@frozen
class Region:
    """A stretch of the file that is ours."""

    marker: Marker
    intact: bool
    ours: tuple[bytes, ...]
    others: tuple[bytes, ...] = ()
    """Lines of others that stood in it; they follow as a piece of their own."""


Pieces: TypeAlias = list[bytes | Region]
"""A text in order: stretches of others as bytes, and what is ours."""


def render(lines: bytes, count: int, state: str, *, newline_added: bool) -> tuple[bytes, bytes, bytes]:
    """The block in three parts, the lines between its markers; `count` is the number of lines."""
    newline = "added" if newline_added else "kept"
    facts = b"state=%s lines=%d check=%s newline=%s" % (
        state.encode("ascii"),
        count,
        _digest(lines),
        newline.encode("ascii"),
    )
    return b"".join([_BEGIN, facts, _NOTE, b"\n"]), lines, b"".join([_END, facts, b"\n"])


def _digest(body: bytes) -> bytes:
    """A CRC-32 and the size: they tell what was changed by accident; forging takes the right to write here."""
    return b"%08x%08x" % (zlib.crc32(body), len(body))


def untouched(text: bytes, start: int, stop: int) -> Pieces | None:
    """What `parse` gives for a text with a block as it was written, and nothing else that is like one.

    None where there is none, where it does not begin a line, or where other markers stand outside it.
    """
    before, after = text[:start], text[stop:]
    if start == stop or before[-1:] not in {b"", b"\n"}:
        return None
    if any(word in part for word in (_BEGIN, _END) for part in (before, after)):
        return None
    begin = _find_markers(text[start : text.index(b"\n", start) + 1])[0]
    return [piece for piece in (before, Region(begin, True, ()), after) if piece != b""]


def parse(text: bytes, known: bytes | None) -> Pieces:
    """The text as stretches of others and regions of ours, in order; nothing is left out.

    `known` is the block that we wrote last, where that is known: only its lines are then taken for ours in a block
    that somebody changed.
    """
    start = text.find(_BEGIN)
    if known and start >= 0 and text.startswith(known, start):
        pieces = untouched(text, start, start + len(known))
        if pieces is not None:
            return pieces
    markers = _find_markers(text)
    pieces = []
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


def _find_markers(text: bytes) -> list[Marker]:
    found: list[Marker] = []
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
                        Marker(start, end, begins, state.decode("ascii"), int(lines), check, newline == b"added")
                    )
            start = text.find(word, start + 1)
    return sorted(found, key=lambda marker: marker.start)


def _closed_region(body: bytes, begin: Marker, end: Marker, known: bytes | None) -> Region:
    """Between two markers: all of it is ours if either digest says so, else each line is looked at."""
    lines = tuple(_split_lines(body))
    if _digest(body) in {begin.check, end.check}:
        return Region(begin, begin.check == end.check, lines, ())
    mine = {_plain(line) for line in _split_lines(known)[1:-1]} if known is not None else None

    def ours(line: bytes) -> bool:
        return _plain(line) in mine if mine is not None else looks_rendered(line)

    return Region(
        begin,
        False,
        tuple(line for line in lines if ours(line)),
        tuple(line for line in lines if not ours(line)),
    )


def _torn_region(body: bytes, marker: Marker, known: bytes | None) -> Region:
    """Beside a marker whose other half is lost: only what is proven to be ours is."""
    lines = tuple(_split_lines(body))
    if len(lines) == marker.lines and _digest(body) == marker.check:
        return Region(marker, False, lines, ())
    mine = frozenset(_split_lines(known or b""))
    return Region(
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
