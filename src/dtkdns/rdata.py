"""The targets of a record type, parsed strictly."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import TypeAlias

from dtkdns.names import quoted

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

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


def in_networks(address: Address, networks: Iterable[Network]) -> bool:
    """Whether an address lies in one of the networks."""
    return any(address in network for network in networks)
