"""What firewalld lets in, as firewall-cmd(1) says it for each zone."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

from dtkdns.cli.doctor.networks import Attached


def zone_of(where: Attached, active: str, default: str) -> str:
    """The zone for what comes from a network, from `--get-active-zones` and `--get-default-zone`: by its source,
    then by its interface.
    """
    by_interface = ""
    zone = ""
    for line in active.splitlines():
        if line and not line[0].isspace():
            zone = line.split()[0]
        key, _, values = line.strip().partition(":")
        if key == "sources" and any(_covers(source, where) for source in values.split()):
            return zone
        if key == "interfaces" and where.interface in values.split():
            by_interface = zone
    return by_interface or default.strip()


def lets_in(zone: str, where: Attached, port: int) -> bool:
    """Whether a zone, as `--list-all` shows it, lets a connection from a network to a TCP port in."""
    facts = _facts(zone)
    rules = [line.strip() for line in zone.partition("rich rules:")[2].splitlines() if line.strip()]
    about = [rule for rule in rules if _is_about(rule, where, port)]
    accepts = any(re.search(r"\baccept\b", rule) for rule in about)
    refuses = any(re.search(r"\b(reject|drop)\b", rule) for rule in about)
    if accepts or any(_has_port(word, port) for word in facts.get("ports", "").split()):
        return True
    return facts.get("target") == "ACCEPT" and not refuses


def opening(zone: str, port: int) -> str:
    """The command that lets it in."""
    return f"sudo firewall-cmd --permanent --zone={zone} --add-port={port}/tcp && sudo firewall-cmd --reload"


def _facts(zone: str) -> Mapping[str, str]:
    found = (line.strip().partition(":") for line in zone.splitlines())
    return {key: value.strip() for key, _, value in found}


def _is_about(rule: str, where: Attached, port: int) -> bool:
    """Whether a rich rule (firewalld.richlanguage(5)) is about all connections from the network to the port."""
    family = re.search(r'family="ipv([46])"', rule)
    if family is not None and int(family[1]) != where.network.version:
        return False
    source = re.search(r'source address="([^"]+)"', rule)
    if source is not None and not _covers(source[1], where):
        return False
    found = re.search(r'(?<!-)port port="([\d-]+)" protocol="(\w+)"', rule)
    if found is not None:
        return _has_port(f"{found[1]}/{found[2]}", port)
    return not re.search(r"\b(service|protocol|icmp-block|icmp-type|forward-port|source-port|masquerade)\b", rule)


def _has_port(word: str, port: int) -> bool:
    ports, _, protocol = word.partition("/")
    first, _, last = ports.partition("-")
    return protocol == "tcp" and first.isdigit() and int(first) <= port <= int(last or first)


def _covers(source: str, where: Attached) -> bool:
    try:
        network = ipaddress.ip_network(source, strict=False)
    except ValueError:  # a MAC address or a set
        return False
    return network.version == where.network.version and where.network.subnet_of(network)  # type: ignore[arg-type]
