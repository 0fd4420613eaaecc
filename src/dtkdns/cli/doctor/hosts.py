"""Judgements of the hosts file: how it is written, and whether the block in it is what it should be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dtkdns import names
from dtkdns.cli.doctor.finding import Finding, fault, warning, well
from dtkdns.hosts.text import Block, names_of, read, remove
from dtkdns.status import HostsStatus, ServiceStatus

MANY = 3
"""Names that are said."""


def way(hosts: HostsStatus) -> Finding:
    """How it is written."""
    if not hosts.way.startswith("in place"):
        return well("way of writing", f"{hosts.path} is replaced in one step.")
    return warning(
        "way of writing",
        f"{hosts.path} is written {hosts.way}: who has it open may see it half-written.",
        "Undo the cause if you can; else there is nothing to do (docs/hosts-file.md).",
    )


def freshness(status: ServiceStatus, hosts: HostsStatus, text: bytes | None) -> Finding:
    """Whether the block in the file holds the names that the service shows."""
    if text is None:
        return fault("hosts file", f"{hosts.path} cannot be read.", "Run this on the machine where dtkdns runs.")
    expected = _expected(status, text)
    wrong, advice = _difference(read(text), expected)
    if wrong:
        return fault("hosts file", f"{hosts.path} {wrong}.", advice)
    number = len(expected)
    return well("hosts file", f"{hosts.path} has what it should: {number} name{'' if number == 1 else 's'}.")


def _difference(block: Block | None, expected: Mapping[str, frozenset[str]]) -> tuple[str, str]:
    """How a block differs from what it should give each name, and what to do; empty where it does not."""
    held = names_of(b"".join(block.lines)) if block is not None else {}
    missing = [name for name in expected if held.get(name) != expected[name]]
    foreign = [name for name in held if name not in expected]
    if block is None:
        if expected:
            return (
                "has no block of dtkdns",
                "Does dtkdns run with --dry-run, or in a container that has a hosts file of its own? Start it"
                " without.",
            )
    elif missing:
        return (
            f"has a stale block: {_some(missing)} not as they should be",
            "Start dtkdns again; if it stays so, another program puts back an older file, or dtkdns runs in a"
            " container that has a hosts file of its own.",
        )
    elif foreign:
        return (
            f"has a block that is not this dtkdns': {_some(foreign)} are none of its names",
            "Does another dtkdns keep the file, or a program put back an older one? Stop it.",
        )
    elif not block.intact:
        return "has a block that was changed by others", "Start dtkdns again: it mends it."
    return "", ""


def elsewhere(hosts: HostsStatus, read_by_all: str) -> Finding:
    """That another file is kept than the one that programs read."""
    return fault(
        "hosts file",
        f"dtkdns keeps {hosts.path}, and programs read {read_by_all}.",
        "Start dtkdns without --hosts-file.",
    )


def left_behind(path: str, text: bytes | None) -> Finding:
    """Whether a file that is not kept has a block all the same."""
    if text is None or read(text) is None:
        return well("hosts file", "None is kept: names are shown by DNS only.")
    return fault(
        "hosts file",
        f"{path} has a block of dtkdns, although none is kept; its lines win over DNS.",
        "If no other dtkdns keeps it, remove the lines from '# BEGIN dtkdns' to '# END dtkdns'.",
    )


def _expected(status: ServiceStatus, text: bytes) -> dict[str, frozenset[str]]:
    """The addresses that the block should give each name: lines of the user's own come first."""
    theirs = names_of(remove(text))
    found = {}
    for one in status.names:
        own = theirs.get(one.name, frozenset())
        left = frozenset(one.addresses) - own if own <= set(one.addresses) else frozenset()
        if left and not names.is_wildcard(one.name):
            found[one.name] = left
    return found


def _some(found: Iterable[str]) -> str:
    listed = sorted(found)
    more = f" and {len(listed) - MANY} more" if len(listed) > MANY else ""
    return f"{', '.join(listed[:MANY])}{more}"
