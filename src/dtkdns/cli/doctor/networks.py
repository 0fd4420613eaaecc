"""The networks from which VMs call."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Sequence

from attrs import frozen

from dtkdns.access import Interface
from dtkdns.rdata import Network

FOR_VMS = ("virbr", "vboxnet")
"""How the interfaces of libvirt and VirtualBox begin."""


@frozen
class Attached:
    """A network, and the interface of this machine that is in it."""

    interface: str
    network: Network


def networks_of_vms(
    attached: Iterable[tuple[str, Interface]], bridges: Collection[str], addresses: Sequence[str]
) -> tuple[list[Attached], bool]:
    """The networks that hold an address of a cluster; else all that are made for VMs.

    And whether it is the former: then something will call from there.
    """
    known = [ipaddress.ip_address(address) for address in addresses]
    usable = [
        (Attached(name, interface.network), name in bridges or name.startswith(FOR_VMS))
        for name, interface in attached
        if not interface.is_loopback and not interface.is_link_local
    ]
    holding = [one for one, _ in usable if any(address in one.network for address in known)]
    found = holding or [one for one, for_vms in usable if for_vms]
    return list(dict.fromkeys(found)), bool(holding)


def not_heard(networks: Iterable[Attached], peers: Iterable[str]) -> list[Attached]:
    """Those from which none of these peers has called."""
    called = []
    for peer in peers:
        try:
            called.append(ipaddress.ip_address(peer))
        except ValueError:  # a local program has no address
            continue
    return [one for one in networks if not any(address in one.network for address in called)]
