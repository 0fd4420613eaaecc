"""The targets of a record type, parsed strictly.

Other types than A and AAAA are in the text forms of zone files (RFC 1035, section 5.1), as external-dns has them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TypeAlias

from twisted.names import dns

from dtkdns.names import MAX_NAME, quoted, to_ascii

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

Payload: TypeAlias = (
    dns.Record_CNAME
    | dns.Record_MX
    | dns.Record_NAPTR
    | dns.Record_NS
    | dns.Record_PTR
    | dns.Record_SRV
    | dns.Record_TXT
    | dns.UnknownRecord
)

CAA = 257
"""The type of CAA records (RFC 8659); twisted.names knows the number of none newer than SSHFP."""

_STRING = 255
"""Bytes of a character string (RFC 1035, section 3.3)."""
_ESCAPE = re.compile(rb"\\(?:([0-9]{3})|(.))", re.DOTALL)
_TOKEN = re.compile(rb'\s*(?:"((?:[^"\\]|\\.)*)"|((?:[^\s"\\]|\\.)+))(?=\s|$)', re.DOTALL)
_BROADCAST = ipaddress.IPv4Address("255.255.255.255")


class RdataError(ValueError):
    """A target is not what its record type holds; the message is a sentence for the user."""


@lru_cache(maxsize=4096)
def parse_address(text: str) -> Address:
    """An address that something can listen at, whatever its family.

    Raises `RdataError`, also for the unspecified, a multicast and the broadcast address, for one with a zone
    (RFC 4007, section 11: it has a meaning on one machine only, and may hold any character), and for an
    IPv4 address in the clothes of IPv6.
    """
    shown = quoted(text)
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise RdataError(f"{shown} is not an IPv4 or IPv6 address.") from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise RdataError(f"{shown} has a zone, which means nothing to others: leave out the % part.")
        if address.ipv4_mapped is not None:
            raise RdataError(f"{shown} is an IPv4 address written as IPv6: give {address.ipv4_mapped}.")
    if address.is_unspecified or address.is_multicast or address == _BROADCAST:
        raise RdataError(f"{shown} is no address of a single machine.")
    return address


def parse_target(record_type: str, target: str) -> Address:
    """The address in a target of an A or AAAA record.

    Raises `RdataError`.
    """
    address = parse_address(target)
    if address.version != (4 if record_type == "A" else 6):
        raise RdataError(f"{address} is not an address for a record of type {record_type}.")
    return address


@lru_cache(maxsize=4096)
def canonical_target(record_type: str, target: str) -> str:
    """The address in a target of an A or AAAA record in its canonical form (RFC 5952). Raises `RdataError`."""
    return str(parse_target(record_type, target))


def in_networks(address: Address, networks: Iterable[Network]) -> bool:
    """Whether an address lies in one of the networks."""
    return any(address in network for network in networks)


def parse_record(record_type: str, target: str) -> tuple[int, Payload]:
    """The type's number and the data of one target.

    Raises `RdataError`, also for a type that is not served.
    """
    parse = _PARSERS.get(record_type)
    if parse is None:
        raise RdataError(f"Records of type {quoted(record_type)} are not served.")
    number, make = parse
    try:
        return number, make(target)
    except ValueError as error:
        raise RdataError(
            f"{quoted(target)} is not the data of a record of type {record_type}: {error}."
        ) from error


def _txt(target: str) -> Payload:
    """What is in quotes, each a string of its own; else all of it, in as many strings as it needs."""
    data = target.encode("utf-8")
    tokens = _tokens(data) if data.startswith(b'"') else None
    if tokens is not None and all(is_quoted for _, is_quoted in tokens):
        strings = [text for text, _ in tokens]
        if any(len(text) > _STRING for text in strings):
            strings = [piece for text in strings for piece in _pieces(text)]
    else:
        strings = _pieces(data)
    if sum(len(text) + 1 for text in strings) > 65535:
        raise ValueError("it is longer than a record can be")
    return dns.Record_TXT(*strings)


def _pieces(text: bytes) -> list[bytes]:
    return [text[at : at + _STRING] for at in range(0, len(text), _STRING)] or [b""]


def _srv(target: str) -> Payload:
    priority, weight, port, name = _words(target, 4, "priority weight port name")
    return dns.Record_SRV(_number(priority), _number(weight), _number(port), _name(name))


def _mx(target: str) -> Payload:
    preference, name = _words(target, 2, "preference name")
    return dns.Record_MX(_number(preference), _name(name))


def _naptr(target: str) -> Payload:
    tokens = _tokens(target.encode("utf-8"))
    if tokens is None or len(tokens) != 6:
        raise ValueError("it is not: order preference flags service regexp replacement")
    order, preference, flags, service, pattern, replacement = [text for text, _ in tokens]
    if any(len(text) > _STRING for text in (flags, service, pattern)):
        raise ValueError(f"a string has more than {_STRING} bytes")
    return dns.Record_NAPTR(
        _number(order.decode("ascii")),
        _number(preference.decode("ascii")),
        flags,
        service,
        pattern,
        _name(replacement.decode("utf-8")),
    )


def _caa(target: str) -> Payload:
    tokens = _tokens(target.encode("utf-8"))
    if tokens is None or len(tokens) != 3:
        raise ValueError('it is not: flags tag "value"')
    flags, tag, value = [text for text, _ in tokens]
    if not re.fullmatch(rb"[A-Za-z0-9]{1,255}", tag):
        raise ValueError("its tag is not letters and digits (RFC 8659, section 4.1)")
    if len(value) > 60000:
        raise ValueError("its value is longer than a record can be")
    number = _number(flags.decode("ascii"), 255)
    return dns.UnknownRecord(bytes([number, len(tag)]) + tag + value)


def _one_name(record: Callable[[str], Payload]) -> Callable[[str], Payload]:
    return lambda target: record(_name(target))


_PARSERS: dict[str, tuple[int, Callable[[str], Payload]]] = {
    "CAA": (CAA, _caa),
    "CNAME": (dns.CNAME, _one_name(dns.Record_CNAME)),
    "MX": (dns.MX, _mx),
    "NAPTR": (dns.NAPTR, _naptr),
    "NS": (dns.NS, _one_name(dns.Record_NS)),
    "PTR": (dns.PTR, _one_name(dns.Record_PTR)),
    "SRV": (dns.SRV, _srv),
    "TXT": (dns.TXT, _txt),
}


def _words(target: str, count: int, form: str) -> list[str]:
    words = target.split()
    if len(words) != count:
        raise ValueError(f"it is not: {form}")
    return words


def _number(text: str, most: int = 65535) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or int(text) > most:
        raise ValueError(f"{quoted(text)} is not a number up to {most}")
    return int(text)


def _name(text: str) -> str:
    """A name in ASCII without its last dot; the root is empty."""
    name = "" if text == "." else to_ascii(text)
    labels = [] if text == "." else name.split(".")
    if len(name) > MAX_NAME or not all(0 < len(label) <= 63 for label in labels):
        raise ValueError(f"{quoted(text)} is no name")
    if not name.isascii() or not all("!" <= character <= "~" and character != "\\" for character in name):
        raise ValueError(f"{quoted(text)} holds what a name cannot")
    return name


def _tokens(data: bytes) -> list[tuple[bytes, bool]] | None:
    """The words and the texts in quotes, unescaped, and whether each was in quotes; None where there is more."""
    found: list[tuple[bytes, bool]] = []
    at, data = 0, data.strip()
    while at < len(data):
        match = _TOKEN.match(data, at)
        if match is None:
            return None
        text, in_quotes = (match[1], True) if match[1] is not None else (match[2], False)
        found.append((_ESCAPE.sub(_unescaped, text), in_quotes))
        at = match.end()
    return found


def _unescaped(match: re.Match[bytes]) -> bytes:
    if match[1] is None:
        return match[2]
    number = int(match[1])
    if number > 255:
        raise ValueError(f"\\{number} is no byte")
    return bytes([number])
