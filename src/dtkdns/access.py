"""Who may call: this machine, and networks."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

import ifaddr
from attrs import frozen
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress

from dtkdns.rdata import Address, Network, in_networks

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface

PRIVATE: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10")
)
"""Networks that no router of the internet leads to: RFC 1918, RFC 4193, link-local (RFC 3927, RFC 4291)."""


@frozen
class Caller:
    """A peer, and what it may do; found once for each connection, because addresses come and go."""

    name: str
    """Its address, or `a local program` where it has none."""
    may_call: bool
    """Whether it may use the webhook and everything that only reads."""
    may_manage: bool
    """Whether it may change the rules: domains, addresses, and what is forgotten."""


@frozen
class Access:
    """The rules, as the options give them."""

    allow: tuple[Network, ...] | None = None
    """Who may call beside this machine; None for private networks and those that this machine is attached to."""
    allow_management: tuple[Network, ...] | None = ()
    """Who may change the rules beside this machine; None when nobody may, not even this machine."""

    def caller(self, peer: IAddress) -> Caller:
        """What a peer may do."""
        address = peer_address(peer)
        here = is_this_machine(peer)
        manages = self.allow_management is not None and (here or _inside(address, self.allow_management))
        calls = here or manages or self._allowed(address)
        return Caller("a local program" if address is None else str(address), calls, manages)

    def _allowed(self, address: Address | None) -> bool:
        if self.allow is not None:
            return _inside(address, self.allow)
        return _inside(address, PRIVATE) or _inside(address, (interface.network for interface in interfaces()))


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
    addresses alone (ip(7)), unless `ip_nonlocal_bind` is set: then the list of the interfaces is read.
    """
    if isinstance(peer, UNIXAddress):
        return True
    address = peer_address(peer)
    if address is None:
        return False
    if address.is_loopback:
        return True
    if _nonlocal_bind(address.version):
        return str(address).partition("%")[0] in {str(interface.ip) for interface in interfaces()}
    return _can_bind(address)


def interfaces() -> list[Interface]:
    """The addresses of this machine's interfaces, each with the network that it is attached to by it.

    One whose network would be the whole internet stands for its address only; none where they cannot be read.
    """
    return [interface for _, interface in attached()]


def attached() -> list[tuple[str, Interface]]:
    """`interfaces`, each with the name of the interface that has it."""
    found: list[tuple[str, Interface]] = []
    try:
        adapters = list(ifaddr.get_adapters())
    except OSError:
        return []
    for adapter in adapters:
        for entry in adapter.ips:
            address = entry.ip if isinstance(entry.ip, str) else entry.ip[0]
            length = f"/{entry.network_prefix}" if entry.network_prefix else ""
            found.append((str(adapter.name), ipaddress.ip_interface(f"{address}{length}")))
    return found


def own_address() -> str:
    """The address from which this machine would speak to another one; connecting UDP sends nothing."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: an address of no machine
            return str(probe.getsockname()[0])
    except OSError:
        return "the address of this machine that your VMs reach"


def _inside(address: Address | None, networks: Iterable[Network]) -> bool:
    return address is not None and in_networks(address, networks)


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
    except OSError:
        return False
