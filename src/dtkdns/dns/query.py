"""One question, from the bytes of a message (RFC 1035, section 4)."""

from __future__ import annotations

import struct

from attrs import frozen
from twisted.names import dns

HEADER = struct.Struct("!H2B4H")
RESPONSE = 0x80
"""QR in the third byte of a message: it is a reply."""
NO_DOT = b"\0"
"""Stands for a dot inside a label: no name of ours has such a byte."""
_RECORD = struct.Struct("!HHIH")
"""What stands between the name of a record and its data: type, class, TTL and the length of the data."""
_BARE_OPT = 1 + _RECORD.size
"""Octets of an OPT record without options."""
_POINTER = 0xC0
_MOST_OF_A_LABEL = 63
_MOST_OCTETS = 255
"""Of a name in its wire form (RFC 1035, section 2.3.4)."""


class SilenceError(Exception):
    """There is nothing to reply to: it is a reply itself, or too short to have a header."""


class QueryError(Exception):
    """A message that gets nothing but a response code."""

    def __init__(self, rcode: int) -> None:
        super().__init__(rcode)
        self.rcode = rcode


@frozen
class Edns:
    """What an OPT record says (RFC 6891, section 6.1.3)."""

    size: int
    """Bytes that the requestor takes in one datagram."""
    version: int
    wants_dnssec: bool
    """The bit DO, which comes back as it was (RFC 3225, section 3)."""


@frozen
class Query:
    """A message that asks one question."""

    message_id: int
    recursion_desired: bool
    checking_disabled: bool
    labels: tuple[str, ...]
    """Of the name, in lower case, each byte a character; `NO_DOT` stands for a dot in one of them."""
    spelled: bytes
    """The name as it came, with dots between its labels, and `NO_DOT` as above."""
    record_type: int
    record_class: int
    question: bytes
    """The question section as it came, with the case of its letters."""
    edns: Edns | None
    has_options: bool
    """Whether there is more than the question and a bare OPT record."""

    @property
    def name(self) -> str:
        return ".".join(self.labels)


def parse_query(message: bytes) -> Query:
    """The question that a message asks.

    Raises `SilenceError`, and `QueryError` with NOTIMP for other operations than a query and FORMERR for what is
    no message or does not ask exactly one question (RFC 9619).
    """
    if len(message) < HEADER.size:
        raise SilenceError
    message_id, flags, more_flags, questions, *counts = HEADER.unpack_from(message)
    if flags & RESPONSE:
        raise SilenceError
    if flags >> 3 & 0xF != dns.OP_QUERY:
        raise QueryError(dns.ENOTIMP)
    if questions != 1:
        raise QueryError(dns.EFORMAT)
    raw, end = _question_name(message)
    labels = [label.replace(b".", NO_DOT) for label in raw]
    if len(message) < end + 4:
        raise QueryError(dns.EFORMAT)
    record_type, record_class = struct.unpack_from("!HH", message, end)
    edns = _edns(message, end + 4, counts)
    if record_type == dns.OPT:
        raise QueryError(dns.EFORMAT)
    return Query(
        message_id,
        bool(flags & 1),
        bool(more_flags & 0x10),
        tuple(label.lower().decode("latin-1") for label in labels),
        b".".join(labels),
        record_type,
        record_class,
        message[HEADER.size : end + 4],
        edns,
        len(message) > end + 4 + _BARE_OPT,
    )


def _question_name(message: bytes) -> tuple[list[bytes], int]:
    """The labels of the name behind the header, and where it ends.

    twisted.names joins labels with dots, so that one with a dot in it cannot be told from two. There is nothing
    before this name that a pointer could point to.
    """
    labels: list[bytes] = []
    at = HEADER.size
    while at < len(message):
        length = message[at]
        if length == 0:
            if at + 1 - HEADER.size > _MOST_OCTETS:
                break
            return labels, at + 1
        if length > _MOST_OF_A_LABEL:
            break
        labels.append(message[at + 1 : at + 1 + length])
        at += 1 + length
    raise QueryError(dns.EFORMAT)


def _edns(message: bytes, at: int, counts: list[int]) -> Edns | None:
    """What the OPT record among the records behind the question says, if there is one; each must be whole."""
    found: list[Edns] = []
    additional = sum(counts[:2])
    for number in range(sum(counts)):
        start, at = at, _name_end(message, at)
        if len(message) < at + _RECORD.size:
            raise QueryError(dns.EFORMAT)
        record_type, record_class, ttl, length = _RECORD.unpack_from(message, at)
        if record_type == dns.OPT:
            if message[start] or number < additional:
                raise QueryError(dns.EFORMAT)
            found.append(Edns(record_class, ttl >> 16 & 0xFF, bool(ttl & 0x8000)))
        at += _RECORD.size + length
    if len(found) > 1 or at != len(message):
        raise QueryError(dns.EFORMAT)
    return found[0] if found else None


def _name_end(message: bytes, start: int) -> int:
    """Where the name of a record ends.

    A pointer ends it (RFC 1035, section 4.1.4), and must lead back. What it leads to is not read: in a message
    made for that it is long, for thousands of records again and again.
    """
    at = start
    while at < len(message):
        length = message[at]
        if length >= _POINTER:
            if HEADER.size <= int.from_bytes(message[at : at + 2], "big") - (_POINTER << 8) < start:
                return at + 2
            break
        at += 1 + length
        if length > _MOST_OF_A_LABEL or at - start > _MOST_OCTETS:
            break
        if length == 0:
            return at
    raise QueryError(dns.EFORMAT)
