"""What ufw(8) lets in, as `ufw status verbose` says it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from attrs import frozen

from dtkdns.cli.doctor.networks import Attached

_RULE = re.compile(r"(\S.*?)\s+(ALLOW|LIMIT|DENY|REJECT)(?: (IN|OUT|FWD))?\s+(\S.*?)\s*(?:#.*)?")
_DEFAULT = re.compile(r"^Default: (\w+) \(incoming\)", re.MULTILINE)
_NOTE = re.compile(r"\s*\([^)]*\)")
"""`(v6)`, or the name of an application."""


@frozen
class Rule:
    """One rule for what comes in."""

    to: str
    interface: str
    """Empty: every one."""
    lets_in: bool
    source: str


def is_on(configuration: str) -> bool:
    """Whether ufw.conf has it switched on."""
    return re.search(r"^\s*ENABLED\s*=\s*[\"']?yes\b", configuration, re.MULTILINE | re.IGNORECASE) is not None


def lets_in(said: str, where: Attached, port: int) -> bool:
    """Whether a connection from a network to a TCP port is let in: the first rule that is about it decides."""
    if "Status: active" not in said:
        return True
    for rule in _rules(said):
        if (
            rule.interface in {"", where.interface}
            and _is_to(rule.to, where, port)
            and _is_from(rule.source, where)
        ):
            return rule.lets_in
    default = _DEFAULT.search(said)
    return default is not None and default[1] == "allow"


def opening(where: Attached, port: int) -> str:
    """The command that lets it in."""
    return f"sudo ufw allow from {where.network} to any port {port} proto tcp"


def _rules(said: str) -> Iterator[Rule]:
    for line in said.splitlines():
        found = _RULE.fullmatch(line.strip())
        if found is not None and found[3] in {None, "IN"}:
            to, _, interface = _NOTE.sub("", found[1]).partition(" on ")
            yield Rule(to, interface, found[2] in {"ALLOW", "LIMIT"}, _NOTE.sub("", found[4]))


def _is_to(to: str, where: Attached, port: int) -> bool:
    """Whether `5000`, `5000,6000/tcp`, `5000:5010/tcp`, `Anywhere`, or an address before these, has the port."""
    for word in to.split():
        if _is_address(word):
            if ipaddress.ip_network(word, strict=False).version != where.network.version:
                return False
        elif word != "Anywhere" and not _has_port(word, port):
            return False
    return True


def _has_port(word: str, port: int) -> bool:
    ports, _, protocol = word.partition("/")
    if protocol not in {"", "tcp"}:
        return False
    for one in ports.split(","):
        first, _, last = one.partition(":")
        if first.isdigit() and int(first) <= port <= int(last or first):
            return True
    return False


def _is_from(source: str, where: Attached) -> bool:
    """Whether a rule for this source is about all of the network."""
    words = source.split()
    if words == ["Anywhere"]:
        return True
    if len(words) != 1 or not _is_address(words[0]):
        return False  # it is about some source ports only
    network = ipaddress.ip_network(words[0], strict=False)
    return network.version == where.network.version and where.network.subnet_of(network)  # type: ignore[arg-type]


def _is_address(word: str) -> bool:
    try:
        ipaddress.ip_network(word, strict=False)
    except ValueError:
        return False
    return not word.isdigit()
