"""Who may call."""

from __future__ import annotations

import ipaddress
import socket

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress

from dtkdns.rdata import Address


def peer_address(peer: IAddress) -> Address | None:
    """The address of a peer, an IPv4-mapped one as IPv4; None where it has none, as on a UNIX socket."""
    if not isinstance(peer, IPv4Address | IPv6Address):
        return None
    address = ipaddress.ip_address(peer.host)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_this_machine(peer: IAddress) -> bool:
    """Whether a peer is this machine: by loopback, by a UNIX socket, or by an address of one of its interfaces.

    The last is tried by binding a UDP socket to the peer's address, which the kernel allows for its own
    addresses alone (ip(7)), unless `ip_nonlocal_bind` is set: then only loopback counts.
    """
    if isinstance(peer, UNIXAddress):
        return True
    address = peer_address(peer)
    if address is None:
        return False
    return address.is_loopback or (not _nonlocal_bind(address.version) and _can_bind(address))


def _can_bind(address: Address) -> bool:
    try:
        if isinstance(address, ipaddress.IPv4Address):
            _bind(socket.AF_INET, (str(address), 0))
        else:
            plain, _, zone = str(address).partition("%")
            _bind(socket.AF_INET6, (plain, 0, 0, socket.if_nametoindex(zone) if zone else 0))
    except OSError:
        return False
    return True


def _bind(family: socket.AddressFamily, where: tuple[str, int] | tuple[str, int, int, int]) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind(where)


def _nonlocal_bind(version: int) -> bool:
    try:
        with open(f"/proc/sys/net/ipv{version}/ip_nonlocal_bind", "rb") as file:
            return file.read().strip() != b"0"
    except FileNotFoundError:
        return False
