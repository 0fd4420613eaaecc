"""What there is to answer from: the projection, and which names exist because of names below them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen
from twisted.names import dns

from dtkdns.names import is_wildcard
from dtkdns.projection import Projection, RecordSet, Shown
from dtkdns.slices import STRIDE, Steps, at_once

_SERIALS = 2**32


@frozen
class Difference:
    """What another projection changes in a zone beside what names themselves have."""

    projection: Projection
    below: Mapping[str, int]
    """Name to how many names more there are directly below it, managed domains among them."""
    cuts: frozenset[str]
    """Names from which on another server has the names now."""
    uncut: frozenset[str]
    """Names from which on it no longer has."""


class Zone:
    """The managed domains, each a zone of its own (RFC 1034, section 4.2).

    Names are in lower case without a trailing dot, as the projection has them.
    """

    def __init__(self) -> None:
        self._projection = Projection()
        self._below: Counter[str] = Counter()
        """Name to the number of names under it that have something, or are managed domains: it exists, whatever it
        has itself (RFC 4592, section 2.2.2).
        """
        self._cuts: frozenset[str] = frozenset()
        """Names with NS records: from there on another server has the names."""
        self._version = 0
        """It rises with every change, also over a restart, unless there is more than one change a second."""
        self.held = False
        """Whether a name that is not here may exist all the same: records were lost."""

    @property
    def loaded(self) -> bool:
        """Whether there is anything to answer from."""
        return bool(self._version)

    @property
    def serial(self) -> int:
        """Of the SOA records; it begins again at 0 after 32 bits (RFC 1982)."""
        return self._version % _SERIALS

    def update(self, projection: Projection, changed: Iterable[str], now: float) -> bool:
        """Take over a projection that differs in these names; `now` is in POSIX seconds.

        Whether more is different than what these names themselves have: a domain, or where another server begins.
        """
        return self.take(at_once(self.comparing(projection, changed)), now)

    def comparing(self, projection: Projection, changed: Iterable[str]) -> Steps[Difference]:
        """What is different in a projection, to be taken over by `take` before anything else is."""
        old = self._projection
        below: Counter[str] = Counter()
        for domain in old.domains ^ projection.domains:
            below[domain.partition(".")[2]] += 1 if domain in projection.domains else -1
        cuts: set[str] = set()
        uncut: set[str] = set()
        for number, name in enumerate(changed, 1):
            if not number % STRIDE:
                yield
            had_records, has_records = name in old.records, name in projection.records
            existed, exists = had_records or name in old.shown, has_records or name in projection.shown
            if exists != existed:
                below[name.partition(".")[2]] += 1 if exists else -1
            if had_records or has_records:
                (cuts if _is_cut(name, projection) else uncut).add(name)
        return Difference(projection, below, frozenset(cuts - self._cuts), frozenset(uncut & self._cuts))

    def take(self, difference: Difference, now: float) -> bool:
        """Answer from another projection from now on; for the rest see `update`."""
        more = self._projection.domains != difference.projection.domains
        self._projection = difference.projection
        for name, by in difference.below.items():
            while name:
                self._below[name] += by
                if not self._below[name]:
                    del self._below[name]
                name = name.partition(".")[2]  # noqa: PLW2901
        self._cuts = (self._cuts - difference.uncut) | difference.cuts
        self._version = max(self._version + 1, int(now))
        return more or bool(difference.cuts or difference.uncut)

    def domain_among(self, enclosers: Sequence[str]) -> int | None:
        """The index of the first managed domain among a name and those that it is under; None without one."""
        domains = self._projection.domains
        return next((index for index, name in enumerate(enclosers) if name in domains), None)

    def cut_among(self, enclosers: Sequence[str]) -> str:
        """Of a name and those that it is under, the last from which on another server has the names; or empty."""
        return next((name for name in reversed(enclosers) if name in self._cuts), "") if self._cuts else ""

    def exists(self, name: str) -> bool:
        """Whether there is such a name: it, or one below it, has something, or it is a managed domain."""
        found = self._projection
        return name in found.shown or name in found.records or name in self._below or name in found.domains

    def shown(self, name: str) -> Shown | None:
        """The addresses of a name."""
        return self._projection.shown.get(name)

    def records(self, name: str) -> tuple[RecordSet, ...]:
        """What a name has beside addresses."""
        return self._projection.records.get(name, ())


def _is_cut(name: str, projection: Projection) -> bool:
    return not is_wildcard(name) and any(one.number == dns.NS for one in projection.records.get(name, ()))
