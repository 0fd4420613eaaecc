"""What a hosts file held at different moments, and which lines of others a writer must not lose.

Between our read and our write somebody else may change the file, or may have read it before and write it back.
So a line of theirs that some version held a moment ago and that is missing now is put back. The price: a line that
is deleted by hand in that moment comes back, too. A line that was rewritten (the same names, another address) does
not.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from attrs import define, field, frozen

REMEMBERED = 2.0
"""Seconds for which the lines of a version are put back when they are missing."""


@frozen
class Signature:
    """A hint that a file is still the one it was; the bytes are the truth."""

    device: int
    inode: int
    size: int
    modified: int
    """Nanoseconds."""

    @classmethod
    def of(cls, status: os.stat_result) -> Signature:
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@frozen
class Version:
    """A text that the file had, read while nobody was writing it, and the file's status then."""

    text: bytes = field(repr=False)
    status: os.stat_result | None
    """None where there was no file; its text is empty."""


@define
class _Seen:
    """What a version held of others."""

    text: bytes
    when: float
    """When it was last seen (seconds)."""
    _lines: dict[bytes, bytes] | None = None

    @property
    def lines(self) -> dict[bytes, bytes]:
        if self._lines is None:
            self._lines = _lines(self.text)
        return self._lines


@define
class Memory:
    """The lines of others that versions of the last moments held."""

    _seen: dict[bytes, _Seen] = field(factory=dict)
    """By their text, the newest last."""
    _owed: list[bytes] = field(factory=list)

    def note(self, foreign: bytes, now: float) -> None:
        """Remember what a version held of others."""
        new = self._seen.pop(foreign, None) or _Seen(foreign, now)
        new.when = now
        self._seen = {
            text: seen
            for text, seen in self._seen.items()
            if now - seen.when <= REMEMBERED and not seen.lines.keys() <= new.lines.keys()
        }
        self._seen[foreign] = new

    def owe(self, foreign: bytes) -> None:
        """Remember lines until they are back, however long it takes: nobody else has them."""
        self._owed.append(foreign)

    def paid(self) -> None:
        """What was owed is in the file."""
        self._owed.clear()

    def missing(self, foreign: bytes, now: float) -> list[bytes]:
        """The lines, without the LF, that are to be put back beside these."""
        recent = [seen for seen in self._seen.values() if now - seen.when <= REMEMBERED]
        others = [seen for seen in [*(_Seen(text, now) for text in self._owed), *recent] if seen.text != foreign]
        if not others:
            return []
        current = _lines(foreign)
        found: list[bytes] = []
        # The newest first: what it rewrote of an older one does not come back beside it.
        for seen in reversed(others):
            back = _lost(seen.lines, current)
            found += back.values()
            current |= back
        return found


def lost(before: bytes, now: bytes) -> list[bytes]:
    """The lines that are gone and were not rewritten."""
    return list(_lost(_lines(before), _lines(now)).values())


def _lost(old: dict[bytes, bytes], new: dict[bytes, bytes]) -> dict[bytes, bytes]:
    gone = {key: line for key, line in old.items() if key not in new}
    if not gone:
        return gone
    rewritten = {_names(key) for key in new if key not in old} - {frozenset()}
    return {key: line for key, line in gone.items() if _names(key) not in rewritten}


def _lines(text: bytes) -> dict[bytes, bytes]:
    """Each line that says something, once and in order; the key is without a CR at its end."""
    return {line.removesuffix(b"\r"): line for line in text.split(b"\n") if line.strip()}


def _names(line: bytes) -> frozenset[bytes]:
    """The names that a line gives an address; none in a comment."""
    return frozenset(word.lower() for word in line.partition(b"#")[0].split()[1:])


def put_back(text: bytes, lines: Iterable[bytes]) -> bytes:
    """The text with these lines at its end."""
    added = b"".join(line + b"\n" for line in lines)
    if not added:
        return text
    return b"".join([text, b"\n" if text and not text.endswith(b"\n") else b"", added])
