"""The lines of the managed block: one name each, rendered so that nothing can get out of its place."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping

from attrs import field, frozen

from dtkdns import names
from dtkdns.rdata import RdataError, parse_address

MAX_LINE = 500
"""Bytes of a line of ours: systemd-resolved keeps its old table, and musl cuts, when lines get longer."""

_RESOURCE = rb"external-dns|[A-Za-z0-9._:/@+=?-]*/[A-Za-z0-9._:/@+=?-]*"
_RENDERED = re.compile(rb"([0-9a-f:.]+) ([a-z0-9.-]+) # (?:[a-z0-9-]{1,63} )?(?:%b)\n" % _RESOURCE)
_LONGEST_ADDRESS = len("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
_FEW = 100
_UNSAFE = re.compile(r"[^A-Za-z0-9._:/@+=-]")
_NO_RESOURCE = "external-dns"
_MAX_KIND = 100


@frozen
class Entry:
    """One name with its addresses, as the block holds it: a line for each address."""

    name: str
    addresses: tuple[str, ...]
    provenance: str
    """What the comment says: `ingress/<namespace>/<name>`, behind the name of a cluster other than the default."""
    lines: bytes = field(repr=False)

    def without(self, addresses: frozenset[str]) -> bytes:
        """The lines for its other addresses."""
        return _lines(self.name, tuple(a for a in self.addresses if a not in addresses), self.provenance)


def make_entry(name: str, addresses: tuple[str, ...], cluster: str, resource: str) -> Entry:
    """The entry for a host name in ASCII; what the resource holds cannot get out of its comment.

    `cluster` is empty for the default one.
    """
    provenance = _UNSAFE.sub("?", resource)
    if "/" not in provenance[:_MAX_KIND]:
        provenance = _NO_RESOURCE
    if cluster:
        provenance = f"{cluster} {provenance}"
    provenance = provenance[: MAX_LINE - len(name) - _LONGEST_ADDRESS - len("  # \n")]
    return Entry(name, addresses, provenance, _lines(name, addresses, provenance))


def _lines(name: str, addresses: tuple[str, ...], provenance: str) -> bytes:
    end = f" {name} # {provenance}\n"
    return "".join([address + end for address in addresses]).encode("ascii")


class Entries:
    """What the block is to hold, sorted by name; a change of one name costs no look at the others."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._by_name: dict[str, Entry] = {}
        self._names: list[str] = []
        self._lines: list[bytes] = []
        self.count = 0
        """The number of lines, one for each address of a name."""
        self.update({entry.name: entry for entry in entries})

    def update(self, changes: Mapping[str, Entry | None]) -> None:
        """Put entries by name; None takes one out."""
        for name, entry in changes.items():
            self.count += len(entry.addresses if entry is not None else ()) - len(self.addresses(name))
        if len(changes) > _FEW:
            kept = {**self._by_name, **changes}
            self._names = sorted(name for name, entry in kept.items() if entry is not None)
            self._by_name = {name: entry for name in self._names if (entry := kept[name]) is not None}
            self._lines = [entry.lines for entry in self._by_name.values()]
            return
        for name, entry in changes.items():
            at = bisect_left(self._names, name)
            if self._by_name.pop(name, None) is not None:
                del self._names[at], self._lines[at]
            if entry is not None:
                self._by_name[name] = entry
                self._names.insert(at, name)
                self._lines.insert(at, entry.lines)

    def addresses(self, name: str) -> tuple[str, ...]:
        """The addresses of a name; none where it is not in the block."""
        entry = self._by_name.get(name)
        return entry.addresses if entry is not None else ()

    def get(self, name: str) -> Entry | None:
        return self._by_name.get(name)

    def lines(self, instead: Mapping[str, bytes]) -> list[bytes]:
        """The lines of each name, with others in the place of some."""
        if not instead:
            return self._lines
        lines = [instead.get(name, own) for name, own in zip(self._names, self._lines, strict=True)]
        return [line for line in lines if line]


def looks_rendered(line: bytes) -> bool:
    """Whether a line has exactly the form of a line of ours, but for its white space."""
    match = _RENDERED.fullmatch(b" ".join(line.split()) + b"\n")
    if match is None:
        return False
    try:
        address = parse_address(match[1].decode("ascii"))
    except RdataError:
        return False
    return str(address).encode("ascii") == match[1] and names.is_hostname(match[2].decode("ascii"))
