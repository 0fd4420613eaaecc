"""The lines of the managed block: one name each, rendered so that nothing can get out of its place."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from itertools import islice

from attrs import field, frozen

from dtkdns import names
from dtkdns.rdata import RdataError, parse_address

MAX_LINE = 500
"""Bytes of a line of ours: systemd-resolved keeps its old table, and musl cuts, when lines get longer."""

_RESOURCE = rb"external-dns|[A-Za-z0-9._:/@+=?-]*/[A-Za-z0-9._:/@+=?-]*"
_RENDERED = re.compile(rb"([0-9a-f:.]+) ([a-z0-9.-]+) # (?:[a-z0-9-]{1,63} )?(?:%b)\n" % _RESOURCE)
_MAX_REST = MAX_LINE - len("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff  # \n")
"""Bytes of a line beside its address."""
_PAGE = 32
"""Names of a page when it is new; it may come to hold twice as many."""
_UNSAFE = re.compile(r"[^A-Za-z0-9._:/@+=-]")
_NO_RESOURCE = "external-dns"
_MAX_KIND = 100


@frozen(weakref_slot=False)
class Entry:
    """One name with its addresses, as the block holds it: a line for each address."""

    name: str
    addresses: tuple[str, ...]
    lines: bytes = field(repr=False)

    def without(self, addresses: frozenset[str]) -> bytes:
        """The lines for its other addresses."""
        lines = zip(self.addresses, self.lines.splitlines(keepends=True), strict=True)
        return b"".join([line for address, line in lines if address not in addresses])


def make_entry(name: str, addresses: tuple[str, ...], cluster: str, resource: str) -> Entry:
    """The entry for a host name in ASCII; what the resource holds cannot get out of its comment.

    The comment says `ingress/<namespace>/<name>`, behind the name of a cluster other than the default one, which
    is empty here.
    """
    provenance = _UNSAFE.sub("?", resource)
    if provenance.find("/", 0, _MAX_KIND) < 0:
        provenance = _NO_RESOURCE
    if cluster:
        provenance = f"{cluster} {provenance}"
    end = f" {name} # {provenance[: _MAX_REST - len(name)]}\n"
    return Entry(name, addresses, (end.join(addresses) + end).encode("ascii") if addresses else b"")


@frozen(weakref_slot=False)
class _Page:
    """Some names that follow one another, with their addresses, and their lines in one piece."""

    addresses: Mapping[str, tuple[str, ...]]
    """In the order of the names."""
    lines: bytes = b""

    def entries(self) -> dict[str, Entry]:
        lines = iter(self.lines.splitlines(keepends=True))
        return {
            name: Entry(name, addresses, b"".join(islice(lines, len(addresses))))
            for name, addresses in self.addresses.items()
        }

    def after(self, changes: Mapping[str, Entry | None]) -> list[_Page]:
        """The pages in its place, none of them empty, once these names have changed."""
        kept = changes if changes.keys() >= self.addresses.keys() else {**self.entries(), **changes}
        entries = [entry for name in sorted(kept) if (entry := kept[name]) is not None]
        size = _PAGE if len(entries) > 2 * _PAGE else 2 * _PAGE
        return [
            _Page({entry.name: entry.addresses for entry in part}, b"".join([entry.lines for entry in part]))
            for part in (entries[at : at + size] for at in range(0, len(entries), size))
        ]


class Entries:
    """What the block is to hold, sorted by name; a change of one name costs no look at the others.

    The lines are kept a page at a time: 60,000 small `bytes` would take twice the room, and long to join.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._pages = [_Page({})]
        self._firsts = [""]
        """The least name that may be in each page."""
        self.count = 0
        """The number of lines, one for each address of a name."""
        self.update({entry.name: entry for entry in entries})

    def update(self, changes: Mapping[str, Entry | None]) -> None:
        """Put entries by name; None takes one out."""
        ahead = sorted(changes)
        while ahead:  # from the last page to the first, whose numbers stay as they are
            number = self._number(ahead[-1])
            start = bisect_left(ahead, self._firsts[number])
            before = self._pages[number]
            pages = before.after({name: changes[name] for name in ahead[start:]})
            if not pages and number == 0:
                pages = [_Page({})]
            self._pages[number : number + 1] = pages
            firsts = [next(iter(page.addresses)) for page in pages[1:]]
            self._firsts[number : number + 1] = [self._firsts[number], *firsts] if pages else []
            self.count += sum(page.lines.count(b"\n") for page in pages) - before.lines.count(b"\n")
            del ahead[start:]

    def _number(self, name: str) -> int:
        """The number of the page that has the name, if any has."""
        return bisect_right(self._firsts, name) - 1

    def addresses(self, name: str) -> tuple[str, ...]:
        """The addresses of a name; none where it is not in the block."""
        return self._pages[self._number(name)].addresses.get(name, ())

    def get(self, name: str) -> Entry | None:
        page = self._pages[self._number(name)]
        return page.entries()[name] if name in page.addresses else None

    def lines(self, instead: Mapping[str, bytes]) -> bytes:
        """The lines of all names, with others in the place of some that are there."""
        lines = [page.lines for page in self._pages]
        for number in {self._number(name) for name in instead}:
            own = self._pages[number].entries().values()
            lines[number] = b"".join([instead.get(entry.name, entry.lines) for entry in own])
        return b"".join(lines)


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
