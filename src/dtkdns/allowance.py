"""What one body may take in memory while it is decoded, with the endpoints made of it: under 12 times its size.

The body itself is not counted. One of less than 4 MiB may take what one of 4 MiB may, 48 MiB. The figures are
those of CPython's objects, a little more than measured.
"""

from __future__ import annotations

from attrs import define

MOST_ENDPOINTS = 400_000
"""Endpoints in one body, in all its lists: each update is two."""
TARGET = 70
"""Bytes for the objects of one."""
LABEL = 180
"""Bytes for the objects of one, while its endpoint is decoded."""
LARGE_ENDPOINT = 64 * 1024
"""Bytes of a document from which on it counts what is needed only while it is decoded."""
TOO_DENSE = (
    "The body holds so many short texts that they would need more than 12 times its size in memory, the most that"
    " is given to them."
)

_MEMORY = 12
"""Bytes of memory for each byte of a body."""
_SMALL_BODY = 4 * 1024 * 1024
_WIDE = 5
"""Bytes for each byte of a document: itself, and its texts, which one wide character makes four times as long."""
_OBJECTS = 320
"""Bytes for the objects of an endpoint without targets and labels."""
_OWNER = 110
"""Bytes for its name in ASCII, where that is another one."""


class TooManyError(Exception):
    """A body holds more than may be kept in memory; the message is a sentence for the sender."""


@define
class Allowance:
    """What one body may still take."""

    memory: int
    """Bytes."""
    objects: int
    """Bytes for each endpoint."""
    endpoints: int = MOST_ENDPOINTS

    @classmethod
    def of(cls, body: bytes) -> Allowance:
        """That of a body of which nothing is decoded yet."""
        memory = _MEMORY * max(len(body), _SMALL_BODY) - _WIDE * len(body)
        return cls(memory, _OBJECTS if body.isascii() else _OBJECTS + _OWNER)

    def take_endpoints(self, number: int) -> None:
        """Raises `TooManyError`."""
        self.endpoints -= number
        if self.endpoints < 0:
            raise TooManyError(f"The body holds more than {MOST_ENDPOINTS} endpoints, the most that can be kept.")
        self.take(self.objects * number)

    def take(self, memory: int, meanwhile: int = 0) -> None:
        """Bytes for what is kept; `meanwhile` so many more have to be left. Raises `TooManyError`."""
        self.memory -= memory
        if self.memory < meanwhile:
            raise TooManyError(TOO_DENSE)


def require_room(document: bytes, memory: int) -> None:
    """Raise `TooManyError` where so many bytes are not enough for what is needed only while a document is decoded.

    That is for the spellings of a name that is long and wide, or for the objects of all the texts.
    """
    wide = not document.isascii() or b"\\u" in document
    plain = document.replace(b"\\\\", b"")
    texts = (plain.count(b'"') - plain.count(b'\\"')) // 2
    if max(13 * len(document) if wide else 0, 100 * texts - 3 * len(document)) > memory:
        raise TooManyError(TOO_DENSE)


def require_modest(document: bytes) -> None:
    """Raise `TooManyError` where a large document with fields that are unknown here holds too many objects."""
    if document.count(b"{") > len(document) // 64:
        raise TooManyError("A large endpoint with fields that are unknown here holds too many objects.")
